"""WriteSecondaryCapture: the key image as a colour DICOM image, for viewers that read neither SEG nor SR.

The form is Secondary Capture Image Storage with one frame of native RGB, not Multi-frame True Color Secondary Capture:
several key slices fit on one picture, and every viewer shows a single frame, while some leave a multi-frame Secondary
Capture out or ask for its Frame Increment Pointer.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

import highdicom as hd
import numpy as np
from pydicom.uid import ExplicitVRLittleEndian

from operators.core import defaults
from operators.core.identity import ResultIdentity
from operators.core.label_map import Algorithm, LabelMap
from operators.core.measurements import SegmentMeasurements, SliceAreas
from operators.core.quality import QualityReport
from operators.core.volume import Volume
from operators.runtime.step import Step
from operators.write.marking import contributing_equipment, equipment, save, series_description, source_headers, stamp
from operators.write.picture import compose
from operators.write.shown_slices import draw_slices, view_of
from operators.write.source_references import referenced_series_items, source_image_items
from operators.write.write_segmentation import WriteParameters
from operators.write.written import WrittenFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from PIL import Image
    from pydicom import Dataset

FILE_NAME = "secondary_capture.dcm"
COPIED_KEYWORDS = (
    "Laterality",
    "LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod",
)  # fmt: skip
"""Of the source. Once lossy, always lossy: what was made from lossy images says so (PS3.3 C.7.6.1.1.5)."""


class WriteSecondaryCapture(Step):
    """Write the picture of WriteKeyImage as a colour image in the source's study.

    Outlines of the segments, legend, values with units, quality and research status are burnt in, the patient's name
    is not. The image claims no frame of reference and no pixel spacing: nobody shall measure in a picture.

    Named Input:
        volume: Volume, the source.
        label_map: LabelMap on its grid.
        measurements: tuple of SegmentMeasurements.
        slice_areas: tuple of SliceAreas.
        quality: QualityReport.
        seg: WrittenFile with the SEG of that label map.
        identity: ResultIdentity.

    Named Output:
        secondary_capture: WrittenFile with Secondary Capture Image Storage 1.2.840.10008.5.1.4.1.1.7.
    """

    inputs: ClassVar[tuple[str, ...]] = (
        "volume", "label_map", "measurements", "slice_areas", "quality", "seg", "identity",
    )  # fmt: skip
    output: ClassVar[str] = "secondary_capture"

    def process(
        self,
        volume: Volume,
        label_map: LabelMap,
        measurements: tuple[SegmentMeasurements, ...],
        slice_areas: tuple[SliceAreas, ...],
        quality: QualityReport,
        seg: WrittenFile,
        identity: ResultIdentity,
    ) -> WrittenFile:
        """Draw, build and save."""
        parameters: WriteParameters = self.parameters
        assert seg.dataset is not None
        slices = draw_slices(volume, label_map)
        picture = compose(slices, label_map, measurements, slice_areas, quality, identity)
        shown = [shown.index for shown in slices]
        dataset = build_secondary_capture(picture, shown, volume, seg.dataset, label_map.algorithm, identity)
        path = parameters.folder / FILE_NAME
        save(dataset, path)
        return WrittenFile(path, dataset)


def build_secondary_capture(
    picture: Image.Image,
    shown: Sequence[int],
    volume: Volume,
    seg: Dataset,
    algorithm: Algorithm,
    identity: ResultIdentity,
) -> hd.sc.SCImage:
    """A picture as Secondary Capture Image (PS3.3 A.8.1).

    Args:
        picture: RGB.
        shown: Indices of the slices that it shows.
        volume: The source.
        seg: The SEG whose segments it shows.
        algorithm: What made the segments.
        identity: UIDs and clock derive from it.

    Returns:
        The data set, RGB, 8 bits, native.
    """
    (header,) = source_headers(dataclasses.replace(volume, slices=volume.slices[:1]))
    dataset = hd.sc.SCImage(
        pixel_array=np.asarray(picture),
        photometric_interpretation="RGB",
        bits_allocated=8,
        coordinate_system="PATIENT",
        # One letter a direction is all that highdicom knows; the whole names follow below.
        patient_orientation=("L", "P"),
        study_instance_uid=header.StudyInstanceUID,
        series_instance_uid=identity.uid("sc/series"),
        series_number=defaults.SECONDARY_CAPTURE_SERIES_NUMBER,
        sop_instance_uid=identity.uid("sc/instance"),
        instance_number=1,
        **equipment(algorithm),
        specific_character_set=header.get("SpecificCharacterSet"),
        transfer_syntax_uid=ExplicitVRLittleEndian,
        contributing_equipment=[contributing_equipment(algorithm, identity)],
    )
    # The name goes from header to header as it is: highdicom's constructor has opinions on names, and prints them.
    dataset.copy_patient_and_study_information(header)
    _describe(dataset, shown, volume, identity)
    dataset.SourceImageSequence = source_image_items(volume, shown, seg)
    dataset.ReferencedSeriesSequence = referenced_series_items(volume, seg)
    for keyword in COPIED_KEYWORDS:
        if keyword in header:
            dataset[keyword] = header[keyword]
    return dataset


def _describe(dataset: hd.sc.SCImage, shown: Sequence[int], volume: Volume, identity: ResultIdentity) -> None:
    """Say what the picture is and how it came about (PS3.3 C.7.6.1, C.8.6)."""
    stamp(dataset, identity, series_description("SC", identity))
    dataset.DateOfSecondaryCapture, dataset.TimeOfSecondaryCapture = dataset.ContentDate, dataset.ContentTime
    dataset.ConversionType = hd.sc.ConversionTypeValues.WSD.value
    view = view_of(volume.affine_lps)
    dataset.PatientOrientation = [view.right, view.foot]
    # Type 2C, of paired parts of the body (PS3.3 C.7.3.1): empty where the source does not say which side.
    dataset.Laterality = ""
    dataset.BurnedInAnnotation = "YES"
    numbers = ", ".join(str(index + 1) for index in shown)
    dataset.DerivationDescription = (
        f"Slice {numbers} of {volume.array.shape[0]} with segments coloured and outlined, enlarged to square pixels; "
        f"legend, values and quality verdict burnt in by {identity.app} {identity.version}. {defaults.RESEARCH_STATUS}"
    )
