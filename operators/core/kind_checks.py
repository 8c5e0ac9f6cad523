"""Kind checks: what results other than SEG and SR need, so that archives take them and viewers find and show them."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from operators.core.frame_table import read_frames
from operators.core.header import attribute, read_text, read_value
from operators.core.report_checks import content_references
from operators.core.segmentation_checks import length_problems, multi_frame_problems

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from operators.core.items import Item, PlainObject
    from operators.core.source_planes import SourcePlanes

SAMPLES = {"MONOCHROME1": 1, "MONOCHROME2": 1, "PALETTE COLOR": 1, "RGB": 3, "YBR_FULL": 3, "YBR_FULL_422": 3}
"""Samples per Pixel (0028,0002) by Photometric Interpretation (PS3.3 C.7.6.3.1.2); others are not judged."""
POINTS = {"POINT": 1, "OPEN_PLANAR": 2, "CLOSED_PLANAR": 3}
"""Fewest points of a contour by its Contour Geometric Type (3006,0042)."""
NEAR_PLANE = 0.1
"""How far a contour may lie from the slice that it names, as a part of the smaller pixel spacing."""


def capture_problems(plain: PlainObject, _source: SourcePlanes | None) -> Iterator[str]:
    """Secondary Capture (PS3.3 A.8.1): a picture that can be shown."""
    dataset = plain.dataset
    yield from _lacking(plain, "ConversionType", "Rows", "Columns", "BitsAllocated", "PhotometricInterpretation")
    if "PixelData" not in dataset:
        yield f"{attribute('PixelData')} is absent"
    samples = read_value(dataset, "SamplesPerPixel")
    if SAMPLES.get(read_text(dataset, "PhotometricInterpretation"), samples) != samples:
        yield f"{attribute('SamplesPerPixel')} is not what PhotometricInterpretation has (PS3.3 C.7.6.3.1.2)"
    if (samples or 1) > 1 and "PlanarConfiguration" not in dataset:
        yield f"{attribute('PlanarConfiguration')} is absent"
    yield from length_problems(dataset, int(read_value(dataset, "NumberOfFrames") or 1))


def document_problems(plain: PlainObject, _source: SourcePlanes | None) -> Iterator[str]:
    """Encapsulated PDF (PS3.3 A.45.1, C.24.2)."""
    dataset = plain.dataset
    yield from _lacking(plain, "ConversionType", "BurnedInAnnotation", "MIMETypeOfEncapsulatedDocument")
    yield from (f"{attribute(k)} is absent" for k in ("DocumentTitle", "AcquisitionDateTime") if k not in dataset)
    if read_text(dataset, "MIMETypeOfEncapsulatedDocument") not in {"", "application/pdf"}:
        yield f"{attribute('MIMETypeOfEncapsulatedDocument')} is not application/pdf"
    document = bytes(read_value(dataset, "EncapsulatedDocument") or b"")
    if not document.startswith(b"%PDF-"):
        yield f"{attribute('EncapsulatedDocument')} is no PDF: it does not begin with %PDF-"
    elif b"%%EOF" not in document[-1024:]:
        yield f"{attribute('EncapsulatedDocument')} is cut off: its end mark is missing"


def presentation_problems(plain: PlainObject, _source: SourcePlanes | None) -> Iterator[str]:
    """Grayscale Softcopy Presentation State (PS3.3 A.33.1)."""
    yield from _lacking(plain, "ContentLabel", "PresentationCreationDate", "PresentationCreationTime")
    if not plain.items("DisplayedAreaSelectionSequence"):
        yield f"{attribute('DisplayedAreaSelectionSequence')} is absent or empty (PS3.3 C.10.4)"
    if not read_text(plain.dataset, "PresentationLUTShape") and not plain.items("PresentationLUTSequence"):
        yield f"{attribute('PresentationLUTShape')} is absent (PS3.3 C.11.6)"
    listed = {
        image.text("ReferencedSOPInstanceUID")
        for series in plain.items("ReferencedSeriesSequence")
        for image in series.items("ReferencedImageSequence")
    }
    if not listed:
        yield f"{attribute('ReferencedSeriesSequence')} names no image: nothing is shown with the state"
    layers = {layer.text("GraphicLayer") for layer in plain.items("GraphicLayerSequence")}
    for number, annotation in enumerate(plain.items("GraphicAnnotationSequence"), start=1):
        yield from (f"annotation {number} {defect}" for defect in _annotation_defects(annotation, listed, layers))


def _annotation_defects(annotation: Item, listed: set[str], layers: set[str]) -> Iterator[str]:
    """Graphic Annotation (PS3.3 C.10.5)."""
    named = {image.text("ReferencedSOPInstanceUID") for image in annotation.items("ReferencedImageSequence")}
    if named - listed:
        yield "refers to an image that ReferencedSeriesSequence does not list"
    if annotation.text("GraphicLayer") not in layers:
        yield "is on a layer that GraphicLayerSequence does not describe"
    for graphic in annotation.items("GraphicObjectSequence"):
        points = graphic.number("NumberOfGraphicPoints")
        if len(graphic.value("GraphicData")) != 8 * points:
            yield f"has a graphic of {points} points whose GraphicData has another length"


def structure_set_problems(plain: PlainObject, source: SourcePlanes | None) -> Iterator[str]:
    """RT Structure Set (PS3.3 A.19): contours of described regions, in the planes of the slices that they name."""
    yield from _lacking(plain, "StructureSetLabel")
    regions = plain.items("StructureSetROISequence")
    numbers = [region.text("ROINumber") for region in regions]
    if not regions:
        yield f"{attribute('StructureSetROISequence')} is absent or empty"
    if len(set(numbers)) != len(numbers):
        yield f"{attribute('ROINumber')} is not unique"
    if any(not region.text("ReferencedFrameOfReferenceUID") for region in regions):
        yield f"a region has no {attribute('ReferencedFrameOfReferenceUID')}: nothing says where it lies"
    for keyword in ("ROIContourSequence", "RTROIObservationsSequence"):
        named = {item.text("ReferencedROINumber") for item in plain.items(keyword)}
        if named - set(numbers):
            yield f"{attribute(keyword)} names {len(named - set(numbers))} regions that are not described"
    yield from _contour_problems(plain, source)


def _contour_problems(plain: PlainObject, source: SourcePlanes | None) -> Iterator[str]:
    contours = [c for region in plain.items("ROIContourSequence") for c in region.items("ContourSequence")]
    broken = sum(not _is_complete(contour) for contour in contours)
    if broken:
        yield f"{broken} of {len(contours)} contours have too few or too many numbers in ContourData (PS3.3 C.8.8.6)"
        return
    if not contours:
        return
    numbers = _numbers([contour.value("ContourData").rstrip(b" \0") for contour in contours])
    if numbers is None:
        yield "ContourData holds what is no number (PS3.3 C.8.8.6)"
    elif source is not None and len(source.values):
        away = _count_outside(contours, numbers.reshape(-1, 3), source)
        if away:
            yield f"{away} of {len(contours)} contours lie outside of the source image that they refer to"


def _is_complete(contour: Item) -> bool:
    """Whether it has as many numbers as it says and needs."""
    stated = contour.text("NumberOfContourPoints")
    least = POINTS.get(contour.text("ContourGeometricType"), 1)
    count = contour.value("ContourData").count(b"\\") + 1
    return stated.isdigit() and int(stated) >= least and count == 3 * int(stated)


def _numbers(values: list[bytes]) -> NDArray[np.float64] | None:
    """All numbers of Decimal Strings, one after another; None where one is none. There can be a million."""
    text = b"\\".join(values).decode("iso8859")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = np.fromstring(text, sep="\\")
        except (DeprecationWarning, ValueError):
            return None
    return found if len(found) == text.count("\\") + 1 and np.isfinite(found).all() else None


def _count_outside(contours: list[Item], points: NDArray[np.float64], source: SourcePlanes) -> int:
    """Contours with a point outside of the plane or the matrix of the image that they name, where that is there."""
    planes = np.array([_only_plane(contour, source) for contour in contours])
    counts = [int(contour.text("NumberOfContourPoints")) for contour in contours]
    of_point = source.values[np.repeat(planes, counts)]
    away = points - of_point[:, :3]
    row, column, pixel = of_point[:, 3:6], of_point[:, 6:9], of_point[:, 9:11]
    across = (away * row).sum(axis=1) / pixel[:, 1]
    down = (away * column).sum(axis=1) / pixel[:, 0]
    off = np.abs((away * np.cross(row, column)).sum(axis=1)) / pixel.min(axis=1)
    inside = (across >= -1) & (across <= of_point[:, 12]) & (down >= -1) & (down <= of_point[:, 11])
    inside &= off <= NEAR_PLANE
    whole = np.logical_and.reduceat(inside, np.cumsum([0, *counts[:-1]]))
    return int(np.count_nonzero(~whole & (planes >= 0)))


def _only_plane(contour: Item, source: SourcePlanes) -> int:
    """The plane of the one image that a contour names; -1 where it names several, or none that is there."""
    images = contour.items("ContourImageSequence")
    if len(images) != 1:
        return -1
    frame = images[0].text("ReferencedFrameNumber")
    planes = source.of(images[0].text("ReferencedSOPInstanceUID"), int(frame) if frame.isdigit() else 0)
    return planes[0] if len(planes) == 1 else -1


def key_object_problems(plain: PlainObject) -> Iterator[str]:
    """Key Object Selection (PS3.3 A.35.4; PS3.16 TID 2010), besides what is wrong with its content tree."""
    template = plain.items("ContentTemplateSequence")
    if not template or template[0].text("TemplateIdentifier") != "2010":
        yield "the root content item is not TID 2010 (ContentTemplateSequence)"
    if not any(True for _ in content_references(plain)):
        yield "it names no object (TID 2010)"


def map_problems(plain: PlainObject, source: SourcePlanes | None) -> Iterator[str]:
    """Parametric Map (PS3.3 A.75): values with their meaning, in their place."""
    dataset = plain.dataset
    shared = plain.items("SharedFunctionalGroupsSequence")
    frames = plain.items("PerFrameFunctionalGroupsSequence")
    unmapped = sum(not any(_maps(item) for item in (frame, *shared)) for frame in frames)
    if unmapped:
        yield f"{unmapped} of {len(frames)} frames do not say what their values are (RealWorldValueMappingSequence)"
    if not any(k in dataset for k in ("PixelData", "FloatPixelData", "DoubleFloatPixelData")):
        yield "there are no values: PixelData, FloatPixelData and DoubleFloatPixelData are absent"
    if not read_text(dataset, "FrameOfReferenceUID"):
        yield "FrameOfReferenceUID is absent: nothing says where the values lie"
    yield from multi_frame_problems(plain, read_frames(dataset), source)


def _maps(item: Item) -> bool:
    return any(m.items("MeasurementUnitsCodeSequence") for m in item.items("RealWorldValueMappingSequence"))


def _lacking(plain: PlainObject, *keywords: str) -> Iterator[str]:
    """Attributes of Type 1 that are absent or empty."""
    yield from (
        f"{attribute(keyword)} is absent or empty" for keyword in keywords if read_value(plain.dataset, keyword) is None
    )
