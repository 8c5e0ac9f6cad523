"""WritePresentationState: outlines and values on key slices, as Grayscale Softcopy Presentation State."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import highdicom as hd
import numpy as np
from highdicom import pr
from pydicom.valuerep import DSfloat

from operators.core import defaults
from operators.core.errors import GeometryError, SegmentationError
from operators.core.found_segments import found_segments, plane_of
from operators.core.header import read_numbers, read_text
from operators.core.identity import ResultIdentity
from operators.core.kinds import is_ct
from operators.core.label_map import LabelMap, require_grid_of_headers, require_same_grid
from operators.core.measurements import SegmentMeasurements
from operators.core.volume import Volume
from operators.runtime.step import Step
from operators.write.contours import closed, outlines, simplified
from operators.write.marking import (
    contributing_equipment,
    equipment,
    no_names_in_warnings,
    put,
    save,
    series_description,
    stamp,
)
from operators.write.stand_ins import put_references, stand_ins
from operators.write.write_segmentation import WriteParameters, tracking_id, tracking_uid
from operators.write.written import WrittenFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from pydicom import Dataset

    from operators.core.found_segments import FoundSegment
    from operators.core.measurements import Measurement
    from operators.write.contours import Ring

FILE_NAME = "presentation_state.dcm"
WINDOW_HU = (40.0, 400.0)
"""Centre and width: soft tissue."""
MOST_POINTS = 8191
"""Graphic Data (0070,0022) has a length of 16 bits in Explicit VR: 65,534 bytes, 8 a point."""
FIRST_TOLERANCE_PX = 0.75
WINDOW_KEYWORDS = (
    "WindowCenter", "WindowWidth", "WindowCenterWidthExplanation", "VOILUTFunction", "VOILUTSequence",
)  # fmt: skip
"""The VOI LUT Module (PS3.3 C.11.2)."""
NOTES = "NOTES"
"""Graphic Layer (0070,0002) of what concerns the slice."""
NOTES_COLOUR = (255, 176, 0)
MARGIN, LINE_HEIGHT, WIDTH = 0.01, 0.03, 0.98
"""Of text, in parts of the displayed area (DISPLAY units)."""
MOST_CHARACTERS = 1024
"""Short Text (PS3.5 6.2)."""
LONG_STRING = 64


class WritePresentationState(Step):
    """Write outlines of segments and their values, to be drawn by a viewer over the key slices of the source.

    Key slices are for each segment that was found the one in which it is largest, and those of landmarks. On each lie
    the outlines of all segments that it shows: exact, along the edges of pixels, closed POLYLINEs that are not filled,
    a ring with more than 8191 points simplified; each segment in a graphic layer of its own, which viewers can switch
    off. Values stand on the slice in which their segment is largest. CT is displayed in a soft tissue window, other
    images as their headers say.

    Named Input:
        volume: Volume, the source.
        label_map: LabelMap on its grid.
        measurements: tuple of SegmentMeasurements.
        identity: ResultIdentity.

    Named Output:
        presentation_state: WrittenFile with Grayscale Softcopy Presentation State Storage
            1.2.840.10008.5.1.4.1.1.11.1.

    Raises GeometryError where the label map does not lie on the volume's grid or the volume not where its source says,
    or where slices are tiles of a mosaic, SegmentationError where no segment was found.
    """

    inputs: ClassVar[tuple[str, ...]] = ("volume", "label_map", "measurements", "identity")
    output: ClassVar[str] = "presentation_state"

    def process(
        self,
        volume: Volume,
        label_map: LabelMap,
        measurements: tuple[SegmentMeasurements, ...],
        identity: ResultIdentity,
    ) -> WrittenFile:
        """Build and save."""
        parameters: WriteParameters = self.parameters
        dataset = build_presentation_state(volume, label_map, measurements, identity)
        path = parameters.folder / FILE_NAME
        save(dataset, path)
        return WrittenFile(path, dataset)


@dataclass(frozen=True)
class PresentedSlice:
    """A slice to be shown.

    Attributes:
        index: Its index in the volume.
        shown: Segments that it shows.
        largest: Those of them that are largest in it.
        landmarks: Names of the landmarks in it.
    """

    index: int
    shown: tuple[FoundSegment, ...]
    largest: tuple[FoundSegment, ...]
    landmarks: tuple[str, ...]


@no_names_in_warnings()
def build_presentation_state(
    volume: Volume, label_map: LabelMap, measurements: Sequence[SegmentMeasurements], identity: ResultIdentity
) -> pr.GrayscaleSoftcopyPresentationState:
    """The presentation state of the key slices (PS3.3 A.33.1).

    Args:
        volume: The source; its key slices are referenced.
        label_map: Labels on the same grid.
        measurements: Numbers by segment.
        identity: UIDs and clock derive from it.

    Returns:
        The data set.

    Raises:
        SegmentationError: If no segment was found.
    """
    require_same_grid(volume, label_map)
    require_grid_of_headers(volume, label_map)
    _require_images(volume)
    found = found_segments(label_map)
    if not found:
        raise SegmentationError("no segment was found: there is nothing to present")
    slices = slices_to_present(found, label_map.landmarks)
    images = stand_ins(volume)
    layers = _layers(found)
    values = {measured.segment_name: measured.values for measured in measurements}
    annotations = [
        annotation
        for key in slices
        for annotation in _annotations(key, images[key.index], layers, label_map, values, identity)
    ]
    referenced = [images[key.index] for key in slices]
    _put_windows(referenced)
    dataset = _presentation_state(referenced, annotations, list(layers.values()), label_map, identity)
    _show_true_proportions(dataset, volume)
    put_references(dataset, volume)
    stamp(dataset, identity, series_description("PR", identity))
    # Nobody says which side; the attribute is Type 2C (PS3.3 C.7.3.1).
    dataset.Laterality = ""
    # A presentation state has no content date but its own (PS3.3 C.11.10).
    dataset.PresentationCreationDate, dataset.PresentationCreationTime = dataset.ContentDate, dataset.ContentTime
    del dataset.ContentDate, dataset.ContentTime
    return dataset


def slices_to_present(found: Sequence[FoundSegment], landmarks: Mapping[str, int]) -> list[PresentedSlice]:
    """The slices to be shown, in the order of the volume."""
    indices = {index for each in found for _, index in each.key_slices(landmarks)}
    return [
        PresentedSlice(
            index,
            tuple(each for each in found if each.pixels[index]),
            tuple(each for each in found if each.largest_slice == index),
            tuple(sorted(name for name, at in landmarks.items() if at == index)),
        )
        for index in sorted(indices)
    ]


def _require_images(volume: Volume) -> None:
    """Refuse slices that are parts of pictures: what is drawn lies in the coordinates of a whole frame.

    Raises:
        GeometryError: If several slices lie in one frame.
    """
    frames = {(str(source.header.SOPInstanceUID), source.frame_number) for source in volume.slices}
    if len(frames) != len(volume.slices):
        raise GeometryError(
            f"{len(volume.slices)} slices lie in {len(frames)} frames, as tiles of mosaics do; a presentation state "
            "draws on whole frames: write a SEG instead"
        )


def _presentation_state(
    images: Sequence[Dataset],
    annotations: Sequence[pr.GraphicAnnotation],
    layers: Sequence[pr.GraphicLayer],
    label_map: LabelMap,
    identity: ResultIdentity,
) -> pr.GrayscaleSoftcopyPresentationState:
    algorithm = label_map.algorithm
    # Photometric Interpretation is ignored where there is a presentation state (PS3.4 N.2.1.4).
    shape = "INVERSE" if images[0].PhotometricInterpretation == "MONOCHROME1" else "IDENTITY"
    return pr.GrayscaleSoftcopyPresentationState(
        referenced_images=images,
        series_instance_uid=identity.uid("presentation_state/series"),
        series_number=defaults.PRESENTATION_STATE_SERIES_NUMBER,
        sop_instance_uid=identity.uid("presentation_state/instance"),
        instance_number=1,
        **equipment(algorithm),
        content_label="SEGMENTATION",
        content_description=defaults.RESEARCH_STATUS,
        graphic_annotations=annotations,
        graphic_layers=layers,
        presentation_lut_transformation=hd.PresentationLUTTransformation(presentation_lut_shape=shape),
        contributing_equipment=[contributing_equipment(algorithm, identity)],
    )


def _put_windows(images: Sequence[Dataset]) -> None:
    """Put the windows to be used into the headers, from which highdicom takes them.

    A presentation state has one Modality LUT for all its images. Where theirs differ, as in PET, it has none, and the
    windows are said of stored values, image by image (PS3.4 N.2.1.1).
    """
    rescales = [(float(image.get("RescaleSlope") or 1), float(image.get("RescaleIntercept") or 0)) for image in images]
    differ = len(set(rescales)) > 1
    for image, (slope, intercept) in zip(images, rescales, strict=True):
        if is_ct(image):
            _put_window(image, *WINDOW_HU)
        elif not _is_valid_window(image):
            window = _first_window(image)
            _without(image, *WINDOW_KEYWORDS)
            if window:
                _put_window(image, *window)
        if differ:
            _without(image, "RescaleSlope", "RescaleIntercept", "RescaleType")
            window = _first_window(image)
            _without(image, *WINDOW_KEYWORDS)
            if window and slope > 0:
                _put_window(image, (window[0] - intercept) / slope, window[1] / slope)


def _is_valid_window(image: Dataset) -> bool:
    """Whether the windows of a header are pairs of numbers, each explained or none, as PS3.3 C.11.2.1.2 has it."""
    centres, widths = (read_numbers(image, keyword) for keyword in ("WindowCenter", "WindowWidth"))
    if centres is None or widths is None:
        return centres is None and widths is None
    explained = image.get("WindowCenterWidthExplanation") or ()
    explanations = (explained,) if isinstance(explained, str) else tuple(explained)
    exact = read_text(image, "VOILUTFunction") in {"LINEAR_EXACT", "SIGMOID"}
    return (
        len(centres) == len(widths)
        and len(explanations) in {0, len(centres)}
        and bool(np.isfinite(centres).all())
        and bool((widths > 0 if exact else widths >= 1).all())
    )


def _first_window(image: Dataset) -> tuple[float, float] | None:
    """The first Window Center (0028,1050) and Window Width (0028,1051) of a header, if both are numbers."""
    centres, widths = (read_numbers(image, keyword) for keyword in ("WindowCenter", "WindowWidth"))
    if centres is None or widths is None or not np.isfinite([centres[0], widths[0]]).all() or widths[0] <= 0:
        return None
    return float(centres[0]), float(widths[0])


def _put_window(image: Dataset, centre: float, width: float) -> None:
    """One window, and no other."""
    _without(image, *WINDOW_KEYWORDS)
    put(image, "WindowCenter", DSfloat(centre, auto_format=True))
    put(image, "WindowWidth", DSfloat(width, auto_format=True))
    if width < 1:
        # The linear function has no narrower window than 1 (PS3.3 C.11.2.1.2.1).
        put(image, "VOILUTFunction", "LINEAR_EXACT")


def _without(image: Dataset, *keywords: str) -> None:
    for keyword in keywords:
        if keyword in image:
            del image[keyword]


def _show_true_proportions(dataset: Dataset, volume: Volume) -> None:
    """Say the size of pixels: highdicom says that they are square, and an origin for tiles (PS3.3 C.10.4)."""
    for area in dataset.DisplayedAreaSelectionSequence:
        area.PresentationPixelSpacing = [DSfloat(mm, auto_format=True) for mm in volume.spacing_mm[1:]]
        del area.PresentationPixelAspectRatio, area.PixelOriginInterpretation


def _layers(found: Sequence[FoundSegment]) -> dict[str, pr.GraphicLayer]:
    """Graphic layers by segment name, and that of the notes."""
    segments = {
        each.segment.name: pr.GraphicLayer(
            f"SEGMENT_{each.number}",
            each.number,
            each.segment.label[:LONG_STRING],
            hd.color.CIELabColor.from_rgb(*each.segment.colour),
        )
        for each in found
    }
    notes = pr.GraphicLayer(NOTES, len(found) + 1, "Research status", hd.color.CIELabColor.from_rgb(*NOTES_COLOUR))
    return {**segments, "": notes}


def _annotations(
    key: PresentedSlice,
    image: Dataset,
    layers: Mapping[str, pr.GraphicLayer],
    label_map: LabelMap,
    values: Mapping[str, Sequence[Measurement]],
    identity: ResultIdentity,
) -> Iterable[pr.GraphicAnnotation]:
    """Graphic Annotation Sequence items of a slice: the notes, and one for each segment (PS3.3 C.10.5)."""
    landmarks = [f"Landmark: {name}" for name in key.landmarks]
    notes = [f"{identity.app} {identity.version}: {defaults.RESEARCH_STATUS}", *landmarks]
    texts = [_text(note, line) for line, note in enumerate(notes)]
    yield pr.GraphicAnnotation(referenced_images=[image], graphic_layer=layers[""], text_objects=texts)
    lines = {each.number: line for line, each in enumerate(key.largest, start=len(notes))}
    for each in key.shown:
        name = each.segment.name
        text = sentence(each.segment.label, values.get(name, ()))
        yield pr.GraphicAnnotation(
            referenced_images=[image],
            graphic_layer=layers[name],
            graphic_objects=[_polyline(ring, each, identity) for ring in _rings(each, key.index, label_map)],
            text_objects=[_text(text, lines[each.number])] if each.number in lines else None,
        )


def _rings(found: FoundSegment, index: int, label_map: LabelMap) -> Iterable[Ring]:
    for outline in outlines(plane_of(label_map, found.segment, index)):
        yield from (fitting(ring) for ring in (outline.outer, *outline.holes))


def fitting(ring: Ring) -> Ring:
    """The closed ring with at most MOST_POINTS points, simplified with the smallest power of 2 that is enough."""
    tolerance, points = FIRST_TOLERANCE_PX, ring
    while len(points) >= MOST_POINTS:
        points = simplified(ring, tolerance)
        tolerance *= 2
    return closed(points)


def _polyline(ring: Ring, found: FoundSegment, identity: ResultIdentity) -> pr.GraphicObject:
    return pr.GraphicObject(
        graphic_type=pr.GraphicTypeValues.POLYLINE,
        graphic_data=ring,
        units=pr.AnnotationUnitsValues.PIXEL,
        is_filled=False,
        tracking_id=tracking_id(found.segment, identity),
        tracking_uid=tracking_uid(found.segment, identity),
    )


def _text(text: str, line: int) -> pr.TextObject:
    """One line at the left of the displayed area, counted from above; beyond the last one lines lie on each other."""
    top = min(MARGIN + line * LINE_HEIGHT, 1 - LINE_HEIGHT)
    return pr.TextObject(
        text_value=text if len(text) <= MOST_CHARACTERS else f"{text[: MOST_CHARACTERS - 3]}...",
        units=pr.AnnotationUnitsValues.DISPLAY,
        bounding_box=(MARGIN, top, MARGIN + WIDTH, top + LINE_HEIGHT),
        text_justification=pr.TextJustificationValues.LEFT,
    )


def sentence(label: str, values: Sequence[Measurement]) -> str:
    """What is said of a segment: its label and all its numbers, which are those of the whole segment."""
    parts = [
        f"{m.quantity.concept.meaning}{f' ({m.quantity.derivation.meaning})' if m.quantity.derivation else ''} "
        f"{m.value:.6g} {m.quantity.unit}"
        for m in values
    ]
    return f"{label}, whole segment: {', '.join(parts)}" if parts else label
