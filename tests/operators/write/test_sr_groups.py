"""SR groups: what is drawn on an image is the segment, or plainly a pointer; sites carry their side."""

import dataclasses

import numpy as np
import pytest
from pydicom import Dataset
from pydicom.uid import EnhancedCTImageStorage, SegmentationStorage, UltrasoundMultiFrameImageStorage
from skimage.draw import polygon2mask

from operators.core import catalogue, codes
from operators.core.measurements import LARGEST_AREA, DerivedValue, Quantity
from operators.measure.measure_key_slices import measure_key_slices
from operators.measure.measure_segments import measure_segments
from operators.measure.measure_slice_areas import measure_slice_areas
from operators.write.sr_groups import (
    Context,
    derived_groups,
    finding_sites,
    planar_groups,
    volumetric_groups,
)
from operators.write.sr_places import MOST_POINTS, OUTLINE_TEXT, POINTER_TEXT, polyline_of
from tests.builders import ALGORITHM, OBLIQUE, TISSUES, make_affine, make_identity, make_label_map, make_volume

CONTEXT = Context(ALGORITHM, make_identity())
ROWS, COLUMNS = 24, 30


def disc(radius, centre=(12, 14)):
    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    return (rows - centre[0]) ** 2 + (columns - centre[1]) ** 2 <= radius**2


def comb():
    """One piece without a hole whose outline has more corners than a polyline may have points."""
    mask = np.zeros((4, 5000), dtype=bool)
    mask[0], mask[:, ::2] = True, True
    return mask


SIMPLE = {"disc": disc(8), "off centre": disc(5, (7, 20)), "pixel": disc(0.5), "on the border": disc(9, (0, 0))}
NOT_SIMPLE = {
    "ring": disc(9) & ~disc(6),
    "fragments": disc(4, (5, 6)) | disc(5, (15, 22)),
    "touching at a corner": np.eye(3, dtype=bool),
    "too long": comb(),
}


def make_groups(mask, *, affine_lps=None, edit=None, landmarks=None, index=2):
    """The groups of fat, drawn in one slice of four, and the volume."""
    volume = make_volume(
        np.arange(4 * mask.size, dtype=np.int16).reshape(4, *mask.shape),
        make_affine(spacing_mm=(3.0, 0.83, 0.61)) if affine_lps is None else affine_lps,
        edit=edit,
    )
    labels = np.zeros(volume.array.shape, np.uint8)
    labels[index][mask] = 3
    label_map = make_label_map(volume, labels, segments=(TISSUES[2],), landmarks=landmarks)
    key_slices = measure_key_slices(volume, label_map, measure_slice_areas(volume, label_map))
    groups = [group[0] for group in planar_groups(volume, label_map, key_slices, CONTEXT)]
    return groups, volume


def items(group, value_type):
    return [item for item in group.ContentSequence if item.ValueType == value_type]


def polyline(group):
    (region,) = items(group, "SCOORD")
    assert region.GraphicType == "POLYLINE"
    return np.array(region.GraphicData, dtype=np.float64).reshape(-1, 2)


def numbers(group) -> dict[str, float]:
    return {
        item.ConceptNameCodeSequence[0].CodeMeaning: float(item.MeasuredValueSequence[0].NumericValue)
        for item in items(group, "NUM")
    }


def shoelace(points) -> float:
    following = np.roll(points, -1, axis=0)
    return abs(float(np.sum(points[:, 0] * following[:, 1] - points[:, 1] * following[:, 0]))) / 2


@pytest.mark.parametrize("affine_lps", [None, make_affine(OBLIQUE, (4.0, 0.977, 0.703))], ids=["axial", "oblique"])
@pytest.mark.parametrize("mask", SIMPLE.values(), ids=SIMPLE)
def test_area_that_a_viewer_computes_is_the_area_stated(mask, affine_lps):
    (group,), volume = make_groups(mask, affine_lps=affine_lps)
    points = polyline(group)
    between_rows, between_columns = map(float, volume.slices[2].header.PixelSpacing)

    assert points[0].tolist() == points[-1].tolist()
    computed = shoelace(points[:-1]) * between_rows * between_columns / 100
    assert numbers(group)["Area"] == pytest.approx(computed, rel=1e-6)


@pytest.mark.parametrize("mask", SIMPLE.values(), ids=SIMPLE)
def test_outline_filled_is_the_segment(mask):
    (group,), _ = make_groups(mask)

    # Image coordinates are (column, row) with pixel centres at one half (PS3.3 C.18.6.1.2); skimage has them at whole.
    filled = polygon2mask(mask.shape, polyline(group)[:-1, ::-1] - 0.5)

    assert np.array_equal(filled, mask)


@pytest.mark.parametrize("mask", NOT_SIMPLE.values(), ids=NOT_SIMPLE)
def test_what_no_outline_is_gets_a_line_inside_it_and_the_area_of_all_its_pixels(mask):
    (group,), _ = make_groups(mask)

    (start, row), (end, same_row) = polyline(group)

    assert row == same_row
    assert mask[int(row), int(start) : int(end)].all()
    assert end > start
    assert numbers(group)["Area"] == pytest.approx(mask.sum() * 0.83 * 0.61 / 100)


@pytest.mark.parametrize(
    ("mask", "text"), [(SIMPLE["disc"], OUTLINE_TEXT), (NOT_SIMPLE["ring"], POINTER_TEXT)], ids=["outline", "pointer"]
)
def test_group_says_what_is_drawn(mask, text):
    (group,), _ = make_groups(mask)

    assert items(group, "TEXT")[-1].TextValue == text


def test_longest_outline_still_fits_its_element():
    comb_of = {width: comb()[:, :width] for width in (4093, 4095, 4097)}
    lengths = {width: len(polyline_of(mask)[0]) for width, mask in comb_of.items()}

    assert max(lengths.values()) * 2 * 4 <= 65535
    assert max(lengths.values()) > MOST_POINTS - 10
    assert lengths[4097] == 2


def test_group_has_the_numbers_of_its_slice_alone():
    groups, _ = make_groups(SIMPLE["disc"], landmarks={"iliac_crest": 2, "thorax": 3})

    by_role = {items(group, "TEXT")[0].TextValue: numbers(group) for group in groups}
    assert set(by_role) == {f"test_app/fat/{LARGEST_AREA}", "test_app/fat/iliac_crest"}
    assert all(set(of_slice) == {"Area", "Attenuation Coefficient"} for of_slice in by_role.values())


def make_volumetric(mask, edit=None):
    """The group of fat, whose largest slice is the third of three, and the volume."""
    volume = make_volume(np.zeros((5, *mask.shape), np.int16), edit=edit)
    labels = np.zeros(volume.array.shape, np.uint8)
    labels[1:3][:, mask] = 3
    labels[3][mask | disc(0.5, (ROWS - 1, COLUMNS - 1))] = 3
    label_map = make_label_map(volume, labels, segments=(TISSUES[2],))
    seg = Dataset()
    seg.SOPClassUID, seg.SOPInstanceUID = SegmentationStorage, "1.2.3"
    (group,) = volumetric_groups(volume, label_map, seg, measure_segments(volume, label_map), CONTEXT)
    return group[0], volume, label_map


@pytest.mark.parametrize("mask", (SIMPLE | NOT_SIMPLE).values(), ids=SIMPLE | NOT_SIMPLE)
def test_volume_points_into_the_segment_in_its_largest_slice(mask):
    if mask.shape != (ROWS, COLUMNS):
        pytest.skip("not of this matrix")
    group, volume, label_map = make_volumetric(mask)

    (point,) = items(items(group, "NUM")[0], "SCOORD")

    column, row = point.GraphicData
    assert (point.GraphicType, point.ConceptNameCodeSequence[0].CodeMeaning) == (
        "POINT",
        "Approximate spatial location",
    )
    assert label_map.array[3, int(row), int(np.ceil(column)) - 1]
    assert image_of(point).ReferencedSOPInstanceUID == volume.slices[3].header.SOPInstanceUID


def test_only_the_volume_has_a_place():
    """OHIF 3.13 writes a number with a place beside it, whatever its derivation: a deviation would read like a mean."""
    group, _, _ = make_volumetric(SIMPLE["disc"])

    names = [item.ConceptNameCodeSequence[0].CodeMeaning for item in items(group, "NUM") if items(item, "SCOORD")]

    assert names == ["Volume"]
    assert items(group, "SCOORD") == []


def test_ratio_points_into_its_first_segment_in_the_middle_of_its_slices():
    _, volume, label_map = make_volumetric(SIMPLE["off centre"])
    ratio = DerivedValue(Quantity("a", "ratio", codes.RATIO, codes.RATIO_UNIT), "A", "fat / bone", ("fat", "bone"), 2.0)

    (group,) = derived_groups(volume, label_map, [ratio], CONTEXT)

    (point,) = items(items(group[0], "NUM")[0], "SCOORD")
    assert point.GraphicData == [20.5, 7.5]
    assert image_of(point).ReferencedSOPInstanceUID == volume.slices[2].header.SOPInstanceUID


def test_ratio_at_a_vertebra_points_into_its_slice_and_names_the_vertebra():
    _, volume, label_map = make_volumetric(SIMPLE["off centre"])
    index = next(i for i, plane in enumerate(label_map.array) if (plane == 3).any())
    label_map = dataclasses.replace(label_map, landmarks={"vertebra_l3": index})
    quantity = Quantity("a", "ratio", codes.RATIO, codes.RATIO_UNIT)
    ratio = DerivedValue(quantity, "A", "fat / bone", ("fat", "bone"), 2.0, level="vertebra_l3")

    (group,) = derived_groups(volume, label_map, [ratio], CONTEXT)

    (point,) = items(items(group[0], "NUM")[0], "SCOORD")
    assert image_of(point).ReferencedSOPInstanceUID == volume.slices[index].header.SOPInstanceUID
    assert sites_of(group[0]) == ["L3 vertebra"]


def test_value_of_one_side_has_the_side_below_its_site():
    _, volume, label_map = make_volumetric(SIMPLE["off centre"])
    quantity = Quantity("a", "mL", codes.VOLUME, codes.CUBIC_CENTIMETRE)
    value = DerivedValue(quantity, "A", "sum", ("fat",), 2.0, side=codes.LEFT)

    (group,) = derived_groups(volume, label_map, [value], CONTEXT)

    (site,) = [item for item in items(group[0], "CODE") if item.ConceptNameCodeSequence[0].CodeValue == "363698007"]
    (laterality,) = site.ContentSequence
    assert site.ConceptCodeSequence[0].CodeValue == TISSUES[2].region.value
    assert laterality.ConceptCodeSequence[0].CodeMeaning == "Left"


def test_key_slice_of_a_vertebra_has_it_as_finding_site_and_says_what_its_slice_is():
    groups, _ = make_groups(SIMPLE["disc"], landmarks={"vertebra_l3": 2, "iliac_crest": 2})

    assert [sites_of(group) for group in groups] == [
        ["Abdominal cavity structure (body structure)"],
        ["Abdominal cavity structure (body structure)", "L3 vertebra"],
        ["Abdominal cavity structure (body structure)"],
    ]
    texts = [item.TextValue for item in items(groups[1], "TEXT")]
    assert any(text.startswith("L3 vertebra: slice through the centre") for text in texts)


def sites_of(group):
    """Meanings of the finding sites (363698007, SCT)."""
    sites = [item for item in items(group, "CODE") if item.ConceptNameCodeSequence[0].CodeValue == "363698007"]
    return [item.ConceptCodeSequence[0].CodeMeaning for item in sites]


def image_of(place):
    (image,) = place.ContentSequence
    return image.ReferencedSOPSequence[0]


def test_polyline_lies_in_the_image_of_its_slice():
    (group,), volume = make_groups(SIMPLE["disc"])

    (image,) = items(group, "SCOORD")[0].ContentSequence
    reference = image.ReferencedSOPSequence[0]

    assert (image.RelationshipType, image.ValueType) == ("SELECTED FROM", "IMAGE")
    assert reference.ReferencedSOPInstanceUID == volume.slices[2].header.SOPInstanceUID
    assert "ReferencedFrameNumber" not in reference


@pytest.mark.parametrize(
    ("sop_class", "attributes"),
    [(EnhancedCTImageStorage, {}), (UltrasoundMultiFrameImageStorage, {"NumberOfFrames": 9})],
    ids=["functional groups", "plain frames"],
)
def test_polyline_on_a_multi_frame_image_names_the_frame(sop_class, attributes):
    def several(header, _index):
        header.update({"SOPClassUID": sop_class, **attributes})

    volume = make_volume(np.zeros((4, ROWS, COLUMNS), np.int16), edit=several)
    frames = tuple(dataclasses.replace(s, frame_number=7 - i) for i, s in enumerate(volume.slices))
    volume = dataclasses.replace(volume, slices=frames)
    labels = np.zeros(volume.array.shape, np.uint8)
    labels[1][SIMPLE["disc"]] = 3
    label_map = make_label_map(volume, labels, segments=(TISSUES[2],))
    key_slices = measure_key_slices(volume, label_map, measure_slice_areas(volume, label_map))

    (group,) = planar_groups(volume, label_map, key_slices, CONTEXT)

    (image,) = items(group[0], "SCOORD")[0].ContentSequence
    assert image.ReferencedSOPSequence[0].ReferencedFrameNumber == 6


def test_nothing_is_drawn_on_the_tiles_of_a_mosaic():
    def tile(header, _index):
        header.ImageType = ["ORIGINAL", "PRIMARY", "M", "MOSAIC"]

    groups, _ = make_groups(SIMPLE["disc"], edit=tile)

    assert groups == []
    group, _, _ = make_volumetric(SIMPLE["disc"], edit=tile)
    assert not any(items(item, "SCOORD") for item in items(group, "NUM"))


def site_of(segment) -> tuple[str, str]:
    (site,) = finding_sites(segment)
    sides = [child.ConceptCodeSequence[0].CodeMeaning for child in site.get("ContentSequence", [])]
    return site.ConceptCodeSequence[0].CodeMeaning, "".join(sides)


def test_laterality_stands_below_the_finding_site():
    kidney = catalogue.segment("kidney_left", 1, (1,))

    assert site_of(kidney) == ("Kidney", "Left")
    with_region = dataclasses.replace(kidney, region=codes.ABDOMINAL_CAVITY)
    assert site_of(with_region)[1] == "Left"
    assert site_of(with_region)[0].startswith("Abdominal cavity")


def test_segment_without_region_and_side_has_no_site():
    assert finding_sites(TISSUES[0]) is None
