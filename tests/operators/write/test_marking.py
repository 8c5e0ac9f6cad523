"""Marking: results carry the identity's clock, their research status and the device that made them."""

import dataclasses

import pytest
from pydicom import Dataset, Sequence, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import UID

from operators.core.identity import ResultIdentity
from operators.write.marking import (
    OPTIONAL_SEQUENCES,
    contributing_equipment,
    device_uid,
    save,
    series_description,
    source_headers,
    stamp,
)
from operators.write.write_segmentation import build_segmentation
from tests.builders import ALGORITHM, make_identity, make_label_map, make_volume
from tests.judges import dciodvfy_errors


@pytest.mark.parametrize("app", ["a", "ct_body_composition", "x" * 60])
def test_series_description_fits_a_long_string(app):
    identity = ResultIdentity("ab" * 32, make_identity().clock, app, "1.2.3")

    assert len(series_description("SEG", identity)) <= 64


def test_series_description_says_research_use():
    assert "research use" in series_description("SEG", make_identity())


def test_series_description_of_a_long_name_still_says_research_use():
    identity = ResultIdentity("ab" * 32, make_identity().clock, "x" * 60, "1.2.3")

    assert "research use" in series_description("SEG", identity)


def test_device_uid_is_valid_and_follows_the_digest():
    other = dataclasses.replace(ALGORITHM, digest="0" * 64)

    assert UID(device_uid(ALGORITHM)).is_valid
    assert device_uid(other) != device_uid(ALGORITHM)


def test_equipment_names_the_algorithm():
    item = contributing_equipment(ALGORITHM, make_identity())

    assert (item.ManufacturerModelName, item.SoftwareVersions) == (ALGORITHM.name, ALGORITHM.version)
    assert item.DeviceUID == device_uid(ALGORITHM)
    assert "Not for diagnosis" in item.ContributionDescription
    assert str(item.ContributionDateTime).startswith("20250102101530")


def test_stamp_puts_the_clock_of_the_identity_everywhere():
    dataset = Dataset()

    stamp(dataset, make_identity(), "Something")

    for moment in ("InstanceCreation", "Content", "Series"):
        assert dataset[f"{moment}Date"].value == "20250102"
        assert dataset[f"{moment}Time"].value == "101530"
    assert dataset.SeriesDescription == "Something"


def test_saved_file_reads_back_equal(tmp_path):
    volume = make_volume()
    dataset = build_segmentation(volume, make_label_map(volume), make_identity())

    save(dataset, tmp_path / "seg.dcm")

    assert dcmread(tmp_path / "seg.dcm").to_json() == dataset.to_json()


@pytest.mark.parametrize("written", ["7", "-3"])
def test_distance_between_slices_is_that_of_the_positions(written):
    volume = make_volume(edit=lambda header, _: setattr(header, "SpacingBetweenSlices", written))

    assert {float(header.SpacingBetweenSlices) for header in source_headers(volume)} == {volume.spacing_mm[0]}


def with_bytes(keyword, vr, data):
    """An edit that writes what pydicom itself would not."""

    def edit(header, _):
        header._dict[Tag(keyword)] = RawDataElement(Tag(keyword), vr, len(data), data, 0, False, True)

    return edit


@pytest.mark.parametrize("written", [b"abc ", b"0 ", b"-3", b"2,5 "])
def test_a_slice_thickness_that_is_none_becomes_the_distance_of_the_slices(tmp_path, written):
    volume = make_volume(edit=with_bytes("SliceThickness", "DS", written))

    assert {float(header.SliceThickness) for header in source_headers(volume)} == {volume.spacing_mm[0]}
    save(build_segmentation(volume, make_label_map(volume), make_identity()), tmp_path / "seg.dcm")
    assert dciodvfy_errors(tmp_path / "seg.dcm") == []


@pytest.mark.parametrize(
    ("keyword", "vr", "written"),
    [
        ("PatientSize", "DS", b"1,70"),
        ("PatientWeight", "DS", b"70kg"),
        ("Laterality", "CS", b"LEFT"),
        ("PatientSex", "CS", b"MALE"),
    ],
)
def test_values_that_are_none_go_into_no_result(tmp_path, keyword, vr, written):
    volume = make_volume(edit=with_bytes(keyword, vr, written))

    assert {str(header[keyword].value or "") for header in source_headers(volume)} == {""}
    save(build_segmentation(volume, make_label_map(volume), make_identity()), tmp_path / "seg.dcm")
    assert dciodvfy_errors(tmp_path / "seg.dcm") == []


@pytest.mark.parametrize(
    ("keyword", "vr", "written"), [("PatientSize", "DS", b"1.70"), ("PatientWeight", "DS", b" 7e1")]
)
def test_numbers_of_the_patient_are_kept(keyword, vr, written):
    volume = make_volume(edit=with_bytes(keyword, vr, written))

    assert {float(header[keyword].value) for header in source_headers(volume)} == {float(written)}


def test_sequences_without_an_item_go_into_no_result(tmp_path):
    def empty(header, _):
        for keyword in OPTIONAL_SEQUENCES:
            setattr(header, keyword, Sequence())

    volume = make_volume(edit=empty)

    save(build_segmentation(volume, make_label_map(volume), make_identity()), tmp_path / "seg.dcm")

    assert dciodvfy_errors(tmp_path / "seg.dcm") == []


@pytest.mark.parametrize("character_set", [None, "ISO_IR 100"])
def test_texts_of_the_source_alone_leave_its_character_set_as_it_is(tmp_path, character_set):
    """Some archives know what a file without a character set means; nothing of it is written in another way."""
    volume = make_volume()
    seg = build_segmentation(volume, make_label_map(volume), make_identity())
    seg.StudyDescription, seg.SpecificCharacterSet = "Étude", character_set

    save(seg, tmp_path / "seg.dcm")

    assert (dcmread(tmp_path / "seg.dcm").get("SpecificCharacterSet") or None) == character_set
    assert "Étude".encode("latin-1") in (tmp_path / "seg.dcm").read_bytes()
