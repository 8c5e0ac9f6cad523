"""ct_body_composition: fat, muscle and bone of the trunk, measured on a CT."""

from __future__ import annotations

import sys

from operators.core.contract import ObjectKind
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
from operators.write import (
    DeriveIdentity,
    DeriveIdentityParameters,
    ReportOutcome,
    ReportParameters,
    ReportPdfParameters,
    SegmentationType,
    WriteKeyImage,
    WriteMeasurementReport,
    WriteParameters,
    WritePresentationState,
    WriteReportPdf,
    WriteRTStructureSet,
    WriteSecondaryCapture,
    WriteSegmentation,
)

RATIOS = (Ratio("vat_sat_ratio", "Ratio of visceral to subcutaneous fat (volume)", "visceral_fat", "subcutaneous_fat"),)
CHECKS = (CheckApplicability, CheckPlausibility, CheckDistribution)


class CTBodyComposition(MapApplication):
    """Load, select, segment, measure, check, write: each box is an operator, ports of one name are wired."""

    def compose(self) -> None:
        """Wire the operators."""
        context, manifest = self.run_context, self.run_context.manifest
        compared = {name for ratio in RATIOS for name in ratio.segment_names}
        engine = choose_engine(context, TrunkEngine(version=manifest.application.version), needs=compared)
        identity = DeriveIdentityParameters(
            app=manifest.application.title,
            version=manifest.application.version,
            model_digest=engine.algorithm.digest,
            parameters=context.identity_parameters,
            job=context.job,
        )
        folder, objects = context.output_folder, context.objects
        output = WriteParameters(folder, SegmentationType(objects.get(ObjectKind.SEG) or SegmentationType.BINARY))
        writers = self.writers({
            ObjectKind.SEG: lambda: WriteSegmentation(self, output),
            ObjectKind.SR: lambda: WriteMeasurementReport(self, ReportParameters(folder, context.job.predecessor)),
            ObjectKind.KEY_IMAGE: lambda: WriteKeyImage(self, output),
            ObjectKind.SECONDARY_CAPTURE: lambda: WriteSecondaryCapture(self, output),
            ObjectKind.REPORT_PDF: lambda: WriteReportPdf(self, ReportPdfParameters(folder)),
            ObjectKind.PRESENTATION_STATE: lambda: WritePresentationState(self, output),
            ObjectKind.RT_STRUCTURE_SET: lambda: WriteRTStructureSet(self, output),
        })
        self.connect(
            LoadSeries(self, LoadSeriesParameters(context.input_folder)),
            SelectSeries(self, manifest.mapnode.input),
            LoadVolume(self, LoadVolumeParameters(context.staged_folder)),
            DeriveIdentity(self, identity),
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
            CheckDistribution(self, DistributionParameters(identity.app, identity.version, context.reference_file)),
            JudgeQuality(self, more_inputs=[check.output for check in CHECKS]),
            *writers,
            ReportOutcome(self, context.outcome, [step.output for step in writers]),
        )


if __name__ == "__main__":
    sys.exit(main(CTBodyComposition, __file__))
