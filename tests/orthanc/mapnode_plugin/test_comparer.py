"""Comparer: other pixels under a known UID are a conflict, another header or encoding is none."""

from pathlib import Path

import pytest
from mapnode_plugin.comparer import Arrival, ResendDetector, same_content

from tests.orthanc.fakes import Dicom, FakeOrthanc, configuration, dicom, eventually, new_date

IMAGE = dicom(frames=["ab", "cd"])


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
    fake.callbacks["stored"](Dicom(again, date="20200101T000000"), "a")
    fake.stored["b"] = IMAGE
    fake.callbacks["stored"](Dicom(dicom(frames=["zz"]), date="20200101T000000", aet="PACS"), "b")
    assert eventually(lambda: any(event.id == "b" for event in node.events))
    found = [event for event in node.events if event.id == "a"]
    assert len(found) == conflict
    if conflict:
        assert (found[0].sop_instance_uid, found[0].calling_aet, found[0].origin) == ("1.2.a", "CT", "dicom")


def kept(settings):
    return {path.name: path.read_bytes() for path in Path(settings["StorageDirectory"] + "-replacing").glob("*")}


def test_an_image_with_other_pixels_is_kept_for_the_node_to_put_in_place(load, node, tmp_path):
    settings = configuration(node.url, tmp_path)
    fake, module = load(settings)
    fake.stored["a"] = IMAGE
    other = dicom(frames=["ab", "cx"])
    module.PLUGIN.comparer.compare(Arrival("a", other, "CT", "dicom", 1.0))
    assert kept(settings) == {"a.dcm": other}
    assert fake.stored == {"a": IMAGE}


@pytest.mark.parametrize(
    "stored", [dicom(elements=1), dicom(frames=["ab"], tags={"Manufacturer": "mapnode"})], ids=["no image", "our own"]
)
def test_what_is_no_image_and_what_mapnode_made_stays(load, node, tmp_path, stored):
    settings = configuration(node.url, tmp_path)
    fake, module = load(settings)
    fake.stored["a"] = stored
    module.PLUGIN.comparer.compare(Arrival("a", dicom(frames=["zz"]), "CT", "dicom", 1.0))
    assert kept(settings) == {}
    assert [event["kind"] for event in module.PLUGIN.outbox.take().events] == ["conflict"]


def test_objects_without_pixels_conflict_by_their_elements():
    fake = FakeOrthanc({})
    one, same, other = dicom(elements=1), dicom(elements=1, syntax="2"), dicom(elements=2)
    assert same_content(fake, same, one)
    assert not same_content(fake, other, one)


def test_what_is_new_is_not_even_copied(started):
    fake, module = started

    class New(Dicom):
        def GetInstanceData(self):  # noqa: N802
            raise AssertionError("copied")

    fake.callbacks["stored"](New(IMAGE, date=new_date()), "a")
    assert not module.PLUGIN.comparer._arrivals


def test_a_resend_within_the_same_second_is_seen():
    detector = ResendDetector()
    assert not detector.came_again("a", new_date())
    assert not detector.came_again("b", new_date())
    assert detector.came_again("a", new_date())


def test_without_a_reception_date_everything_is_compared():
    assert ResendDetector().came_again("a", None)


def test_a_resend_that_cannot_be_compared_is_counted(started, node):
    fake, _ = started
    fake.callbacks["stored"](Dicom(IMAGE, date=None), "gone")
    assert eventually(lambda: sum(batch.unchecked for batch in node.batches) == 1)
    assert any("was not compared" in line for line in fake.log)


def test_a_resend_without_room_is_counted(load, node, tmp_path):
    fake, module = load(configuration(node.url, tmp_path))
    module.PLUGIN.comparer._limit_bytes = 1
    for _ in range(2):  # the first may wait alone, however large it is
        fake.callbacks["stored"](Dicom(IMAGE, date=None), "a")
    assert len(module.PLUGIN.comparer._arrivals) == 1
    assert module.PLUGIN.outbox.take().unchecked == 1
