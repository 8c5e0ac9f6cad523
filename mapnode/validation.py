"""Validation: our own checks and, where it is installed, dciodvfy; one verdict a file."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydicom import dcmread
from pydicom.errors import InvalidDicomError

from operators.core.header import PARSE_ERRORS
from operators.core.object_checks import check_object

if TYPE_CHECKING:
    from pathlib import Path

VALIDATOR = "dciodvfy"
VALIDATOR_TIMEOUT_S = 120
QUOTED_VALUE = re.compile(r"=\s*<.*>")
"""dciodvfy quotes values, names among them."""


@dataclass(frozen=True)
class FileVerdict:
    """What is known of one file.

    Attributes:
        path: The file.
        sop_class: Name of its SOP Class, empty where it cannot be read.
        problems: What is wrong, each with who says so.
        warnings: What dciodvfy remarks, without making the file invalid.
        checked_by: Who looked at it.
    """

    path: Path
    sop_class: str
    problems: tuple[str, ...]
    warnings: tuple[str, ...]
    checked_by: tuple[str, ...]

    @property
    def valid(self) -> bool:
        """Whether nobody found an error."""
        return not self.problems


def validate_file(path: Path) -> FileVerdict:
    """Check one file with everything that is here."""
    try:
        dataset = dcmread(path)
        problems = tuple(f"mapnode: {problem}" for problem in check_object(dataset))
        sop_class = dataset.SOPClassUID.name if dataset.get("SOPClassUID") else ""
    except InvalidDicomError:
        return FileVerdict(path, "", ("mapnode: no DICOM file: the prefix DICM is missing",), (), ("mapnode",))
    except PARSE_ERRORS as error:
        return FileVerdict(path, "", (f"mapnode: cannot be read: {type(error).__name__}: {error}",), (), ("mapnode",))
    if shutil.which(VALIDATOR) is None:
        return FileVerdict(path, sop_class, problems, (), ("mapnode",))
    errors, warnings = _ask_dciodvfy(path)
    return FileVerdict(path, sop_class, problems + errors, warnings, ("mapnode", VALIDATOR))


def _ask_dciodvfy(path: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Errors and warnings of dciodvfy (dicom3tools); its exit code says less than its lines."""
    try:
        done = subprocess.run(  # noqa: S603 - a fixed program and one path
            [VALIDATOR, "-new", str(path)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=VALIDATOR_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return (f"{VALIDATOR}: no answer within {VALIDATOR_TIMEOUT_S} s",), ()
    lines = [QUOTED_VALUE.sub("= (withheld)", line) for line in (done.stdout + done.stderr).splitlines()]
    errors = tuple(f"{VALIDATOR}: {line}" for line in lines if line.startswith("Error"))
    return errors, tuple(f"{VALIDATOR}: {line}" for line in lines if line.startswith("Warning"))
