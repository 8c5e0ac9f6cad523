"""mapnode package: an app as a container image."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mapnode.cli.printing import print_error, print_json, print_line

if TYPE_CHECKING:
    from mapnode.package.build import Built

BASE_IMAGE = "mapnode-base:bookworm"


def package(
    app: Annotated[str, typer.Argument(help="Name of the app; `mapnode apps` lists them.")],
    *,
    tag: Annotated[str, typer.Option(help="Name of the image, for instance ct-body-composition:0.1.0.")],
    model: Annotated[Path | None, typer.Option(metavar="DIR", help="Folder with the app's model.")] = None,
    platform: Annotated[Literal["cpu", "cuda"], typer.Option(help="What the image computes on.")] = "cpu",
    base_image: Annotated[
        str,
        typer.Option(
            metavar="IMAGE",
            help="A root file system (map-build/base-debian), an image's archive, or an image of Docker or Podman.",
        ),
    ] = BASE_IMAGE,
    wheelhouse: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder with the locked wheels and pip's; else they are downloaded."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE.tar", help="Write an archive; needs neither Docker nor Podman.")
    ] = None,
    context: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Write a Dockerfile and what it takes instead, for other builders."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print what was made as JSON.")] = False,
) -> None:
    """Make a container image of an app (a MAP, specification 1.0.0), with SBOM and provenance beside it.

    Only what the app imports goes in. Without --output the image goes to Docker or Podman. The same app, lock and base
    image give the same image ID. No registry is needed.

    Example: mapnode package ct_body_composition --tag ct-body-composition:0.1.0 --output ct.tar
    """
    from mapnode.app_catalogue import find_app
    from mapnode.errors import WrongUse
    from mapnode.package.build import build, cache_folder, load, write, write_records
    from mapnode.package.container_engine import find_engine
    from mapnode.package.context import write_context
    from mapnode.package.plan import make_plan
    from mapnode.package.tag import full_tag

    started, tag = time.perf_counter(), full_tag(tag)
    if output is not None and not output.parent.is_dir():
        raise WrongUse(f"there is no folder {output.parent} to write {output.name} into")
    plan = make_plan(find_app(app), model, platform, cache_folder(), wheelhouse)
    if plan.needed.left_out:
        print_error(f"left out, since it is not locked and only functions import it: {', '.join(plan.needed.left_out)}")
    if context is not None:
        write_context(plan, base_image, wheelhouse, context)
        print_line(f"docker build --tag {tag} {context}")
        return
    engine = None if output else find_engine()
    built = build(plan, tag, base_image, wheelhouse)
    if output is not None:
        files = write(built, output)
    if engine is not None:
        load(built, engine)
        files = write_records(built, cache_folder() / built.image.image_id)
    _print(built, files, time.perf_counter() - started, as_json=as_json)


def _print(built: Built, files: list[Path], seconds: float, *, as_json: bool) -> None:
    image = built.image
    if as_json:
        layers = [{"digest": f"sha256:{x.digest}", "bytes": x.size, "content": x.description} for x in image.layers]
        print_json({
            "tag": image.tag,
            "image_id": f"sha256:{image.image_id}",
            "bytes": image.size,
            "layers": layers,
            "files": [str(path.resolve()) for path in files],
            "seconds": round(seconds, 2),
        })
        return
    print_line(f"{image.tag}  sha256:{image.image_id}")
    for layer in image.layers:
        print_line(f"{layer.size / 1e6:8.1f} MB  {layer.description}")
    print_line(f"{image.size / 1e6:8.1f} MB  in all, uncompressed; {seconds:.1f} s")
    for path in files:
        print_line(str(path))
