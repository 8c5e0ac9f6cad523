"""WriteContouredSegmentation: what came as contours as DICOM SEG, so that a report can refer to its segments."""

from __future__ import annotations

from typing import ClassVar

from pydicom import dcmread

from operators.core.identity import ResultIdentity
from operators.core.segmented_regions import SegmentedRegions
from operators.core.volume import Volume
from operators.runtime.step import Step
from operators.write.write_segmentation import FILE_NAME, READ_WHEN_ASKED_FOR, WriteParameters, write_segmentation
from operators.write.written import WrittenFile


class WriteContouredSegmentation(Step):
    """Write the regions that came from RT Structure Sets as one BINARY SEG; segments that came as a SEG are in theirs.

    A volumetric group of a report refers to a segment (PS3.16 TID 1411), which an RT Structure Set does not have, and
    the SEG shows which voxels were measured. Segments say how their ROIs were made.

    Named Input:
        volume: Volume, the source.
        label_map: SegmentedRegions.
        identity: ResultIdentity.

    Named Output:
        seg: WrittenFile with Segmentation Storage 1.2.840.10008.5.1.4.1.1.66.4; None where nothing came as contours.
    """

    inputs: ClassVar[tuple[str, ...]] = ("volume", "label_map", "identity")
    output: ClassVar[str] = "seg"
    share: ClassVar[float] = 2.0

    def process(self, volume: Volume, label_map: SegmentedRegions, identity: ResultIdentity) -> WrittenFile | None:
        """Write, and read back what is not a frame."""
        parameters: WriteParameters = self.parameters
        contoured = label_map.contoured
        if not any(region.voxels for region in contoured.regions):
            return None
        path = parameters.folder / FILE_NAME
        write_segmentation(path, volume, contoured, identity)
        return WrittenFile(path, dcmread(path, defer_size=READ_WHEN_ASKED_FOR))
