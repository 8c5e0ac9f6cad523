"""Shared data: every folder is read as SimpleITK, pydicom and dcm2niix read it, figures from its expected.json."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pydicom.config import settings
from typer.testing import CliRunner

from mapnode.cli import app
from operators.core.geometry import SeriesGeometry, VolumeGeometry, examine
from operators.core.pixels import read_values, read_volume
from operators.core.reading import Folder, read_folder
from tests.conftest import SHARED_DATA

LPS_OF_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
FLOAT32_RATIO = 1e-6
"""Values that are no whole numbers are kept as float32."""


@dataclass(frozen=True)
class Directory:
    """Files that lie in one directory of a folder, and what is expected of them."""

    folder: str
    name: str
    document: dict[str, Any]

    @property
    def path(self) -> Path:
        return SHARED_DATA / self.folder / self.name

    @property
    def series(self) -> dict[str, dict[str, Any]]:
        return {one["SeriesInstanceUID"] or "": one for one in self.document["series"] if one["dir"] == self.name}

    @property
    def unreadable(self) -> list[str]:
        files = [Path(one["file"]) for one in self.document["unreadable"]]
        return [file.name for file in files if str(file.parent) == self.name]

    @property
    def after_repair(self) -> list[dict[str, Any]]:
        """What is right after copies or a localizer were left out, for series that are one volume only then."""
        return [value["sitk_series"] for key, value in self.document.items() if key.startswith("after_")]

    @property
    def nifti(self) -> list[dict[str, Any]]:
        """What dcm2niix makes of the directory."""
        found: dict[str, Any] = self.document.get("dcm2niix", {}).get(self.name, {})
        return found.get("volumes", [])


def directories():
    for path in sorted(SHARED_DATA.glob("*/expected.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        names = {one["dir"] for one in document["series"]}
        names |= {str(Path(one["file"]).parent) for one in document["unreadable"]}
        yield from (Directory(path.parent.name, name, document) for name in sorted(names))


DIRECTORIES = {f"{one.folder}/{one.name}".removesuffix("/."): one for one in directories()}


def named(condition):
    """Parameters: the directories for which something is expected, under their names."""
    return pytest.mark.parametrize(
        "directory", [pytest.param(one, id=name) for name, one in DIRECTORIES.items() if condition(one)]
    )


def is_judged(expected):
    """Whether a series is a regular volume that SimpleITK read."""
    judged = expected.get("sitk_series") or len(expected.get("instances", ())) == 1
    return bool(judged and expected.get("is_regular_volume"))


def has_judged(directory):
    return any(map(is_judged, directory.series.values()))


def has_irregular_sum(directory):
    series = directory.series.values()
    return any(one["volume_sum"] is not None and not one.get("is_regular_volume") for one in series)


def has_time(directory):
    """Whether dcm2niix makes one image with a fourth dimension of its only series, and nothing else."""
    return len(directory.series) == len(directory.nifti) == 1 and directory.nifti[0]["dim"][3:] > [1]


@pytest.fixture
def linked(shared_data, tmp_path):
    """A folder with the files of one directory and nothing from the directories below it."""

    def link(directory: Directory) -> Path:
        folder = tmp_path / "in"
        folder.mkdir()
        for path in directory.path.iterdir():
            if path.is_file():
                (folder / path.name).symlink_to(path)
        return folder

    return link


@pytest.fixture
def read(linked):
    return lambda directory: read_folder(linked(directory))


def examined(found: Folder) -> dict[str, SeriesGeometry]:
    return {series.uid: examine(series) for series in found.series}


def judgement(expected: dict[str, Any]) -> dict[str, Any]:
    """What SimpleITK read of a series: as a series of files, or of its only instance where that has many frames."""
    (*_, only) = expected["instances"]
    return expected.get("sitk_series") or only["sitk"]


def reversed_slices(affine_lps: np.ndarray, slices: int) -> np.ndarray:
    """The affine of the same voxels with their slices counted from the last."""
    found = affine_lps.copy()
    found[:3, 3] += (slices - 1) * affine_lps[:3, 0]
    found[:3, 0] *= -1
    return found


def in_order_of_simpleitk(volume: VolumeGeometry, expected: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    """Values and affine, their slices as SimpleITK orders them: some enhanced images it reads against the normal."""
    read = read_volume(volume)
    if expected.get("sitk_runs_against_normal"):
        return read.array[::-1], reversed_slices(read.affine_lps, len(read.array))
    return read.array, read.affine_lps


def assert_same_grid(shape, affine, image):
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    assert shape == tuple(reversed(image["size_xyz"]))
    assert spacing[::-1] == pytest.approx(image["spacing_xyz"], abs=1e-4)
    # The columns of ITK's matrix are the directions of the x, y and z index: column, row, slice.
    assert (affine[:3, :3] / spacing)[:, ::-1].ravel() == pytest.approx(image["direction"], abs=1e-4)
    assert affine[:3, 3] == pytest.approx(image["origin_xyz"], abs=1e-3)


def assert_same_values(array, image):
    whole = "sha256_int32_zyx" in image
    agree = {"rel": 0, "abs": 0} if whole else {"rel": FLOAT32_RATIO}
    assert array.sum(dtype=np.float64) == pytest.approx(image["sum"], **agree)
    assert [array.min(), array.max()] == pytest.approx([image["min"], image["max"]], **agree)
    centre = image["center_10x10x3"]
    x, y, z = (slice(start, start + size) for start, size in zip(centre["start_xyz"], centre["size_xyz"], strict=True))
    assert array[z, y, x].mean(dtype=np.float64) == pytest.approx(centre["mean"], rel=FLOAT32_RATIO)
    if whole:
        # A cast would hide what is not whole.
        assert np.array_equal(array, array.astype("<i4"))
        assert hashlib.sha256(array.astype("<i4").tobytes()).hexdigest() == image["sha256_int32_zyx"]


@named(lambda directory: True)
def test_the_same_series_exist_and_the_same_ones_are_regular(read, directory):
    found = read(directory)
    unreadable = [s.uid for s in found.series if {i.path.name for i in s.instances} <= set(directory.unreadable)]

    geometries = {uid: one for uid, one in examined(found).items() if uid not in unreadable}

    assert {uid: len(one.series.instances) for uid, one in geometries.items()} == {
        uid: one["n_instances"] for uid, one in directory.series.items()
    }
    # Reports and segmentations have no geometry: no volume is made of them.
    assert {uid: one.regular for uid, one in geometries.items()} == {
        uid: one.get("is_regular_volume", False) for uid, one in directory.series.items()
    }
    assert [uid for uid, one in geometries.items() if not one.volumes] == [
        uid for uid in geometries if "geometry" not in directory.series[uid]
    ]


@named(has_judged)
def test_regular_series_is_the_volume_that_simpleitk_reads(read, directory):
    geometries = examined(read(directory))

    for uid, expected in directory.series.items():
        if not is_judged(expected):
            continue
        (volume,) = geometries[uid].volumes
        array, affine = in_order_of_simpleitk(volume, expected)
        assert_same_grid(array.shape, affine, judgement(expected))
        assert_same_values(array, judgement(expected))


@named(has_judged)
def test_slices_ascend_along_the_normal_and_lie_where_their_files_say(read, directory):
    geometries = examined(read(directory))

    for uid, expected in directory.series.items():
        if not is_judged(expected):
            continue
        (volume,) = geometries[uid].volumes
        cosines = np.array(expected["direction_cosines"])
        normal = np.cross(cosines[:3], cosines[3:])
        assert volume.affine_lps[:3, 0] @ normal == pytest.approx(expected["spacing"][2], abs=1e-4)
        places = {Path(one["file"]).name: one["ipp"] for one in expected["instances"]}
        for index, frame in enumerate(volume.frames):
            place = places[frame.instance.path.name]
            # expected.json gives no positions of single frames.
            if place is not None:
                assert (volume.affine_lps @ (index, 0, 0, 1))[:3] == pytest.approx(place, abs=0.02)


@named(lambda directory: bool(directory.series))
def test_command_line_gives_the_regular_volumes_that_simpleitk_reads(linked, monkeypatch, directory):
    # The command changes how the whole process reads; this puts it back.
    monkeypatch.setattr(settings, "reading_validation_mode", settings.reading_validation_mode)

    done = CliRunner().invoke(app, ["series", str(linked(directory)), "--json"])

    assert done.exit_code == 0
    entries = {one["series_instance_uid"]: one for one in json.loads(done.stdout)}
    for uid, expected in directory.series.items():
        assert entries[uid]["regular"] == expected.get("is_regular_volume", False)
        if not is_judged(expected):
            continue
        (volume,), image = entries[uid]["volumes"], judgement(expected)
        affine = np.array(volume["affine_lps"])
        if expected.get("sitk_runs_against_normal"):
            affine = reversed_slices(affine, volume["shape"][0])
        assert_same_grid(tuple(volume["shape"]), affine, image)
        assert volume["spacing_mm"][::-1] == pytest.approx(image["spacing_xyz"], abs=1e-4)
        assert volume["sum"] == pytest.approx(image["sum"], rel=1e-12)


@named(lambda directory: not directory.after_repair and has_irregular_sum(directory))
def test_irregular_series_keep_the_sum_of_their_values(read, directory):
    geometries = examined(read(directory))

    for uid, expected in directory.series.items():
        if expected["volume_sum"] is None or expected.get("is_regular_volume"):
            continue
        total = sum(read_values(volume).sum(dtype=np.float64) for volume in geometries[uid].volumes)
        if expected["photometric"] == "MONOCHROME1":
            # SimpleITK turns these upside down for display, each value v into 2^BitsStored - 1 - v; we keep what was
            # measured, as the Modality LUT gives it.
            total = expected["rows"] * expected["columns"] * (2 ** expected["bits_stored"] - 1) - total
        assert total == pytest.approx(expected["volume_sum"], rel=1e-12)


@named(lambda directory: bool(directory.after_repair))
def test_what_is_regular_after_copies_or_a_localizer_were_left_out_is_read_without_them(read, directory):
    (geometry,) = examined(read(directory)).values()

    for image in directory.after_repair:
        (volume,) = [one for one in geometry.volumes if one.shape == tuple(reversed(image["size_xyz"]))]
        found = read_volume(volume)
        assert_same_grid(found.array.shape, found.affine_lps, image)
        assert_same_values(found.array, image)


@named(has_time)
def test_volumes_in_time_are_those_of_dcm2niix(read, directory):
    (geometry,) = examined(read(directory)).values()
    (nifti,) = directory.nifti
    columns, rows, slices, times = nifti["dim"]

    arrays = [read_values(volume) for volume in geometry.volumes]

    assert [volume.shape for volume in geometry.volumes] == [(slices, rows, columns)] * times
    assert sum(array.sum(dtype=np.float64) for array in arrays) == pytest.approx(nifti["sum"], rel=1e-12)
    assert (min(map(np.min, arrays)), max(map(np.max, arrays))) == (nifti["min"], nifti["max"])


@named(lambda directory: has_time(directory) and directory.nifti[0]["dim"][2] > 1)
def test_voxels_of_volumes_in_time_lie_where_dcm2niix_puts_them(read, directory):
    (geometry,) = examined(read(directory)).values()
    (nifti,) = directory.nifti
    columns, rows, slices, _ = nifti["dim"]
    corners = [(s, r, c) for s in (0, slices - 1) for r in (0, rows - 1) for c in (0, columns - 1)]
    # NIfTI counts columns, then rows from the last to the first, then slices; its millimetres run right, front, head.
    expected = [LPS_OF_RAS @ nifti["affine_ras"] @ (c, rows - 1 - r, s, 1) for s, r, c in corners]

    for volume in geometry.volumes:
        found = [volume.affine_lps @ (*corner, 1) for corner in corners]
        assert np.abs(np.subtract(found, expected)).max() < 1e-3
        assert volume.spacing_mm == pytest.approx((nifti["pixdim"][2], *nifti["pixdim"][1::-1]), abs=1e-4)


@pytest.mark.filterwarnings("ignore:Failed to encode value with encodings:UserWarning")
@named(lambda directory: bool(directory.series))
def test_patient_names_are_decoded_as_written(read, directory):
    for series in read(directory).series:
        if series.uid in directory.series:
            names = {str(instance.header.get("PatientName", "")) for instance in series.instances}
            assert names == set(directory.series[series.uid]["patient_names"])


@named(lambda directory: bool(directory.unreadable))
def test_file_that_pydicom_does_not_open_is_read_or_named(read, directory):
    found = read(directory)

    read_files = {instance.path.name for series in found.series for instance in series.instances}
    assert set(directory.unreadable) <= read_files | {file.name for file in found.skipped}


@named(lambda directory: bool(directory.unreadable))
def test_file_that_pydicom_does_not_open_is_never_measured(read, directory):
    for geometry in examined(read(directory)).values():
        if {instance.path.name for instance in geometry.series.instances} & set(directory.unreadable):
            assert not geometry.usable
