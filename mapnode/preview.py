"""Preview: the middle slice of every volume side by side in one picture."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

TILE_PIXELS = 224
CAPTION_PIXELS = 54
GAP_PIXELS = 8
MOST_COLUMNS = 5
MOST_TILES = 100
"""More pictures than that nobody looks at."""
BACKGROUND = (24, 24, 28)
INK = (225, 225, 230)
LINE_PIXELS = 16
WINDOW_PERCENTILES = (1, 99)


@dataclass(frozen=True, eq=False)
class Preview:
    """One picture.

    Attributes:
        plane: `(rows, columns)` of values, or `(rows, columns, 3)` of colours.
        aspect: Height of a pixel over its width.
        caption: Lines below it.
    """

    plane: NDArray[Any]
    aspect: float
    caption: tuple[str, ...]


def write_preview(pictures: list[Preview], path: Path) -> None:
    """Write pictures as a PNG, row by row, each from its 1st to its 99th percentile.

    Args:
        pictures: At least one; those beyond 100 are left out.
        path: The file.

    Raises:
        OSError: If it cannot be written.
    """
    pictures = pictures[:MOST_TILES]
    columns = min(MOST_COLUMNS, len(pictures))
    rows = math.ceil(len(pictures) / columns)
    across, down = TILE_PIXELS + GAP_PIXELS, TILE_PIXELS + CAPTION_PIXELS + GAP_PIXELS
    sheet = Image.new("RGB", (columns * across + GAP_PIXELS, rows * down + GAP_PIXELS), BACKGROUND)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(12)
    for number, picture in enumerate(pictures):
        left, top = GAP_PIXELS + number % columns * across, GAP_PIXELS + number // columns * down
        tile = _tile(picture)
        sheet.paste(tile, (left + (TILE_PIXELS - tile.width) // 2, top + (TILE_PIXELS - tile.height) // 2))
        for line, text in enumerate(picture.caption):
            place = (left, top + TILE_PIXELS + 4 + line * LINE_PIXELS)
            draw.text(place, _fitting(text, draw, font), INK, font)
    sheet.save(path, format="PNG")


def _fitting(text: str, draw: ImageDraw.ImageDraw, font: Any) -> str:  # noqa: ANN401 - Pillow has two kinds of fonts
    """As much of a text as a column is wide."""
    while text and draw.textlength(text, font) > TILE_PIXELS:
        text = text[:-1]
    return text


def _tile(picture: Preview) -> Image.Image:
    """The picture as large as fits, with square millimetres."""
    rows, columns = picture.plane.shape[:2]
    height, width = rows * picture.aspect, float(columns)
    scale = TILE_PIXELS / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return Image.fromarray(_bytes(picture.plane)).convert("RGB").resize(size)


def _bytes(plane: NDArray[Any]) -> NDArray[np.uint8]:
    if plane.ndim == 3:
        return plane.astype(np.uint8)
    values = plane.astype(np.float64)
    finite = np.isfinite(values)
    if not finite.any():
        return np.zeros(plane.shape, np.uint8)
    low, high = np.percentile(values[finite], WINDOW_PERCENTILES)
    scaled = (np.nan_to_num(values, nan=low, posinf=high, neginf=low) - low) / max(high - low, 1e-9)
    return np.asarray(np.clip(scaled, 0, 1) * 255).astype(np.uint8)
