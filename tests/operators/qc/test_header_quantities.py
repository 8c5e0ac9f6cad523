"""Header quantities: what headers say of slices, and None where they say nothing."""

import numpy as np
import pytest

from operators.qc.header_quantities import patient_age_years, slice_step, slice_thickness_mm, unseen_instances
from tests.builders import make_affine, make_volume


def number_from(first, step=1):
    def edit(header, index):
        header.InstanceNumber = first + step * index

    return edit


def test_thickness_is_what_most_images_state():
    def edit(header, index):
        header.SliceThickness = "9" if index == 0 else "5"

    assert slice_thickness_mm(make_volume(edit=edit)) == 5


@pytest.mark.parametrize("value", [None, "", "0"])
def test_images_without_a_thickness_state_none(value):
    def edit(header, _):
        header.SliceThickness = value

    volume = make_volume(edit=edit)

    assert slice_thickness_mm(volume) is None
    assert slice_step(volume) is None


def test_slices_further_apart_than_thick_leave_gaps():
    def edit(header, _):
        header.SliceThickness = "3"

    assert slice_step(make_volume(affine_lps=make_affine(spacing_mm=(6, 1, 1)), edit=edit)) == 2


@pytest.mark.parametrize(("first", "step", "unseen"), [(1, 1, 0), (3, 1, 2), (1, 2, 11), (13, 1, 12)])
def test_instance_numbers_without_an_image_are_counted(first, step, unseen):
    assert unseen_instances(make_volume(edit=number_from(first, step))) == unseen


def test_images_that_are_not_numbered_one_by_one_are_not_counted():
    assert unseen_instances(make_volume(edit=number_from(7, 0))) is None
    assert unseen_instances(make_volume(edit=number_from(-40))) is None
    assert unseen_instances(make_volume(np.zeros((3, 6, 5), np.int16), edit=number_from(1))) == 0


@pytest.mark.parametrize(
    ("stated", "years"),
    [("045Y", 45), ("018M", 1.5), ("026W", 0.5), ("", None), (None, None)],
)
def test_age_is_in_years_whatever_its_unit(stated, years):
    def edit(header, _):
        header.PatientAge = stated

    assert patient_age_years(make_volume(edit=edit)) == (None if years is None else pytest.approx(years, abs=0.01))
