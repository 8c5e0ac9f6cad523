"""Object checks: our own rules for DICOM results, before a validator or a PACS sees them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydicom.uid import UID

from operators.core.reading import IDENTITY_KEYWORDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pydicom import Dataset

SEGMENTATIONS = frozenset({"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"})
"""Segmentation and Label Map Segmentation Storage."""
COMPREHENSIVE_3D_SR_STORAGE = "1.2.840.10008.5.1.4.1.1.88.34"
PATIENT_KEYWORDS = ("PatientID", "PatientName", "PatientBirthDate", "PatientSex")


def check_object(dataset: Dataset) -> list[str]:
    """What is wrong with a result, as sentences without patient data; empty if nothing is.

    Args:
        dataset: A DICOM object of any SOP Class; SEG and SR get checks of their own.

    Returns:
        The problems.
    """
    problems = list(_identity_problems(dataset))
    if problems:
        return problems
    if dataset.SOPClassUID in SEGMENTATIONS:
        problems += _segmentation_problems(dataset)
    elif dataset.SOPClassUID == COMPREHENSIVE_3D_SR_STORAGE:
        problems += _report_problems(dataset)
    return problems


def referenced_instances(dataset: Dataset) -> set[str]:
    """SOP Instance UIDs of all images and results that an object refers to, or lists as evidence."""
    listed = _referenced_instances(dataset) | _evidence(dataset) | set(_references(dataset))
    # The frames of a SEG name nothing that its list does not have: check_object sees to that.
    return listed if dataset.get("SOPClassUID") in SEGMENTATIONS else listed | set(_images(dataset))


IMAGE_SEQUENCES = frozenset({
    "ContourImageSequence",
    "ReferencedImageSequence",
    "ReferencedInstanceSequence",
    "SourceImageSequence",
    "SourceInstanceSequence",
})
"""Where Secondary Captures, documents, presentation states and structure sets name images and results."""


def _images(item: Dataset) -> Iterator[str]:
    """SOP Instance UIDs in sequences of images, at any depth."""
    for element in item:
        if element.VR != "SQ":
            continue
        for child in element.value:
            if element.keyword in IMAGE_SEQUENCES and "ReferencedSOPInstanceUID" in child:
                yield child.ReferencedSOPInstanceUID
            yield from _images(child)


def _identity_problems(dataset: Dataset) -> Iterator[str]:
    """UIDs are there and valid (PS3.5 9.1); the patient's attributes are present, empty or not (Type 2)."""
    for keyword in IDENTITY_KEYWORDS:
        value = dataset.get(keyword)
        if not value:
            yield f"{keyword} is absent or empty"
        elif not UID(value).is_valid:
            yield f"{keyword} is no valid UID"
    yield from (f"{keyword} is absent" for keyword in PATIENT_KEYWORDS if keyword not in dataset)


def _segmentation_problems(dataset: Dataset) -> Iterator[str]:
    """Frames, segments and references agree (PS3.3 C.8.20.2, C.7.6.16)."""
    numbers = [int(item.SegmentNumber) for item in dataset.get("SegmentSequence", [])]
    if not numbers:
        yield "SegmentSequence is absent or empty"
    if numbers != list(range(1, len(numbers) + 1)) and dataset.get("SegmentationType") != "LABELMAP":
        yield f"Segment Numbers are {numbers}, not 1 to {len(numbers)} (PS3.3 C.8.20.2)"
    frames = dataset.get("PerFrameFunctionalGroupsSequence", [])
    if len(frames) != int(dataset.get("NumberOfFrames", 0)):
        yield f"NumberOfFrames is {dataset.get('NumberOfFrames')}, but {len(frames)} frames are described"
    if not dataset.get("FrameOfReferenceUID"):
        yield "FrameOfReferenceUID is absent: nothing says where the segments lie"
    yield from _frame_problems(frames, set(numbers), _referenced_instances(dataset))
    if dataset.get("SegmentationType") == "BINARY" and "PixelData" in dataset:
        yield from _length_problems(dataset, len(frames))


def _frame_problems(frames: Iterable[Dataset], numbers: set[int], referenced: set[str]) -> Iterator[str]:
    used = set()
    for index, frame in enumerate(frames, start=1):
        if "SegmentIdentificationSequence" in frame:
            used.add(int(frame.SegmentIdentificationSequence[0].ReferencedSegmentNumber))
        for derivation in frame.get("DerivationImageSequence", []):
            for source in derivation.get("SourceImageSequence", []):
                if source.ReferencedSOPInstanceUID not in referenced:
                    yield f"frame {index} refers to an instance that ReferencedSeriesSequence does not list"
    if used - numbers:
        yield f"frames refer to the segments {sorted(used - numbers)}, which are not described"
    if used and numbers - used:
        yield f"the segments {sorted(numbers - used)} are described, but have no frame"


def _referenced_instances(dataset: Dataset) -> set[str]:
    return {
        item.ReferencedSOPInstanceUID
        for series in dataset.get("ReferencedSeriesSequence", [])
        for item in series.get("ReferencedInstanceSequence", [])
    }


def _length_problems(dataset: Dataset, frames: int) -> Iterator[str]:
    """BINARY frames are packed without gaps, one bit a pixel (PS3.5 8.1.1), padded to an even length."""
    if dataset.file_meta.TransferSyntaxUID.is_compressed:
        return
    length = (frames * dataset.Rows * dataset.Columns + 7) // 8
    if len(dataset.PixelData) != length + length % 2:
        yield f"PixelData has {len(dataset.PixelData)} bytes, {frames} frames need {length + length % 2}"


def _report_problems(dataset: Dataset) -> Iterator[str]:
    """The root is TID 1500, and every referenced object is listed as evidence (PS3.3 C.17.2)."""
    template = dataset.get("ContentTemplateSequence")
    if not template or template[0].get("TemplateIdentifier") != "1500":
        yield "the root content item is not TID 1500 (ContentTemplateSequence)"
    evidence = _evidence(dataset)
    if not evidence:
        yield "CurrentRequestedProcedureEvidenceSequence is absent: viewers refuse the report"
    unlisted = set(_references(dataset)) - evidence
    if unlisted:
        yield f"{len(unlisted)} referenced instances are not listed as evidence"


def _evidence(dataset: Dataset) -> set[str]:
    return {
        instance.ReferencedSOPInstanceUID
        for keyword in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
        for study in dataset.get(keyword, [])
        for series in study.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    }


def _references(item: Dataset) -> Iterator[str]:
    """SOP Instance UIDs that content items refer to, at any depth."""
    for child in item.get("ContentSequence", []):
        yield from (reference.ReferencedSOPInstanceUID for reference in child.get("ReferencedSOPSequence", []))
        yield from _references(child)
