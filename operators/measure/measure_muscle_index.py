"""MeasureMuscleIndex: skeletal muscle index, the area of muscle at L3 over the height of the patient squared."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from operators.core import codes
from operators.core.catalogue import entry
from operators.core.header import alike, attribute, read_numbers
from operators.core.label_map import LabelMap
from operators.core.levels import CENTRE_TEXT, L3, VERTEBRAE
from operators.core.measurements import DerivedValue, KeySlice, NotComputed, Quantity, rounded
from operators.core.volume import Volume
from operators.measure.measure_key_slices import AREA
from operators.runtime.step import Step

if TYPE_CHECKING:
    from collections.abc import Iterable

MUSCLE = "skeletal_muscle"
MUSCLE_INDEX = Quantity(
    "skeletal_muscle_index_cm2_m2", "cm2/m2", codes.MUSCLE_INDEX, codes.SQUARE_CENTIMETRE_PER_SQUARE_METRE
)
LEAST_M, MOST_M = 0.5, 2.5
"""Heights of people, from infants to the tallest: what lies outside was entered in centimetres, or wrongly."""


class Reason(NamedTuple):
    """Why there is no index, for people and as a code."""

    text: str
    code: NotComputed


class MeasureMuscleIndex(Step):
    """Measure the skeletal muscle index: area of muscle at L3 in cm2 / (height in m)^2 (Mourtzakis 2008).

    Height is Patient's Size (0010,1020), which is in metres. The area is that of all muscle in the slice of L3. Where
    either is not known the index is not computed, and says why. A height outside of 0.5 to 2.5 m, several heights
    among the images, and a value that is no number are no height; none is corrected.

    Named Input:
        volume: Volume, for the headers of its images.
        label_map: LabelMap that was measured.
        key_slices: tuple of KeySlice.

    Named Output:
        muscle_index: tuple of one DerivedValue.
    """

    inputs: ClassVar[tuple[str, ...]] = ("volume", "label_map", "key_slices")
    output: ClassVar[str] = "muscle_index"

    def process(
        self, volume: Volume, label_map: LabelMap, key_slices: tuple[KeySlice, ...]
    ) -> tuple[DerivedValue, ...]:
        """Divide."""
        return (measure_muscle_index(volume, label_map, key_slices),)


def measure_muscle_index(volume: Volume, label_map: LabelMap, key_slices: Iterable[KeySlice]) -> DerivedValue:
    """The index, or why there is none."""
    area_cm2, height_m = _area_cm2(label_map, key_slices), height_of(volume)
    reason = next((part for part in (area_cm2, height_m) if isinstance(part, Reason)), None)
    index = None
    if not isinstance(area_cm2, Reason) and not isinstance(height_m, Reason):
        index = rounded(area_cm2 / height_m**2)
    return DerivedValue(
        quantity=MUSCLE_INDEX,
        label="Skeletal muscle index",
        definition=(
            f"area of {entry(MUSCLE).label} at {VERTEBRAE[L3].label} ({CENTRE_TEXT}) / "
            f"square of {attribute('PatientSize')}"
        ),
        segment_names=(MUSCLE,),
        value=index,
        reason=reason.text if reason else "",
        reason_code=reason.code if reason else None,
        level=L3,
    )


def height_of(volume: Volume) -> float | Reason:
    """The height in m that the images state, or why it is none.

    Messages do not quote it.
    """
    stated = {
        None if (numbers := read_numbers(first.header, "PatientSize")) is None else tuple(numbers.tolist())
        for first, *_ in alike(volume.slices, lambda source: source.header, "PatientSize").values()
    }
    keyword = attribute("PatientSize")
    if stated <= {None}:
        return Reason(f"the images do not state {keyword}", NotComputed.NO_HEIGHT)
    if len(stated) > 1:
        return Reason(f"{keyword} is not the same in all images", NotComputed.IMPLAUSIBLE_HEIGHT)
    (values,) = stated
    if values is None or len(values) != 1 or not LEAST_M <= values[0] <= MOST_M:
        return Reason(
            f"{keyword} is not one height between {LEAST_M:g} and {MOST_M:g} m; it has to be in metres",
            NotComputed.IMPLAUSIBLE_HEIGHT,
        )
    return float(values[0])


def _area_cm2(label_map: LabelMap, key_slices: Iterable[KeySlice]) -> float | Reason:
    """Area of skeletal muscle at L3, or why there is none."""
    level = VERTEBRAE[L3].label
    if L3 not in label_map.landmarks:
        return Reason(f"the level of the {level} is not known", NotComputed.NO_LEVEL)
    for row in key_slices:
        if (row.segment_name, row.role) == (MUSCLE, L3):
            return next(value.value for value in row.values if value.quantity == AREA)
    return Reason(f"{entry(MUSCLE).label} was not found at the {level}", NotComputed.NOT_FOUND)
