"""The judge sees what is wrong: a judge that agrees with everything proves nothing."""

from dataclasses import replace

import numpy as np
import pytest

from operators.core.geometry import examine
from operators.core.pixels import read_volume
from operators.core.reading import read_folder
from tests.fuzz.corpus import corpus, element
from tests.fuzz.elements import NotStrict, read_file, write_file
from tests.fuzz.judge import judge_volume

ENTRIES = [entry for entry in corpus() if entry.usable]


def read(entry, folder):
    """The volume of an entry, and the tile of each slice."""
    for name, data in entry.files.items():
        (folder / name).write_bytes(data)
    geometry = examine(read_folder(folder).series[0]).volumes[0]
    tiles = [None if frame.tile is None else frame.tile.index for frame in geometry.frames]
    return read_volume(geometry), tiles


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_one_changed_voxel_is_seen(entry, tmp_path):
    volume, tiles = read(entry, tmp_path)
    array = volume.array.copy()
    array[1, 2, 3] += 1

    problems = judge_volume(entry.files, replace(volume, array=array), tiles)

    assert problems == ["slice 1 has other values"]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_a_moved_volume_is_seen(entry, tmp_path):
    volume, tiles = read(entry, tmp_path)
    affine = volume.affine_lps.copy()
    affine[0, 3] += 1

    problems = judge_volume(entry.files, replace(volume, affine_lps=affine), tiles)

    assert problems == [f"slice {index} lies elsewhere" for index in range(len(volume.slices))]


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_swapped_rows_and_columns_are_seen(entry, tmp_path):
    volume, tiles = read(entry, tmp_path)
    affine = volume.affine_lps[:, [0, 2, 1, 3]].copy()

    assert judge_volume(entry.files, replace(volume, affine_lps=affine), tiles)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: entry.name)
def test_forgotten_padding_is_seen(entry, tmp_path):
    volume, tiles = read(entry, tmp_path)
    mask = np.zeros(volume.array.shape, bool) if volume.padding is None else ~volume.padding
    mask[0, 0, 0] = True

    assert "slice 0 has other padding" in judge_volume(entry.files, replace(volume, padding=mask), tiles)


@pytest.mark.parametrize("value", [0, 2, 257])
def test_a_sign_that_files_do_not_say_is_seen(value, tmp_path):
    entry = next(e for e in corpus() if e.name == "signed")
    volume, tiles = read(entry, tmp_path)
    files = {
        name: write_file(read_file(data).put(element("PixelRepresentation", "US", value)))
        for name, data in entry.files.items()
    }

    assert judge_volume(files, volume, tiles)


@pytest.mark.parametrize("entry", corpus(), ids=lambda entry: entry.name)
def test_our_writer_gives_back_what_our_reader_took_apart(entry):
    for data in entry.files.values():
        assert write_file(read_file(data)) == data


@pytest.mark.parametrize("end", [140, 400, 900])
def test_our_reader_refuses_cut_files(end):
    data = next(iter(corpus()[0].files.values()))

    with pytest.raises(NotStrict):
        read_file(data[:end])
