"""Judges: programs that are not ours and read what we write."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import SimpleITK

from mapnode.judges import VALIDATOR


def dciodvfy_errors(path: Path) -> list[str]:
    """Lines of dciodvfy that begin with Error; the program has to be installed."""
    assert shutil.which(VALIDATOR), "dciodvfy is missing: apt-get install dicom3tools"
    done = subprocess.run([VALIDATOR, "-new", path], capture_output=True, text=True, errors="replace", check=False)
    return [line for line in (done.stdout + done.stderr).splitlines() if line.startswith("Error")]


ENTITIES = "dcentvfy"
"""Of dicom3tools, as dciodvfy is."""


def dcentvfy_errors(paths: Iterable[Path]) -> list[str]:
    """Where objects differ in what they say of one patient, study, series or frame of reference, warnings apart."""
    assert shutil.which(ENTITIES), "dcentvfy is missing: apt-get install dicom3tools"
    done = subprocess.run([ENTITIES, *paths], capture_output=True, text=True, errors="replace", check=False)
    lines = [line for line in (done.stdout + done.stderr).splitlines() if not line.startswith("Warning")]
    assert bool(lines) == bool(done.returncode), done.returncode
    return lines


def dcmqi(program: str, *arguments: object) -> None:
    """Run a program of dcmqi, which comes as a wheel; a failure shows its words."""
    done = subprocess.run(
        [Path(sys.executable).with_name(program), *map(str, arguments)],
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def read_report(path: Path, folder: Path) -> dict[str, dict[tuple[str, str], float]]:
    """Values of an SR as tid1500reader reads them: by tracking identifier, then (quantity, derivation)."""
    dcmqi("tid1500reader", "--inputDICOM", path, "--outputMetadata", folder / "sr.json")
    document = json.loads((folder / "sr.json").read_text(encoding="utf-8"))
    return {
        group["TrackingIdentifier"]: {
            (item["quantity"]["CodeMeaning"], item.get("derivationModifier", {}).get("CodeMeaning", "")): float(
                item["value"]
            )
            for item in group["measurementItems"]
        }
        for group in document["Measurements"]
        if "ReferencedSegment" in group
    }


def read_segments(path: Path, folder: Path) -> dict[str, SimpleITK.Image]:
    """Segments of a SEG as segimage2itkimage reads them: one image each, by Segment Label."""
    dcmqi("segimage2itkimage", "--inputDICOM", path, "--outputDirectory", folder, "--outputType", "nrrd")
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    return {
        item["SegmentLabel"]: SimpleITK.ReadImage(str(folder / f"{item['labelID']}.nrrd"))
        for (item,) in meta["segmentAttributes"]
    }


def volume_ml(image: SimpleITK.Image) -> float:
    """Voxels that are not 0, times the voxel's volume, in mL."""
    return float(np.count_nonzero(SimpleITK.GetArrayViewFromImage(image)) * np.prod(image.GetSpacing()) / 1000)


def dice(segment: SimpleITK.Image, reference: SimpleITK.Image) -> float:
    """Dice of two masks in physical space: the segment is brought onto the reference's grid by position."""
    moved = SimpleITK.Resample(segment, reference, SimpleITK.Transform(), SimpleITK.sitkNearestNeighbor, 0)
    ours, theirs = (SimpleITK.GetArrayViewFromImage(image) > 0 for image in (moved, reference))
    return float(2 * np.count_nonzero(ours & theirs) / (np.count_nonzero(ours) + np.count_nonzero(theirs)))
