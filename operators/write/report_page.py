"""ReportPage: one A4 page with pictures, measurements and what a reader has to know, as PDF."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

from reportlab.lib.pagesizes import A4  # type: ignore[import-untyped]
from reportlab.lib.utils import ImageReader  # type: ignore[import-untyped]
from reportlab.pdfgen.canvas import Canvas  # type: ignore[import-untyped]

from operators.core import defaults
from operators.write.pdf_fonts import REGULAR

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import TypeAlias

    from operators.core.identity import ResultIdentity
    from operators.write.pdf_fonts import PdfFonts
    from operators.write.shown_slices import ShownSlice

    Colour: TypeAlias = tuple[int, int, int]
    Cells: TypeAlias = tuple[str, ...]

WIDTH, HEIGHT = (float(length) for length in A4)
MARGIN = 40.0
INNER = WIDTH - 2 * MARGIN
TEXT, SMALL = 9.0, 8.0
LINE = 12.0
LEAST_PICTURE = 180.0
"""Pictures take what a table in ROW_HEIGHTS[0] leaves, and this at least."""
ROW_HEIGHTS = (14.0, 12.0, 10.0, 8.5)
TABLE_HEAD = 34.0
MOST_COLUMNS = 6
CELL = 70.0
MOST_REMARK_LINES = 16
MOST_FACT_LINES = 5
GAP = 12.0
INK = (20, 20, 20)
DIM = (105, 105, 105)
WARNING = (176, 60, 0)
RULE = (190, 190, 190)


@dataclass(frozen=True)
class Table:
    """Measurements.

    Attributes:
        columns: Name and unit of each column of values.
        rows: Colour, and name and values, of each segment.
    """

    columns: tuple[tuple[str, str], ...]
    rows: tuple[tuple[Colour, Cells], ...]


@dataclass(frozen=True)
class Remark:
    """A sentence for the reader; `warns` where it limits what may be concluded."""

    text: str
    warns: bool = False


@dataclass(frozen=True, eq=False)
class PageContent:
    """What stands on the page.

    Attributes:
        patient: Label and value, of who was examined.
        study: Label and value, of what was examined.
        slices: Pictures with their captions.
        table: Measurements.
        remarks: Sentences below them.
    """

    patient: tuple[tuple[str, str], ...]
    study: tuple[tuple[str, str], ...]
    slices: tuple[ShownSlice, ...]
    table: Table
    remarks: tuple[Remark, ...]


def draw_page(content: PageContent, identity: ResultIdentity, fonts: PdfFonts) -> bytes:
    """The page as a PDF file whose bytes depend on its arguments alone.

    Args:
        content: What stands on it; texts that the fonts cannot draw are replaced by a sentence that says so.
        identity: App, version, clock and digest; the PDF's dates and file identifier derive from it.
        fonts: What it is drawn with, embedded.

    Returns:
        The file.
    """
    target = io.BytesIO()
    canvas = Canvas(target, pagesize=A4, pageCompression=1, invariant=1, initialFontName=REGULAR, lang="en")
    canvas.setTitle(f"{identity.app} {identity.version}: imaging measurements")
    canvas.setAuthor(defaults.MANUFACTURER)
    canvas.setCreator(f"{identity.app} {identity.version}")
    canvas.setSubject(defaults.RESEARCH_STATUS)
    canvas.setDateFormatter(lambda *_: identity.clock.strftime("D:%Y%m%d%H%M%S"))
    # reportlab's own identifier depends on SOURCE_DATE_EPOCH.
    canvas._doc._ID = f"\n[<{identity.sha256[:32]}><{identity.sha256[:32]}>]\n".encode()
    _Page(canvas, fonts).fill(content, identity)
    canvas.showPage()
    canvas.save()
    return target.getvalue()


class _Page:
    """The page while it is filled, from the top down and from the bottom up.

    Attributes:
        y: Lower end of what stands at the top.
        floor: Upper end of what stands at the bottom.
    """

    def __init__(self, canvas: Canvas, fonts: PdfFonts) -> None:
        """Begin with an empty page."""
        self.canvas = canvas
        self.fonts = fonts
        self.y = HEIGHT - MARGIN
        self.floor = MARGIN

    def fill(self, content: PageContent, identity: ResultIdentity) -> None:
        """Draw everything; the table gets the room that the rest leaves."""
        self.title(identity)
        self.facts(content.patient, content.study)
        self.footer(identity)
        self.remarks(content.remarks)
        left_over = self.y - self.floor - TABLE_HEAD - ROW_HEIGHTS[0] * len(content.table.rows) - 2 * LINE
        self.pictures(content.slices, max(left_over, LEAST_PICTURE))
        self.table(content.table)

    def text(
        self, x: float, y: float, text: str, size: float = TEXT, colour: Colour = INK, *, bold: bool = False
    ) -> None:
        """Draw a text, or the sentence that it cannot be drawn."""
        self.colour(colour)
        self.fonts.draw(self.canvas, x, y, self.fonts.readable(text), size, bold=bold)

    def right_text(self, x: float, y: float, text: str, size: float = TEXT, colour: Colour = INK) -> None:
        """The same, up to its right end."""
        self.text(x - self.fonts.width(self.fonts.readable(text), size), y, text, size, colour)

    def colour(self, colour: Colour) -> None:
        """Colour of what is drawn next."""
        self.canvas.setFillColorRGB(*(part / 255 for part in colour))

    def rule(self, y: float) -> None:
        """A line across the page."""
        self.canvas.setStrokeColorRGB(*(part / 255 for part in RULE))
        self.canvas.setLineWidth(0.5)
        self.canvas.line(MARGIN, y, WIDTH - MARGIN, y)

    def title(self, identity: ResultIdentity) -> None:
        """What the page is, from whom, and its status."""
        self.text(MARGIN, self.y - 14, "Imaging measurements", 17, bold=True)
        self.text(MARGIN, self.y - 29, f"{identity.app} {identity.version}", 10, DIM)
        self.right_text(WIDTH - MARGIN, self.y - 14, defaults.RESEARCH_STATUS, 11, WARNING)
        self.right_text(WIDTH - MARGIN, self.y - 29, f"{identity.clock:%Y-%m-%d %H:%M}", TEXT, DIM)
        self.y -= 38
        self.rule(self.y)

    def facts(self, patient: Sequence[tuple[str, str]], study: Sequence[tuple[str, str]]) -> None:
        """Patient on the left, study on the right."""
        bottoms = [
            self.column(left, facts) for left, facts in ((MARGIN, patient), (MARGIN + INNER / 2 + GAP / 2, study))
        ]
        self.y = min(bottoms) - 4
        self.rule(self.y)

    def column(self, left: float, facts: Sequence[tuple[str, str]]) -> float:
        """Labels and values below each other; returns the lower end."""
        y, label_width = self.y - 4, 62.0
        for place, (label, value) in enumerate(facts):
            # The first fact says who or what; it is the one to be found at once.
            bold = place == 0
            lines = self.fonts.wrapped(self.fonts.readable(value), TEXT, INNER / 2 - GAP - label_width) or [
                "not recorded"
            ]
            if len(lines) > MOST_FACT_LINES:
                lines = [*lines[: MOST_FACT_LINES - 1], f"{lines[MOST_FACT_LINES - 1]}…"]
            for number, line in enumerate(lines):
                y -= LINE
                self.text(left, y, label if number == 0 else "", SMALL, DIM)
                fitting = self.fonts.shortened(line, TEXT, INNER / 2 - GAP - label_width, bold=bold)
                self.text(left + label_width, y, fitting, TEXT, bold=bold)
        return y - 2

    def footer(self, identity: ResultIdentity) -> None:
        """What identifies the result, at the foot of the page."""
        text = f"Identity {identity.sha256[:16]}. The numbers stand in the structured report of this study, too."
        self.text(MARGIN, self.floor, text, 7, DIM)
        self.right_text(WIDTH - MARGIN, self.floor, defaults.RESEARCH_STATUS, 7, WARNING)
        self.floor += 10
        self.rule(self.floor)

    def remarks(self, remarks: Sequence[Remark]) -> None:
        """Sentences above the footer."""
        lines = [
            (line, remark.warns)
            for remark in remarks
            for line in self.fonts.wrapped(self.fonts.readable(remark.text), SMALL, INNER)
        ]
        if len(lines) > MOST_REMARK_LINES:
            left_out = len(lines) - MOST_REMARK_LINES + 1
            lines = [*lines[: MOST_REMARK_LINES - 1], (f"{left_out} more lines: see the structured report.", True)]
        for line, warns in reversed(lines):
            self.floor += 10.5
            self.text(MARGIN, self.floor - 7, line, SMALL, WARNING if warns else INK)
        self.floor += 6
        self.rule(self.floor)

    def pictures(self, slices: Sequence[ShownSlice], height: float) -> None:
        """The key slices side by side, captions below."""
        top = self.y - 8
        width = (INNER - GAP * (len(slices) - 1)) / len(slices)
        scale = min(min(width / shown.image.width, height / shown.image.height) for shown in slices)
        tallest = max(shown.image.height for shown in slices) * scale
        for place, shown in enumerate(slices):
            wide, high = shown.image.width * scale, shown.image.height * scale
            left = MARGIN + place * (width + GAP) + (width - wide) / 2
            self.canvas.drawImage(ImageReader(shown.image), left, top - high, wide, high)
            caption = self.fonts.shortened(shown.caption, SMALL, width)
            self.text(left + (wide - self.fonts.width(caption, SMALL)) / 2, top - tallest - 10, caption, SMALL, DIM)
        self.y = top - tallest - 14

    def table(self, table: Table) -> None:
        """The measurements; where one column of rows is not enough two, and where that is not, a sentence says so."""
        room = self.y - self.floor - TABLE_HEAD
        step = next((high for high in ROW_HEIGHTS if high * len(table.rows) <= room), ROW_HEIGHTS[-1])
        rows_in_block = max(1, int(room / step))
        blocks = 1 if len(table.rows) <= rows_in_block else 2
        shown = table.rows[: blocks * rows_in_block]
        if blocks > 1 and len(shown) == len(table.rows):
            rows_in_block = -(-len(shown) // blocks)
        for block in range(blocks):
            rows = shown[block * rows_in_block : (block + 1) * rows_in_block]
            self.block(table.columns, rows, block, blocks, step)
        if len(shown) < len(table.rows):
            text = f"{len(table.rows) - len(shown)} more segments: see the structured report."
            self.text(MARGIN, self.floor + 4, text, SMALL, WARNING)

    def block(
        self, columns: Sequence[tuple[str, str]], rows: Sequence[tuple[Colour, Cells]], place: int, of: int, step: float
    ) -> None:
        """Rows below the names of their columns, in one of several blocks side by side."""
        width = (INNER - GAP * (of - 1)) / of
        left, size = MARGIN + place * (width + GAP), min(TEXT, 0.8 * step)
        cell = min(CELL, (0.65 if of == 1 else 0.5) * width / max(1, len(columns)))
        name_width = width - cell * len(columns) - 14
        y = self.y - 10
        for number, (name, unit) in enumerate(columns):
            right = left + width - cell * (len(columns) - 1 - number)
            self.right_text(right, y, self.fonts.shortened(name, 7, cell - 2), 7, DIM)
            self.right_text(right, y - 9, unit, 7, DIM)
        y -= 12
        for colour, (name, *values) in rows:
            y -= step
            self.colour(colour)
            self.canvas.rect(left, y - 0.5, 0.6 * step, 0.6 * step, stroke=0, fill=1)
            self.canvas.line(left, y - 0.25 * step, left + width, y - 0.25 * step)
            self.text(left + 14, y, self.fonts.shortened(self.fonts.readable(name), size, name_width), size)
            for number, value in enumerate(values):
                self.right_text(left + width - cell * (len(columns) - 1 - number), y, value, size)
