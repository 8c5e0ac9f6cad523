"""Page: what quality control caught and stopped, as docs/quality-cases.md, a section an app."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.qc.running import End

PAGE = Path(__file__).parents[2] / "docs" / "quality-cases.md"
INTRODUCTION = """# Quality control on scans that fit and on scans that do not

Written by `make qc-cases`; not to be edited. Each scan is drawn by seed, written as DICOM and run through the whole
app. An unfit one is made of one that fits by a single defect (tests/qc/cases.py); it is caught where the run is
refused, not applicable, or ends with caution or hold. One that fits lies within the manifest's limits, stored with axes
and slices in any order; it is stopped where any of these happens. Trunks are digital at 0.88 to 1.12 of their size, or
stacks of 20 to 35 slices of one real patient at 3 mm; legs are digital, 150 to 300 mm anywhere from above the ankles to
the groins. Noise of digital ones is 5 to 30 HU. The goal is at least 90 % of the unfit ones, and at most 5 % of those
that fit.
"""


def write_section(app: str, how: str, unfit: list[End], fit: list[End], page: Path = PAGE) -> None:
    """Put what an app did on the page; sections of other apps stay.

    Args:
        app: Its name.
        how: How scans were drawn, as a sentence.
        unfit: Ends of the runs on scans that do not fit.
        fit: Ends of the runs on scans that fit.
        page: The page.
    """
    text = page.read_text(encoding="utf-8") if page.exists() else ""
    sections = {part.splitlines()[0]: part.strip() for part in re.split(r"(?m)^(?=## )", text)[1:]}
    sections[f"## {app}"] = "\n\n".join([f"## {app}", how, table(unfit, fit), _surprises(unfit, fit)])
    page.write_text("\n\n".join([INTRODUCTION.strip(), *map(sections.get, sorted(sections))]) + "\n", encoding="utf-8")


def table(unfit: list[End], fit: list[End]) -> str:
    """How many of each kind were caught, and how many that fit were stopped."""
    lines = ["| kind | drawn | caught | how |", "|---|---|---|---|"]
    for kind, of_kind in itertools.groupby(unfit, key=lambda end: end.kind):
        ends = list(of_kind)
        how = ", ".join(sorted({end.verdict.replace("_", " ") for end in ends}))
        lines.append(f"| {kind} | {len(ends)} | {sum(end.stopped for end in ends)} | {how} |")
    caught, stopped = sum(end.stopped for end in unfit), sum(end.stopped for end in fit)
    lines.append(f"| **all unfit** | {len(unfit)} | {caught} ({caught / max(1, len(unfit)):.1%}) | |")
    lines.append(f"| **fit** | {len(fit)} | {stopped} ({stopped / max(1, len(fit)):.1%}) | |")
    return "\n".join(lines)


def _surprises(unfit: list[End], fit: list[End]) -> str:
    """Scans that were missed or stopped, one by one."""
    ends = [end for end in unfit if not end.stopped] + [end for end in fit if end.verdict != "pass"]
    if not ends:
        return "None was missed or stopped."
    head = ["Missed or stopped:", "", "| kind | of | verdict | findings |", "|---|---|---|---|"]
    return "\n".join(head + [end.line for end in ends])
