"""PdfFonts: the fonts of a PDF page, which of them draws which letter, and how wide a text is.

FiraGO (SIL Open Font License) has Latin, Cyrillic, Greek, Arabic, Hebrew, Thai and Georgian letters and comes as a
Python package, so that a page does not depend on what is installed on the machine. Han characters, kana and hangul
need fonts that a site names.
"""

from __future__ import annotations

import functools
import io
from typing import TYPE_CHECKING

import pymupdf_fonts  # type: ignore[import-untyped]
from reportlab.pdfbase import pdfmetrics  # type: ignore[import-untyped]
from reportlab.pdfbase.ttfonts import TTFError, TTFont  # type: ignore[import-untyped]

from operators.core.errors import OperatorError
from operators.write.lettering import is_shaped, runs, shortened, visual

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]

REGULAR, BOLD = "figo", "figbo"
"""FiraGO as pymupdf_fonts calls it."""
CANNOT_SHOW = "(in letters that this page cannot show: see the DICOM header)"


class PdfFonts:
    """FiraGO, and behind it the fonts that a site names.

    Attributes:
        extra: Paths of TrueType fonts, asked in this order for letters that FiraGO lacks.
    """

    def __init__(self, extra: Sequence[Path] = ()) -> None:
        """Load the fonts.

        Args:
            extra: TrueType fonts.
        """
        for name in (REGULAR, BOLD):
            _load_own(name)
        self.extra = tuple(extra)
        self._extra_names = tuple(_load_file(path) for path in self.extra)

    def can_draw(self, text: str) -> bool:
        """Whether all letters of a text can be drawn as they are written."""
        return is_shaped(text) and self._runs(text, bold=False) is not None

    def readable(self, text: str) -> str:
        """The text, or a sentence that says that it cannot be drawn."""
        return text if self.can_draw(text) else CANNOT_SHOW

    def width(self, text: str, size: float, *, bold: bool = False) -> float:
        """Width of a text that can be drawn, in points."""
        return sum(float(pdfmetrics.stringWidth(piece, font, size)) for font, piece in self._pieces(text, bold=bold))

    def draw(self, canvas: Canvas, x: float, y: float, text: str, size: float, *, bold: bool = False) -> None:
        """Draw a text that can be drawn, from its left end on."""
        for font, piece in self._pieces(text, bold=bold):
            canvas.setFont(font, size)
            canvas.drawString(x, y, piece)
            x += pdfmetrics.stringWidth(piece, font, size)

    def wrapped(self, text: str, size: float, width: float) -> list[str]:
        """Lines of words that are no wider than that; a longer word has a line of its own."""
        lines: list[str] = []
        for word in text.split():
            if lines and self.width(f"{lines[-1]} {word}", size) <= width:
                lines[-1] = f"{lines[-1]} {word}"
            else:
                lines.append(word)
        return lines

    def shortened(self, text: str, size: float, width: float, *, bold: bool = False) -> str:
        """The text, or as much of its beginning and its end as is no wider than that."""
        return shortened(text, lambda short: self.width(short, size, bold=bold) <= width)

    def _pieces(self, text: str, *, bold: bool) -> list[tuple[str, str]]:
        pieces = self._runs(text, bold=bold)
        assert pieces is not None, "ask can_draw first"
        return pieces

    def _runs(self, text: str, *, bold: bool) -> list[tuple[str, str]] | None:
        return runs(visual(text), (BOLD if bold else REGULAR, *self._extra_names), _covers)


def _covers(font: str, letter: str) -> bool:
    return ord(letter) in pdfmetrics.getFont(font).face.charToGlyph


@functools.cache
def _load_own(name: str) -> None:
    """Give reportlab a font of the package, which stays in its register for the life of the process."""
    pdfmetrics.registerFont(TTFont(name, io.BytesIO(pymupdf_fonts.myfont(name))))


@functools.cache
def _load_file(path: Path) -> str:
    """The same with a font of the site.

    Raises:
        OperatorError: If it is not there, or no TrueType font.
    """
    try:
        pdfmetrics.registerFont(TTFont(str(path), str(path)))
    except (TTFError, OSError) as error:
        raise OperatorError(
            f"{path.name} cannot be used: a font has to be a TrueType file with glyf outlines"
        ) from error
    return str(path)
