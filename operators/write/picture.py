"""Picture: key slices beside a legend and the values; PNG and Secondary Capture show the same one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

from operators.core import defaults
from operators.core.quality import Verdict
from operators.write.lettering import shortened
from operators.write.shown_slices import BACKGROUND, INK, PICTURE_WIDTH

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import TypeAlias

    from operators.core.identity import ResultIdentity
    from operators.core.label_map import LabelMap, Segment
    from operators.core.measurements import SegmentMeasurements, SliceAreas
    from operators.core.quality import QualityReport
    from operators.write.shown_slices import ShownSlice

    Colour: TypeAlias = tuple[int, int, int]

PANEL_WIDTH = 480
ROWS_IN_PANEL = 28
MARGIN = 16
LINE = 26
NAME_WIDTH = 180
DIM = (170, 170, 170)
WARNING = (255, 176, 0)


def compose(
    slices: Sequence[ShownSlice],
    label_map: LabelMap,
    measurements: Sequence[SegmentMeasurements],
    slice_areas: Sequence[SliceAreas],
    quality: QualityReport,
    identity: ResultIdentity,
) -> Image.Image:
    """Key slices on the left, legend, values and remarks on the right; nothing names the patient.

    Args:
        slices: What `draw_slices` gave.
        label_map: Segments, in the order of the legend.
        measurements: Numbers, one entry a segment, in the same order.
        slice_areas: Areas by slice; shown where one slice is shown.
        quality: Verdict and findings.
        identity: App and version.

    Returns:
        An RGB picture.
    """
    areas = slice_areas[slices[0].index].area_cm2 if len(slices) == 1 else {}
    rows = [_row(s, m, areas) for s, m in zip(label_map.segments, measurements, strict=True)]
    footer = _footer([slices[0].caption] if len(slices) == 1 else [], quality, identity)
    mosaic = _mosaic(slices)
    panels = max(1, -(-len(rows) // ROWS_IN_PANEL))
    longest = -(-len(rows) // panels)
    text_height = 2 * MARGIN + LINE * (2 + longest) + LINE * (1 + len(footer))
    height = max(mosaic.height + 2 * LINE, text_height)
    canvas = Image.new("RGB", (mosaic.width + panels * PANEL_WIDTH, height), BACKGROUND)
    canvas.paste(mosaic, (0, (height - mosaic.height) // 2))
    draw = ImageDraw.Draw(canvas)
    for panel in range(panels):
        left = mosaic.width + panel * PANEL_WIDTH + MARGIN
        _draw_legend(draw, left, rows[panel * longest : (panel + 1) * longest], with_areas=bool(areas))
    _draw_remarks(draw, mosaic.width + MARGIN, MARGIN + LINE * (1 + longest), footer, with_areas=bool(areas))
    return canvas


def shown_number(value: float) -> str:
    """A value as a person reads it: one decimal; below 1, where that would hide it, two digits."""
    return f"{value:.1f}" if abs(value) >= 1 or value == 0 else f"{value:.2g}"


def _mosaic(slices: Sequence[ShownSlice]) -> Image.Image:
    """One slice as it is; several side by side in two columns, each with its caption."""
    if len(slices) == 1:
        canvas = Image.new("RGB", (PICTURE_WIDTH, slices[0].image.height), BACKGROUND)
        canvas.paste(slices[0].image, ((PICTURE_WIDTH - slices[0].image.width) // 2, 0))
        return canvas
    height = max(shown.image.height for shown in slices) + LINE
    canvas = Image.new("RGB", (2 * PICTURE_WIDTH, height * -(-len(slices) // 2)), BACKGROUND)
    draw, font = ImageDraw.Draw(canvas), ImageFont.load_default(14)
    for place, shown in enumerate(slices):
        left, top = place % 2 * PICTURE_WIDTH, place // 2 * height
        draw.text((left + 6, top + 4), shown.caption, fill=INK, font=font)
        canvas.paste(shown.image, (left + (PICTURE_WIDTH - shown.image.width) // 2, top + LINE))
    return canvas


def _row(segment: Segment, measured: SegmentMeasurements, areas: dict[str, float]) -> tuple[Colour, tuple[str, ...]]:
    """One row of the legend: colour, name, volume, area in this slice, mean and SD of HU."""
    if measured.voxels == 0:
        return segment.colour, (segment.label, "not found", "", "")
    values = {m.quantity.name: shown_number(m.value) for m in measured.values}
    area = shown_number(areas[segment.name]) if segment.name in areas else ""
    hounsfield = f"{values['mean_hu']} ± {values['sd_hu']}" if values.keys() >= {"mean_hu", "sd_hu"} else ""
    return segment.colour, (segment.label, values.get("volume_ml", ""), area, hounsfield)


def _footer(captions: Iterable[str], quality: QualityReport, identity: ResultIdentity) -> list[tuple[Colour, str]]:
    lines = [
        *((INK, caption) for caption in captions),
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


def _draw_legend(
    draw: ImageDraw.ImageDraw, left: int, rows: Sequence[tuple[Colour, tuple[str, ...]]], *, with_areas: bool
) -> None:
    font = ImageFont.load_default(15)
    columns = (left + 24, left + 210, left + 285, left + 350)
    with_hu = any(cells[3] for _, cells in rows)
    y = MARGIN
    for text, x in zip(("Segment", "mL", "cm2" * with_areas, "HU" * with_hu), columns, strict=True):
        draw.text((x, y), text, fill=DIM, font=font)
    for colour, (name, *values) in rows:
        y += LINE
        label = shortened(name, lambda text: draw.textlength(text, font) <= NAME_WIDTH)
        draw.rectangle((left, y + 2, left + 14, y + 16), fill=colour)
        for text, x in zip((label, *values), columns, strict=True):
            draw.text((x, y), text, fill=INK, font=font)


def _draw_remarks(
    draw: ImageDraw.ImageDraw, left: int, y: int, footer: Sequence[tuple[Colour, str]], *, with_areas: bool
) -> None:
    """What the columns mean, and what a reader has to know, below the legend."""
    font = ImageFont.load_default(14)
    note = "mL: whole scan; cm2: this slice; HU: mean ± SD" if with_areas else "mL: whole scan; HU: mean ± SD"
    draw.text((left + 24, y), note, fill=DIM, font=font)
    y += LINE // 2
    for colour, text in footer:
        y += LINE - 4
        draw.text((left, y), text, fill=colour, font=font)
