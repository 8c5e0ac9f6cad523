"""Judges: validators and readers that are not ours, asked about files where they are installed.

Their words go on without values: they quote names. A judge that takes too long has said nothing.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

VALIDATOR, CROSS_VALIDATOR = "dciodvfy", "dcentvfy"
"""dicom3tools: one object against its IOD, and objects against each other."""
SEG_READER, REPORT_READER = "segimage2itkimage", "tid1500reader"
"""dcmqi."""
TIMEOUT_S = 120
QUOTED_VALUE = re.compile(r"(?<!Module)(?<!Element)=\s*<.*>|(?<!=)<(?!/).*>")
"""dciodvfy quotes values, names among them. What begins with </ is a place in the data set; modules are no values."""
CROSS_ELEMENT = re.compile(r"Element=<(\w+)>|Different (\w+) for same (\w+)")
FALSE_FOR_LABEL_MAP = (
    re.compile(r"Error - Information Object Not found\s*"),
    re.compile(
        r"Error - </SegmentSequence\(0062,0002\)\[1\]/SegmentNumber\(0062,0004\)> - SegmentNumber not monotonically "
        r"increasing from one by one - have SegmentSequence item number 1 \(from one\) with SegmentNumber of 0\s*"
    ),
)
"""dciodvfy of 2022 does not know Label Map Segmentations, whose Segment 0 is the background (PS3.3 A.95)."""
FALSE_FOR_LABEL_MAP_REPORT = (
    re.compile(
        r"Error - <\S*/ReferencedSegmentNumber\(0062,000b\)> - Shall not be present for Referenced SOP Class that is "
        r"not segmentation\s*"
    ),
)
"""The same of a report that refers to one."""


@dataclass(frozen=True)
class Judgement:
    """What a judge says of one file.

    Attributes:
        judge: Its name.
        errors: What makes the file invalid.
        warnings: What it remarks, or why it said nothing.
        known: Errors that it is known to report of valid files.
        answered: Whether it came to an end.
    """

    judge: str
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    known: tuple[str, ...] = ()
    answered: bool = True


def find_program(name: str) -> str | None:
    """Where a program is: on the path, or beside Python, where wheels put theirs; None where it is not installed."""
    beside = Path(sys.executable).with_name(name)
    return shutil.which(name) or (str(beside) if beside.is_file() else None)


def ask_dciodvfy(path: Path, known_errors: Sequence[re.Pattern[str]] = ()) -> Judgement:
    """What dciodvfy finds; its exit code says less than its lines.

    Args:
        path: The file.
        known_errors: Lines that are false for this file.

    Returns:
        Errors and warnings without values.
    """
    done = _run(VALIDATOR, "-new", path)
    if done is None:
        return _silent(VALIDATOR)
    lines = (done.stdout + done.stderr).splitlines()
    found = [line for line in lines if line.startswith("Error")]
    known = [line for line in found if any(pattern.fullmatch(line) for pattern in known_errors)]
    return Judgement(
        VALIDATOR,
        errors=tuple(_without_values(line) for line in found if line not in known),
        warnings=tuple(_without_values(line) for line in lines if line.startswith("Warning")),
        known=tuple(_without_values(line) for line in known),
    )


def ask_dcentvfy(paths: Sequence[Path]) -> dict[Path, Judgement]:
    """What dcentvfy finds between files.

    Args:
        paths: Files that were given together.

    Returns:
        A judgement for each; an error stands with every file that its line names.
    """
    done = _run(CROSS_VALIDATOR, *paths)
    if done is None:
        return dict.fromkeys(paths, _silent(CROSS_VALIDATOR))
    errors: dict[Path, list[str]] = {path: [] for path in paths}
    for line in (done.stdout + done.stderr).splitlines():
        if line.startswith("Error"):
            for path in paths:
                if f"<{path}>" in line:
                    errors[path].append(_cross_error(line))
    return {path: Judgement(CROSS_VALIDATOR, tuple(dict.fromkeys(found))) for path, found in errors.items()}


def ask_dcmqi(path: Path, program: str) -> Judgement:
    """Whether dcmqi reads a SEG or an SR; tid1500reader ends well in any case, so that its output tells.

    Args:
        path: The file.
        program: SEG_READER or REPORT_READER.

    Returns:
        An error where it does not read it.
    """
    with tempfile.TemporaryDirectory() as folder:
        if program == SEG_READER:
            options: tuple[str | Path, ...] = ("--outputDirectory", folder, "--outputType", "nrrd")
            output = Path(folder) / "meta.json"
        else:
            output = Path(folder) / "report.json"
            options = ("--outputMetadata", output)
        done = _run(program, "--inputDICOM", path, *options)
        if done is None:
            return _silent(program)
        if done.returncode == 0 and _has_read(output):
            return Judgement(program)
    return Judgement(program, errors=(f"it does not read the file (exit code {done.returncode})",))


def _has_read(output: Path) -> bool:
    """Whether what dcmqi wrote says something: of a file that it does not read tid1500reader writes empty values."""
    try:
        document = json.loads(output.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return bool(document.get("CompletionFlag") or document.get("segmentAttributes"))


def _run(program: str, *arguments: str | Path) -> subprocess.CompletedProcess[str] | None:
    """Run a judge; None where it took too long, or more files than a command line holds were to be judged."""
    try:
        return subprocess.run(  # noqa: S603 - a fixed program and paths
            [find_program(program) or program, *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT_S,
            check=False,
        )
    except (subprocess.TimeoutExpired, OSError):
        return None


def _silent(judge: str) -> Judgement:
    return Judgement(judge, warnings=(f"it gave no answer (within {TIMEOUT_S} s)",), answered=False)


def _without_values(line: str) -> str:
    return QUOTED_VALUE.sub("(withheld)", line.rstrip())


def _cross_error(line: str) -> str:
    """What differs, without the values that do."""
    found = CROSS_ELEMENT.search(line)
    if found is None:
        return "it does not agree with another file"
    element, different, same = found.groups()
    return f"another file has another {element or different}" + (f" for the same {same}" if same else "")
