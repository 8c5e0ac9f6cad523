"""Allowances: the files that Orthanc's filter for HTTP looks at; none lets nothing in."""

import pytest
from mapnode_plugin.allowances import INTAKE, RESULTS, Allowances


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "storage-gate"


@pytest.fixture
def log():
    return []


@pytest.fixture
def allowances(tmp_path, log):
    return Allowances(f"{tmp_path}/storage/", log.append)


def test_nothing_comes_in_until_somebody_says_so(folder, allowances):
    assert not folder.exists()
    allowances.set(INTAKE, 1000)
    assert (folder / INTAKE).read_text() == "1000\n"
    assert not (folder / RESULTS).exists()


def test_what_an_earlier_orthanc_left_lets_nothing_in(tmp_path, folder):
    folder.mkdir()
    (folder / INTAKE).write_text("1000")
    Allowances(str(tmp_path / "storage"), print)
    assert not (folder / INTAKE).exists()


@pytest.mark.parametrize("nothing", [0, -5])
def test_closing_takes_the_file_away_and_opening_brings_it_back(folder, allowances, nothing):
    allowances.set(INTAKE, 1000)
    allowances.set(INTAKE, nothing)
    assert not (folder / INTAKE).exists()
    allowances.set(INTAKE, 1000)
    assert (folder / INTAKE).exists()


def test_a_file_is_not_written_for_every_byte(folder, allowances):
    allowances.set(INTAKE, 1600)
    for little in (1601, 1700, 1500):
        allowances.set(INTAKE, little)
        assert (folder / INTAKE).read_text() == "1600\n"
    allowances.set(INTAKE, 1499)
    assert (folder / INTAKE).read_text() == "1499\n"


def test_a_file_that_cannot_be_written_lets_nothing_in_and_is_told_of_once(folder, allowances, log):
    allowances.set(INTAKE, 1000)
    (folder / f"{INTAKE}.draft").mkdir()
    for size in (5000, 6000):
        allowances.set(INTAKE, size)
        assert not (folder / INTAKE).exists()
    assert len(log) == 1
    (folder / f"{INTAKE}.draft").rmdir()
    allowances.set(INTAKE, 6000)
    assert (folder / INTAKE).exists()


def test_a_file_that_cannot_be_removed_is_tried_again(folder, allowances):
    allowances.set(INTAKE, 1000)
    (folder / INTAKE).unlink()
    (folder / INTAKE).mkdir()
    allowances.set(INTAKE, 0)
    (folder / INTAKE).rmdir()
    (folder / INTAKE).touch()
    allowances.set(INTAKE, 0)
    assert not (folder / INTAKE).exists()
