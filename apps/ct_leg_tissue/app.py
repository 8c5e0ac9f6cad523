"""ct_leg_tissue: bone, fat and muscle of each leg, measured on a CT."""

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
from operators.segment import LegEngine, PartedLegs, Segment, choose_engine
from operators.select import SelectSeries
from operators.write import DeriveIdentity, DeriveIdentityParameters, ReportOutcome, choose_writers

FEMUR_ABSENT = "the femur is not complete in the scan, or its ends were not recognised"


def ratios_of(side: str) -> tuple[Ratio, ...]:
    """Share of fat in the muscle compartment and muscle over subcutaneous fat: of the scan and along the femur."""
    muscle, inside, outside = (
        f"leg_{name}_{side}" for name in ("skeletal_muscle", "intermuscular_fat", "subcutaneous_fat")
    )
    places: list[tuple[str, str, str | None]] = [("", "(volume)", None)]
    places += [(f"_femur_{part}", f"(area at {part} % of the femur)", f"femur_{part}_{side}") for part in (25, 50, 75)]
    return tuple(
        Ratio(f"{name}{key}_{side}", f"{label}, {side} leg {where}", numerator, denominator, level, FEMUR_ABSENT)
        for name, label, numerator, denominator in (
            ("imat_fraction", "Intermuscular fat fraction", inside, (inside, muscle)),
            ("sm_sat_ratio", "Ratio of muscle to subcutaneous fat", muscle, outside),
        )
        for key, where, level in places
    )


RATIOS = (*ratios_of("left"), *ratios_of("right"))
CHECKS = (CheckApplicability, CheckPlausibility, CheckDistribution)


class CTLegTissue(MapApplication):
    """Load, select, segment, measure, check, write: each box is an operator, ports of one name are wired."""

    def compose(self) -> None:
        """Wire the operators."""
        context, manifest = self.run_context, self.run_context.manifest
        classical = LegEngine(version=manifest.application.version)
        engine = choose_engine(context, classical)
        if engine is not classical:
            # A network of LegSegNet's layout knows tissues, not sides.
            engine = PartedLegs(engine)
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
    sys.exit(main(CTLegTissue, __file__))
