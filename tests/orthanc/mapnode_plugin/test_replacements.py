"""Replacements: a file from before the answer until it is put in place, whatever is killed in between."""

import errno
from pathlib import Path

import pytest
from mapnode_plugin import replacements as module
from mapnode_plugin.replacements import Replacements


@pytest.fixture
def folder(tmp_path):
    return Path(f"{tmp_path}/storage-replacing")


@pytest.fixture
def restart(tmp_path):
    """The files as an Orthanc finds them that starts."""
    return lambda: Replacements(f"{tmp_path}/storage/")


def take(replacements, data, instance_id="a", calling_aet="CT"):
    return replacements.take(instance_id, data, origin="dicom", calling_aet=calling_aet)


def test_without_a_folder_there_is_nothing(restart):
    assert restart().waiting == []
    assert restart().newest("a") is None


def test_how_it_came_is_known_after_a_restart(restart):
    taken = [take(restart(), b"1", calling_aet=aet) for aet in ("CT 1,/.x", "", "MR.")]

    assert restart().waiting == taken
    assert [one.calling_aet for one in taken] == ["CT 1,/.x", "", "MR."]
    assert {(one.instance_id, one.origin) for one in taken} == {("a", "dicom")}


def test_the_order_is_that_of_their_coming_over_restarts(restart):
    for number in range(12):
        take(restart(), f"{number}".encode())

    assert [one.path.read_bytes() for one in restart().waiting] == [f"{number}".encode() for number in range(12)]


def test_it_is_durable_with_its_name_before_it_is_answered_for(restart, monkeypatch):
    synced = []
    fsync = module.os.fsync

    def note(descriptor):
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().suffix)
        fsync(descriptor)

    monkeypatch.setattr(module.os, "fsync", note)
    take(restart(), b"1")

    assert synced == [".part", ""]


def test_what_was_not_answered_for_is_gone_after_a_restart(restart, folder):
    folder.mkdir()
    (folder / "1,a,dicom,CT.part").write_bytes(b"half")

    assert restart().waiting == []
    assert list(folder.iterdir()) == []


def test_what_cannot_be_written_leaves_nothing(restart, folder, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(module.os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        take(restart(), b"1")
    assert list(folder.iterdir()) == []


def test_of_two_that_are_to_replace_the_later_one_counts(restart, folder):
    replacements = restart()
    for data in (b"1", b"2"):
        replacements.keep(take(replacements, data))

    assert [(path.name, path.read_bytes()) for path in folder.iterdir()] == [("a.dcm", b"2")]
    assert replacements.newest("a") == b"2"


def test_what_the_node_puts_in_place_counts_until_a_later_one_is_kept(restart, folder):
    replacements = restart()
    replacements.keep(take(replacements, b"1"))
    (folder / "a.dcm").rename(folder / "a.placing")
    assert replacements.newest("a") == b"1"
    assert replacements.is_placing("a", b"1")

    replacements.keep(take(replacements, b"2"))

    assert replacements.newest("a") == b"2"
    assert not replacements.is_placing("a", b"2")
    assert not replacements.is_placing("b", b"1")


def test_what_is_the_same_is_dropped_and_need_not_be_there_any_more(restart, folder):
    replacements = restart()
    arrival = take(replacements, b"1")
    for _ in range(2):
        replacements.drop(arrival)
    assert list(folder.iterdir()) == []


def test_one_that_ends_orthanc_whenever_it_is_compared_is_given_up_and_kept(restart, folder):
    take(restart(), b"1")
    take(restart(), b"2")
    for _ in range(module.MOST_TRIES):
        replacements = restart()
        replacements.begin(replacements.waiting[0])
    after = restart()

    assert [one.path.read_bytes() for one in after.given_up] == [b"1"]
    assert [one.path.read_bytes() for one in after.waiting] == [b"2"]
    assert take(after, b"3").number == 3
