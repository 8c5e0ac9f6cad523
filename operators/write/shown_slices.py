"""ShownSlices: which slices of a result are shown, how they are turned, and what is drawn on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from scipy import ndimage

from operators.core.label_extents import extents_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from operators.core.label_map import LabelMap
    from operators.core.volume import Volume

PICTURE_WIDTH = 640
MOST_HEIGHT = 2 * PICTURE_WIDTH
"""A whole body from the front is drawn narrower than wide slices are."""
MOST_SLICES = 4
WINDOW_HU = (-160.0, 240.0)
"""Soft tissue window, centre 40, width 400 HU."""
WINDOW_PERCENT = (1.0, 99.0)
"""Of a slice whose values are not HU, these percentiles become black and white."""
OPACITY = 0.45
OUTLINE_PX = 2
SIDE_SHARE = 42
"""Letters at the sides are so many times smaller than the picture."""
TWO_LETTERS = 0.2
"""Sine of the angle from which a side is named after two directions, such as AR."""
LETTERS = (("R", "L"), ("A", "P"), ("F", "H"))
"""Names of the negative and positive LPS directions (PS3.3 C.7.6.1.1.1)."""
READ_AS = {
    0: ((0, 1, 0), (0, 0, -1)),
    1: ((1, 0, 0), (0, 0, -1)),
    2: ((1, 0, 0), (0, 1, 0)),
}
"""By LPS axis of the normal: what radiologists have on the right of a picture and at its foot, in LPS."""
INK = (235, 235, 235)
BACKGROUND = (18, 18, 18)


@dataclass(frozen=True)
class View:
    """How a slice of an array is turned to be read; no pixel is resampled.

    Attributes:
        transpose: Whether rows become columns.
        flips: Axes to flip after that, of (rows, columns).
        right: Side of the patient on the right of the picture, such as L or PH.
        foot: Side of the patient at the foot of the picture.
    """

    transpose: bool
    flips: tuple[int, ...]
    right: str
    foot: str

    def apply(self, array: NDArray[Any]) -> NDArray[Any]:
        """A view of `(rows, columns)`, turned."""
        return np.flip(array.T if self.transpose else array, self.flips)

    @property
    def left(self) -> str:
        """Side of the patient on the left of the picture."""
        return _opposite(self.right)

    @property
    def head(self) -> str:
        """Side of the patient at the top of the picture."""
        return _opposite(self.foot)


@dataclass(frozen=True, eq=False)
class ShownSlice:
    """One slice as it is shown.

    Attributes:
        index: Slice of the volume's array.
        caption: Which slice it is, for people.
        image: RGB, with segments, outlines and the sides of the patient.
    """

    index: int
    caption: str
    image: Image.Image


def view_of(affine_lps: NDArray[np.float64]) -> View:
    """How radiologists read the slices of a volume: the patient's right or front on the left, front or head above.

    Args:
        affine_lps: `(4, 4)`, array index to mm in LPS.

    Returns:
        The turn within the plane of the slices, and which sides come to lie where.
    """
    down, along = (affine_lps[:3, axis] / np.linalg.norm(affine_lps[:3, axis]) for axis in (1, 2))
    right, foot = np.array(READ_AS[int(np.abs(np.cross(along, down)).argmax())])
    transpose = bool(abs(along @ right) + abs(down @ foot) < abs(down @ right) + abs(along @ foot))
    if transpose:
        down, along = along, down
    flips = tuple(axis for axis, towards in enumerate((down @ foot, along @ right)) if towards < 0)
    return View(transpose, flips, _side(-along if 1 in flips else along), _side(-down if 0 in flips else down))


def _side(direction: NDArray[np.float64]) -> str:
    """Letters of the LPS directions that a vector has a part in, the greatest part first (PS3.3 C.7.6.1.1.1)."""
    axes = sorted(range(3), key=lambda axis: -abs(direction[axis]))
    return "".join(LETTERS[axis][int(direction[axis] > 0)] for axis in axes if abs(direction[axis]) > TWO_LETTERS)


def _opposite(side: str) -> str:
    return "".join(pair[1 - pair.index(letter)] for letter in side for pair in LETTERS if letter in pair)


def slices_to_show(label_map: LabelMap) -> tuple[int, ...]:
    """The slices to show, at most MOST_SLICES.

    The first is the middle one of those in which most segments are found; each other shows segments that none before
    it shows.
    """
    presence = _presence(label_map)
    chosen = [_richest(presence)]
    while len(chosen) < MOST_SLICES:
        missing = presence & ~presence[:, chosen].any(axis=1, keepdims=True)
        if not missing.any():
            break
        chosen.append(_richest(missing))
    return tuple(chosen)


def _presence(label_map: LabelMap) -> NDArray[np.bool_]:
    """`(segments, slices)`, whether a segment is found in a slice."""
    found = extents_of(label_map).present
    return np.stack([found[:, list(segment.labels)].any(axis=1) for segment in label_map.segments])


def _richest(presence: NDArray[np.bool_]) -> int:
    counts = presence.sum(axis=0)
    best = np.flatnonzero(counts == counts.max())
    return int(best[len(best) // 2])


def draw_slices(volume: Volume, label_map: LabelMap) -> tuple[ShownSlice, ...]:
    """The slices to show with segments, outlines and side markers.

    Args:
        volume: Values on the label map's grid.
        label_map: What is shown on them.

    Returns:
        One to MOST_SLICES slices.
    """
    view = view_of(volume.affine_lps)
    return tuple(
        ShownSlice(index, caption_of(volume, index), _with_sides(draw_slice(volume, label_map, index), view))
        for index in slices_to_show(label_map)
    )


def caption_of(volume: Volume, index: int) -> str:
    """Which slice it is: its number, and its place along the LPS axis nearest to the normal."""
    axis = int(np.abs(np.cross(volume.affine_lps[:3, 1], volume.affine_lps[:3, 2])).argmax())
    place = volume.position_lps(index)[axis]
    return f"Slice {index + 1} of {volume.array.shape[0]}, {'xyz'[axis]} = {place:.1f} mm (LPS)"


def draw_slice(volume: Volume, label_map: LabelMap, index: int) -> Image.Image:
    """One slice with coloured and outlined segments, square pixels, turned as radiologists read it.

    Args:
        volume: Values on the label map's grid.
        label_map: Labels on the same grid.
        index: Slice of the volume's array.

    Returns:
        An RGB picture, PICTURE_WIDTH wide, or narrower where it would be higher than MOST_HEIGHT.
    """
    view = view_of(volume.affine_lps)
    grey, labels = view.apply(_window(volume, index)), view.apply(label_map.array[index])
    size = _size_px(labels.shape, volume.spacing_mm[1:][:: -1 if view.transpose else 1])
    enlarged = Image.fromarray(np.ascontiguousarray(labels)).resize(size, Image.Resampling.NEAREST)
    picture = Image.fromarray(grey.astype(np.uint8)).resize(size, Image.Resampling.BILINEAR).convert("RGB")
    return Image.fromarray(_with_segments(np.array(picture), np.asarray(enlarged), label_map))


def _size_px(shape: tuple[int, ...], spacing_mm: Sequence[float]) -> tuple[int, int]:
    """Width and height in which a millimetre is as long down as along."""
    ratio = shape[0] * spacing_mm[0] / (shape[1] * spacing_mm[1])
    height = min(max(1, round(PICTURE_WIDTH * ratio)), MOST_HEIGHT)
    return min(PICTURE_WIDTH, max(1, round(height / ratio))) if height == MOST_HEIGHT else PICTURE_WIDTH, height


def _with_segments(pixels: NDArray[np.uint8], labels: NDArray[np.uint8], label_map: LabelMap) -> NDArray[np.uint8]:
    """Tint segments and draw their edges inside them; those that take in others have an edge alone, below the rest."""
    exclusive = [segment for segment in label_map.segments if len(segment.labels) == 1]
    for segment in exclusive:
        inside = labels == segment.labels[0]
        pixels[inside] = ((1 - OPACITY) * pixels[inside] + OPACITY * np.asarray(segment.colour)).astype(np.uint8)
    for segment in (*(s for s in label_map.segments if s not in exclusive), *exclusive):
        inside = np.isin(labels, segment.labels)
        # The edge of the picture is no edge of a segment: it may go on behind it.
        pixels[inside & ~ndimage.binary_erosion(inside, iterations=OUTLINE_PX, border_value=1)] = segment.colour
    return pixels


def _with_sides(picture: Image.Image, view: View) -> Image.Image:
    """Name the sides of the patient at the picture's edges."""
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default(max(15, max(picture.size) // SIDE_SHARE))
    width, height = picture.size
    places = (
        (6, height // 2, "lm"),
        (width - 6, height // 2, "rm"),
        (width // 2, 6, "ma"),
        (width // 2, height - 6, "md"),
    )
    for text, (x, y, anchor) in zip((view.left, view.right, view.head, view.foot), places, strict=True):
        draw.text((x, y), text, fill=INK, font=font, anchor=anchor, stroke_width=2, stroke_fill=BACKGROUND)
    return picture


def _window(volume: Volume, index: int) -> NDArray[np.float64]:
    """`(rows, columns)`, grey from 0 to 255: HU in the soft tissue window, anything else by its percentiles."""
    values = volume.array[index].astype(np.float64)
    is_ct = not volume.slices or volume.slices[index].header.get("Modality") == "CT"
    low, high = WINDOW_HU if is_ct else np.percentile(values, WINDOW_PERCENT)
    return np.asarray(np.clip((values - low) / max(high - low, np.finfo(np.float64).tiny), 0, 1) * 255)
