"""mapnode qc: what quality control holds new studies against."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mapnode.cli.printing import print_json, print_line
from mapnode.errors import WrongUse

if TYPE_CHECKING:
    from mapnode.app_catalogue import App
    from mapnode.reference_building import Built

qc_app = typer.Typer(no_args_is_help=True, help="Make what quality control holds new studies against.")


@qc_app.callback()
def qc() -> None:
    """Make what quality control holds new studies against."""


@qc_app.command("reference")
def reference(
    app: Annotated[str, typer.Argument(help="Name of the app; `mapnode apps` lists them.")],
    folders: Annotated[list[Path], typer.Argument(metavar="FOLDER...", help="One folder a study, 20 at least.")],
    *,
    output: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the set goes; APP.json in the node's `references` otherwise."),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Settings of the node, which say where its reference sets lie.")
    ] = None,
    percentile: Annotated[
        float, typer.Option(min=51, max=99.9, help="Of the studies' own distances, above which a study is unusual.")
    ] = 99.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Make the site's reference set for an app from studies that are usual at this site.

    The app runs on each study; numbers of intensity, texture and shape are kept, nothing of patients. Studies that are
    refused or held back are left out, and copies of a study. From then on the app says where a study is unlike them. A
    new set, as a new version of the app, gives results an identity of their own.

    Example: mapnode qc reference ct_body_composition usual_studies/*
    """
    from mapnode.app_catalogue import find_app
    from mapnode.cli.run import ProgressBar
    from mapnode.reference_building import build

    found = find_app(app)
    target = output or _default_target(found, config)
    with ProgressBar(found.name) as progress:
        built = build(found, folders, percentile, progress.show)
    _write(built, target)
    if as_json:
        print_json(_document(built, target))
        return
    for one in built.left_out:
        print_line(f"left out {one.folder}: {one.reason}")
    print_line(f"{target}: {len(built.reference.rows)} studies, {len(built.reference.features)} features")


def _default_target(app: App, config: Path | None) -> Path:
    from mapnode.cli.up import settings_of
    from mapnode.share import REFERENCES_VARIABLE, references_folder

    settings_of(config)
    folder = references_folder()
    if folder is None:
        raise WrongUse(
            "name a file with --output, or the folder of the site's sets as `references` in mapnode.yaml or in "
            f"{REFERENCES_VARIABLE}"
        )
    return folder / f"{app.name}.json"


def _write(built: Built, target: Path) -> None:
    """Put the file in its place at once: a node may be reading the old one."""
    fresh = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        fresh.write_text(built.reference.model_dump_json() + "\n", encoding="utf-8")
        fresh.replace(target)
    except OSError as error:
        raise WrongUse(f"{target} cannot be written: {error.strerror}") from error


def _document(built: Built, target: Path) -> dict[str, object]:
    from operators.core.reference_set import digest_of_file

    return {
        "app": built.reference.app,
        "version": built.reference.version,
        "studies": len(built.reference.rows),
        "features": list(built.reference.features),
        "percentile": built.reference.percentile,
        "thresholds": built.reference.thresholds.model_dump(),
        "left_out": [{"folder": str(one.folder), "reason": one.reason} for one in built.left_out],
        "output": str(target.resolve()),
        "digest": digest_of_file(target),
    }
