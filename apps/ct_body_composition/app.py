"""ct_body_composition: fat, muscle and bone of the trunk, measured on a CT."""

from __future__ import annotations

import sys

from operators.load import LoadSeries, LoadSeriesParameters, LoadVolume, LoadVolumeParameters
from operators.measure import (
    MeasureKeySlices,
    MeasureRatios,
    MeasureRatiosParameters,
    MeasureSegments,
    MeasureSliceAreas,
    Ratio,
)
from operators.qc import (
    CheckApplicability,
    CheckDistribution,
    CheckFieldOfView,
    CheckInput,
    CheckPlausibility,
    DistributionParameters,
    JudgeQuality,
    MeasureInput,
)
from operators.runtime.application import MapApplication, main
from operators.segment import Segment, TrunkEngine, choose_engine
from operators.select import SelectSeries
from operators.write import DeriveIdentity, DeriveIdentityParameters, ReportOutcome, choose_writers

RATIOS = (Ratio("vat_sat_ratio", "Ratio of visceral to subcutaneous fat (volume)", "visceral_fat", "subcutaneous_fat"),)
CHECKS = (CheckApplicability, CheckPlausibility, CheckDistribution)


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
            DeriveIdentity(self, DeriveIdentityParameters.of(context, engine.algorithm.digest)),
            Segment(self, engine),
            MeasureSegments(self),
            MeasureSliceAreas(self),
            MeasureKeySlices(self),
            MeasureRatios(self, MeasureRatiosParameters(RATIOS)),
            CheckInput(self),
            CheckFieldOfView(self),
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
