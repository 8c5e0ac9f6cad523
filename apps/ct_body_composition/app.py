"""ct_body_composition: fat, muscle and bone of the trunk, measured on a CT."""

from __future__ import annotations

import sys

from operators.core.levels import L3, VERTEBRAE
from operators.load import (
    LoadLevels,
    LoadSegmentationParameters,
    LoadSeries,
    LoadSeriesParameters,
    LoadVolume,
    LoadVolumeParameters,
)
from operators.measure import (
    MeasureKeySlices,
    MeasureMuscleIndex,
    MeasureRatios,
    MeasureRatiosParameters,
    MeasureSegments,
    MeasureSides,
    MeasureSliceAreas,
    Ratio,
    SliceAreasParameters,
)
from operators.qc import (
    CheckApplicability,
    CheckDistribution,
    CheckFieldOfView,
    CheckInput,
    CheckLevels,
    CheckPlausibility,
    DistributionParameters,
    JudgeQuality,
    MeasureInput,
)
from operators.runtime.application import MapApplication, main
from operators.segment import Segment, TrunkEngine, choose_engine
from operators.select import SelectSeries
from operators.write import DeriveIdentity, DeriveIdentityParameters, ReportOutcome, choose_writers

VAT_SAT = "Ratio of visceral to subcutaneous fat"
LEVEL_ABSENT = "neither the engine nor a Segmentation that came with the images shows the whole vertebra"
RATIOS = (
    Ratio("vat_sat_ratio", f"{VAT_SAT} (volume)", "visceral_fat", "subcutaneous_fat"),
    *(
        Ratio(
            f"vat_sat_ratio_{level}",
            f"{VAT_SAT} (area at {vertebra.label})",
            "visceral_fat",
            "subcutaneous_fat",
            level,
            LEVEL_ABSENT,
            where_found=level != L3,
        )
        for level, vertebra in VERTEBRAE.items()
    ),
)
SIDES = SliceAreasParameters(("skeletal_muscle", "subcutaneous_fat", "intermuscular_fat"))
CHECKS = (CheckLevels, CheckApplicability, CheckPlausibility, CheckDistribution)


class CTBodyComposition(MapApplication):
    """Load, select, segment, measure, check, write: each box is an operator, ports of one name are wired."""

    def compose(self) -> None:
        """Wire the operators."""
        context, manifest = self.run_context, self.run_context.manifest
        compared = {name for ratio in RATIOS for name in ratio.segment_names}
        engine = choose_engine(context, TrunkEngine(version=manifest.application.version), needs=compared)
        writers = choose_writers(self)
        self.connect(
            LoadSeries(self, LoadSeriesParameters(context.input_folder)),
            SelectSeries(self, manifest.mapnode.input),
            LoadVolume(self, LoadVolumeParameters(context.staged_folder)),
            LoadLevels(self, LoadSegmentationParameters(engine.algorithm)),
            DeriveIdentity(
                self, DeriveIdentityParameters.of(context, engine.algorithm.digest), more_inputs=[LoadLevels.output]
            ),
            Segment(self, engine, more_inputs=[LoadLevels.output]),
            MeasureSegments(self),
            MeasureSliceAreas(self, SIDES),
            MeasureKeySlices(self),
            MeasureMuscleIndex(self),
            MeasureSides(self, SIDES),
            MeasureRatios(
                self,
                MeasureRatiosParameters(RATIOS),
                more_inputs=[MeasureMuscleIndex.output, MeasureSides.output],
            ),
            CheckInput(self),
            CheckFieldOfView(self),
            CheckLevels(self),
            MeasureInput(self),
            CheckApplicability(self, manifest.mapnode.quality),
            CheckPlausibility(self, manifest.mapnode.quality),
            CheckDistribution(self, DistributionParameters.of(context)),
            JudgeQuality(self, more_inputs=[check.output for check in CHECKS]),
            *writers,
            ReportOutcome(self, context.outcome, [step.output for step in writers]),
        )


if __name__ == "__main__":
    sys.exit(main(CTBodyComposition, __file__))
