"""WriteKeyImage: key slices with outlined segments, a legend and the values, as PNG."""

from __future__ import annotations

from typing import ClassVar

from operators.core.identity import ResultIdentity
from operators.core.label_map import LabelMap
from operators.core.measurements import SegmentMeasurements, SliceAreas
from operators.core.quality import QualityReport
from operators.core.volume import Volume
from operators.runtime.step import Step
from operators.write.picture import compose
from operators.write.shown_slices import draw_slices
from operators.write.write_segmentation import WriteParameters
from operators.write.written import WrittenFile

FILE_NAME = "key_image.png"


class WriteKeyImage(Step):
    """Write a picture of key slices beside the numbers: what was measured, where, and how far to trust it.

    Slices are drawn in the plane of the source as radiologists read it (axial: the patient's right on the viewer's
    left, the front above), with the sides of the patient named. WriteSecondaryCapture writes the same picture.

    Named Input:
        volume: Volume.
        label_map: LabelMap on its grid.
        measurements: tuple of SegmentMeasurements.
        slice_areas: tuple of SliceAreas.
        quality: QualityReport.
        identity: ResultIdentity.

    Named Output:
        key_image: WrittenFile, a PNG.
    """

    inputs: ClassVar[tuple[str, ...]] = (
        "volume", "label_map", "measurements", "slice_areas", "quality", "identity",
    )  # fmt: skip
    output: ClassVar[str] = "key_image"

    def process(
        self,
        volume: Volume,
        label_map: LabelMap,
        measurements: tuple[SegmentMeasurements, ...],
        slice_areas: tuple[SliceAreas, ...],
        quality: QualityReport,
        identity: ResultIdentity,
    ) -> WrittenFile:
        """Draw and save."""
        parameters: WriteParameters = self.parameters
        slices = draw_slices(volume, label_map)
        path = parameters.folder / FILE_NAME
        compose(slices, label_map, measurements, slice_areas, quality, identity).save(path, optimize=False)
        return WrittenFile(path)
