"""mapnode apps: which apps there are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from mapnode.cli.printing import add_row, new_table, print_json, print_table

if TYPE_CHECKING:
    from collections.abc import Mapping

    from operators.core.manifest import Condition, VolumeProperty


def apps(
    *, as_json: Annotated[bool, typer.Option("--json", help="Print the manifests as one JSON list.")] = False
) -> None:
    """List the apps: what each measures, on what, with which engine.

    Example: mapnode apps --json
    """
    from mapnode.app_catalogue import list_apps

    found = list_apps()
    if as_json:
        print_json([
            {"name": app.name, "folder": str(app.folder), **app.manifest.model_dump(mode="json")} for app in found
        ])
        return
    table = new_table("app", "version", "input", "engine", "what it measures")
    for app in found:
        part = app.manifest.mapnode
        add_row(
            table,
            app.name,
            app.manifest.application.version,
            _wanted(part.input.must),
            part.model.engine,
            app.manifest.application.summary,
        )
    print_table(table)


def _wanted(must: Mapping[VolumeProperty, Condition]) -> str:
    """Orientation and modality that an app asks for, in short."""
    from operators.core.manifest import VolumeProperty

    asked = [must[name].any_of for name in (VolumeProperty.ORIENTATION, VolumeProperty.MODALITY) if name in must]
    return " ".join("/".join(values) for values in asked)
