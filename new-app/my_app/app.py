"""my_app: everything brighter than a threshold, measured on a CT. A beginning: change what is marked below."""

from __future__ import annotations

import sys
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from operators.core import catalogue, codes
from operators.core.errors import SegmentationError
from operators.core.identity import digest_of
from operators.core.label_map import Algorithm, LabelMap, Segment
from operators.core.volume import Volume
from operators.load import LoadSeries, LoadSeriesParameters, LoadVolume, LoadVolumeParameters
from operators.measure import MeasureSegments
from operators.qc import CheckInput, JudgeQuality
from operators.runtime.application import MapApplication, main
from operators.segment import Segment as SegmentStep
from operators.segment.engine import Report
from operators.select import SelectSeries
from operators.write import DeriveIdentity, DeriveIdentityParameters, ReportOutcome, choose_writers

# 1. What is found: a name of operators/core/catalogue.yaml gives codes and colour; 1 is its label.
SEGMENTS = (catalogue.segment("bone", 1, (1,)),)


@dataclass(frozen=True)
class MyAppEngine:
    """What segments; a change of any attribute is another model, and gives results an identity of their own.

    Attributes:
        version: Version of the app.
        above_hu: Voxels brighter than this count.
        least_ml: Smaller pieces do not.
    """

    version: str
    above_hu: float = 200.0
    least_ml: float = 0.5

    @property
    def algorithm(self) -> Algorithm:
        """What results name."""
        digest = digest_of(asdict(self))
        return Algorithm("my_app threshold", self.version, digest, codes.MORPHOLOGICAL_OPERATIONS)

    @property
    def segments(self) -> tuple[Segment, ...]:
        """What the labels mean."""
        return SEGMENTS

    def segment(self, volume: Volume, report: Report) -> LabelMap:
        """Segment a volume.

        Args:
            volume: CT, `(slices, rows, columns)` in HU, in whatever orientation it was stored.
            report: Hears of the fraction done.

        Returns:
            Labels on the volume's grid.

        Raises:
            SegmentationError: If nothing is as bright.
        """
        report(0.0, "looking for what is bright")
        labels = find(volume.array, self.above_hu, self.least_ml * 1000 / volume.voxel_volume_mm3)
        if not labels.any():
            raise SegmentationError(f"no piece of {self.least_ml:g} mL is brighter than {self.above_hu:g} HU")
        return LabelMap(labels, volume.affine_lps, self.segments, self.algorithm)


# 2. How it is found: arrays in, an array out, and nothing of DICOM, so that it can be tried on anything.
def find(hu: NDArray[Any], above_hu: float, least_voxels: float) -> NDArray[np.uint8]:
    """Pieces that are brighter than a threshold.

    Args:
        hu: `(slices, rows, columns)`.
        above_hu: The threshold.
        least_voxels: Pieces with fewer voxels are left out.

    Returns:
        1 inside, 0 outside; the shape of hu.
    """
    pieces, _ = ndimage.label(hu > above_hu)
    is_large = np.bincount(pieces.ravel()) >= least_voxels
    is_large[0] = False
    return is_large[pieces].astype(np.uint8)


class MyApp(MapApplication):
    """Load, select, segment, measure, check, write: each box is an operator, ports of one name are wired."""

    def compose(self) -> None:
        """Wire the operators."""
        # 3. What is measured and checked: add operators here (docs/architecture.md lists them).
        context, manifest = self.run_context, self.run_context.manifest
        engine = MyAppEngine(manifest.application.version)
        unmeasured = ("derived", "key_slices", "slice_areas")
        writers = choose_writers(self, without=unmeasured)
        self.connect(
            LoadSeries(self, LoadSeriesParameters(context.input_folder)),
            SelectSeries(self, manifest.mapnode.input),
            LoadVolume(self, LoadVolumeParameters(context.staged_folder)),
            DeriveIdentity(self, DeriveIdentityParameters.of(context, engine.algorithm.digest)),
            SegmentStep(self, engine),
            MeasureSegments(self),
            CheckInput(self),
            JudgeQuality(self, without=("field_of_view_quality",)),
            *writers,
            ReportOutcome(self, context.outcome, [step.output for step in writers], without=unmeasured),
        )


if __name__ == "__main__":
    sys.exit(main(MyApp, __file__))
