"""Replacements: what came again takes the place of what is stored, and nothing is lost on the way."""

import itertools
import logging
from types import SimpleNamespace

import pytest

from mapnode.pacs import replacements as module
from mapnode.pacs.errors import NotFound, OrthancRefused, OrthancUnreachable
from mapnode.pacs.replacements import LONGEST_PAUSE_S, Replacements
from mapnode.pacs.resources import StoreOutcome, StoreStatus
from tests.mapnode.engine import Clock


class FakeOrthanc:
    """Notes what is done to it, in order; `gone` are deleted already, `silent` does not store, `refused` is content."""

    def __init__(self):
        self.done, self.gone, self.silent, self.refused = [], set(), False, set()
        self.status = StoreStatus.SUCCESS
        self.meanwhile = lambda: None

    def delete_instance(self, instance_id):
        self.done.append(("delete", instance_id))
        if instance_id in self.gone:
            raise NotFound("DELETE /instances", 404, "Unknown resource")

    def store(self, content):
        if self.silent:
            raise OrthancUnreachable("http://127.0.0.1", "ConnectError")
        self.meanwhile()
        self.done.append(("store", content))
        if content in self.refused:
            raise OrthancRefused("POST /instances", 400, "Bad file format")
        return StoreOutcome(id="a", status=self.status)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "storage-replacing"
    folder.mkdir()
    (folder / "a.dcm").write_bytes(b"other")
    return folder


def test_the_stored_one_is_deleted_before_the_other_is_stored(tmp_path, folder):
    orthanc = FakeOrthanc()
    assert Replacements(orthanc, tmp_path / "storage").apply() == 1
    assert orthanc.done == [("delete", "a"), ("store", b"other")]
    assert list(folder.iterdir()) == []


def test_one_that_was_deleted_before_a_kill_is_stored_after_it(tmp_path, folder):
    orthanc = FakeOrthanc()
    orthanc.gone = {"a"}
    Replacements(orthanc, tmp_path / "storage").apply()
    assert orthanc.done[-1] == ("store", b"other")


def test_a_file_stays_until_it_is_stored(tmp_path, folder):
    orthanc = FakeOrthanc()
    orthanc.silent = True
    replacements = Replacements(orthanc, tmp_path / "storage")
    with pytest.raises(OrthancUnreachable):
        replacements.apply()
    assert [path.read_bytes() for path in folder.iterdir()] == [b"other"]

    orthanc.silent = False
    assert replacements.apply() == 1
    assert orthanc.done[-1] == ("store", b"other")
    assert list(folder.iterdir()) == []


def test_a_later_one_that_is_kept_meanwhile_takes_its_turn(tmp_path, folder):
    orthanc = FakeOrthanc()
    orthanc.meanwhile = lambda: (folder / "a.dcm").write_bytes(b"later")
    replacements = Replacements(orthanc, tmp_path / "storage")
    replacements.apply()
    orthanc.meanwhile = lambda: None

    assert replacements.apply() == 1
    assert orthanc.done == [("delete", "a"), ("store", b"other"), ("delete", "a"), ("store", b"later")]
    assert list(folder.iterdir()) == []


def test_what_waits_to_be_compared_is_left_alone(tmp_path, folder):
    (folder / "a.dcm").unlink()
    for name in ("1,a,dicom,CT.again", "2,a,dicom,CT.part"):
        (folder / name).write_bytes(b"waits")
    orthanc = FakeOrthanc()

    assert Replacements(orthanc, tmp_path / "storage").apply() == 0
    assert orthanc.done == []
    assert len(list(folder.iterdir())) == 2


def test_without_a_folder_there_is_nothing_to_do(tmp_path):
    assert Replacements(FakeOrthanc(), tmp_path / "storage").apply() == 0


@pytest.fixture
def refusing(tmp_path, folder, monkeypatch):
    """Orthanc refuses one of two files."""
    clock, orthanc = Clock(), FakeOrthanc()
    monkeypatch.setattr(module, "time", clock)
    (folder / "b.dcm").write_bytes(b"good")
    orthanc.refused = {b"other"}
    return SimpleNamespace(orthanc=orthanc, clock=clock, replacements=Replacements(orthanc, tmp_path / "storage"))


def test_one_that_orthanc_refuses_holds_up_no_other_and_stays(refusing, folder):
    assert refusing.replacements.apply() == 1
    assert refusing.orthanc.done[-1] == ("store", b"good")
    assert [path.read_bytes() for path in folder.iterdir()] == [b"other"]


def test_one_that_orthanc_refuses_is_tried_less_and_less_often_and_told_once(refusing, caplog):
    tries = []
    with caplog.at_level(logging.ERROR):
        for _ in range(600):
            before = len(refusing.orthanc.done)
            refusing.replacements.apply()
            tries += [refusing.clock.now] if len(refusing.orthanc.done) > before else []
            refusing.clock.now += 1
    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]

    assert pauses == sorted(pauses)
    assert pauses[-1] == LONGEST_PAUSE_S
    assert [record.getMessage().startswith("instance a cannot") for record in caplog.records] == [True]


def test_what_is_stored_since_one_was_refused_is_not_deleted_for_it(refusing, folder):
    refusing.replacements.apply()
    refusing.orthanc.done, refusing.orthanc.refused = [], set()
    refusing.orthanc.status = StoreStatus.ALREADY_STORED
    refusing.clock.now += LONGEST_PAUSE_S
    refusing.replacements.apply()

    assert refusing.orthanc.done == [("store", b"other")]
    assert list(folder.iterdir()) == []


def test_a_later_one_does_not_wait_for_the_pause_of_one_that_was_refused(refusing, folder):
    refusing.replacements.apply()
    (folder / "a.dcm").write_bytes(b"later")

    assert refusing.replacements.apply() == 1
    assert refusing.orthanc.done[-2:] == [("delete", "a"), ("store", b"later")]
    assert list(folder.iterdir()) == []
