"""Segmentation references: which objects of a folder are segmentations, and which images they were made on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.uid import RTStructureSetStorage

from operators.core.frame_table import read_frames
from operators.core.header import PARSE_ERRORS, read_text
from operators.core.items import PlainObject
from operators.core.object_checks import listed_by_series, plain_references
from operators.core.segmentation_checks import SEGMENTATIONS

if TYPE_CHECKING:
    from collections.abc import Container

    from operators.core.reading import Instance
    from operators.core.selection import LoadedFolder

MEASURABLE = frozenset({*SEGMENTATIONS, str(RTStructureSetStorage)})
"""Segmentation, Label Map Segmentation and RT Structure Set Storage."""


def segmentations_in(folder: LoadedFolder) -> tuple[Instance, ...]:
    """The SEGs and RT Structure Sets of a folder, by SOP Instance UID: the order of files never decides."""
    found = (instance for series in folder.series for instance in series.series.instances)
    wanted = [instance for instance in found if read_text(instance.header, "SOPClassUID") in MEASURABLE]
    return tuple(sorted(wanted, key=lambda instance: instance.uid))


def references_of(instance: Instance, series_uid: str = "") -> set[str]:
    """SOP Instance UIDs of the images that a segmentation refers to.

    Args:
        instance: A SEG or RT Structure Set.
        series_uid: Only those that it lists for this series, where it lists any for it.

    Returns:
        The UIDs; none where its references cannot be read.
    """
    plain = PlainObject(instance.header)
    try:
        return listed_by_series(plain).get(series_uid) or plain_references(plain)
    except PARSE_ERRORS:
        return set()


def drawn_on(instance: Instance, present: Container[str]) -> set[str]:
    """SOP Instance UIDs of the images that a segmentation was drawn on, as far as it says so.

    It may list other series too, such as those that were looked at beside; frames of a SEG name what each was made from
    (PS3.3 C.7.6.16.2.6), contours of a structure set the image that each lies on (PS3.3 C.8.8.6).

    Args:
        instance: A SEG or RT Structure Set.
        present: The images that are there.

    Returns:
        The UIDs that its frames or contours name where one of these is there, else all that it refers to.
    """
    try:
        named = _named_by_frames(instance) or _named_by_contours(instance)
    except PARSE_ERRORS:
        named = set()
    return named if any(uid in present for uid in named) else references_of(instance)


def _named_by_frames(instance: Instance) -> set[str]:
    """SOP Instance UIDs of the source images of a SEG's frames."""
    if read_text(instance.header, "SOPClassUID") not in SEGMENTATIONS:
        return set()
    return {source.uid for sources in read_frames(instance.header).sources for source in sources}


def _named_by_contours(instance: Instance) -> set[str]:
    """SOP Instance UIDs of the images that the contours of a structure set lie on."""
    rois = PlainObject(instance.header).items("ROIContourSequence")
    contours = (contour for roi in rois for contour in roi.items("ContourSequence"))
    images = (image for contour in contours for image in contour.items("ContourImageSequence"))
    return {image.text("ReferencedSOPInstanceUID") for image in images}
