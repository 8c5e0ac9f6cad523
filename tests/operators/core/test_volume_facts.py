"""Volume facts: what criteria may ask of a volume, from its headers and its grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.core.frames import frames_of
from operators.core.geometry import examine
from operators.core.manifest import VolumeProperty
from operators.core.placement import place
from operators.core.volume_facts import facts_of, orientation_of
from tests.builders import make_header, make_series


def facts(series):
    return facts_of(examine(series).volumes[0])


def turned(axis, degrees):
    """Image Orientation of an axial slice that was turned around the patient's x axis."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return {"x": (1, 0, 0, 0, c, s), "y": (c, 0, -s, 0, 1, 0)}[axis]


@pytest.mark.parametrize(
    ("orientation", "expected"),
    [
        ((1, 0, 0, 0, 1, 0), "axial"),
        ((-1, 0, 0, 0, 1, 0), "axial"),
        ((1, 0, 0, 0, 0, -1), "coronal"),
        ((0, 1, 0, 0, 0, -1), "sagittal"),
        (turned("x", 19.9), "axial"),
        (turned("x", -19.9), "axial"),
        (turned("x", 20.1), "oblique"),
        (turned("x", 45), "oblique"),
        (turned("x", 69.9), "oblique"),
        (turned("x", 70.1), "coronal"),
        (turned("y", 70.1), "sagittal"),
    ],
)
def test_orientation_is_the_axis_nearest_to_the_normal(orientation, expected):
    (frame,) = frames_of(make_series([make_header(0, orientation=orientation)]).instances[0])

    assert orientation_of(place(frame)) == expected


def test_grid_is_told_in_mm():
    found = facts(make_series(slices=8))

    assert found[VolumeProperty.SLICES] == 8
    assert found[VolumeProperty.COVERAGE_MM] == pytest.approx(7 * 3.0)
    assert found[VolumeProperty.SLICE_SPACING_MM] == pytest.approx(3.0)
    assert found[VolumeProperty.ORIENTATION] == ("axial",)


@given(step=st.floats(0.5, 10), slices=st.integers(2, 20))
def test_coverage_is_from_the_first_to_the_last_slice(step, slices):
    headers = [make_header(i, position=(0, 0, -step * i)) for i in range(slices)]

    assert facts(make_series(headers))[VolumeProperty.COVERAGE_MM] == pytest.approx(step * (slices - 1), abs=1e-6)


def test_texts_are_those_of_the_headers():
    def describe(header, _index):
        header.BodyPartExamined = "ABDOMEN"
        header.ConvolutionKernel = ["B30f", "1"]
        header.Manufacturer = " Maker "
        header.SliceThickness = "5"

    found = facts(make_series(edit=describe))

    assert found[VolumeProperty.MODALITY] == ("CT",)
    assert found[VolumeProperty.BODY_PART] == ("ABDOMEN",)
    assert found[VolumeProperty.KERNEL] == ("B30f", "1")
    assert found[VolumeProperty.MANUFACTURER] == ("Maker",)
    assert found[VolumeProperty.SLICE_THICKNESS_MM] == 5.0


def test_what_is_absent_or_empty_is_not_there():
    def empty(header, _index):
        header.BodyPartExamined = ""
        header.ConvolutionKernel = None
        header.SliceThickness = None

    found = facts(make_series(edit=empty))

    absent = {
        VolumeProperty.BODY_PART,
        VolumeProperty.KERNEL,
        VolumeProperty.CONTRAST_AGENT,
        VolumeProperty.SLICE_THICKNESS_MM,
    }
    assert absent.isdisjoint(found)


def test_image_type_is_what_all_images_have():
    def kind(header, index):
        header.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL", f"SLICE{index}"]

    assert facts(make_series(edit=kind))[VolumeProperty.IMAGE_TYPE] == ("AXIAL", "ORIGINAL", "PRIMARY")


def test_single_position_has_no_spacing():
    found = facts(make_series(slices=1))

    assert VolumeProperty.SLICE_SPACING_MM not in found
    assert (found[VolumeProperty.SLICES], found[VolumeProperty.COVERAGE_MM]) == (1, 0)


def test_images_without_a_place_have_no_grid():
    def strip(header, _index):
        del header.ImagePositionPatient

    found = facts(make_series(edit=strip))

    assert found[VolumeProperty.MODALITY] == ("CT",)
    assert {VolumeProperty.ORIENTATION, VolumeProperty.COVERAGE_MM}.isdisjoint(found)


@pytest.mark.parametrize("text", ["nan", "abc"])
def test_thickness_that_is_no_number_is_not_there(text):
    def spoil(header, _index):
        header.add_new("SliceThickness", "LO", text)

    assert VolumeProperty.SLICE_THICKNESS_MM not in facts(make_series(edit=spoil))


@given(seed=st.randoms(use_true_random=False))
def test_facts_do_not_depend_on_the_order_of_files(seed):
    headers = [make_header(i) for i in range(5)]
    for index, header in enumerate(headers):
        header.BodyPartExamined = f"PART{index}"
    straight = facts(make_series(headers))
    seed.shuffle(headers)

    assert facts(make_series(headers)) == straight
