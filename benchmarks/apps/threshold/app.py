"""threshold: everything above one value of HU, for measuring what a run costs besides its segmentation."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from operators.core import catalogue, codes
from operators.core.identity import digest_of
from operators.core.label_map import Algorithm, LabelMap
from operators.core.volume import Volume
from operators.load import LoadSeries, LoadSeriesParameters, LoadVolume, LoadVolumeParameters
from operators.measure import MeasureSegments
from operators.qc import CheckInput, JudgeQuality
from operators.runtime.application import MapApplication, main
from operators.runtime.step import Step
from operators.select import SelectSeries
from operators.write import DeriveIdentity, DeriveIdentityParameters, ReportOutcome, choose_writers

SEGMENTS = (catalogue.segment("bone", 1, (1,)),)


@dataclass(frozen=True)
class ThresholdParameters:
    """Which voxels.

    Attributes:
        version: Version of the app.
        above_hu: They are above this.
    """

    version: str
    above_hu: int = 150

    @property
    def algorithm(self) -> Algorithm:
        """What results name."""
        content = {"engine": "threshold", "version": self.version, "above_hu": self.above_hu}
        return Algorithm("one threshold", self.version, digest_of(content), codes.MORPHOLOGICAL_OPERATIONS)


class Threshold(Step):
    """Label what is above a value."""

    inputs: ClassVar[tuple[str, ...]] = ("volume",)
    output: ClassVar[str] = "label_map"

    def process(self, volume: Volume) -> LabelMap:
        """Compare."""
        parameters: ThresholdParameters = self.parameters
        labels = np.greater(volume.array, parameters.above_hu).view(np.uint8)
        return LabelMap(labels, volume.affine_lps, SEGMENTS, parameters.algorithm)


class ThresholdApp(MapApplication):
    """Load, select, compare, measure, write."""

    def compose(self) -> None:
        """Wire the operators."""
        context, manifest = self.run_context, self.run_context.manifest
        engine = ThresholdParameters(manifest.application.version)
        unmeasured = ("derived", "key_slices", "slice_areas")
        writers = choose_writers(self, without=unmeasured)
        self.connect(
            LoadSeries(self, LoadSeriesParameters(context.input_folder)),
            SelectSeries(self, manifest.mapnode.input),
            LoadVolume(self, LoadVolumeParameters(context.staged_folder)),
            DeriveIdentity(self, DeriveIdentityParameters.of(context, engine.algorithm.digest)),
            Threshold(self, engine),
            MeasureSegments(self),
            CheckInput(self),
            JudgeQuality(self, without=("field_of_view_quality",)),
            *writers,
            ReportOutcome(self, context.outcome, [step.output for step in writers], without=unmeasured),
        )


if __name__ == "__main__":
    sys.exit(main(ThresholdApp, __file__))
