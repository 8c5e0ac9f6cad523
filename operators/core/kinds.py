"""Kinds: what each SOP Class is to a loader - slices of a volume, two-dimensional images, or no images at all."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from pydicom import uid

from operators.core.header import file_meta_value, read_text, read_value

if TYPE_CHECKING:
    from pydicom import Dataset

SINGLE_FRAME = frozenset({uid.CTImageStorage, uid.MRImageStorage, uid.PositronEmissionTomographyImageStorage})
"""One slice an instance, placed by the Image Plane Module (PS3.3 C.7.6.2)."""
MULTI_FRAME = frozenset({
    uid.EnhancedCTImageStorage,
    uid.EnhancedMRImageStorage,
    uid.EnhancedPETImageStorage,
    uid.LegacyConvertedEnhancedCTImageStorage,
    uid.LegacyConvertedEnhancedMRImageStorage,
    uid.LegacyConvertedEnhancedPETImageStorage,
})
"""Many slices an instance, placed by functional groups (PS3.3 C.7.6.16)."""
NO_IMAGES = frozenset({
    uid.SegmentationStorage,
    "1.2.840.10008.5.1.4.1.1.66.7",  # Label Map Segmentation Storage, newer than the dictionary
    uid.ParametricMapStorage,
    uid.RTDoseStorage,
    uid.SurfaceSegmentationStorage,
})
"""What has pixels or frames and is a result, no picture of the patient."""
CLASS_OF_MODALITY = {
    "CT": uid.CTImageStorage,
    "MR": uid.MRImageStorage,
    "PT": uid.PositronEmissionTomographyImageStorage,
}
"""What an image is that lost its SOP Class UID: it can be shown, and its empty UID is a finding."""


class Kind(StrEnum):
    """What an instance is to a loader."""

    SLICE = "slice"
    """One slice of a volume."""
    FRAMES = "frames"
    """Slices of a volume, as frames."""
    IMAGE = "image"
    """A two-dimensional image: it has no place in the patient."""
    OTHER = "other"
    """No image: a report, a segmentation, a plan."""


def kind_of(header: Dataset) -> Kind:
    """What an instance is.

    Args:
        header: Its data set without pixels.

    Returns:
        The kind.
    """
    sop_class = sop_class_of(header)
    if sop_class in SINGLE_FRAME:
        return Kind.SLICE
    if sop_class in MULTI_FRAME:
        return Kind.FRAMES
    if sop_class in NO_IMAGES or read_value(header, "Rows") is None:
        return Kind.OTHER
    return Kind.IMAGE


def sop_class_of(header: Dataset) -> uid.UID:
    """SOP Class UID (0008,0016); where it is empty what file meta information or Modality stand for."""
    named = read_text(header, "SOPClassUID") or file_meta_value(header, "MediaStorageSOPClassUID")
    return uid.UID(str(named or CLASS_OF_MODALITY.get(read_text(header, "Modality"), "")))


def is_pet(header: Dataset) -> bool:
    """Whether stored values mean nothing without their slope (PS3.3 C.8.9.4)."""
    return sop_class_of(header) in {uid.PositronEmissionTomographyImageStorage, uid.EnhancedPETImageStorage}


def is_ct(header: Dataset) -> bool:
    """Whether stored values are to become HU."""
    return sop_class_of(header) in {
        uid.CTImageStorage,
        uid.EnhancedCTImageStorage,
        uid.LegacyConvertedEnhancedCTImageStorage,
    }
