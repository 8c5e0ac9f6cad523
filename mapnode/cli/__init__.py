"""The command line: one file a command; `main` turns errors into one line and an exit code."""

from __future__ import annotations

import signal
import sys

import typer

from mapnode.cli import apps, control, jobs, maps, new, package, qc, rules, run, series, status, up, validate, worker
from mapnode.cli.printing import spell_what_cannot_be_written
from mapnode.errors import NodeError

app = typer.Typer(
    name="mapnode",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="""mapnode turns CT studies into measurements: DICOM in, DICOM SEG and SR out.

    Exit codes: 0 done; 1 a defect of ours; 2 wrong use; 3 input refused, the reason is on stderr; 4 nothing applicable.
    With --json a command prints one JSON document on stdout and nothing else.""",
)
app.command("run")(run.run)
app.command("apps")(apps.apps)
app.command("series")(series.series)
app.command("validate")(validate.validate)
app.command("package")(package.package)
app.command("up")(up.up)
app.command("status")(status.status)
app.command("worker")(worker.worker)
app.command("rerun")(control.rerun)
app.command("pause")(control.pause)
app.command("drain")(control.drain)
app.command("resume")(control.resume)
app.add_typer(jobs.jobs_app, name="jobs")
app.add_typer(maps.map_app, name="map")
app.add_typer(new.new_app, name="new")
app.add_typer(qc.qc_app, name="qc")
app.add_typer(rules.rules_app, name="rules")


def main() -> None:
    """Entry point of the `mapnode` command."""
    # SIGTERM ends a command as Ctrl-C does: what it began is cleaned up. `mapnode up` sets handlers of its own.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    spell_what_cannot_be_written()
    try:
        app()
    except NodeError as error:
        print(f"mapnode: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
