"""Application: an SDK Application run through the runner contract."""

from __future__ import annotations

import contextlib
import errno
import os
import resource
import shutil
import sys
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from operators.core.contract import JOB_VARIABLE, RESULT_NAME, ExitCode, Job, Progress, Reason, Result, Status
from operators.core.errors import (
    InputRefused,
    ModelError,
    NotApplicable,
    OperatorError,
    OperatorFailed,
    SegmentationError,
)
from operators.core.header import keep_values_out_of_warnings
from operators.core.manifest import MANIFEST_NAME, Manifest, ManifestError, read_manifest
from operators.core.model_folder import find_model, holds_files
from operators.core.objects import ObjectsNotMade, wanted_objects
from operators.core.reference_set import digest_of_file
from operators.runtime.monitor import Monitor
from operators.runtime.outcome import Outcome
from operators.runtime.sdk import Application, app_context

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import TextIO

    from operators.core.contract import ObjectKind


MODEL_VARIABLE = "HOLOSCAN_MODEL_PATH"


@dataclass(frozen=True)
class RunContext:
    """What one run is about.

    Attributes:
        input_folder: Folder with DICOM files; the app only reads it.
        output_folder: Folder that the app alone writes.
        model_folder: Folder with the app's models, or None.
        manifest: The app's manifest.
        job: What the node says of the job.
        outcome: Where the last step leaves what was found.
    """

    input_folder: Path
    output_folder: Path
    model_folder: Path | None
    manifest: Manifest
    job: Job = field(default_factory=Job)
    outcome: Outcome = field(default_factory=Outcome)

    @property
    def parameters(self) -> dict[str, Any]:
        """Effective parameters: the manifest's, where the job does not replace them."""
        return {**self.manifest.mapnode.parameters, **self.job.parameters}

    @property
    def identity_parameters(self) -> dict[str, Any]:
        """What the results' identity depends on: parameters, the reference set, objects where the job chooses them."""
        chosen = {"objects": self.objects} if self.job.objects else {}
        known = {"reference": digest_of_file(self.reference_file)} if self.reference_file else {}
        return {**self.parameters, **chosen, **known}

    @property
    def objects(self) -> dict[ObjectKind, str]:
        """The objects to make, each with its form; empty text where it has but one."""
        return wanted_objects(self.manifest.mapnode.outputs, self.job.objects)

    @property
    def reference_file(self) -> Path | None:
        """The site's reference set for the app."""
        return None if self.job.reference is None else Path(self.job.reference)

    @property
    def staged_folder(self) -> Path | None:
        """Where slices are that were decoded beforehand."""
        return None if self.job.staged is None else Path(self.job.staged)


class MapApplication(Application):  # type: ignore[misc]
    """Base of all apps: `compose` wires operators with what `self.run_context` says.

    Attributes:
        run_context: The run's folders, manifest and job.
        monitor: Hears of progress from every Step.
    """

    def __init__(self, run_context: RunContext, monitor: Monitor) -> None:
        """Bind the application to one run.

        Args:
            run_context: What the run is about.
            monitor: Collects timings and failures.
        """
        self.run_context = run_context
        self.monitor = monitor
        super().__init__()

    def connect(self, *steps: Any) -> None:  # noqa: ANN401 - Steps; typed as Any to keep the SDK's classes untyped
        """Wire steps by the names of their ports: each output port to every step with an input port of that name.

        Raises:
            ValueError: If an input port has no source, or two steps emit the same name.
        """
        sources: dict[str, Any] = {}
        for step in steps:
            if step.output in sources:
                raise ValueError(f"two steps emit {step.output!r}: {sources[step.output].name} and {step.name}")
            if step.output is not None:
                sources[step.output] = step
        for step in steps:
            missing = [port for port in step.ports if port not in sources]
            if missing:
                raise ValueError(f"no step emits {missing} that {step.name} needs")
            for port in step.ports:
                self.add_flow(sources[port], step, {(port, port)})
            if not step.ports:
                self.add_operator(step)


def main(app: type[MapApplication], app_file: str, argv: Sequence[str] | None = None) -> int:
    """Run an app as a process does: folders from arguments or HOLOSCAN_* variables, the job from MAPNODE_JOB.

    Args:
        app: The application class.
        app_file: Path of its app.py; the manifest lies beside it.
        argv: Program name and arguments (-i, -o, -m); those of the process where not given.

    Returns:
        The exit code of the contract.
    """
    with contract_channel() as send:
        try:
            context = _context(Path(app_file).with_name(MANIFEST_NAME), list(argv or sys.argv))
        except (ManifestError, ValidationError, WrongCall) as error:
            print(f"wrong use: {error}", file=sys.stderr)  # noqa: T201 - the contract's channel for reasons
            return ExitCode.WRONG_USE
        try:
            result = run(app, context, send)
        except OutputNotWritable as error:
            print(f"wrong use: {error}", file=sys.stderr)  # noqa: T201
            return ExitCode.WRONG_USE
    if result.status is not Status.DONE:
        print(result.sentence, file=sys.stderr)  # noqa: T201
    return result.exit_code


class WrongCall(Exception):
    """The process was called with folders that cannot be used."""


class OutputNotWritable(Exception):
    """The output folder takes no more: the disk is full, over its quota, or read-only."""


def _require_room(error: BaseException | None) -> None:
    """Tell a disk that takes no more from a defect, however deep in a chain of errors it stands.

    Raises:
        OutputNotWritable: If that is what happened.
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT, errno.EROFS}:
            raise OutputNotWritable(f"the output folder cannot be written: {os.strerror(error.errno)}") from error
        error = error.__cause__ or error.__context__


def run(
    app: type[MapApplication],
    context: RunContext,
    send: Callable[[Progress], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Result:
    """Run an application once and write its result.json; a run that does not end as done leaves nothing else.

    Args:
        app: The application class.
        context: The run.
        send: Hears of progress.
        cancelled: Says whether the run is not wanted any more; steps ask when they begin and when they report.

    Returns:
        What was written to result.json.

    Raises:
        OutputNotWritable: If the disk is full or read-only.
        OSError: If the result cannot be written for another reason.
    """
    before = set(context.output_folder.iterdir())
    monitor = Monitor(send, cancelled)
    started = time.perf_counter()
    status, reasons = _run_graph(app, context, monitor)
    if status is not Status.DONE:
        _remove_new(context.output_folder, before)
    _require_room(monitor.failure)
    result = Result(
        app=context.manifest.application.title,
        version=context.manifest.application.version,
        status=status,
        reasons=reasons,
        predecessor=context.job.predecessor,
        timings_s={**monitor.timings_s, "total": round(time.perf_counter() - started, 4)},
        peak_memory_mb=round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        **(context.outcome.fields if status is Status.DONE else {}),
    )
    try:
        (context.output_folder / RESULT_NAME).write_text(result.to_json(), encoding="utf-8")
    except OSError as error:
        _require_room(error)
        raise
    return result


def _run_graph(app: type[MapApplication], context: RunContext, monitor: Monitor) -> tuple[Status, tuple[Reason, ...]]:
    """Run the graph; the border at which every failure becomes a status with its reasons."""
    try:
        app(context, monitor).run()
    except Exception as error:  # noqa: BLE001 - the job loop: whatever happens ends as a failed run with its reason
        if monitor.failure is None and isinstance(error, OperatorError):
            # What the wiring itself refuses: a model that cannot be used.
            monitor.failure = error
        if monitor.failure is None:
            monitor.failure = OperatorFailed(context.manifest.application.title, error)
            monitor.failure.__cause__ = error
    if monitor.failure is not None:
        if isinstance(monitor.failure, OperatorFailed) and monitor.failure.__cause__ is not None:
            # Where it happened, without the message: that may quote a patient's name.
            traceback.print_tb(monitor.failure.__cause__.__traceback__)
        return explain(monitor.failure)
    if not context.outcome.fields:
        return Status.FAILED, (Reason(code="incomplete", message="the graph ended before its last operator ran"),)
    return Status.DONE, ()


def explain(error: OperatorError) -> tuple[Status, tuple[Reason, ...]]:
    """Status and reasons that an operator's error stands for."""
    if isinstance(error, InputRefused):
        reasons = (Reason(code=f.code, message=f.message, instances=f.instances, files=f.files) for f in error.findings)
        return Status.REFUSED, tuple(reasons)
    if isinstance(error, SegmentationError):
        return Status.NOT_APPLICABLE, (Reason(code="anatomy_not_found", message=str(error)),)
    if isinstance(error, NotApplicable):
        return Status.NOT_APPLICABLE, tuple(Reason(code="criteria_not_met", message=text) for text in error.reasons)
    code = "operator_failed" if isinstance(error, OperatorFailed) else type(error).__name__
    return Status.FAILED, (Reason(code=code, message=str(error)),)


def _context(manifest_path: Path, argv: list[str]) -> RunContext:
    """The run that arguments and environment describe.

    Raises:
        WrongCall: If a folder is missing or cannot be written, or the job sets a parameter that the app does not have,
            or wants objects that it does not make.
    """
    app = app_context(argv)
    source, target = Path(app.input_path), Path(app.output_path)
    if not source.is_dir():
        raise WrongCall(f"the input folder {source} does not exist")
    if not target.is_dir() or not os.access(target, os.W_OK):
        raise WrongCall(f"the output folder {target} does not exist or cannot be written")
    job = Job.model_validate_json(os.environ.get(JOB_VARIABLE) or "{}")
    manifest = read_manifest(manifest_path)
    unknown = sorted(set(job.parameters) - set(manifest.mapnode.parameters))
    if unknown:
        raise WrongCall(f"the job sets parameters that the app does not have: {', '.join(unknown)}")
    context = RunContext(source, target, _model_folder(app, manifest), manifest, job)
    try:
        _ = context.objects
    except ObjectsNotMade as error:
        raise WrongCall(str(error)) from error
    return context


def _model_folder(app: Any, manifest: Manifest) -> Path | None:  # noqa: ANN401 - the SDK's context
    """The folder that was given by -m or HOLOSCAN_MODEL_PATH; a MAP without weights has an empty one.

    Raises:
        WrongCall: If it holds no model, or none was given and the app cannot do without.
    """
    # Without either the SDK says "models", whatever that is in the present folder.
    given = app.args.get("model") or os.environ.get(MODEL_VARIABLE)
    try:
        if given and holds_files(Path(given)):
            return find_model(Path(given)).path
        manifest.require_weights(None)
    except ModelError as error:
        raise WrongCall(str(error)) from error
    return None


def _remove_new(folder: Path, before: set[Path]) -> None:
    """No partial output: what this run wrote before it failed goes away."""
    for path in set(folder.iterdir()) - before:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


@contextlib.contextmanager
def contract_channel() -> Iterator[Callable[[BaseModel], None]]:
    """The contract's lines alone on stdout: whatever libraries print, natively too, goes to stderr."""
    keep_values_out_of_warnings()
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    channel: TextIO = os.fdopen(kept, "w", encoding="utf-8")

    def send(record: BaseModel) -> None:
        channel.write(record.model_dump_json() + "\n")
        channel.flush()

    try:
        yield send
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        channel.close()
