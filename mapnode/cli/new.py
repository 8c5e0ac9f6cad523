"""mapnode new: begin something of one's own."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import Annotated

import typer

from mapnode.cli.printing import print_json, print_line

new_app = typer.Typer(no_args_is_help=True, help="Begin an app of one's own.")


@new_app.callback()
def _group() -> None:
    """A group even with one command in it."""


@new_app.command("app")
def app(
    name: Annotated[str, typer.Argument(help="Its name: snake case, for instance liver_volume.")],
    *,
    into: Annotated[Path, typer.Option(metavar="DIR", help="Folder of apps; made where missing.")] = Path("my-apps"),
    as_json: Annotated[bool, typer.Option("--json", help="Print the name and the files as JSON.")] = False,
) -> None:
    """Write a small app that runs, with manifest, model card and test, to be changed into another one.

    It labels what is brighter than a threshold in CT, measures it, and writes SEG and SR. docs/write-an-app.md goes on
    from there.

    Example: mapnode new app liver_volume
    """
    from mapnode.new_app import make_app
    from mapnode.share import APPS_VARIABLE

    files = make_app(name, into)
    if as_json:
        print_json({"app": name, "files": [str(path.resolve()) for path in files]})
        return
    for path in files:
        print_line(str(path))
    more = os.environ.get(APPS_VARIABLE)
    folders = f"{into.resolve()}{os.pathsep}{more}" if more else str(into.resolve())
    print_line(f"export {APPS_VARIABLE}={shlex.quote(folders)}")
    print_line(f"mapnode run {name} STUDY_FOLDER results/")
