"""WriteKeyImage: one slice with its tissues coloured, a legend and the values, as PNG."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from operators.core import defaults
from operators.core.identity import ResultIdentity
from operators.core.label_map import LabelMap
from operators.core.measurements import SegmentMeasurements, SliceAreas
from operators.core.orientation import canonical
from operators.core.quality import QualityReport, Verdict
from operators.core.volume import Volume
from operators.runtime.step import Step
from operators.write.write_segmentation import WriteParameters
from operators.write.written import WrittenFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from operators.core.label_map import Segment

FILE_NAME = "key_image.png"
PICTURE_WIDTH = 640
PANEL_WIDTH = 480
MARGIN = 16
LINE = 26
WINDOW_HU = (-160.0, 240.0)
"""Soft tissue window, centre 40, width 400 HU."""
OPACITY = 0.45
INK = (235, 235, 235)
DIM = (170, 170, 170)
WARNING = (255, 176, 0)
BACKGROUND = (18, 18, 18)


class WriteKeyImage(Step):
    """Write a picture of one slice beside the numbers: what was measured, where, and how far to trust it.

    Axial slices are drawn as radiologists read them: the patient's right on the viewer's left, the front above.

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
        index = key_slice(label_map)
        picture = draw_slice(volume, label_map, index)
        lines = _legend(label_map, measurements, slice_areas[index])
        footer = _footer(volume, index, quality, identity)
        path = parameters.folder / FILE_NAME
        _compose(picture, lines, footer).save(path, optimize=False)
        return WrittenFile(path)


def key_slice(label_map: LabelMap) -> int:
    """The slice to show: the middle one of those in which most segments are found."""
    present = np.stack([label_map.mask(s).any(axis=(1, 2)) for s in label_map.segments]).sum(axis=0)
    best = np.flatnonzero(present == present.max())
    return int(best[len(best) // 2])


def draw_slice(volume: Volume, label_map: LabelMap, index: int) -> Image.Image:
    """One axial slice with coloured segments, square pixels, the patient's right on the left.

    Args:
        volume: Values in HU.
        label_map: Labels on the same grid.
        index: Slice of the volume's array.

    Returns:
        An RGB picture, PICTURE_WIDTH wide.
    """
    turn = canonical(volume.affine_lps)
    in_head_up = volume.array.shape[0] - 1 - index if 0 in turn.flips else index
    grey = _window(turn.apply(volume.array)[in_head_up])
    labels = turn.apply(label_map.array)[in_head_up]
    coloured = np.repeat(grey[..., None], 3, axis=2)
    for segment in _exclusive(label_map):
        inside = np.isin(labels, segment.labels)
        coloured[inside] = (1 - OPACITY) * coloured[inside] + OPACITY * np.asarray(segment.colour)
    _, row_mm, column_mm = turn.apply_spacing(volume.spacing_mm)
    height = round(PICTURE_WIDTH * labels.shape[0] * row_mm / (labels.shape[1] * column_mm))
    return Image.fromarray(coloured.astype(np.uint8)).resize((PICTURE_WIDTH, height), Image.Resampling.BILINEAR)


def _window(hu: NDArray[Any]) -> NDArray[np.float64]:
    low, high = WINDOW_HU
    return np.asarray(np.clip((hu.astype(np.float64) - low) / (high - low), 0, 1) * 255)


def _exclusive(label_map: LabelMap) -> list[Segment]:
    """The segments with one label: what takes in others would paint over them."""
    return [segment for segment in label_map.segments if len(segment.labels) == 1]


def _legend(
    label_map: LabelMap, measurements: Sequence[SegmentMeasurements], areas: SliceAreas
) -> list[tuple[tuple[int, int, int], tuple[str, ...]]]:
    """One row a segment: colour, name, volume, area in this slice, mean HU."""
    rows: list[tuple[tuple[int, int, int], tuple[str, ...]]] = []
    for segment, measured in zip(label_map.segments, measurements, strict=True):
        values = {m.quantity.name: m.value for m in measured.values}
        if measured.voxels == 0:
            rows.append((segment.colour, (segment.label, "not found", "", "")))
            continue
        rows.append((
            segment.colour,
            (
                segment.label,
                f"{values['volume_ml']:.1f}",
                f"{areas.area_cm2[segment.name]:.1f}",
                f"{values['mean_hu']:.1f} ± {values['sd_hu']:.1f}",
            ),
        ))
    return rows


def _footer(
    volume: Volume, index: int, quality: QualityReport, identity: ResultIdentity
) -> list[tuple[tuple[int, int, int], str]]:
    lines = [
        (INK, f"Slice {index + 1} of {len(volume.slices)}, z = {volume.position_lps(index)[2]:.1f} mm (LPS)"),
        (DIM, f"{identity.app} {identity.version}"),
        (INK if quality.verdict is Verdict.PASS else WARNING, f"Quality: {quality.verdict}"),
        *((WARNING, finding.message) for finding in quality.findings),
        (WARNING, defaults.RESEARCH_STATUS),
    ]
    return [(colour, part) for colour, text in lines for part in _wrapped(text)]


def _wrapped(text: str, width: int = 52) -> list[str]:
    words, lines = text.split(), [""]
    for word in words:
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append(word)
        else:
            lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def _compose(
    picture: Image.Image,
    rows: Sequence[tuple[tuple[int, int, int], tuple[str, ...]]],
    footer: Sequence[tuple[tuple[int, int, int], str]],
) -> Image.Image:
    """Picture on the left, table and remarks on the right."""
    text_height = 2 * MARGIN + LINE * (2 + len(rows)) + LINE * (1 + len(footer))
    height = max(picture.height + 2 * LINE, text_height)
    canvas = Image.new("RGB", (PICTURE_WIDTH + PANEL_WIDTH, height), BACKGROUND)
    top = (height - picture.height) // 2
    canvas.paste(picture, (0, top))
    draw = ImageDraw.Draw(canvas)
    font, small = ImageFont.load_default(15), ImageFont.load_default(14)
    for text, x in (("R", 6), ("L", PICTURE_WIDTH - 18)):
        draw.text((x, height // 2 - 8), text, fill=INK, font=font)
    left = PICTURE_WIDTH + MARGIN
    columns = (left + 24, left + 210, left + 280, left + 345)
    y = MARGIN
    for text, x in zip(("Tissue", "mL", "cm2", "HU"), columns, strict=True):
        draw.text((x, y), text, fill=DIM, font=font)
    for colour, cells in rows:
        y += LINE
        draw.rectangle((left, y + 2, left + 14, y + 16), fill=colour)
        for text, x in zip(cells, columns, strict=True):
            draw.text((x, y), text, fill=INK, font=font)
    y += LINE
    draw.text((left + 24, y), "mL: whole scan; cm2: this slice; HU: mean ± SD", fill=DIM, font=small)
    y += LINE // 2
    for colour, text in footer:
        y += LINE - 4
        draw.text((left, y), text, fill=colour, font=small)
    return canvas
