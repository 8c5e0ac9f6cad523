"""Contenders of the tissue benchmark: the apps' work as a user would write it with SimpleITK and scikit-image.

Run as `python -m benchmarks.tissue_contenders NAME FOLDER FILE` it reads a folder of DICOM files, measures, and writes
volumes, mean attenuations and areas by slice as JSON, with the seconds of each step and the process's peak of memory.
Each is a plain script of its kind: thresholds, morphology, label statistics. None checks its input, knows a limit of
its method, or writes SEG and SR.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import SimpleITK as sitk  # noqa: N813 - its own custom
from scipy import ndimage
from skimage.measure import label, marching_cubes, mesh_surface_area, regionprops
from skimage.morphology import convex_hull_image

from benchmarks.load_contenders import memory

AIR_HU, BONE_HU = -500, 150
FAT_HU, MUSCLE_HU = (-190, -30), (-29, 150)
TABLE_MM = 6.0
Mask = np.ndarray


def trunk(folder: Path, clock: Clock) -> dict[str, Any]:
    """SAT outside the convex hull of soft tissue, VAT inside; everything in the window of muscle is muscle."""
    with clock("load"):
        image = _read(folder / "ct")
    with clock("segment"):
        hu = sitk.GetArrayViewFromImage(image)
        body = _bodies(image, 1) > 0
        bone = body & (hu > BONE_HU)
        soft, fat = _window(hu, body & ~bone, MUSCLE_HU), _window(hu, body, FAT_HU)
        inside = _hulls(_eroded(body, image, TABLE_MM) & (soft | bone))
        labels = _labels(hu.shape, {1: soft, 2: fat & ~inside, 3: fat & inside, 4: bone})
    names = {1: "skeletal_muscle", 2: "subcutaneous_fat", 3: "visceral_fat", 4: "bone"}
    with clock("measure"):
        return _measured(image, labels, names)


def legs(folder: Path, clock: Clock) -> dict[str, Any]:
    """The two largest bodies, the one with the higher x is the left leg; the fascia is the convex hull of muscle."""
    with clock("load"):
        image = _read(folder / "ct")
    with clock("segment"):
        hu = sitk.GetArrayViewFromImage(image)
        bodies = _bodies(image, 2)
        labels = np.zeros(hu.shape, dtype=np.uint8)
        names = {}
        sides = sorted((1, 2), key=lambda index: np.nonzero(bodies == index)[2].mean())
        for offset, (side, index) in zip((0, 4), zip(("right", "left"), sides, strict=True), strict=True):
            leg = bodies == index
            bone = _filled(leg & (hu > BONE_HU))
            soft, fat = _window(hu, leg & ~bone, MUSCLE_HU), _window(hu, leg & ~bone, FAT_HU)
            inside = _hulls(_eroded(leg, image, TABLE_MM / 2) & (soft | bone))
            found = {1: soft & inside, 2: fat & ~inside, 3: fat & inside, 4: bone}
            labels += _labels(hu.shape, {offset + number: mask for number, mask in found.items()})
            tissues = ("skeletal_muscle", "subcutaneous_fat", "intermuscular_fat", "bone")
            names |= {offset + number: f"{tissue}_{side}" for number, tissue in enumerate(tissues, start=1)}
    with clock("measure"):
        return _measured(image, labels, names)


def segmentation(folder: Path, clock: Clock) -> dict[str, Any]:
    """Read a SEG with highdicom, measure each segment with SimpleITK's statistics and scikit-image's mesh and Feret."""
    import highdicom as hd

    with clock("load"):
        image = _read(folder / "ct")
        seg = hd.seg.segread(folder / "seg.dcm")
        uids = [pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID for path in _files(folder / "ct")]
    with clock("segment"):
        masks = seg.get_pixels_by_source_instance(
            uids, ignore_spatial_locations=True, assert_missing_frames_are_empty=True
        )
    with clock("measure"):
        found = {}
        for number, description in enumerate(seg.SegmentSequence):
            mask = sitk.GetImageFromArray(np.ascontiguousarray(masks[..., number]).astype(np.uint8))
            mask.CopyInformation(image)
            found[description.SegmentLabel] = _region(image, mask)
        return found


def _region(image: sitk.Image, mask: sitk.Image) -> dict[str, float]:
    shape, values = sitk.LabelShapeStatisticsImageFilter(), sitk.LabelIntensityStatisticsImageFilter()
    shape.Execute(mask)
    values.Execute(mask, image)
    array = sitk.GetArrayViewFromImage(mask)
    corners, faces, _, _ = marching_cubes(np.pad(array, 1), 0.5, spacing=image.GetSpacing()[::-1])
    pixel_mm = image.GetSpacing()[0]
    longest = max(each.feret_diameter_max for plane in array if plane.any() for each in regionprops(label(plane)))
    return {
        "volume_ml": shape.GetPhysicalSize(1) / 1000,
        "surface_cm2": float(mesh_surface_area(corners, faces)) / 100,
        "long_axis_mm": longest * pixel_mm,
        "mean_hu": values.GetMean(1),
    }


def _files(folder: Path) -> tuple[str, ...]:
    return sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))


def _read(folder: Path) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(_files(folder))
    return reader.Execute()


def _bodies(image: sitk.Image, count: int) -> Mask:
    """The largest pieces of tissue, numbered from the largest, opened to lose the table and filled slice by slice."""
    radius = [round(TABLE_MM / step) for step in image.GetSpacing()[:2]]
    tissue = sitk.BinaryMorphologicalOpening(image > AIR_HU, [*radius, 0])
    pieces = sitk.RelabelComponent(sitk.ConnectedComponent(tissue))
    array = sitk.GetArrayFromImage(pieces)
    out = np.zeros(array.shape, dtype=np.uint8)
    for index in range(1, count + 1):
        out[_filled(array == index)] = index
    return out


def _filled(mask: Mask) -> Mask:
    return np.stack([ndimage.binary_fill_holes(plane) for plane in mask])


def _eroded(mask: Mask, image: sitk.Image, depth_mm: float) -> Mask:
    """A mask without its skin."""
    radius = [max(1, round(depth_mm / step)) for step in image.GetSpacing()[:2]]
    return sitk.GetArrayFromImage(sitk.BinaryErode(sitk.GetImageFromArray(mask.astype(np.uint8)), [*radius, 0])) > 0


def _hulls(mask: Mask) -> Mask:
    """The convex hull of the largest piece of each slice."""
    out = np.zeros_like(mask)
    for index, plane in enumerate(mask):
        pieces = label(plane)
        if pieces.any():
            out[index] = convex_hull_image(pieces == np.bincount(pieces.ravel())[1:].argmax() + 1)
    return out


def _window(hu: Mask, where: Mask, window: tuple[int, int]) -> Mask:
    return where & (hu >= window[0]) & (hu <= window[1])


def _labels(shape: tuple[int, ...], masks: dict[int, Mask]) -> Mask:
    out = np.zeros(shape, dtype=np.uint8)
    for number, mask in masks.items():
        out[mask] = number
    return out


def _measured(image: sitk.Image, labels: Mask, names: dict[int, str]) -> dict[str, Any]:
    """Volume, mean HU, and area by slice of each label."""
    as_image = sitk.GetImageFromArray(labels)
    as_image.CopyInformation(image)
    statistics = sitk.LabelIntensityStatisticsImageFilter()
    statistics.Execute(as_image, image)
    pixel_cm2 = image.GetSpacing()[0] * image.GetSpacing()[1] / 100
    return {
        name: {
            "volume_ml": statistics.GetPhysicalSize(number) / 1000,
            "mean_hu": statistics.GetMean(number),
            "area_cm2": ((labels == number).sum(axis=(1, 2)) * pixel_cm2).tolist(),
        }
        for number, name in names.items()
        if statistics.HasLabel(number)
    }


class Clock:
    """Seconds of each step."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        """Time one step."""
        started = time.perf_counter()
        yield
        self.seconds[step] = time.perf_counter() - started


CONTENDERS: dict[str, Callable[[Path, Clock], dict[str, Any]]] = {
    "ct_body_composition": trunk,
    "ct_leg_tissue": legs,
    "measure_segmentation": segmentation,
}


def main(name: str, folder: Path, target: Path) -> None:
    """Measure one folder and write what was found."""
    clock = Clock()
    found = CONTENDERS[name](folder, clock)
    answer = {"segments": found, "seconds": clock.seconds, "peak_mb": memory("VmHWM") / 1024**2}
    target.write_text(json.dumps(answer), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
