"""PartedLegs: what an engine finds without sides goes to the leg that it lies in."""

from dataclasses import dataclass

import numpy as np
import pytest

from mapnode.phantom.leg_anatomy import LegTissue as Truth
from mapnode.phantom.legs import LegPhantomParameters, build_leg_phantom
from operators.core.catalogue import segment
from operators.core.errors import ModelError
from operators.core.label_map import LabelMap, Segment
from operators.core.volume import Volume
from operators.segment.classical.leg_engine import LegEngine
from operators.segment.leg_tissues import LEG_SEGMENTS
from operators.segment.parted_legs import PartedLegs

PHANTOM = build_leg_phantom(LegPhantomParameters(slices=8, spacing_mm=(5.0, 4.0, 4.0), centre_z_mm=230.0, gap_mm=-4.0))
NAMES = ("skeletal_muscle", "bone", "intermuscular_fat", "subcutaneous_fat")
"""In the order of a model that is not ours."""


@dataclass(frozen=True)
class Oracle:
    """An engine that knows the truth, without sides, on the volume as it is stored."""

    names: tuple[str, ...] = NAMES
    flips: tuple[int, ...] = ()
    algorithm = LegEngine("1.0.0").algorithm

    @property
    def segments(self) -> tuple[Segment, ...]:
        return tuple(segment(name, number, (number,)) for number, name in enumerate(self.names, start=1))

    def segment(self, volume, report) -> LabelMap:
        labels = np.zeros(volume.array.shape, dtype=np.uint8)
        for number, name in enumerate(self.names, start=1):
            labels[np.flip(PHANTOM.truth_labels, self.flips) == Truth[name.upper()]] = number
        report(1.0, "done")
        return LabelMap(labels, volume.affine_lps, self.segments, self.algorithm)


def make_volume(flips=()) -> Volume:
    affine = PHANTOM.affine_lps.copy()
    for axis in flips:
        affine[:3, 3] += affine[:3, axis] * (PHANTOM.hu.shape[axis] - 1)
        affine[:3, axis] *= -1
    return Volume(np.ascontiguousarray(np.flip(PHANTOM.hu, flips)), affine, "1.2", ())


def silent(_fraction, _step=""):
    """Nobody listens."""


@pytest.mark.parametrize("flips", [(), (0, 2), (1, 2)], ids=["supine", "feet first", "prone"])
@pytest.mark.parametrize("found", LEG_SEGMENTS, ids=lambda each: each.name)
def test_every_tissue_goes_to_its_own_leg(found, flips):
    label_map = PartedLegs(Oracle(flips=flips)).segment(make_volume(flips), silent)

    name, side = found.name.removeprefix("leg_").rsplit("_", 1)
    true = (PHANTOM.truth_labels == Truth[name.upper()]) & (PHANTOM.truth_side == {"left": 1, "right": -1}[side])
    assert np.array_equal(np.flip(label_map.mask(found), flips), true)


def test_model_without_all_four_tissues_is_refused_and_told_what_to_do():
    with pytest.raises(ModelError, match=r"no intermuscular_fat.*mapnode\.model\.labels"):
        PartedLegs(Oracle(names=("bone", "skeletal_muscle", "subcutaneous_fat"))).segment(make_volume(), silent)


def test_progress_goes_on_where_the_engine_ends():
    heard = []

    PartedLegs(Oracle()).segment(make_volume(), lambda fraction, step: heard.append((fraction, step)))

    assert heard == [(0.9, "done"), (0.9, "legs")]


def test_digest_is_not_that_of_the_engine_alone():
    assert PartedLegs(Oracle()).algorithm.digest != Oracle.algorithm.digest
