"""mapnode up: the whole node in the foreground."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any

import typer

from mapnode.cli.printing import print_line

DEFAULT_CONFIG = "mapnode.yaml"


def up(
    *,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings; ./mapnode.yaml where it exists, else defaults.")
    ] = None,
) -> None:
    """Run Orthanc, the intake, the jobs and the workers until Ctrl-C or SIGTERM.

    Studies come in by DICOM C-STORE; rules choose apps; SEG and SR go back into Orthanc. After a crash or kill the
    next start goes on where the last one was.

    Example: mapnode up --config mapnode.yaml
    """
    from mapnode.node import Node

    logging.basicConfig(format="%(asctime)s %(levelname)-7s %(message)s", level=logging.WARNING)
    logging.getLogger("mapnode").setLevel(logging.INFO)
    Node(settings_of(config)).run(_say_ready)


def settings_of(config: Path | None) -> Any:  # noqa: ANN401 - imported late: --help must be quick
    """The settings that a command means; reference sets are looked for where they say from then on."""
    from mapnode.settings import load_settings
    from mapnode.share import use_references

    settings = load_settings(config_of(config))
    use_references(settings.references)
    return settings


def config_of(config: Path | None) -> Path | None:
    """The file that a command's settings come from; None where there is none, and defaults count."""
    default = Path(DEFAULT_CONFIG)
    return config if config is not None else default if default.is_file() else None


def _say_ready(status: dict[str, Any]) -> None:
    orthanc = status["orthanc"]
    print_line(
        f"ready: send studies to {orthanc['aet']} at port {orthanc['dicom_port']} "
        f"(Orthanc {orthanc['version']}); results come back into the same study; Ctrl-C stops"
    )
