"""Planes of a SEG: order, spacing, sources; that they are highdicom's is for test_segmentation_equality.py to show."""

from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset

from operators.core.errors import GeometryError
from operators.core.volume import SourceSlice
from operators.write.seg_planes import describe_stack, plane_order, refer_to
from tests.builders import make_header

ALL = np.ones(4, bool)


def make_headers(heights, **kwargs):
    return [make_header(index, position=(0, 0, height), **kwargs) for index, height in enumerate(heights)]


def sources_of(headers):
    return [SourceSlice(Path("x.dcm"), header, "") for header in headers]


def make_seg(spacing="1"):
    """What highdicom says of one slice."""
    measures, shared, series, seg = (Dataset() for _ in range(4))
    measures.SpacingBetweenSlices = spacing
    shared.PixelMeasuresSequence = [measures]
    seg.SharedFunctionalGroupsSequence = [shared]
    seg.ReferencedSeriesSequence = [series]
    return seg


def spacing_of(seg):
    return seg.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].get("SpacingBetweenSlices")


def test_planes_go_from_head_to_feet_where_rows_go_left_and_columns_back():
    # (0, 1, 0) x (1, 0, 0) = (0, 0, -1): the normal points to the feet.
    headers = make_headers([0, 6, 3, 9])

    assert plane_order(headers, ALL) == [3, 1, 2, 0]
    assert plane_order(headers, np.array([True, False, True, False])) == [2, 0]


def test_planes_go_the_other_way_where_rows_go_right():
    headers = make_headers([0, 6, 3, 9], orientation=(-1, 0, 0, 0, 1, 0))

    assert plane_order(headers, ALL) == [0, 2, 1, 3]


def test_spacing_is_that_of_all_slices_and_3d_what_has_only_positions():
    seg, several = make_seg(), make_seg()
    headers = make_headers([0, 2.5, 5, 7.5])

    describe_stack(seg, headers, ALL, one_kind=True)
    describe_stack(several, headers, ALL, one_kind=False)

    assert spacing_of(seg) == spacing_of(several) == 2.5
    assert seg.DimensionOrganizationType == "3D"
    assert "DimensionOrganizationType" not in several


def test_uneven_slices_have_no_spacing_and_are_not_3d():
    seg = make_seg()

    describe_stack(seg, make_headers([0, 2.5, 5.5, 7.5]), ALL, one_kind=True)

    assert spacing_of(seg) is None
    assert "DimensionOrganizationType" not in seg


def test_spacing_that_the_source_says_stays():
    headers = make_headers([0, 2.5, 5, 7.5])
    headers[0].SpacingBetweenSlices = "2.50"
    seg = make_seg("2.50")

    describe_stack(seg, headers, ALL, one_kind=True)

    assert spacing_of(seg).original_string == "2.50"


def test_every_slice_is_listed_as_source_and_as_reference():
    seg, headers = make_seg(), make_headers([0, 1, 2, 3])

    refer_to(seg, sources_of(headers))

    uids = [header.SOPInstanceUID for header in headers]
    assert [item.ReferencedSOPInstanceUID for item in seg.SourceImageSequence] == uids
    (series,) = seg.ReferencedSeriesSequence
    assert [item.ReferencedSOPInstanceUID for item in series.ReferencedInstanceSequence] == uids


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"])
def test_slices_of_two_series_are_refused(keyword):
    headers = make_headers([0, 1, 2, 3])
    setattr(headers[2], keyword, "2.25.7")

    with pytest.raises(GeometryError, match=f"2 values of {keyword}"):
        refer_to(make_seg(), sources_of(headers))
