"""Process runner: one child process a run, results published only when the run is complete."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from mapnode.errors import NodeError, WrongUse
from mapnode.runners.child import WITH_THE_NODE, Child, forward, read_result
from operators.core.contract import JOB_VARIABLE, RESULT_NAME, ExitCode, Job, Progress, Result

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from mapnode.app_catalogue import App

STAGING_PREFIX = ".mapnode-"


def run_app(
    app: App,
    source: Path,
    target: Path,
    *,
    model: Path | None = None,
    job: Job | None = None,
    on_progress: Callable[[Progress], None] | None = None,
) -> Result:
    """Run an app on a folder.

    The child writes into a hidden folder inside the target; its files are moved into the target after it ended
    well, result.json last. Of a run that did not, result.json alone appears. What an earlier run left there goes.

    Args:
        app: The app.
        source: Folder with DICOM files.
        target: Output folder; made where it is missing.
        model: Folder with models.
        job: What a node says of the job; without it the app derives identity and clock from its input.
        on_progress: Hears of progress.

    Returns:
        What result.json says.

    Raises:
        WrongUse: If a folder is missing or cannot be written, or the app calls the job wrong.
    """
    if not source.is_dir():
        raise WrongUse(f"the input folder {source} does not exist" if not source.exists() else f"{source} is no folder")
    if model is not None and not model.is_dir():
        raise WrongUse(f"the model folder {model} does not exist")
    with _staging(target) as staging:
        code, log = _run_child(_command(app, source, staging, model), job, on_progress)
        if code == ExitCode.WRONG_USE:
            raise WrongUse(log[-1].removeprefix("wrong use: ") if log else f"{app.name} refused the call silently")
        result = read_result(app.name, app.version, staging, code, log)
        try:
            _publish(staging, target, result)
        except OSError as error:
            raise WrongUse(f"the output folder {target} cannot be written: {error.strerror}") from error
    return result


@contextlib.contextmanager
def _staging(target: Path) -> Iterator[Path]:
    """A hidden folder inside the target, on the same file system, gone at the end; so is a target made in vain.

    Raises:
        WrongUse: If the target cannot be written.
    """
    made = not target.exists()
    try:
        target.mkdir(parents=True, exist_ok=True)
        _sweep(target)
        staging = Path(tempfile.mkdtemp(prefix=f"{STAGING_PREFIX}{os.getpid()}-", dir=target))
    except OSError as error:
        raise WrongUse(f"the output folder {target} cannot be written: {error.strerror}") from error
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if made and not any(target.iterdir()):
            target.rmdir()


def _sweep(target: Path) -> None:
    """Remove what a run left that was killed: staging folders whose process is gone."""
    for left in target.glob(f"{STAGING_PREFIX}*-*"):
        if not Path("/proc", left.name.removeprefix(STAGING_PREFIX).split("-")[0]).exists():
            shutil.rmtree(left, ignore_errors=True)


def _command(app: App, source: Path, staging: Path, model: Path | None) -> list[str]:
    # The runner starts it from the thread that waits for it.
    command = [
        *WITH_THE_NODE,
        sys.executable,
        str(app.folder / "app.py"),
        "-i",
        str(source.resolve()),
        "-o",
        str(staging.resolve()),
    ]
    return command + (["-m", str(model.resolve())] if model else [])


def _run_child(
    command: list[str], job: Job | None, on_progress: Callable[[Progress], None] | None
) -> tuple[int, list[str]]:
    """Run the child to its end: exit code (negative: the signal) and the end of its log."""
    child = Child(command, {JOB_VARIABLE: job.model_dump_json()} if job is not None else None)
    try:
        for line in child.lines():
            forward(line, on_progress)
    except BaseException:
        child.kill()
        raise
    finally:
        code = child.end()
    return code, child.log


def _publish(staging: Path, target: Path, result: Result) -> None:
    """Put the files of a run in place of those of an earlier one; result.json last.

    Raises:
        NodeError: If the app names a file that it did not write, or one outside its folder.
    """
    outside = [o.path for o in result.outputs if Path(o.path).name != o.path]
    if outside:
        raise NodeError(f"{result.app} names files outside its output folder: {', '.join(outside)}")
    missing = [o.path for o in result.outputs if not (staging / o.path).is_file()]
    if missing:
        raise NodeError(f"{result.app} names files that it did not write: {', '.join(missing)}")
    stale = set(_earlier_outputs(target)) - {output.path for output in result.outputs}
    for output in result.outputs:
        (staging / output.path).replace(target / output.path)
    for name in stale:
        (target / name).unlink(missing_ok=True)
    (staging / RESULT_NAME).write_text(result.to_json(), encoding="utf-8")
    (staging / RESULT_NAME).replace(target / RESULT_NAME)


def _earlier_outputs(target: Path) -> list[str]:
    """Files that a result.json already in the target names: they would be taken for results of this run."""
    try:
        earlier = Result.model_validate_json((target / RESULT_NAME).read_text(encoding="utf-8"))
    except (OSError, ValidationError):
        return []
    return [o.path for o in earlier.outputs if Path(o.path).name == o.path and (target / o.path).is_file()]
