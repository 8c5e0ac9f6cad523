"""mapnode jobs: what was done, what is being done, and why."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from mapnode.cli.ledger import open_ledger
from mapnode.cli.printing import add_row, new_table, print_json, print_line, print_table

jobs_app = typer.Typer(no_args_is_help=True, help="List and show jobs; retry, cancel and release them.")

Config = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings of the node.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
JobArgument = Annotated[str, typer.Argument(metavar="JOB", help="Identifier of the job, or its beginning.")]


@jobs_app.command("list")
def list_jobs(
    *,
    limit: Annotated[int, typer.Option(min=1, help="So many jobs at most.")] = 200,
    offset: Annotated[int, typer.Option(min=0, help="Leave out so many of the newest.")] = 0,
    config: Config = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, the newest first.

    Example: mapnode jobs list --limit 20
    """
    with open_ledger(config) as ledger:
        jobs = ledger.newest(limit, offset)
    if as_json:
        print_json(jobs)
        return
    table = new_table("job", "state", "app", "created", "seconds", "reason", numbers=("seconds",))
    for job in jobs:
        seconds = sum(step["seconds"] or 0 for step in job["steps"])
        created = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(job["created_at"]))
        why = job["held_by"] or job["reason"]
        add_row(table, job["id"][:12], job["state"], job["app"], created, f"{seconds:.1f}", why)
    print_table(table)


@jobs_app.command("show")
def show(job: JobArgument, *, config: Config = None, as_json: AsJson = False) -> None:
    """Show one job: its history with the reason for every start, wait and publication, its steps, what was stored.

    Example: mapnode jobs show 3f2a
    """
    with open_ledger(config) as ledger:
        _print_job(ledger.show(job), as_json=as_json)


@jobs_app.command("retry")
def retry(job: JobArgument, *, config: Config = None, as_json: AsJson = False) -> None:
    """Begin a failed or cancelled job anew.

    Example: mapnode jobs retry 3f2a
    """
    with open_ledger(config) as ledger:
        _print_job(ledger.retry(job), as_json=as_json)


@jobs_app.command("cancel")
def cancel(job: JobArgument, *, config: Config = None, as_json: AsJson = False) -> None:
    """Keep a queued or running job from going on; nothing of it is stored.

    Example: mapnode jobs cancel 3f2a
    """
    with open_ledger(config) as ledger:
        _print_job(ledger.cancel(job), as_json=as_json)


@jobs_app.command("release")
def release(job: JobArgument, *, config: Config = None, as_json: AsJson = False) -> None:
    """Publish the results of a job whose rule is in shadow mode.

    Example: mapnode jobs release 3f2a
    """
    with open_ledger(config) as ledger:
        _print_job(ledger.release(job), as_json=as_json)


def _print_job(job: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(job)
        return
    for key in (
        "id",
        "state",
        "app",
        "rule",
        "mode",
        "source",
        "study_instance_uid",
        "series_instance_uid",
        "reason",
        "held_by",
        "progress",
    ):
        print_line(f"{key:<20}{job[key]}")
    for step in job["steps"]:
        seconds = f"{step['seconds']:.2f} s" if step["seconds"] is not None else "-"
        print_line(f"  {step['name']:<18}{step['state']:<8}{seconds}")
    for line in job["history"]:
        at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(line["at"]))
        print_line(f"  {at}  {line['event']:<12}{line['detail']}")
    for stored in job["stored"]:
        print_line(f"  stored {stored['path']}: {stored['status']} as {stored['orthanc_id']}")
