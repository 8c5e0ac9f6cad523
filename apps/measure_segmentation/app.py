"""measure_segmentation: numbers of any SEG or RT Structure Set that arrives with its images."""

from __future__ import annotations

import sys

from operators.core import codes
from operators.core.contract import ObjectKind
from operators.core.identity import digest_of
from operators.core.label_map import Algorithm
from operators.load import (
    LoadSegmentation,
    LoadSegmentationParameters,
    LoadSeries,
    LoadSeriesParameters,
    LoadVolume,
    LoadVolumeParameters,
)
from operators.measure import (
    MeasureDiameters,
    MeasureIntensities,
    MeasureShapes,
    MeasureUptake,
    MeasureUptakeParameters,
    MergeMeasurements,
)
from operators.preprocess import CalibrateValues
from operators.qc import (
    CheckBorderContact,
    CheckDistribution,
    CheckInput,
    CheckLaterality,
    CheckUnmeasured,
    DistributionParameters,
    JudgeQuality,
    MeasureLaterality,
)
from operators.runtime.application import MapApplication, main
from operators.select import SelectSegmentedSeries
from operators.write import (
    DeriveIdentity,
    DeriveIdentityParameters,
    ReportOutcome,
    ReportParameters,
    WriteContouredSegmentation,
    WriteParameters,
    Writers,
    WriteSegmentReport,
    choose_writers,
)

WRITERS: Writers = {
    ObjectKind.SEG: (WriteContouredSegmentation, WriteParameters),
    ObjectKind.SR: (WriteSegmentReport, ReportParameters),
}


class MeasureSegmentation(MapApplication):
    """Load images and segmentation, measure, check, write: each box is an operator, ports of one name are wired."""

    def compose(self) -> None:
        """Wire the operators."""
        context, application = self.run_context, self.run_context.manifest.application
        wanted = context.parameters
        digest = digest_of({"version": application.version, **wanted})
        algorithm = Algorithm(application.title, application.version, digest, codes.NEIGHBORHOOD_ANALYSIS)
        identity = DeriveIdentityParameters.of(context, digest)
        writers = choose_writers(self, WRITERS)
        self.connect(
            LoadSeries(self, LoadSeriesParameters(context.input_folder)),
            SelectSegmentedSeries(self, context.manifest.mapnode.input),
            LoadVolume(self, LoadVolumeParameters(context.staged_folder)),
            LoadSegmentation(self, LoadSegmentationParameters(algorithm, wanted["fractional_threshold"])),
            DeriveIdentity(self, identity, more_inputs=["label_map"]),
            CalibrateValues(self),
            MeasureShapes(self),
            MeasureDiameters(self),
            MeasureIntensities(self),
            MeasureUptake(
                self, MeasureUptakeParameters(wanted["mtv_fraction_of_max"], wanted["mtv_suv"])
            ),
            MergeMeasurements(self),
            MeasureLaterality(self),
            CheckInput(self),
            CheckBorderContact(self),
            CheckLaterality(self),
            CheckUnmeasured(self),
            CheckDistribution(self, DistributionParameters.of(context), without=["input_quantities"]),
            JudgeQuality(
                self, more_inputs=[CheckDistribution.output, CheckLaterality.output, CheckUnmeasured.output]
            ),
            *writers,
            ReportOutcome(
                self, context.outcome, [step.output for step in writers],
                without=["key_slices", "slice_areas"],
            ),
        )  # fmt: skip


if __name__ == "__main__":
    sys.exit(main(MeasureSegmentation, __file__))
