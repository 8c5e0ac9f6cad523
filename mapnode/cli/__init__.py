"""The command line: one file a command; `main` turns errors into one line and an exit code."""

from __future__ import annotations

import sys

import typer

from mapnode.cli import apps, run, series, validate
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


def main() -> None:
    """Entry point of the `mapnode` command."""
    try:
        app()
    except NodeError as error:
        print(f"mapnode: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("mapnode: interrupted; nothing was left half written", file=sys.stderr)  # noqa: T201
        sys.exit(130)
