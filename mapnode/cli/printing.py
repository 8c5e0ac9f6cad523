"""Printing: what all commands share: JSON alone on stdout, words for people, refusals on stderr."""

from __future__ import annotations

import io
import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table


def spell_what_cannot_be_written() -> None:
    r"""Have stdout and stderr write \u80f8 for what the terminal's character set, or UTF-8, has not."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def print_json(document: Any) -> None:  # noqa: ANN401 - anything that JSON can say
    """One JSON document on stdout; RFC 8259 (8.1) wants UTF-8, and ASCII is that in every locale."""
    is_utf8 = sys.stdout.encoding.lower() == "utf-8"
    json.dump(document, sys.stdout, indent=2, ensure_ascii=not is_utf8, allow_nan=False)
    sys.stdout.write("\n")


def print_line(text: str) -> None:
    """One line on stdout."""
    sys.stdout.write(printable(text) + "\n")


def print_error(text: str) -> None:
    """One line on stderr, after the command's name."""
    sys.stderr.write(f"mapnode: {printable(text)}\n")


def printable(text: str) -> str:
    """Text without control characters: what a file says of itself must not steer a terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def print_table(table: Table) -> None:
    """A table on stdout, as wide as it needs where stdout is no terminal; cells are text, never markup."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 120, markup=False, highlight=False).print(table)


def new_table(*columns: str, numbers: Iterable[str] = ()) -> Table:
    """A table without a frame.

    Args:
        columns: Titles.
        numbers: Those whose cells stand to the right.

    Returns:
        The empty table.
    """
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, justify="right" if column in set(numbers) else "left")
    return table


def add_row(table: Table, *cells: str) -> None:
    """One row of printable cells."""
    table.add_row(*map(printable, cells))
