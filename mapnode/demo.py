"""Demo: the main job on a digital phantom whose volumes are known, or on a folder of one's own."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from mapnode.app_catalogue import find_app
from mapnode.cli.printing import new_table, print_error, print_line, print_table
from mapnode.cli.run import ProgressBar, print_result
from mapnode.errors import NodeError
from mapnode.phantom import Phantom, build_trunk_phantom, write_ct_series
from mapnode.runners.process import run_app
from operators.core.contract import ExitCode, Status

if TYPE_CHECKING:
    from operators.core.contract import Result

APP = "ct_body_composition"
BUILD = Path("build")
TOLERANCE_PERCENT = 2.0
"""A phantom's tissue has to be measured this well; otherwise the demo fails."""


def demo(study: Path | None) -> int:
    """Run the app on a study, or on the phantom where none is given, and show what came out.

    Args:
        study: Folder with DICOM files.

    Returns:
        The exit code: that of the run, or 1 where the phantom was measured wrong.
    """
    started = time.perf_counter()
    phantom = None
    if study is None:
        phantom, study = _make_phantom(BUILD / "phantom")
    target = BUILD / "demo"
    with ProgressBar(APP) as progress:
        result = run_app(find_app(APP), study, target, on_progress=progress.show)
    print_result(result, target)
    if result.reasons:
        print_error(result.sentence)
    wrong = _compare(result, phantom) if phantom is not None and result.status is Status.DONE else []
    for line in wrong:
        print_error(line)
    print_line(f"{result.status} in {time.perf_counter() - started:.1f} s")
    return ExitCode.DEFECT if wrong else result.exit_code


def _make_phantom(folder: Path) -> tuple[Phantom, Path]:
    shutil.rmtree(folder, ignore_errors=True)
    phantom = build_trunk_phantom()
    files = write_ct_series(
        phantom.hu, phantom.affine_lps, folder, description="Digital trunk phantom", uid_seed="mapnode demo"
    )
    print_line(f"{folder}: digital trunk phantom, {len(files)} CT images, tissue volumes known")
    return phantom, folder


def _compare(result: Result, phantom: Phantom) -> list[str]:
    """Print measured against true volumes; the tissues that are off by more than the tolerance."""
    table = new_table(
        "segment", "measured mL", "true mL", "difference %", numbers=("measured mL", "true mL", "difference %")
    )
    wrong = []
    measured = {m.segment: m.value for m in result.measurements if m.name == "volume_ml"}
    for name, truth in phantom.truth_volume_ml.items():
        difference = 100 * (measured[name] - truth) / truth
        table.add_row(name, f"{measured[name]:.1f}", f"{truth:.1f}", f"{difference:+.2f}")
        if abs(difference) > TOLERANCE_PERCENT:
            wrong.append(f"{name} is off by {difference:+.2f} %, more than {TOLERANCE_PERCENT:g} %")
    print_table(table)
    return wrong


def main(arguments: list[str]) -> int:
    """Entry point: at most one argument, the study's folder."""
    try:
        return demo(Path(arguments[0]) if arguments else None)
    except NodeError as error:
        print_error(str(error))
        return error.exit_code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
