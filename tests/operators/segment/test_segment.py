"""Segment: whatever the engine, labels lie on the volume's own grid."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from operators.core.catalogue import entry
from operators.core.errors import GeometryError
from operators.core.label_map import LabelMap
from operators.core.levels import Levels
from operators.runtime.sdk import Application
from operators.segment import Segment
from tests.builders import ALGORITHM, AXIAL, AXIAL_FEET, TISSUES, make_affine, make_hu, make_volume


@dataclass(frozen=True)
class BrightIsBone:
    """An engine of one line, which may miss the grid by some mm."""

    shift_mm: float = 0.0
    algorithm = ALGORITHM
    segments = TISSUES

    def segment(self, volume, report):
        report(0.5, "thresholding")
        affine = volume.affine_lps.copy()
        affine[0, 3] += self.shift_mm
        return LabelMap((volume.array > 150).astype(np.uint8), affine, self.segments, self.algorithm)


class Crested(BrightIsBone):
    """The same with a landmark."""

    def segment(self, volume, report):
        return replace(super().segment(volume, report), landmarks={"iliac_crest": 2})


def example(_tmp_path):
    return BrightIsBone(), {"volume": make_volume()}


def test_labels_are_what_the_engine_says():
    volume = make_volume()

    label_map = Segment(Application(), BrightIsBone()).process(volume)

    assert np.array_equal(label_map.array, volume.array > 150)
    assert label_map.segments is TISSUES


def test_vertebrae_that_came_with_the_images_are_landmarks_beside_the_engines():
    step = Segment(Application(), Crested(), more_inputs=["levels"])

    label_map = step.process(make_volume(), levels=Levels({"vertebra_l3": 4}))

    assert label_map.landmarks == {"iliac_crest": 2, "vertebra_l3": 4}
    assert "levels" in step.ports


@dataclass(frozen=True)
class TwoVertebrae(BrightIsBone):
    """An engine whose labels are vertebrae: L2 and L3 of five slices each, 16 mm wide, and L4 at the stack's end."""

    segments = tuple(
        entry(f"vertebrae_{name}").segment(number, (number,)) for number, name in enumerate(("L4", "L3", "L2"), 1)
    )

    def segment(self, volume, report):
        labels = np.zeros(volume.array.shape, np.uint8)
        for label, (first, last) in {1: (0, 4), 2: (7, 11), 3: (14, 18)}.items():
            labels[first : last + 1, 2:10, 2:10] = label
        return LabelMap(labels, volume.affine_lps.copy(), self.segments, self.algorithm)


@pytest.mark.parametrize("directions", [AXIAL, AXIAL_FEET], ids=["head first", "feet first"])
def test_vertebrae_of_the_engine_are_landmarks_where_none_came_with_the_images(directions):
    volume = make_volume(make_hu(24, 12, 12), make_affine(directions, (5.0, 2.0, 2.0)))
    up = volume.affine_lps[2, 0] > 0
    step = Segment(Application(), TwoVertebrae(), more_inputs=["levels"])

    own, came = (step.process(volume, levels=levels) for levels in (Levels(), Levels({"vertebra_l3": 4})))

    assert own.landmarks == ({"vertebra_l2": 16, "vertebra_l3": 9} if up else {})
    assert came.landmarks == {"vertebra_l3": 4}


def test_labels_beside_the_volume_are_refused():
    with pytest.raises(GeometryError, match="elsewhere"):
        Segment(Application(), BrightIsBone(shift_mm=1.0)).process(make_volume())


def test_progress_of_the_engine_is_the_steps():
    step, heard = Segment(Application(), BrightIsBone()), []
    step.monitor.report = lambda name, fraction, message: heard.append((name, fraction, message))

    step.process(make_volume())

    assert heard == [("Segment", 0.5, "thresholding")]
