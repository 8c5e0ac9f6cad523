"""Volume interval: between what an engine's probabilities say that a segment's volume lies.

An engine that gives probabilities says of each voxel how likely it belongs to a segment, not how voxels go together.
That they all err together is assumed: if one that is less likely belongs to the segment, so does every one that is more
likely. The segment is then {p > u} for one u that is uniform in 0 to 1, and the quantile q of its volume is the volume
of the voxels with p >= 1 - q. It is the widest interval that these probabilities allow: voxels that err each for
themselves cancel out, and networks err over whole borders at once.

The interval is as good as the probabilities: an engine that is sure of itself and wrong gives a narrow one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from operators.core import codes
from operators.core.measurements import Measurement, Quantity, rounded

if TYPE_CHECKING:
    from operators.core.label_map import LabelMap, Segment

VOLUME_P05 = Quantity("volume_p05_ml", "mL", codes.VOLUME, codes.CUBIC_CENTIMETRE, codes.PERCENTILE_05)
VOLUME_P95 = Quantity("volume_p95_ml", "mL", codes.VOLUME, codes.CUBIC_CENTIMETRE, codes.PERCENTILE_95)
QUANTILES = ((VOLUME_P05, 0.05), (VOLUME_P95, 0.95))


def volume_interval(label_map: LabelMap, segment: Segment, voxel_volume_mm3: float) -> tuple[Measurement, ...]:
    """The 5th and the 95th percentile of a segment's volume in mL; nothing where there are no probabilities of it.

    Args:
        label_map: The labels, with the engine's probabilities `(slices, rows, columns)` where it gave some.
        segment: One of its segments.
        voxel_volume_mm3: Volume of a voxel.

    Returns:
        volume_p05_ml = voxels with p >= 0.95, volume_p95_ml = voxels with p >= 0.05, each x voxel volume / 1000.
    """
    probabilities = label_map.probabilities
    names = [known.name for known in probabilities.segments] if probabilities is not None else []
    if probabilities is None or segment.name not in names:
        return ()
    of_segment = probabilities.arrays[names.index(segment.name)]
    return tuple(
        # Compared in the map's own precision: in 32 bits 0.95 is not above 0.95 in 64.
        Measurement(
            quantity, rounded(float((of_segment >= of_segment.dtype.type(1 - q)).sum()) * voxel_volume_mm3 / 1000)
        )
        for quantity, q in QUANTILES
    )
