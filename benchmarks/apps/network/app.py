"""network: whatever a model folder segments, for tests and for measuring engines."""

from __future__ import annotations

import sys

from operators.load import LoadSeries, LoadSeriesParameters, LoadVolume, LoadVolumeParameters
from operators.measure import MeasureSegments
from operators.qc import CheckInput, JudgeQuality
from operators.runtime.application import MapApplication, main
from operators.segment import Segment, choose_engine
from operators.select import SelectSeries
from operators.write import DeriveIdentity, DeriveIdentityParameters, ReportOutcome, choose_writers


class NetworkApp(MapApplication):
    """Load, select, segment, measure, write."""

    def compose(self) -> None:
        """Wire the operators."""
        context, manifest = self.run_context, self.run_context.manifest
        engine = choose_engine(context)
        unmeasured = ("derived", "key_slices", "slice_areas")
        writers = choose_writers(self, without=unmeasured)
        self.connect(
            LoadSeries(self, LoadSeriesParameters(context.input_folder)),
            SelectSeries(self, manifest.mapnode.input),
            LoadVolume(self, LoadVolumeParameters(context.staged_folder)),
            DeriveIdentity(self, DeriveIdentityParameters.of(context, engine.algorithm.digest)),
            Segment(self, engine),
            MeasureSegments(self),
            CheckInput(self),
            JudgeQuality(self, without=("field_of_view_quality",)),
            *writers,
            ReportOutcome(self, context.outcome, [step.output for step in writers], without=unmeasured),
        )


if __name__ == "__main__":
    sys.exit(main(NetworkApp, __file__))
