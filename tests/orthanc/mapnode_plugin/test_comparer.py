"""Comparer: other pixels under a known UID are a conflict, another header or encoding is none; none is lost."""

import errno
import threading
import time
from pathlib import Path

import pytest
from mapnode_plugin import replacements
from mapnode_plugin.comparer import ResendDetector, same_content

from tests.orthanc.fakes import Dicom, FakeOrthanc, configuration, dicom, eventually, new_date

IMAGE = dicom(frames=["ab", "cd"])
OTHER = dicom(frames=["ab", "cx"])
OLD = "20200101T000000"


@pytest.mark.parametrize(
    ("again", "conflict"),
    [
        (IMAGE, False),
        (dicom(frames=["ab", "cd"], elements={"0008,103e": "corrected"}), False),
        (dicom(frames=["AB", "CD"], syntax="2"), False),
        (dicom(frames=["AB", "CD"]), False),
        (dicom(frames=["ab", "cx"]), True),
        (dicom(frames=["ab"]), True),
        (dicom(elements={}), True),
        (dicom(frames=["ab", "cd"], tags={"PatientName": "Corrected"}), True),
    ],
    ids=[
        "equal",
        "other header",
        "other syntax",
        "other encoder",
        "other pixels",
        "fewer frames",
        "no pixels",
        "corrected",
    ],
)
def test_a_resend_conflicts_when_its_pixels_are_others(started, node, again, conflict):
    fake, _ = started
    fake.stored["a"] = IMAGE
    fake.callbacks["stored"](Dicom(again, date=OLD), "a")
    fake.stored["b"] = IMAGE
    fake.callbacks["stored"](Dicom(dicom(frames=["zz"]), date=OLD, aet="PACS"), "b")
    assert eventually(lambda: any(event.id == "b" for event in node.events))
    found = [event for event in node.events if event.id == "a"]
    assert len(found) == conflict
    if conflict:
        assert (found[0].sop_instance_uid, found[0].calling_aet, found[0].origin) == ("1.2.a", "CT", "dicom")


@pytest.fixture
def files(tmp_path):
    """Looks at the files of what came again: content by name; None when one goes at that moment."""

    def files():
        try:
            return {path.name: path.read_bytes() for path in Path(f"{tmp_path}-replacing").glob("*")}
        except FileNotFoundError:
            return None

    return files


@pytest.fixture
def restart(load, node, tmp_path):
    """Loads the plugin as an Orthanc does that was killed: nothing is in memory. The last one is stopped at the end."""
    loaded = []

    def restart():
        loaded.append(load(configuration(node.url, tmp_path)))
        return loaded[-1]

    yield restart
    fake, module = loaded[-1]
    if module.PLUGIN.sender.is_alive():
        stop(fake)


@pytest.fixture
def later(monkeypatch):
    """Sets the clock forward, by seconds."""
    now = time.time
    forward_s = 0.0
    monkeypatch.setattr(time, "time", lambda: now() + forward_s)

    def later(seconds):
        nonlocal forward_s
        forward_s += seconds

    return later


def start(fake):
    fake.callbacks["change"](fake.ChangeType.ORTHANC_STARTED, 4, "")


def stop(fake):
    fake.callbacks["change"](fake.ChangeType.ORTHANC_STOPPED, 4, "")


def test_an_image_with_other_pixels_is_kept_for_the_node_to_put_in_place(started, files):
    fake, _ = started
    fake.stored["a"] = IMAGE
    fake.callbacks["stored"](Dicom(OTHER, date=OLD), "a")
    assert eventually(lambda: files() == {"a.dcm": OTHER})
    assert fake.stored == {"a": IMAGE}


@pytest.mark.parametrize(
    "stored", [dicom(elements=1), dicom(frames=["ab"], tags={"Manufacturer": "mapnode"})], ids=["no image", "our own"]
)
def test_what_is_no_image_and_what_mapnode_made_stays(started, node, files, stored):
    fake, _ = started
    fake.stored["a"] = stored
    fake.callbacks["stored"](Dicom(dicom(frames=["zz"]), date=OLD), "a")
    assert eventually(lambda: [event.kind for event in node.events] == ["conflict"])
    assert eventually(lambda: files() == {})


def test_what_came_again_is_on_disk_before_its_sender_is_told_of_success(restart, files):
    fake, _ = restart()
    fake.callbacks["stored"](Dicom(OTHER, date=OLD), "a")
    assert list(files().values()) == [OTHER]


def test_what_was_not_compared_when_orthanc_was_killed_is_compared_when_it_starts_again(restart, node, files):
    fake, _ = restart()
    fake.callbacks["stored"](Dicom(OTHER, date=OLD, aet="CT 1,/.x"), "a")
    fake.callbacks["stored"](Dicom(IMAGE, date=OLD), "b")

    fake, _ = restart()
    fake.stored = {"a": IMAGE, "b": IMAGE}
    start(fake)

    assert eventually(lambda: files() == {"a.dcm": OTHER})
    assert eventually(lambda: node.events)
    (event,) = node.events
    assert (event.id, event.calling_aet, event.origin) == ("a", "CT 1,/.x", "dicom")
    assert abs(event.at - time.time()) < 5


def test_the_last_one_counts_over_a_restart_too(restart, files):
    fake, _ = restart()
    for number in range(11):
        fake.callbacks["stored"](Dicom(dicom(frames=[f"{number}"]), date=OLD), "a")

    fake, _ = restart()
    fake.stored["a"] = IMAGE
    fake.callbacks["stored"](Dicom(OTHER, date=OLD), "a")
    start(fake)

    assert eventually(lambda: files() == {"a.dcm": OTHER})


def test_the_first_one_again_counts_when_another_is_to_replace_it(started, files):
    fake, _ = started
    fake.stored["a"] = IMAGE
    for data in (OTHER, IMAGE):
        fake.callbacks["stored"](Dicom(data, date=OLD), "a")
    assert eventually(lambda: files() == {"a.dcm": IMAGE})


def test_what_the_node_puts_in_place_is_no_news_although_a_later_one_waits(started, files, tmp_path):
    fake, _ = started
    placing = Path(f"{tmp_path}-replacing") / "a.placing"
    placing.parent.mkdir()
    placing.write_bytes(OTHER)
    fake.callbacks["stored"](Dicom(IMAGE, date=OLD), "a")
    assert eventually(lambda: files() == {"a.dcm": IMAGE, "a.placing": OTHER})

    fake.callbacks["stored"](Dicom(OTHER, date=OLD, origin=fake.InstanceOrigin.REST_API), "a")

    assert files() == {"a.dcm": IMAGE, "a.placing": OTHER}


def test_a_resend_of_what_the_node_puts_in_place_is_none(started, node, files, tmp_path):
    fake, _ = started
    placing = Path(f"{tmp_path}-replacing") / "a.placing"
    placing.parent.mkdir()
    placing.write_bytes(OTHER)
    fake.stored = {"a": IMAGE, "b": IMAGE}
    for name in "ab":
        fake.callbacks["stored"](Dicom(OTHER, date=OLD), name)
    assert eventually(lambda: files() == {"a.placing": OTHER, "b.dcm": OTHER})


def test_what_orthanc_does_not_answer_for_while_it_ends_is_compared_when_it_starts_again(restart, files):
    fake, module = restart()
    asked = threading.Event()

    def fail_at_the_end(_name):
        asked.set()
        eventually(lambda: module.PLUGIN.comparer._stopping)
        raise ValueError("ending")

    fake.GetDicomForInstance = fail_at_the_end
    start(fake)
    fake.callbacks["stored"](Dicom(OTHER, date=OLD), "a")
    assert asked.wait(5)
    stop(fake)
    assert list(files().values()) == [OTHER]
    assert module.PLUGIN.outbox.take() is None


def test_objects_without_pixels_conflict_by_their_elements():
    fake = FakeOrthanc({})
    one, same, other = dicom(elements=1), dicom(elements=1, syntax="2"), dicom(elements=2)
    assert same_content(fake, same, one)
    assert not same_content(fake, other, one)


def test_what_is_new_is_not_even_copied(restart, later, files):
    class New(Dicom):
        def GetInstanceData(self):  # noqa: N802
            raise AssertionError("copied")

    fake, _ = restart()
    later(10)
    fake.callbacks["stored"](New(IMAGE, date=new_date()), "a")
    assert files() == {}


def test_a_resend_within_the_same_second_is_seen(later):
    detector = ResendDetector()
    later(10)
    assert not detector.came_again("a", new_date())
    assert not detector.came_again("b", new_date())
    assert detector.came_again("a", new_date())


def test_what_was_stored_in_the_moments_before_a_kill_is_compared(later):
    stored = new_date()
    later(1)
    detector = ResendDetector()
    assert detector.came_again("a", stored)
    later(2)
    assert not detector.came_again("b", new_date())


def test_without_a_reception_date_everything_is_compared():
    assert ResendDetector().came_again("a", None)


def test_a_resend_that_cannot_be_compared_is_counted(started, node):
    fake, _ = started
    fake.callbacks["stored"](Dicom(IMAGE, date=None), "gone")
    assert eventually(lambda: sum(batch.unchecked for batch in node.batches) == 1)
    assert any("was not compared" in line for line in fake.log)


def test_a_resend_that_cannot_be_written_is_counted_and_leaves_nothing(started, node, files, monkeypatch):
    def full(_descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    fake, _ = started
    monkeypatch.setattr(replacements.os, "fsync", full)
    fake.callbacks["stored"](Dicom(IMAGE, date=OLD), "a")
    assert eventually(lambda: sum(batch.unchecked for batch in node.batches) == 1)
    assert any("was not compared" in line for line in fake.log)
    assert files() == {}
