"""mapnode run: one app on a folder of DICOM files, no PACS."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mapnode.cli.printing import add_row, new_table, print_error, print_json, print_line, print_table
from mapnode.errors import WrongUse

if TYPE_CHECKING:
    from mapnode.app_catalogue import App
    from operators.core.contract import Job, Progress, Result


def run(
    app: Annotated[str, typer.Argument(help="Name of the app; `mapnode apps` lists them.")],
    source: Annotated[Path, typer.Argument(metavar="INPUT", help="Folder with DICOM files, in any order and depth.")],
    target: Annotated[Path, typer.Argument(metavar="OUTPUT", help="Folder for the results; made where missing.")],
    *,
    model: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder with the app's model.")] = None,
    references: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder with the site's reference sets.", exists=True)
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print the result as JSON, with paths made absolute.")
    ] = False,
    objects: Annotated[
        str | None,
        typer.Option(help="Which objects to make, for instance seg=labelmap,secondary_capture=true,key_image=false."),
    ] = None,
) -> None:
    """Run an app on a folder of DICOM files and write its objects (SEG, SR and more) and result.json.

    Nothing is sent anywhere. The results appear in OUTPUT when the run is complete, result.json last; of a run that
    was refused or failed, result.json alone. The same input gives the same bytes. Progress is on stderr.

    With a site's reference set for the app in the folder of --references or MAPNODE_REFERENCES (mapnode qc reference),
    the scan is held against it.

    The environment variable MAPNODE_JOB (JSON) may give identity, clock and parameters, as a node does.

    Example: mapnode run ct_body_composition study/ results/
    """
    from mapnode.app_catalogue import find_app
    from mapnode.runners.process import run_app
    from mapnode.share import use_references

    use_references(references)
    found = find_app(app, None if model is None else {app: model})
    if found.disabled:
        raise WrongUse(f"{found.disabled} (--model DIR)")
    job = _with_reference(_with_objects(_job(), objects, found), found)
    with ProgressBar(found.name) as progress:
        result = run_app(found, source, target, model=model, job=job, on_progress=progress.show)
    if as_json:
        _print_result_json(result, target)
    else:
        print_result(result, target)
    if result.reasons:
        print_error(result.sentence)
    raise typer.Exit(result.exit_code)


def _job() -> Job | None:
    """The job that the environment describes.

    Raises:
        WrongUse: If MAPNODE_JOB is not what the contract says.
    """
    from pydantic import ValidationError

    from operators.core.contract import JOB_VARIABLE, Job

    text = os.environ.get(JOB_VARIABLE)
    try:
        return Job.model_validate_json(text) if text else None
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'document'}: {e['msg']}" for e in error.errors())
        raise WrongUse(f"{JOB_VARIABLE}: {wrong}") from error


def _with_objects(job: Job | None, text: str | None, app: App) -> Job | None:
    """The job with the objects that the command line asks for.

    Raises:
        WrongUse: If the text says something else, or the app does not make what it asks for.
    """
    from pydantic import ValidationError

    from operators.core.contract import Job, ObjectKind
    from operators.core.objects import ObjectsNotMade, wanted_objects

    if text is None:
        return job
    pairs = [part.strip().partition("=") for part in text.split(",")]
    asked = {name: {"true": True, "false": False}.get(value, value or True) for name, _, value in pairs}
    try:
        chosen = Job.model_validate({**(job or Job()).model_dump(exclude={"objects"}), "objects": asked})
        wanted_objects(app.manifest.mapnode.outputs, chosen.objects)
    except ValidationError as error:
        raise WrongUse(f"--objects knows {', '.join(ObjectKind)}, not {', '.join(asked)}") from error
    except ObjectsNotMade as error:
        raise WrongUse(f"--objects: {error}") from error
    return chosen


def _with_reference(job: Job | None, app: App) -> Job | None:
    """The job with the site's reference set, where there is one and the job names none."""
    from operators.core.contract import Job

    if app.reference_file is None or (job is not None and job.reference is not None):
        return job
    return (job or Job()).model_copy(update={"reference": str(app.reference_file.resolve())})


class ProgressBar:
    """A bar on a terminal, a line for each operator elsewhere; always on stderr."""

    def __init__(self, title: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._operator = ""
        self._terminal = sys.stderr.isatty()
        self._bar = Progress(
            TextColumn("{task.description:<34}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            disable=not self._terminal,
        )
        self._task = self._bar.add_task(title, total=1.0)

    def __enter__(self) -> ProgressBar:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, progress: Progress) -> None:
        """Take one progress line of the app."""
        words = f"{progress.operator} {progress.message}".strip()
        self._bar.update(self._task, completed=progress.fraction, description=words)
        if not self._terminal and progress.operator != self._operator:
            sys.stderr.write(f"{progress.fraction:4.0%} {progress.operator}\n")
        self._operator = progress.operator


def _print_result_json(result: Result, target: Path) -> None:
    document = result.model_dump(mode="json", by_alias=True)
    for output in document["outputs"]:
        output["path"] = str((target / output["path"]).resolve())
    print_json(document)


def print_result(result: Result, target: Path) -> None:
    """The result for people: numbers, quality, files."""
    if result.measurements:
        table = new_table("segment", "quantity", "value", "unit", numbers=("value",))
        for m in result.measurements:
            add_row(table, m.segment, m.name, f"{m.value:.2f}", m.unit)
        print_table(table)
    for derived in result.derived:
        value = "not computed" if derived.value is None else f"{derived.value:.3f}"
        print_line(f"{derived.label}: {value}")
    if result.quality:
        print_line(f"quality: {result.quality.verdict}")
        for finding in result.quality.findings:
            print_line(f"  {finding.code}: {finding.message}")
        for sentence in result.quality.not_checked:
            print_line(f"  {sentence}")
    for skipped in result.skipped_files:
        print_line(f"skipped {', '.join(skipped.files)}: {skipped.message}")
    for output in result.outputs:
        print_line(f"{target / output.path}  {output.sop_class or ''}".rstrip())
