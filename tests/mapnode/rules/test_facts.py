"""What rules may know of a series."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.dataelem import RawDataElement
from pydicom.tag import Tag
from pydicom.uid import CTImageStorage, SegmentationStorage

from mapnode.rules import facts_from_headers, wrote_by_node
from operators.core import defaults
from operators.core.reading import read_folder
from operators.write.write_measurement_report import Findings, build_report
from operators.write.write_segmentation import build_segmentation
from tests.builders import (
    make_ct_series,
    make_header,
    make_identity,
    make_label_map,
    make_measurements,
    make_quality,
    make_volume,
)


def attributes(*headers, **kwargs):
    return facts_from_headers(headers, **kwargs).attributes


def header(**values) -> Dataset:
    built = Dataset()
    for keyword, value in values.items():
        setattr(built, keyword, value)
    return built


def raw(tag: int, vr: str, value: bytes) -> Dataset:
    built = Dataset()
    built._dict[Tag(tag)] = RawDataElement(Tag(tag), vr, len(value), value, 0, False, True, True)
    return built


def made_by(**values) -> Dataset:
    """A result as it is after a way through a PACS."""
    equipment = header(Manufacturer=values.pop("contributed_by")) if "contributed_by" in values else None
    built = header(SOPClassUID=SegmentationStorage, **values)
    if equipment:
        built.ContributingEquipmentSequence = [header(Manufacturer="PACS vendor"), equipment]
    return built


def test_identifiers_titles_and_count_are_those_of_the_series():
    headers = [make_header(index) for index in range(3)]
    facts = facts_from_headers(headers, calling_aet=" CT1 ", called_aet="MAPNODE")
    assert facts.series_instance_uid == headers[0].SeriesInstanceUID
    assert facts.study_instance_uid == headers[0].StudyInstanceUID
    assert (facts.calling_aet, facts.called_aet, facts.instances, facts.own_result) == ("CT1", "MAPNODE", 3, False)


def test_values_are_text_without_padding_part_by_part():
    met = attributes(raw(0x00080008, "CS", b"ORIGINAL\\PRIMARY \\\\AXIAL \0"))
    assert met == {"ImageType": ("AXIAL", "ORIGINAL", "PRIMARY")}


def test_numbers_keep_the_text_that_the_scanner_wrote():
    assert attributes(raw(0x00180050, "DS", b"1.250 "))["SliceThickness"] == ("1.250",)
    assert attributes(header(Rows=512))["Rows"] == ("512",)
    assert attributes(raw(0x00189306, "FD", bytes.fromhex("000000000000f43f")))["SingleCollimationWidth"] == ("1.25",)


def test_a_single_precision_number_is_the_shortest_that_means_it():
    assert attributes(header(RecommendedDisplayFrameRateInFloat=0.1)) == {
        "RecommendedDisplayFrameRateInFloat": ("0.1",)
    }


def test_empty_values_count_as_absent():
    assert attributes(header(BodyPartExamined="", SliceThickness=None, RequestAttributesSequence=[])) == {}


def test_sequences_and_bytes_are_there_without_being_read():
    met = attributes(header(RequestAttributesSequence=[Dataset()]), raw(0x00291010, "UN", b"\x01\x02"))
    assert met == {"RequestAttributesSequence": ("(items)",), "0029,1010": ("(bytes)",)}


def test_private_text_that_lost_its_vr_is_text():
    assert attributes(raw(0x00291010, "UN", b"HEAD\\NECK ")) == {"0029,1010": ("HEAD", "NECK")}


def test_text_is_decoded_with_its_character_set():
    built = raw(0x0008103E, "LO", "Übersicht".encode("latin-1"))
    built.SpecificCharacterSet = "ISO_IR 100"
    assert attributes(built)["SeriesDescription"] == ("Übersicht",)


def test_what_cannot_be_read_counts_as_absent():
    assert attributes(raw(0x00280010, "US", b"\x01\x02\x03")) == {}


def test_only_attributes_that_are_asked_for_are_read():
    met = attributes(make_header(0), attributes={"Modality", "ContrastBolusAgent"})
    assert met == {"Modality": ("CT",)}


def test_attributes_are_not_in_the_text_of_facts():
    facts = facts_from_headers([header(PatientName="DOE^JANE", PatientID="4711")])
    assert facts.attributes["PatientName"] == ("DOE^JANE",)
    assert "DOE" not in f"{facts} {facts!r}"
    assert "4711" not in repr(facts)


@given(st.permutations(range(5)))
def test_the_order_of_files_changes_nothing(order):
    def edited(index):
        built = make_header(index)
        built.StudyInstanceUID += f".{index % 2}"
        built.SliceThickness = 1 + index % 2
        if index > 2:
            built.BodyPartExamined = "CHEST"
        return built

    facts = facts_from_headers([edited(index) for index in order])
    assert facts == facts_from_headers([edited(index) for index in range(5)])
    assert facts.attributes["SliceThickness"] == ("1.0", "2.0")
    assert facts.attributes["BodyPartExamined"] == ("CHEST",)


def test_a_series_without_instances_is_none():
    with pytest.raises(ValueError, match="at least one"):
        facts_from_headers([])


# Own results


@pytest.mark.parametrize("name", [defaults.MANUFACTURER, "MAPNODE ", "mapnode\0"])
def test_a_result_is_recognised_by_its_manufacturer(name):
    assert wrote_by_node(made_by(Manufacturer=name))


def test_a_result_is_recognised_by_contributing_equipment_if_a_pacs_changed_its_manufacturer():
    assert wrote_by_node(made_by(Manufacturer="PACS vendor", contributed_by="mapnode"))


def test_a_derived_image_of_ours_is_a_result():
    assert wrote_by_node(made_by(Manufacturer="mapnode", ImageType=["DERIVED", "PRIMARY"]))


@pytest.mark.parametrize("image_type", ["ORIGINAL", ["ORIGINAL", "PRIMARY", "AXIAL"]])
def test_an_original_image_is_no_result_whoever_touched_it(image_type):
    assert not wrote_by_node(header(SOPClassUID=CTImageStorage, ImageType=image_type, Manufacturer="mapnode"))


def test_every_kind_of_object_that_apps_write_is_recognised_in_each_of_its_two_marks():
    volume, identity = make_volume(), make_identity()
    label_map = make_label_map(volume)
    seg = build_segmentation(volume, label_map, identity)
    report = build_report(volume, label_map, seg, Findings(make_measurements(label_map), make_quality()), identity)
    for result in (seg, report):
        assert wrote_by_node(result)
        result.Manufacturer = "PACS vendor"
        assert wrote_by_node(result)
        del result.ContributingEquipmentSequence
        assert not wrote_by_node(result)


@pytest.mark.parametrize("name", ["", "mapnode phantom", "Siemens"])
def test_what_others_made_is_no_result(name):
    assert not wrote_by_node(made_by(Manufacturer=name, contributed_by="dcmqi"))


def test_the_phantom_is_no_result(tmp_path):
    make_ct_series(tmp_path, slices=2)
    (series,) = read_folder(tmp_path).series
    assert not facts_from_headers([i.header for i in series.instances]).own_result


def test_one_own_instance_makes_the_series_an_own_result():
    assert facts_from_headers([make_header(0), made_by(Manufacturer="mapnode")]).own_result


def test_the_caller_may_know_better_whether_it_is_an_own_result():
    assert facts_from_headers([make_header(0)], own_result=True).own_result
