"""Picture: slices, legend, values with units, quality and status; nothing names the patient."""

import dataclasses

import numpy as np
import pytest

from operators.core.label_map import LabelMap
from operators.core.volume import Volume
from operators.write import picture as module
from operators.write.picture import LINE, PANEL_WIDTH, compose, shown_number
from operators.write.shown_slices import PICTURE_WIDTH, draw_slices
from tests.builders import (
    ALGORITHM,
    TISSUES,
    make_identity,
    make_label_map,
    make_measurements,
    make_quality,
    make_slice_areas,
    make_volume,
)


def parts(slices=12, **places) -> tuple[Volume, LabelMap]:
    """Segments in slices of their own."""
    volume = make_volume(np.zeros((slices, 6, 5), np.int16))
    labels = np.zeros(volume.array.shape, np.uint8)
    for name, where in places.items():
        (label,) = next(segment.labels for segment in TISSUES if segment.name == name)
        labels[where, 1:4, 1:4] = label
    return volume, LabelMap(labels, volume.affine_lps.copy(), TISSUES[1:], ALGORITHM)


def composed(volume, label_map, **changes):
    return compose(
        draw_slices(volume, label_map),
        label_map,
        make_measurements(label_map),
        make_slice_areas(volume, label_map),
        changes.get("quality", make_quality()),
        make_identity(),
    )


def test_picture_lies_beside_the_legend_and_several_in_two_columns():
    volume, label_map = parts(bone=slice(2, 5), fat=slice(8, 9), muscle=slice(10, 11))
    (first, second, third) = draw_slices(volume, label_map)

    canvas = composed(volume, label_map)

    assert canvas.width == 2 * PICTURE_WIDTH + PANEL_WIDTH
    top = (canvas.height - 2 * (first.image.height + LINE)) // 2
    for shown, (left, row) in zip((first, second, third), ((0, 0), (PICTURE_WIDTH, 0), (0, 1)), strict=True):
        corner = (left, top + LINE + row * (shown.image.height + LINE))
        box = (*corner, corner[0] + shown.image.width, corner[1] + shown.image.height)
        assert np.array_equal(np.asarray(canvas.crop(box)), np.asarray(shown.image))


def written_in(monkeypatch, draw) -> list[str]:
    """Every text that is drawn while `draw` runs."""
    texts: list[str] = []

    class Recorder(module.ImageDraw.ImageDraw):
        def text(self, xy, text, *args, **kwargs):
            texts.append(text)
            super().text(xy, text, *args, **kwargs)

    monkeypatch.setattr(module.ImageDraw, "Draw", Recorder)
    draw()
    return texts


def test_values_units_quality_and_status_are_written_and_the_patient_is_not(monkeypatch):
    volume = make_volume()

    texts = written_in(monkeypatch, lambda: composed(volume, make_label_map(volume)))

    # make_measurements: volume n + 0.25, mean -100.5 n, SD 7.125 n; make_slice_areas: slice + n / 10.
    for text in ("Bone", "2.2", "6.2", "-201.0 ± 14.2", "mL", "cm2", "HU", "not found", "Quality: caution"):
        assert text in texts, text
    assert "The scan reaches into the thorax." in texts
    assert "Research use only. Not for diagnosis." in texts
    assert "test_app 1.2.3" in texts
    assert {"R", "L", "A", "P"} <= set(texts)
    assert not any("Phantom" in text or "MAPNODE-PHANTOM" in text for text in texts)


def test_a_hundred_segments_have_legends_side_by_side(monkeypatch):
    segments = tuple(
        dataclasses.replace(TISSUES[1], number=n, name=f"s{n}", label=f"Segment {n}", labels=(n,))
        for n in range(1, 101)
    )
    volume = make_volume(np.zeros((4, 6, 5), np.int16))
    label_map = LabelMap(np.ones(volume.array.shape, np.uint8), volume.affine_lps.copy(), segments, ALGORITHM)
    sizes = []

    texts = written_in(monkeypatch, lambda: sizes.append(composed(volume, label_map).size))

    assert {f"Segment {n}" for n in range(1, 101)} <= set(texts)
    assert sizes[0][0] == PICTURE_WIDTH + 4 * PANEL_WIDTH


@pytest.mark.parametrize(
    ("value", "text"), [(0.0, "0.0"), (12586.84, "12586.8"), (-105.04, "-105.0"), (0.0412, "0.041"), (0.25, "0.25")]
)
def test_small_values_are_not_rounded_away(value, text):
    assert shown_number(value) == text
