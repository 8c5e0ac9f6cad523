"""Segment quantities: pieces, sides, discs and borders are what was drawn."""

import itertools

import numpy as np
import pytest

from operators.core.label_map import LabelMap
from operators.qc.segment_quantities import (
    border_slices,
    components,
    enclosed_share,
    inscribed_mm,
    narrowest_mm,
    outline_aspect,
    right_left,
    sample,
)
from tests.builders import ALGORITHM, AXIAL, TISSUES, make_affine

BODY, BONE, FAT, _ = TISSUES


def make_map(draw, spacing_mm=(4.0, 1.5, 1.5), shape=(10, 160, 220)) -> LabelMap:
    """A body that fills the image but for a margin, and what `draw` puts into it."""
    labels = np.zeros(shape, np.uint8)
    labels[:, 10:-10, 10:-10] = 1
    draw(labels)
    return LabelMap(labels, make_affine(AXIAL, spacing_mm), TISSUES, ALGORITHM)


def disc(radius_mm, centre=(100, 110), pixel_mm=1.5):
    def draw(labels):
        y, x = np.ogrid[: labels.shape[1], : labels.shape[2]]
        labels[:, np.hypot(y - centre[0], x - centre[1]) * pixel_mm < radius_mm] = 2

    return draw


@pytest.mark.parametrize("radius_mm", [8, 15, 22, 30])
def test_a_disc_near_the_middle_has_its_radius(radius_mm):
    label_map = make_map(disc(radius_mm))

    assert inscribed_mm(sample(label_map), BONE) == pytest.approx(radius_mm, abs=2.1)


def test_a_disc_away_from_the_middle_is_no_vertebra():
    def draw(labels):
        disc(10)(labels)
        disc(35, centre=(100, 160))(labels)

    assert inscribed_mm(sample(make_map(draw)), BONE) == pytest.approx(10, abs=2.1)


def test_a_long_bone_is_as_thin_as_its_shaft_wherever_it_lies():
    def draw(labels):
        y, x = np.ogrid[: labels.shape[1], : labels.shape[2]]
        for index, radius_mm in enumerate([32, 30, 24, 13, 12, 12, 13, 20, 28, 30]):
            labels[index, np.hypot(y - 70, x - 50) * 1.5 < radius_mm] = 2

    assert narrowest_mm(sample(make_map(draw)), BONE) == pytest.approx(12, abs=2.1)


def in_a_ring_of_fat(*discs):
    def draw(labels):
        y, x = np.ogrid[: labels.shape[1], : labels.shape[2]]
        from_middle = np.hypot(y - 80, x - 110)
        labels[:, (from_middle > 40) & (from_middle < 60)] = 3
        for one in discs:
            one(labels)

    return draw


def test_bone_is_enclosed_where_a_piece_of_it_lies_within_fat():
    spine, bowel, rib = disc(20, centre=(105, 110)), disc(15, centre=(70, 90)), disc(10, centre=(80, 30))
    label_map = make_map(in_a_ring_of_fat(spine, bowel, rib))

    found = enclosed_share(sample(label_map), BONE, FAT)

    assert found == pytest.approx(15**2 / (20**2 + 15**2 + 10**2), abs=0.03)


@pytest.mark.parametrize("away", [(105, 110), (100, 105), (80, 30), (80, 169)], ids=["spine", "spine", "rib", "edge"])
def test_a_spine_alone_and_what_fat_does_not_surround_are_enclosed_by_nothing(away):
    label_map = make_map(in_a_ring_of_fat(disc(15, centre=away)))

    assert enclosed_share(sample(label_map), BONE, FAT) == 0


def test_an_empty_segment_is_not_enclosed_and_without_fat_nothing_is():
    assert enclosed_share(sample(make_map(in_a_ring_of_fat())), BONE, FAT) is None
    assert enclosed_share(sample(make_map(disc(15, centre=(70, 90)))), BONE, FAT) == 0


@pytest.mark.parametrize("spacing_mm", [(4.0, 1.5, 1.5), (4.0, 3.0, 1.5), (4.0, 1.0, 3.0)])
def test_the_aspect_of_an_outline_is_its_width_over_its_depth_in_mm(spacing_mm):
    def draw(labels):
        labels[:, 30:90, 40:160] = 3
        labels[:, 36:84, 46:154] = 1

    label_map = make_map(draw, spacing_mm)

    assert outline_aspect(sample(label_map), FAT) == pytest.approx(120 * spacing_mm[2] / 60 / spacing_mm[1], rel=0.05)


def test_an_empty_segment_has_neither_shaft_nor_outline():
    samples = sample(make_map(lambda labels: None))

    assert narrowest_mm(samples, BONE) is None
    assert outline_aspect(samples, FAT) is None


def test_pieces_are_counted_without_crumbs():
    def draw(labels):
        labels[:, 20:40, 20:40] = labels[:, 60:80, 20:40] = labels[:, 20:40, 100:120] = 3
        labels[2, 100, 100] = 3

    assert components(sample(make_map(draw)), FAT) == 3


@pytest.mark.parametrize(("right", "left"), [(40, 40), (60, 30), (20, 40)])
def test_sides_are_those_of_the_patient(right, left):
    def draw(labels):
        labels[:, 30:50, 20 : 20 + right] = labels[:, 30:50, 200 - left : 200] = 3

    assert right_left(sample(make_map(draw)), FAT) == pytest.approx(right / left, rel=0.05)


def test_what_is_not_there_has_no_shape():
    samples = sample(make_map(lambda _: None))

    assert (components(samples, BONE), right_left(samples, BONE), inscribed_mm(samples, BONE)) == (None, None, None)


@pytest.mark.parametrize("edge", [np.s_[2:5, 0, 30], np.s_[2:5, -1, 30], np.s_[2:5, 30, 0], np.s_[2:5, 30, -1]])
def test_slices_that_meet_a_border_are_counted(edge):
    def draw(labels):
        labels[edge] = 3

    assert border_slices(make_map(draw), FAT) == 3
    assert border_slices(make_map(draw), BONE) == 0


@pytest.mark.parametrize("flips", [f for n in (1, 2, 3) for f in itertools.combinations(range(3), n)])
def test_nothing_depends_on_the_order_of_storage(flips):
    def draw(labels):
        disc(15)(labels)
        labels[:, 30:50, 20:80] = labels[:, 30:50, 160:200] = 3

    straight = make_map(draw)
    affine = straight.affine_lps.copy()
    for axis in flips:
        affine[:3, 3] += affine[:3, axis] * (straight.shape[axis] - 1)
        affine[:3, axis] *= -1
    turned = LabelMap(np.ascontiguousarray(np.flip(straight.array, flips)), affine, TISSUES, ALGORITHM)

    for measure, segment in ((inscribed_mm, BONE), (right_left, FAT), (components, FAT)):
        assert measure(sample(turned), segment) == pytest.approx(measure(sample(straight), segment), rel=0.1)
