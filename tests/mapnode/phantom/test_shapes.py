"""Shapes: their sections are where and as large as geometry says."""

import math

import numpy as np
import pytest

from mapnode.phantom.shapes import Arch, Oval, Plane, Rib, Solid

STEP_MM = 0.25


def make_plane(z_mm: float = 0.0) -> Plane:
    positions = np.arange(-60, 60, STEP_MM) + STEP_MM / 2
    return Plane(positions, positions, z_mm)


def test_oval_covers_its_exact_area():
    oval = Oval((3, -4), 40, 20, 30, power=2.4)

    cut = oval.cut(make_plane())

    assert cut.inside.sum() * STEP_MM**2 == pytest.approx(oval.area_mm2(), rel=1e-3)


def test_oval_beside_the_plane_is_an_empty_cut():
    cut = Oval((500, 500), 10, 10, 10).cut(make_plane())

    assert cut.inside.size == 0


def test_level_is_one_on_the_outline():
    oval = Oval((1, 2), 10, 5, 7, power=3)

    level = oval.level(np.array([11.0, 1.0, 1.0]), np.array([2.0, -3.0, 9.0]))

    assert level == pytest.approx([1, 1, 1])


def test_ellipsoid_has_its_volume():
    solid = Solid((0, 0, 5), (20, 10, 15), lean=(0.2, -0.1), sway_mm=(3, 3))

    sections = [solid.section(z) for z in np.arange(-9.95, 20, 0.1)]

    volume = sum(section.area_mm2() for section in sections if section is not None) * 0.1
    assert volume == pytest.approx(4 / 3 * math.pi * 20 * 10 * 15, rel=1e-3)


@pytest.mark.parametrize("z_mm", [-10.0, 20.0, 300.0])
def test_solid_has_no_section_at_or_beyond_its_ends(z_mm):
    assert Solid((0, 0, 5), (20, 10, 15)).section(z_mm) is None


def test_mirrored_solid_lies_on_the_other_side():
    section = Solid((30, 5, 0), (10, 10, 20), lean=(0.1, 0)).mirrored().section(10.0)

    assert section is not None
    assert section.centre_mm == pytest.approx((-31, 5))


def test_arch_hangs_in_the_middle():
    arch = Arch((0, 0, 0), half_span_mm=50, rise_mm=(0, 30), radius_mm=8)

    middle, ends = arch.cut(make_plane(0.0)), arch.cut(make_plane(20.0))

    columns_of_middle = make_plane().x_mm[middle.columns][middle.inside.any(axis=0)]
    columns_of_ends = make_plane().x_mm[ends.columns][ends.inside.any(axis=0)]
    assert np.abs(columns_of_middle).max() < 30 < np.abs(columns_of_ends).min()


def test_rib_descends_towards_the_front():
    rib = Rib(start_z_mm=50, start_degrees=30, end_degrees=120)
    circle = Oval((0, 0), 100, 100, 100)
    angles = np.radians(np.arange(30, 121, 10))
    points = (100 * np.sin(angles), 100 * np.cos(angles))

    heights = np.arange(*rib.range_mm(), 0.5)
    inside = np.array([rib.contains(circle, points, height)[0] for height in heights])

    means = (inside * heights[:, None]).sum(axis=0) / inside.sum(axis=0)
    assert np.all(np.diff(means) < 0)
    assert means[0] == pytest.approx(50, abs=0.5)


def test_marrow_lies_inside_its_rib():
    rib = Rib(start_z_mm=0, start_degrees=30, end_degrees=120)
    x, y = (grid.ravel() for grid in np.meshgrid(np.arange(80, 121, 0.5), np.arange(-20, 21, 0.5)))

    inside, marrow = rib.contains(Oval((0, 0), 100, 100, 100), (x, y), -40.0)

    assert marrow.any()
    assert inside[marrow].all()
