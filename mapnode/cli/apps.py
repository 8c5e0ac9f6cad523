"""mapnode apps: which apps there are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mapnode.cli.printing import add_row, new_table, print_json, print_line, print_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mapnode.app_catalogue import App
    from operators.core.manifest import Condition, VolumeProperty


def apps(
    *,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings of the node, which say where models lie.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the manifests as one JSON list.")] = False,
) -> None:
    """List the apps: what each measures, on what, with which engine; why one is disabled.

    Example: mapnode apps --json
    """
    from mapnode.app_catalogue import list_apps
    from mapnode.cli.up import settings_of

    found = list_apps(settings_of(config).models)
    if as_json:
        print_json([_described(app) for app in found])
        return
    table = new_table("app", "version", "input", "engine", "what it measures")
    for app in found:
        part = app.manifest.mapnode
        add_row(
            table,
            app.name,
            app.manifest.application.version,
            _wanted(part.input.must),
            str(part.model.engine if app.model is None else app.model.kind),
            app.manifest.application.summary,
        )
    print_table(table)
    for app in found:
        if app.disabled:
            print_line(app.disabled)


def _described(app: App) -> dict[str, Any]:
    return {
        "name": app.name,
        "folder": str(app.folder),
        "model_folder": None if app.model is None else str(app.model.path),
        "disabled": app.disabled,
        **app.manifest.model_dump(mode="json"),
    }


def _wanted(must: Mapping[VolumeProperty, Condition]) -> str:
    """Orientation and modality that an app asks for, in short."""
    from operators.core.manifest import VolumeProperty

    asked = [must[name].any_of for name in (VolumeProperty.ORIENTATION, VolumeProperty.MODALITY) if name in must]
    return " ".join("/".join(values) for values in asked)
