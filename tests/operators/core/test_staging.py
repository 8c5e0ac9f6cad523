"""Staging: a volume from its stage is the volume from its files, and anything that does not fit is read anew."""

import json
import random

import numpy as np
import pytest
from pydicom import dcmread

from operators.core.geometry import VolumeGeometry, examine
from operators.core.pixels import read_volume, volume_of
from operators.core.reading import read_folder
from operators.core.staging import FRAMES_NAME, INDEX_NAME, StageWriter, take_staged
from operators.load import LoadVolumeParameters
from operators.load.load_volume import load_volume
from tests.builders import make_ct_series


def geometry_of(folder) -> VolumeGeometry:
    (series,) = read_folder(folder).series
    (volume,) = examine(series).volumes
    return volume


def stage(folder, target, order=None) -> int:
    """Decode all instances of a folder, in the order of their names or another one."""
    (series,) = read_folder(folder).series
    instances = sorted(series.instances, key=lambda instance: instance.path.name)
    with StageWriter(target) as writer:
        return sum(writer.add(instances[i]) for i in order or range(len(instances)))


def rescaled(dataset, _index):
    dataset.RescaleSlope, dataset.RescaleIntercept = "0.5", "-3"


def padded(dataset, index):
    dataset.PixelPaddingValue = dcmread_first(dataset) if index % 2 else 7
    dataset["PixelPaddingValue"].VR = "SS"


def dcmread_first(dataset) -> int:
    return int(np.frombuffer(dataset.PixelData, "<i2")[0])


@pytest.mark.parametrize("edit", [None, rescaled, padded], ids=["int16", "fractions", "padding"])
@pytest.mark.parametrize("order", ["ascending", "descending", "shuffled"])
def test_volume_from_the_stage_equals_the_volume_from_its_files(tmp_path, edit, order):
    make_ct_series(tmp_path / "in", edit=edit)
    numbers = list(range(12))
    if order == "descending":
        numbers.reverse()
    if order == "shuffled":
        random.Random(1).shuffle(numbers)
    geometry = geometry_of(tmp_path / "in")

    assert stage(tmp_path / "in", tmp_path / "stage", numbers) == 12
    staged, read = volume_of(geometry, take_staged(tmp_path / "stage", geometry)), read_volume(geometry)

    assert staged.array.dtype == read.array.dtype
    assert np.array_equal(staged.array, read.array)
    assert (staged.padding is None) == (read.padding is None)
    assert read.padding is None or (read.padding.any() and np.array_equal(staged.padding, read.padding))
    assert [s.pixel_sha256 for s in staged.slices] == [s.pixel_sha256 for s in read.slices]


def test_slices_in_order_are_mapped_not_copied(tmp_path):
    make_ct_series(tmp_path / "in")
    stage(tmp_path / "in", tmp_path / "stage")

    array = take_staged(tmp_path / "stage", geometry_of(tmp_path / "in")).array

    assert isinstance(array.base, np.memmap)


def test_staged_volume_is_taken_without_its_pixels_being_read_again(tmp_path, monkeypatch):
    make_ct_series(tmp_path / "in")
    stage(tmp_path / "in", tmp_path / "stage")
    geometry = geometry_of(tmp_path / "in")
    expected = read_volume(geometry).array
    monkeypatch.setattr("operators.core.pixels.read_frames", None)

    volume = load_volume(geometry, LoadVolumeParameters(tmp_path / "stage"))

    assert np.array_equal(volume.array, expected)


class TestMisfit:
    """Whatever does not fit, the volume comes from its files."""

    @staticmethod
    def staged(tmp_path):
        paths = make_ct_series(tmp_path / "in")
        stage(tmp_path / "in", tmp_path / "stage")
        return paths

    def test_file_that_changed_is_not_taken_from_the_stage(self, tmp_path):
        paths = self.staged(tmp_path)
        dataset = dcmread(paths[3])
        dataset.PixelData = bytes(len(dataset.PixelData))
        dataset.save_as(paths[3])
        geometry = geometry_of(tmp_path / "in")

        assert take_staged(tmp_path / "stage", geometry) is None
        assert (load_volume(geometry, LoadVolumeParameters(tmp_path / "stage")).array[3] == -1024).all()

    @pytest.mark.parametrize("name", [FRAMES_NAME, INDEX_NAME])
    def test_stage_that_was_cut_off_is_not_taken(self, tmp_path, name):
        self.staged(tmp_path)
        path = tmp_path / "stage" / name
        path.write_bytes(path.read_bytes()[:-20])

        assert take_staged(tmp_path / "stage", geometry_of(tmp_path / "in")) is None

    def test_slice_that_was_not_staged_is_missed(self, tmp_path):
        make_ct_series(tmp_path / "in")
        stage(tmp_path / "in", tmp_path / "stage", range(11))

        assert take_staged(tmp_path / "stage", geometry_of(tmp_path / "in")) is None

    def test_folder_without_a_stage_is_no_failure(self, tmp_path):
        make_ct_series(tmp_path / "in")

        volume = load_volume(geometry_of(tmp_path / "in"), LoadVolumeParameters(tmp_path / "nothing"))

        assert volume.array.shape == (12, 6, 5)

    def test_one_slice_of_another_type_is_read_from_files_with_all(self, tmp_path):
        make_ct_series(tmp_path / "in", edit=lambda ds, index: rescaled(ds, index) if index == 4 else None)
        stage(tmp_path / "in", tmp_path / "stage")
        geometry = geometry_of(tmp_path / "in")

        assert take_staged(tmp_path / "stage", geometry) is None
        assert load_volume(geometry, LoadVolumeParameters(tmp_path / "stage")).array.dtype == np.float32


def test_undecodable_instance_is_left_out_and_the_next_is_staged(tmp_path):
    paths = make_ct_series(tmp_path / "in")
    dataset = dcmread(paths[5])
    dataset.PixelData = dataset.PixelData[:-4]
    dataset.save_as(paths[5])

    assert stage(tmp_path / "in", tmp_path / "stage") == 11


def test_stage_goes_on_where_an_earlier_writer_stopped(tmp_path):
    make_ct_series(tmp_path / "in")
    stage(tmp_path / "in", tmp_path / "stage", range(6))
    stage(tmp_path / "in", tmp_path / "stage", range(6, 12))

    geometry = geometry_of(tmp_path / "in")

    assert np.array_equal(take_staged(tmp_path / "stage", geometry).array, read_volume(geometry).array)
    lines = (tmp_path / "stage" / INDEX_NAME).read_text().splitlines()
    assert [json.loads(line)["offset"] for line in lines] == [index * 60 for index in range(12)]
