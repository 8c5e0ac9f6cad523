"""mapnode map: what a container image says of itself as a MAP."""

from __future__ import annotations

from typing import Annotated

import typer

from mapnode.cli.printing import add_row, new_table, print_error, print_json, print_table

map_app = typer.Typer(no_args_is_help=True, help="MONAI Application Packages, ours and those of others.")


@map_app.callback()
def _map() -> None:
    """Keep `inspect` a command of its own, although it is the only one."""


@map_app.command("inspect")
def inspect(
    image: Annotated[
        str, typer.Argument(metavar="IMAGE|TAR", help="An image of Docker or Podman, or an archive of `docker save`.")
    ],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print both manifests, image and warnings as JSON.")] = False,
) -> None:
    """Print the manifests of a MAP and check them against the specification 1.0.0 (map-build/*.schema.json).

    What the last packager (holoscan-cli 4.2.0) wrote otherwise is read, with a warning. The exit code is 3 if the image
    is no MAP.

    Example: mapnode map inspect ct.tar --json
    """
    from mapnode.package.inspect_map import inspect_map

    found = inspect_map(image)
    if as_json:
        print_json({
            "title": found.title,
            "app": found.app.model_dump(mode="json", by_alias=True, exclude_none=True),
            "pkg": found.package.model_dump(mode="json", by_alias=True, exclude_none=True),
            "image": found.config.get("config", {}),
            "warnings": list(found.warnings),
        })
        return
    resources = found.package.resources
    rows = {
        "title": found.title,
        "version": found.app.version,
        "command": " ".join(found.app.argv),
        "input": found.app.input.path,
        "output": found.app.output.path,
        "models": ", ".join(found.package.model_paths) or "none",
        "needs": f"{resources.cpu:g} CPU, {resources.gpu:g} GPU, {resources.memory}",
        "SDK": f"{found.app.sdk or 'not said'} {found.app.sdk_version or ''}".strip(),
        "time limit": f"{found.app.timeout} s" if found.app.timeout else "none",
    }
    table = new_table("", "")
    for name, value in rows.items():
        add_row(table, name, value)
    print_table(table)
    for warning in found.warnings:
        print_error(warning)
