"""mapnode worker: a further process that runs jobs of a node."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from mapnode.cli.printing import print_line
from mapnode.cli.up import settings_of


def worker(
    *,
    queues: Annotated[str, typer.Option(metavar="NAMES", help="Queues whose jobs it takes, separated by commas.")] = (
        "jobs"
    ),
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Settings of the node.")] = None,
    orthanc: Annotated[
        str | None, typer.Option(metavar="URL", help="Orthanc's REST; that of the settings where absent.")
    ] = None,
    credentials: Annotated[
        Path | None, typer.Option(metavar="FILE", help="JSON with user and password for it; the node's where absent.")
    ] = None,
) -> None:
    """Run jobs of a node's queues in a process of its own until Ctrl-C or SIGTERM.

    Jobs that are under way then may end; what does not is taken over by the node or another worker, as is everything
    of a worker that dies. Workers on other machines need `database` to be PostgreSQL, and the folder `jobs` shared.

    Example: mapnode worker --queues jobs
    """
    from mapnode.worker import Worker

    settings = settings_of(config)
    url = orthanc or settings.orthanc.url
    logging.basicConfig(format="%(asctime)s %(levelname)-7s %(message)s", level=logging.WARNING)
    logging.getLogger("mapnode").setLevel(logging.INFO)
    path = credentials or settings.var / "orthanc" / "credentials.json"
    names = [name.strip() for name in queues.split(",") if name.strip()]
    Worker(settings, names, url, path).run(lambda name: print_line(f"ready: {name} takes jobs of {', '.join(names)}"))
