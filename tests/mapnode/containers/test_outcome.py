"""Outcome: what a container left becomes a result, whatever it left."""

import dataclasses
import tracemalloc

import pytest
from pydicom import dcmread, uid

from mapnode.containers.outcome import gather
from mapnode.containers.output import survey
from mapnode.share import import_root
from operators.core.contract import Output, Result, Status
from operators.core.manifest import read_manifest
from tests.builders import make_ct_series
from tests.mapnode.containers.test_confinement import image

OURS = dataclasses.replace(
    image(), own=read_manifest(import_root() / "apps" / "ct_body_composition" / "app.yaml")
)  # fmt: skip


@pytest.fixture
def place(tmp_path):
    for name in ("source", "target"):
        (tmp_path / name).mkdir()
    return tmp_path / "source", tmp_path / "target"


def outcome(of, place, code=0, log=()):
    source, target = place
    return gather(of, survey(source), source, target, code, list(log))


def write_result(source, *outputs, status=Status.DONE):
    result = Result(app="toy", version="1.0.0", status=status, outputs=tuple(Output(path=path) for path in outputs))
    (source / "result.json").write_text(result.to_json())


def test_a_result_json_is_believed_and_the_files_that_it_names_are_taken_over(place):
    source, target = place
    write_result(source, "seg.dcm")
    for name in ("seg.dcm", "cache.bin"):
        (source / name).write_bytes(b"x")

    assert outcome(image(), place).status is Status.DONE
    assert sorted(path.name for path in target.iterdir()) == ["result.json", "seg.dcm"]


@pytest.mark.parametrize("name", ["absent.dcm", "../../etc/passwd", "/etc/passwd", "folder", "."])
def test_a_result_json_that_names_what_is_no_file_of_its_own_fails(place, name):
    (place[0] / "folder").mkdir()
    write_result(place[0], name)
    result = outcome(image(), place)

    assert (result.status, "files that are not in its output folder" in result.reasons[0].message) == ("failed", True)
    assert [path.name for path in place[1].iterdir()] == ["result.json"]


def test_a_result_json_that_contradicts_the_exit_code_fails(place):
    write_result(place[0])

    assert outcome(image(), place, code=1).status is Status.FAILED


def test_not_applicable_stays_what_it_is(place):
    write_result(place[0], status=Status.NOT_APPLICABLE)

    assert outcome(OURS, place, code=4).status is Status.NOT_APPLICABLE


def test_an_app_of_ours_without_result_json_has_failed_whatever_else_it_left(place):
    make_ct_series(place[0], slices=1)

    assert "left no valid result.json" in outcome(OURS, place).reasons[0].message


def test_a_result_json_larger_than_any_is_not_read(place):
    with (place[0] / "result.json").open("wb") as file:
        file.truncate(2**31)

    assert "of more than 64 MB" in outcome(image(), place).reasons[0].message


def test_last_words_lose_what_they_quote(place):
    result = outcome(image(), place, code=1, log=["ValueError: bad name 'DOE^JANE'"])

    assert "DOE" not in result.reasons[0].message


def test_a_result_json_that_names_a_file_twice_fails(place):
    write_result(place[0], "seg.dcm", "seg.dcm")
    (place[0] / "seg.dcm").write_bytes(b"x")

    assert "names a file twice" in outcome(image(), place).reasons[0].message


def test_a_result_json_that_is_no_text_fails(place):
    (place[0] / "result.json").write_bytes(b"\xff\xfe{}")

    assert "left no valid result.json" in outcome(image(), place).reasons[0].message


def test_an_object_that_inflates_without_end_is_none_and_takes_no_memory(place, tmp_path, monkeypatch):
    """Deflate packs a thousand to one: 2 MB of a container's would take 3 GB of the node's memory."""
    monkeypatch.setattr("operators.core.dicom_file.LARGEST_INFLATED", (100_000, 1))
    for name, zeros in (("small", 1_000), ("bomb", 10_000_000)):
        dataset = dcmread(make_ct_series(tmp_path / name, slices=1)[0])
        dataset.add_new(0x00091001, "OB", bytes(zeros))
        dataset.file_meta.TransferSyntaxUID = uid.DeflatedExplicitVRLittleEndian
        dataset.save_as(place[0] / name)
    tracemalloc.start()
    result = outcome(image(), place)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert ([one.path for one in result.outputs], [one.code for one in result.skipped_files]) == (
        ["0001.dcm"],
        ["no_dicom"],
    )
    assert most < 10_000_000
