"""mapnode apps: which apps there are."""

from __future__ import annotations

from typing import Annotated

import typer

from mapnode.cli.printing import new_table, print_json, print_table


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
        table.add_row(
            app.name,
            app.manifest.application.version,
            f"{part.input.orientation} {part.input.modality}",
            part.model.engine,
            app.manifest.application.summary,
        )
    print_table(table)
