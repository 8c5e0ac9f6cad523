"""mapnode validate: are these DICOM files valid."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from mapnode.cli.printing import print_error, print_json, print_line
from mapnode.errors import WrongUse


def validate(
    files: Annotated[list[Path], typer.Argument(help="DICOM files.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list, an entry a file.")] = False,
) -> None:
    """Check DICOM files: mapnode's own rules for SEG and SR, and dciodvfy where it is installed.

    One verdict a file. The exit code is 3 if any file is invalid.

    Example: mapnode validate results/seg.dcm results/sr.dcm
    """
    from mapnode.validation import validate_file
    from operators.core.contract import ExitCode

    missing = [f"{path}{' (a folder)' if path.is_dir() else ''}" for path in files if not path.is_file()]
    if missing:
        raise WrongUse(f"no such file: {', '.join(missing)}")
    verdicts = [validate_file(path) for path in files]
    if as_json:
        print_json([
            {
                "path": str(v.path),
                "sop_class": v.sop_class,
                "verdict": "valid" if v.valid else "invalid",
                "problems": list(v.problems),
                "warnings": list(v.warnings),
                "checked_by": list(v.checked_by),
            }
            for v in verdicts
        ])
    for v in verdicts:
        if not as_json:
            print_line(f"{'valid' if v.valid else 'INVALID':<8}{v.path}  {v.sop_class} (by {', '.join(v.checked_by)})")
        for problem in v.problems:
            print_error(f"{v.path}: {problem}")
    if not all(v.valid for v in verdicts):
        raise typer.Exit(ExitCode.REFUSED)
