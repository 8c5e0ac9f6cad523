"""mapnode series: what is in a folder, its volumes and their geometry, and what is wrong with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mapnode.cli.printing import add_row, new_table, print_error, print_json, print_line, print_table
from mapnode.errors import WrongUse

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray

    from mapnode.preview import Preview
    from operators.core.findings import Finding
    from operators.core.geometry import SeriesGeometry, VolumeGeometry
    from operators.core.reading import Folder


def series(
    folder: Annotated[Path, typer.Argument(help="Folder with DICOM files, in any order and depth.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list, an entry a series.")] = False,
    preview: Annotated[
        Path | None, typer.Option(help="Write a PNG with the middle slice of every volume, burned-in text included.")
    ] = None,
) -> None:
    """Show the series of a folder: volumes, geometry, findings, and whether they can be measured.

    Pixels are read: `sum` is over all values after the Modality LUT (HU for CT). Files that cannot be used are named
    on stderr with their reasons. A series with findings is listed with them; that alone is no error.

    Example: mapnode series study/ --preview study.png
    """
    from operators.core.contract import ExitCode
    from operators.core.errors import InputRefused
    from operators.core.geometry import examine
    from operators.core.header import keep_values_out_of_warnings
    from operators.core.reading import read_folder

    if not folder.is_dir():
        raise WrongUse(f"{folder} is no folder" if folder.exists() else f"the folder {folder} does not exist")
    keep_values_out_of_warnings()
    pictures: list[Preview] = []
    try:
        found = read_folder(folder)
    except InputRefused as error:
        if as_json:
            print_json([])
        print_error(f"refused: {error}")
        raise typer.Exit(ExitCode.REFUSED) from error
    described = [_describe(examine(one), pictures if preview else None) for one in found.series]
    _name_skipped(found)
    if as_json:
        print_json(described)
    else:
        _print_table(described)
    if preview is not None:
        _write_preview(pictures, preview)


def _name_skipped(found: Folder) -> None:
    for file in found.skipped:
        print_error(f"skipped {file.name}: {file.reason}")


def _write_preview(pictures: list[Preview], path: Path) -> None:
    from mapnode.preview import write_preview

    if not pictures:
        print_error("there is nothing to show: no volume could be read")
        return
    try:
        write_preview(pictures, path)
    except (OSError, ValueError) as error:
        raise WrongUse(f"the preview cannot be written to {path}: {error}") from error
    print_error(f"preview: {path}")


def _describe(geometry: SeriesGeometry, pictures: list[Preview] | None) -> dict[str, Any]:
    """One entry of the list (docs/architecture.md, "The command line")."""
    from operators.core.header import read_value

    description = str(read_value(geometry.series.first, "SeriesDescription") or "")
    volumes = [_describe_volume(volume, description, pictures) for volume in geometry.volumes]
    unread = [problem for volume in volumes for problem in volume["problems"] if problem["code"] in UNREADABLE]
    problems = [_problem(finding) for finding in geometry.findings] + unread
    regular = geometry.regular and not unread
    return {
        "series_instance_uid": geometry.series.uid,
        "description": description,
        "modality": geometry.series.modality,
        "instances": len(geometry.series.instances),
        "regular": regular,
        "problems": problems,
        "verdict": "usable" if regular and not problems else "refused",
        "volumes": volumes,
    }


UNREADABLE = ("undecodable_pixels", "too_large")
"""Findings that only reading the pixels brings to light."""


def _describe_volume(volume: VolumeGeometry, description: str, pictures: list[Preview] | None) -> dict[str, Any]:
    from operators.core.errors import InputRefused
    from operators.core.pixels import read_values

    problems = list(volume.findings)
    array: NDArray[Any] | None = None
    try:
        array = read_values(volume)
    except InputRefused as error:
        problems += [finding for finding in error.findings if finding not in problems]
    if pictures is not None and array is not None:
        pictures.append(_picture(volume, array, description))
    return {
        "shape": None if volume.shape is None else list(volume.shape),
        "spacing_mm": None if volume.spacing_mm is None else list(volume.spacing_mm),
        "affine_lps": None if volume.affine_lps is None else volume.affine_lps.tolist(),
        "regular": volume.regular and array is not None,
        "sum": None if array is None else float(array.sum(dtype="float64")),
        "traits": dict(volume.traits),
        "problems": [_problem(finding) for finding in problems],
    }


def _picture(volume: VolumeGeometry, array: NDArray[np.generic], description: str) -> Preview:
    from mapnode.preview import Preview
    from operators.core.header import read_text

    spacing, plane = volume.spacing_mm, array[len(array) // 2].astype("float64")
    # The lowest value is shown white (PS3.3 C.7.6.3.1.2); the values themselves are not turned.
    white_is_low = read_text(volume.frames[0].header, "PhotometricInterpretation") == "MONOCHROME1"
    return Preview(
        -plane if white_is_low else plane,
        1.0 if spacing is None else spacing[1] / spacing[2],
        (description or "no description", _shape(list(volume.shape or ())), _traits(volume.traits)),
    )


def _problem(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "message": finding.message,
        "instances": list(finding.instances),
        "files": list(finding.files),
    }


def _print_table(described: list[dict[str, Any]]) -> None:
    table = new_table("modality", "description", "images", "volume", "slices x rows x columns", "spacing mm", "verdict")
    for entry in described:
        for number, volume in enumerate(entry["volumes"] or [{"shape": None, "spacing_mm": None, "traits": {}}]):
            first = number == 0
            add_row(
                table,
                entry["modality"] if first else "",
                entry["description"] if first else "",
                str(entry["instances"]) if first else "",
                _traits(volume["traits"]),
                _shape(volume["shape"]),
                " x ".join("-" if v is None else f"{v:g}" for v in volume["spacing_mm"] or ()) or "-",
                entry["verdict"] if first else "",
            )
    print_table(table)
    for entry in described:
        for problem in entry["problems"]:
            print_line(
                f"{entry['description'] or entry['series_instance_uid']}: {problem['code']}: {problem['message']}"
            )


def _traits(traits: Mapping[str, str]) -> str:
    return ", ".join(f"{name} {value}" for name, value in traits.items())


def _shape(shape: list[int] | None) -> str:
    return " x ".join(map(str, shape)) if shape else "-"
