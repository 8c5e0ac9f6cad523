"""mapnode series: what is in a folder, its geometry, and whether apps take it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mapnode.cli.printing import new_table, print_error, print_json, print_line, print_table
from mapnode.errors import WrongUse

if TYPE_CHECKING:
    from operators.core.findings import Finding
    from operators.core.geometry import SeriesGeometry
    from operators.core.reading import Folder


def series(
    folder: Annotated[Path, typer.Argument(help="Folder with DICOM files, in any order and depth.")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON list, an entry a series.")] = False,
) -> None:
    """Show the series of a folder: modality, geometry, findings, and the verdict of apps.

    Pixels are read: `sum` is over all values after the Modality LUT (HU for CT). Files that are no DICOM are named
    on stderr. A series that apps refuse is listed with its findings; that alone is no error.

    Example: mapnode series study/
    """
    from operators.core.contract import ExitCode
    from operators.core.errors import InputRefused
    from operators.core.geometry import examine
    from operators.core.reading import keep_values_out_of_warnings, read_folder

    if not folder.is_dir():
        raise WrongUse(f"the folder {folder} does not exist")
    keep_values_out_of_warnings()
    try:
        found = read_folder(folder)
        described = [_describe(examine(one)) for one in found.series]
    except InputRefused as error:
        if as_json:
            print_json([])
        print_error(f"refused: {error}")
        raise typer.Exit(ExitCode.REFUSED) from error
    _name_skipped(found)
    if as_json:
        print_json(described)
    else:
        _print_table(described)


def _name_skipped(found: Folder) -> None:
    for file in found.skipped:
        print_error(f"skipped {file.name}: {file.reason}")


def _describe(geometry: SeriesGeometry) -> dict[str, Any]:
    """One entry of the list (docs/architecture.md, "The command line")."""
    from operators.core.errors import InputRefused

    problems = list(geometry.findings)
    volumes = []
    if geometry.regular:
        try:
            volumes.append(_describe_volume(geometry))
        except InputRefused as error:
            problems += error.findings
    return {
        "series_instance_uid": geometry.series.uid,
        "description": str(geometry.series.first.get("SeriesDescription") or ""),
        "modality": geometry.series.modality,
        "instances": len(geometry.series.instances),
        "regular": bool(volumes),
        "problems": [_problem(finding) for finding in problems],
        "verdict": "refused" if problems else "usable",
        "volumes": volumes,
    }


def _describe_volume(geometry: SeriesGeometry) -> dict[str, Any]:
    import numpy as np

    from operators.core.pixels import read_volume

    volume = read_volume(geometry)
    return {
        "shape": list(volume.array.shape),
        "spacing_mm": list(volume.spacing_mm),
        "affine_lps": volume.affine_lps.tolist(),
        "regular": True,
        "sum": float(volume.array.sum(dtype=np.float64)),
        "problems": [],
    }


def _problem(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "message": finding.message,
        "instances": list(finding.instances),
        "files": list(finding.files),
    }


def _print_table(described: list[dict[str, Any]]) -> None:
    table = new_table("modality", "description", "images", "slices x rows x columns", "spacing mm", "verdict")
    for entry in described:
        volume = entry["volumes"][0] if entry["volumes"] else None
        table.add_row(
            entry["modality"],
            entry["description"],
            str(entry["instances"]),
            " x ".join(map(str, volume["shape"])) if volume else "-",
            " x ".join(f"{v:g}" for v in volume["spacing_mm"]) if volume else "-",
            entry["verdict"],
        )
    print_table(table)
    for entry in described:
        for problem in entry["problems"]:
            print_line(
                f"{entry['description'] or entry['series_instance_uid']}: {problem['code']}: {problem['message']}"
            )
