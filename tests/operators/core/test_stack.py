"""Stack: positions are distinct, equally spaced, and on one line; else a finding says what is wrong."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from operators.core.findings import FindingCode
from operators.core.frames import frames_of
from operators.core.placement import place
from operators.core.stack import away_from_most, build_stack, gaps_of, is_even, order
from tests.builders import make_header, make_series


def placements(headers):
    return [place(frame) for instance in make_series(headers).instances for frame in frames_of(instance)]


def at(*heights_mm, **kwargs):
    return placements([make_header(i, position=(0, 0, z), **kwargs) for i, z in enumerate(heights_mm)])


def codes_of(found):
    return [finding.code for finding in build_stack(found).findings]


def uid_of(placement):
    return placement.frame.instance.uid


class TestGaps:
    """Positions are distinct and equally spaced (PS3.3 C.7.6.2.1.1)."""

    def test_missing_slices_are_counted(self):
        (finding,) = build_stack(at(0, 3, 6, 15, 18, 21, 27, 30)).findings

        assert finding.code is FindingCode.MISSING_SLICES
        assert finding.message.startswith("3 slices are missing in 2 gaps")
        assert len(finding.instances) == 4

    @given(slices=st.integers(6, 20), missing=st.sets(st.integers(1, 18), min_size=1), step_mm=st.floats(0.5, 10))
    def test_any_missing_slices_inside_are_found_and_counted(self, slices, missing, step_mm):
        inside = {index for index in missing if index < slices - 1}
        kept = [index for index in range(slices) if index not in inside]
        steps = np.diff(kept)
        found = build_stack(at(*[step_mm * index for index in kept]))

        # Where gaps are all alike, or most are doubled, nothing tells a missing slice from a larger step.
        if np.median(steps) == 1 and inside:
            (finding,) = found.findings
            assert finding.code is FindingCode.MISSING_SLICES
            assert finding.message.startswith(f"{len(inside)} slices are missing in {(steps > 1).sum()} gaps")
            assert found.affine_lps is None
        else:
            assert (found.findings == ()) == (len(set(steps)) == 1)

    def test_gap_that_is_no_multiple_is_variable_spacing(self):
        assert codes_of(at(0, 3, 6, 10, 13, 16)) == [FindingCode.VARIABLE_SPACING]

    def test_narrow_gap_is_variable_spacing(self):
        assert codes_of(at(0, 3, 6, 7.5, 10.5, 13.5)) == [FindingCode.VARIABLE_SPACING]

    def test_same_position_is_found_with_both_instances(self):
        found = at(0, 3, 3, 6, 9)

        (finding,) = build_stack(found).findings

        assert finding.code is FindingCode.DUPLICATE_POSITION
        assert set(finding.instances) == {uid_of(found[1]), uid_of(found[2])}

    def test_one_slice_is_too_few(self):
        assert codes_of(at(0)) == [FindingCode.TOO_FEW_SLICES]

    def test_all_slices_at_one_position_are_too_few(self):
        assert codes_of(at(5, 5, 5)) == [FindingCode.DUPLICATE_POSITION, FindingCode.TOO_FEW_SLICES]

    def test_two_slices_are_a_volume(self):
        assert is_even(at(0, 5))

    @pytest.mark.parametrize(("shift_mm", "found"), [(0.0, False), (0.029, False), (0.031, True)])
    def test_gaps_may_differ_by_one_percent(self, shift_mm, found):
        stack = at(0, 3, 6, 9 + shift_mm, 12 + shift_mm, 15 + shift_mm, 18 + shift_mm)

        assert codes_of(stack) == [FindingCode.VARIABLE_SPACING] * found

    @pytest.mark.parametrize(("shift_mm", "found"), [(0.019, False), (0.021, True)])
    def test_gaps_of_thin_slices_may_differ_by_two_hundredths_of_a_mm(self, shift_mm, found):
        stack = at(0, 0.5, 1.0, 1.5 + shift_mm, 2.0 + shift_mm, 2.5 + shift_mm)

        assert codes_of(stack) == [FindingCode.VARIABLE_SPACING] * found

    def test_small_differences_of_gaps_do_not_add_up(self):
        """Each gap is within 1 percent of the others, and yet the affine would put a slice half a slice off."""
        heights = np.cumsum([0, *[3.0] * 100, *[3.028] * 100])

        stack = build_stack(at(*heights))

        assert codes_of(stack.placements) == [FindingCode.VARIABLE_SPACING]

    @given(heights=st.lists(st.floats(-500, 500), min_size=2, max_size=9, unique=True))
    def test_gaps_are_the_distances_of_neighbours(self, heights):
        ordered = order(at(*heights))

        positions = sorted(float(p.position[2]) for p in ordered)
        assert gaps_of(ordered) == pytest.approx(np.diff(positions), abs=1e-9)


class TestOrder:
    """Along the normal, never by name or number."""

    @given(seed=st.integers(0, 1000))
    def test_order_does_not_depend_on_the_order_of_files(self, seed):
        found = at(0, 3, 3, 6, 9)
        shuffled = list(found)
        random.Random(seed).shuffle(shuffled)

        assert [uid_of(p) for p in order(shuffled)] == [uid_of(p) for p in order(found)]

    def test_slices_ascend_along_the_normal_even_towards_the_feet(self):
        stack = build_stack(at(0, 3, 6, orientation=(-1, 0, 0, 0, 1, 0)))

        assert [p.position[2] for p in stack.placements] == [6, 3, 0]
        assert stack.affine_lps[:3, 0] == pytest.approx((0, 0, -3))


class TestShear:
    """A tilted stack is a finding; where the shear is even an affine says where each voxel lies."""

    @pytest.mark.parametrize(("tilt_deg", "found"), [(0.15, False), (0.25, True), (15, True), (-15, True)])
    def test_tilt_above_a_fifth_of_a_degree_is_found(self, tilt_deg, found):
        slope = np.tan(np.radians(tilt_deg))
        stack = placements([make_header(i, position=(0, 3 * i * slope, 3 * i)) for i in range(8)])

        assert codes_of(stack) == [FindingCode.GANTRY_TILT] * found

    @given(shift=st.tuples(st.floats(-2, 2), st.floats(-2, 2)), slices=st.integers(2, 9))
    def test_affine_of_a_tilted_stack_meets_every_image_position(self, shift, slices):
        headers = [make_header(i, position=(shift[0] * i, shift[1] * i, 3 * i)) for i in range(slices)]

        stack = build_stack(placements(headers))

        for index, header in enumerate(headers):
            expected = [float(v) for v in header.ImagePositionPatient]
            assert (stack.affine_lps @ (index, 0, 0, 1))[:3] == pytest.approx(expected, abs=1e-6)

    def test_slices_pushed_sideways_in_the_middle_have_no_grid(self):
        stack = build_stack(
            placements([make_header(i, position=(40 if 3 <= i <= 6 else 0, 0, 3 * i)) for i in range(10)])
        )

        assert FindingCode.GANTRY_TILT in {f.code for f in stack.findings}
        assert stack.affine_lps is None

    def test_noise_of_a_micrometre_is_no_tilt(self):
        noisy = [make_header(i, position=(1e-3 * (i % 2), 0, 0.3 * i)) for i in range(9)]

        assert codes_of(placements(noisy)) == []


class TestSpacing:
    """One Pixel Spacing."""

    def test_image_with_another_spacing_is_found(self):
        headers = [make_header(i, pixel_spacing=(0.8, 0.7 if i == 2 else 0.6)) for i in range(5)]

        stack = build_stack(placements(headers))

        assert [(f.code, f.instances) for f in stack.findings] == [
            (FindingCode.MIXED_SPACING, (headers[2].SOPInstanceUID,))
        ]
        assert stack.affine_lps is None

    @given(spacing=st.floats(0.3, 2), jitter=st.floats(1e-9, 1e-6))
    def test_noise_in_the_last_decimals_is_no_other_spacing(self, spacing, jitter):
        headers = [make_header(i, pixel_spacing=(spacing + jitter * (i % 2), 0.6)) for i in range(4)]

        assert codes_of(placements(headers)) == []

    def test_rows_away_from_the_most_common_one_are_told(self):
        values = np.array([[1.0, 2.0], [1.0, 2.0], [1.0, 2.5], [1.0, 2.00001]])

        assert away_from_most(values, 1e-4).tolist() == [False, False, True, False]
