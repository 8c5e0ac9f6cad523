"""mapnode validate: are these DICOM files valid."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mapnode.cli.printing import print_error, print_json, print_line
from mapnode.errors import WrongUse

if TYPE_CHECKING:
    from mapnode.validation import FileVerdict

MANY_FILES = 10
"""From here on progress is shown."""


def validate(
    files: Annotated[list[Path], typer.Argument(help="DICOM files, or folders with them.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list, an entry a file.")] = False,
) -> None:
    """Check DICOM files: mapnode's own rules, and dciodvfy, dcentvfy and dcmqi where they are installed.

    One verdict a file. Files given together are held against each other: results against the images that they were
    made from. Of a folder, files that are no DICOM are left out. The exit code is 3 if any file is invalid.

    Example: mapnode validate results/ study/
    """
    from operators.core.contract import ExitCode

    verdicts = _judge(files)
    if as_json:
        print_json([_entry(verdict) for verdict in verdicts])
    for v in verdicts:
        if not as_json:
            print_line(f"{'valid' if v.valid else 'INVALID':<8}{v.path}  {v.sop_class} (by {', '.join(v.checked_by)})")
        if not as_json and v.known_errors:
            print_line(f"        {len(v.known_errors)} errors known to be false, of a kind that dciodvfy does not know")
        for problem in v.problems:
            print_error(f"{v.path}: {problem}")
    if not all(v.valid for v in verdicts):
        raise typer.Exit(ExitCode.REFUSED)


def _judge(arguments: list[Path]) -> list[FileVerdict]:
    from mapnode.cli.run import ProgressBar
    from mapnode.validation import validate_files
    from operators.core.contract import Progress

    paths = _files_of(arguments)
    if len(paths) < MANY_FILES:
        return validate_files(paths)
    with ProgressBar("validate") as bar:
        return validate_files(paths, lambda share: bar.show(Progress(operator="validate", fraction=share)))


def _files_of(arguments: list[Path]) -> list[Path]:
    """The files that are meant, each once.

    Raises:
        WrongUse: If one is not there, or a folder holds no DICOM file.
    """
    missing = [str(path) for path in arguments if not path.exists()]
    if missing:
        raise WrongUse(f"no such file: {', '.join(missing)}")
    found: dict[Path, None] = {}
    for path in arguments:
        inside = _dicom_files(path) if path.is_dir() else [path]
        if not inside:
            raise WrongUse(f"no DICOM file in the folder {path}")
        found.update(dict.fromkeys(inside))
    return list(found)


def _dicom_files(folder: Path) -> list[Path]:
    """Files that say that they are DICOM (PS3.10 7.1), at any depth."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and _has_prefix(path)]


def _has_prefix(path: Path) -> bool:
    from operators.core.header_walk import PREFIX_BYTES

    with path.open("rb") as file:
        return file.read(PREFIX_BYTES)[-4:] == b"DICM"


def _entry(verdict: FileVerdict) -> dict[str, object]:
    return {
        "path": str(verdict.path),
        "sop_class": verdict.sop_class,
        "verdict": "valid" if verdict.valid else "invalid",
        "problems": list(verdict.problems),
        "warnings": list(verdict.warnings),
        "known_errors": list(verdict.known_errors),
        "checked_by": list(verdict.checked_by),
    }
