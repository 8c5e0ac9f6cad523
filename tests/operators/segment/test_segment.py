"""Segment: whatever the engine, labels lie on the volume's own grid."""

from dataclasses import dataclass, replace

import numpy as np
import pytest

from operators.core.errors import GeometryError
from operators.core.label_map import LabelMap
from operators.core.levels import Levels
from operators.runtime.sdk import Application
from operators.segment import Segment
from tests.builders import ALGORITHM, TISSUES, make_volume


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


def test_labels_beside_the_volume_are_refused():
    with pytest.raises(GeometryError, match="elsewhere"):
        Segment(Application(), BrightIsBone(shift_mm=1.0)).process(make_volume())


def test_progress_of_the_engine_is_the_steps():
    step, heard = Segment(Application(), BrightIsBone()), []
    step.monitor.report = lambda name, fraction, message: heard.append((name, fraction, message))

    step.process(make_volume())

    assert heard == [("Segment", 0.5, "thresholding")]
