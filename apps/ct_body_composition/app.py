"""ct_body_composition: fat, muscle and bone of the trunk, measured on a CT."""

from __future__ import annotations

import sys

from operators.load import LoadSeries, LoadSeriesParameters, LoadVolume
from operators.measure import MeasureSegments, MeasureSliceAreas
from operators.qc import CheckFieldOfView, CheckInput, JudgeQuality
from operators.runtime.application import MapApplication, main
from operators.segment import Segment, SegmentParameters
from operators.select import SelectSeries
from operators.write import (
    DeriveIdentity,
    DeriveIdentityParameters,
    ReportOutcome,
    WriteKeyImage,
    WriteMeasurementReport,
    WriteParameters,
    WriteSegmentation,
)


class CTBodyComposition(MapApplication):
    """Load, select, segment, measure, check, write: each box is an operator, ports of one name are wired."""

    def compose(self) -> None:
        """Wire the operators."""
        context, manifest = self.run_context, self.run_context.manifest
        engine = SegmentParameters(version=manifest.application.version)
        identity = DeriveIdentityParameters(
            app=manifest.application.title,
            version=manifest.application.version,
            model_digest=engine.algorithm.digest,
            parameters=context.parameters,
            job=context.job,
        )
        output = WriteParameters(context.output_folder)
        self.connect(
            LoadSeries(self, LoadSeriesParameters(context.input_folder)),
            SelectSeries(self, manifest.mapnode.input),
            LoadVolume(self),
            DeriveIdentity(self, identity),
            Segment(self, engine),
            MeasureSegments(self),
            MeasureSliceAreas(self),
            CheckInput(self),
            CheckFieldOfView(self),
            JudgeQuality(self),
            WriteSegmentation(self, output),
            WriteMeasurementReport(self, output),
            WriteKeyImage(self, output),
            ReportOutcome(self, context.outcome),
        )


if __name__ == "__main__":
    sys.exit(main(CTBodyComposition, __file__))
