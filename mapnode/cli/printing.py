"""Printing: what all commands share: JSON alone on stdout, words for people, refusals on stderr."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.table import Table


def print_json(document: Any) -> None:  # noqa: ANN401 - anything that JSON can say
    """One JSON document on stdout."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def print_line(text: str) -> None:
    """One line on stdout."""
    sys.stdout.write(text + "\n")


def print_error(text: str) -> None:
    """One line on stderr, after the command's name."""
    sys.stderr.write(f"mapnode: {text}\n")


def print_table(table: Table) -> None:
    """A table on stdout, as wide as it needs where stdout is no terminal."""
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 120).print(table)


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
