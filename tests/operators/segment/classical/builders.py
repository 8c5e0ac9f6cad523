"""A plain trunk of ellipses: skin, subcutaneous fat, a ring of muscle, a cavity with fat, a spine with its muscles."""

from dataclasses import dataclass

import numpy as np

AIR, FAT, MUSCLE, ORGAN, CORTEX, MARROW = -1000, -100, 50, 40, 600, 200


@dataclass(frozen=True)
class Trunk:
    """The volume and where things are, `(slices, rows, columns)`."""

    hu: np.ndarray
    truth: np.ndarray
    spacing_mm: tuple[float, float, float]


def ellipse(shape, spacing_mm, centre_mm, half_rows_mm, half_columns_mm):
    """Draw an ellipse of one slice; its centre is in mm from the middle of the slice, (posterior, left)."""
    rows = (np.arange(shape[1]) - (shape[1] - 1) / 2)[:, None] * spacing_mm[1] - centre_mm[0]
    columns = (np.arange(shape[2]) - (shape[2] - 1) / 2)[None, :] * spacing_mm[2] - centre_mm[1]
    return (rows / half_rows_mm) ** 2 + (columns / half_columns_mm) ** 2 <= 1.0


def make_trunk(slices=12, spacing_mm=(3.0, 3.0, 3.0), field_mm=(270.0, 360.0)):
    """Build the trunk; labels are those of TrunkTissue."""
    shape = (slices, round(field_mm[0] / spacing_mm[1]), round(field_mm[1] / spacing_mm[2]))
    hu, truth = np.full(shape[1:], AIR, np.int16), np.zeros(shape[1:], np.uint8)
    layers = (
        ((0.0, 0.0), 110.0, 160.0, ORGAN, 1),  # skin
        ((0.0, 0.0), 107.0, 157.0, FAT, 3),
        ((0.0, 0.0), 89.0, 139.0, MUSCLE, 5),
        ((-10.0, 0.0), 64.0, 122.0, FAT, 4),
        ((52.0, -32.0), 26.0, 32.0, MUSCLE, 5),  # erector spinae
        ((52.0, 32.0), 26.0, 32.0, MUSCLE, 5),
        ((22.0, -40.0), 16.0, 14.0, MUSCLE, 5),  # psoas
        ((22.0, 40.0), 16.0, 14.0, MUSCLE, 5),
        ((22.0, 0.0), 18.0, 24.0, CORTEX, 2),  # vertebra
        ((22.0, 0.0), 14.0, 20.0, MARROW, 2),
        ((50.0, 0.0), 12.0, 15.0, CORTEX, 2),  # arch
        ((49.0, 0.0), 8.0, 11.0, 20, 1),  # canal
        ((-40.0, 20.0), 16.0, 30.0, ORGAN, 1),  # bowel
    )
    for centre, half_rows, half_columns, value, label in layers:
        inside = ellipse(shape, spacing_mm, centre, half_rows, half_columns)
        hu[inside], truth[inside] = value, label
    return Trunk(np.repeat(hu[None], slices, 0), np.repeat(truth[None], slices, 0), spacing_mm)


def dice(found, truth):
    """Overlap of two masks."""
    return 2.0 * np.count_nonzero(found & truth) / (np.count_nonzero(found) + np.count_nonzero(truth))
