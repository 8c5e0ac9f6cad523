"""mapnode status: how the node does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mapnode.cli.printing import print_error, print_json, print_line
from mapnode.cli.up import DEFAULT_CONFIG, config_of, settings_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mapnode.settings import Settings


def status(
    *,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Settings of the node.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Show whether the node runs, what Orthanc does, and how many jobs are in which state.

    Example: mapnode status --json
    """
    settings = settings_of(config)
    document = _running(settings) or _stopped(settings)
    if document["node"]["state"] == "stopped" and config_of(config) is None:
        print_error(
            f"no {DEFAULT_CONFIG} lies in this folder: default settings count; --config FILE means another node"
        )
    if "started_at" in document["node"]:
        files = [path for path in (config_of(config), settings.rules) if path is not None]
        document["changed"] = changed_since(document["node"]["started_at"], files)
    document |= _from_database(settings)
    if as_json:
        print_json(document)
    else:
        _print_lines(document)


def _print_lines(document: dict[str, Any]) -> None:
    node, orthanc = document["node"], document["orthanc"]
    print_line(f"node     {node['state']}  {node['url'] or ''}")
    print_line(f"orthanc  {orthanc['state']}  {orthanc['aet']} at port {orthanc['dicom_port']}  {orthanc['url']}")
    for worker in document["workers"]:
        print_line(f"worker   {worker['app']}  {'pid ' + str(worker['pid']) if worker['pid'] else 'not started'}")
    for process in document["processes"]:
        print_line(f"process  {process['id']}  {process['state']}, {process['slots']} slots of {process['queues']}")
    for queue in document["queues"]:
        print_line(f"queue    {queue['name']}  " + ", ".join(f"{n} {state}" for state, n in queue["jobs"].items()))
    for one in document["passed_over"]:
        print_line(f"passed over  instance {one['instance']}, which Orthanc cannot tell of: {one['reason']}")
    for name, reason in document.get("off", {}).items():
        print_line(f"off      {name}  {reason}")
    for path in document.get("changed", []):
        print_line(f"changed  {path}: it was written after the node started, which reads it when it starts again")
    for app, count in document["held"].items():
        print_line(f"held     {app}  {count} jobs wait until it is switched on: mapnode resume --app {app}")
    print_line(f"disk     {document['disk']['free_bytes'] / 1e9:.1f} GB free in {document['disk']['folder']}")


def changed_since(started_at: float, files: Sequence[Path]) -> list[str]:
    """Which files that the node reads when it starts were written since.

    Args:
        started_at: When it started, seconds since the epoch.
        files: Settings and rules.
    """
    return [str(path.resolve()) for path in files if path.is_file() and path.stat().st_mtime > started_at]


def _running(settings: Settings) -> dict[str, Any] | None:
    """What the node says of itself; None where none answers."""
    import httpx

    from mapnode.node_folder import STATE_NAME

    try:
        url = json.loads((settings.var / STATE_NAME).read_text(encoding="utf-8"))["url"]
        answer = httpx.get(f"{url}/status", timeout=5)
        return dict(answer.raise_for_status().json())
    except (OSError, ValueError, KeyError, httpx.HTTPError):
        return None


def _stopped(settings: Settings) -> dict[str, Any]:
    import os
    from importlib.metadata import version

    from mapnode.pacs.orthanc_configuration import OrthancSettings
    from mapnode.pacs.orthanc_process import living_process

    part = settings.orthanc
    folder = next(path for path in (settings.var.resolve(), *settings.var.resolve().parents) if path.is_dir())
    disk = os.statvfs(folder)
    return {
        "node": {"url": None, "version": version("mapnode"), "state": "stopped"},
        "orthanc": {
            "url": part.url,
            "dicom_port": part.dicom_port,
            "aet": part.aet,
            "version": None,
            "state": "stopped" if living_process(OrthancSettings(settings.var / "orthanc")) is None else "running",
        },
        "workers": [],
        "destinations": [],
        "disk": {"folder": str(folder), "free_bytes": disk.f_bavail * disk.f_frsize},
    }


def _from_database(settings: Settings) -> dict[str, Any]:
    """Queues, the processes that serve them, instances that could not be taken, and jobs held by switches."""
    from mapnode.errors import WrongUse
    from mapnode.jobs.ledger import Ledger
    from mapnode.jobs.workflow import QUEUE

    try:
        ledger = Ledger(settings.place)
    except WrongUse:
        return {"queues": [], "processes": [], "passed_over": [], "held": {}}
    try:
        shown = ("id", "kind", "queues", "slots", "host", "pid", "state", "started_at", "beaten_at")
        processes = [{name: getattr(one, name) for name in shown} for one in ledger.roll.all()]
        passed = [{"instance": one.orthanc_id, "reason": one.reason} for one in ledger.records.passed_over.all()]
        queues = [{"name": QUEUE, "jobs": ledger.counts()}]
        return {"queues": queues, "processes": processes, "passed_over": passed, "held": ledger.held()}
    finally:
        ledger.close()
