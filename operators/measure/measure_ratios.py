"""MeasureRatios: one segment's volume or area divided by another's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from operators.core import codes
from operators.core.label_map import LabelMap
from operators.core.measurements import DerivedValue, KeySlice, NotComputed, Quantity, SegmentMeasurements, rounded
from operators.measure.measure_key_slices import AREA
from operators.measure.measure_segments import VOLUME
from operators.runtime.step import Step

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from operators.core.measurements import Measurement


@dataclass(frozen=True)
class Ratio:
    """One ratio.

    Attributes:
        name: Key in result.json, snake case.
        label: What people call it.
        numerator: Name of a segment.
        denominator: Name of a segment, or of several whose values add up.
        level: Landmark in whose slice areas are divided; None for the volumes of the whole scan.
        level_absent: Why the landmark may be absent, for a reader.
        where_found: Leave the ratio out where the landmark was not found, instead of saying that it was not computed.
    """

    name: str
    label: str
    numerator: str
    denominator: str | tuple[str, ...]
    level: str | None = None
    level_absent: str = ""
    where_found: bool = False

    @property
    def denominators(self) -> tuple[str, ...]:
        """The segments whose values add up to the denominator."""
        return (self.denominator,) if isinstance(self.denominator, str) else self.denominator

    @property
    def segment_names(self) -> tuple[str, ...]:
        """All segments that it is computed from, each once, the numerator first."""
        return tuple(dict.fromkeys((self.numerator, *self.denominators)))

    def __post_init__(self) -> None:
        if self.denominators == (self.numerator,):
            raise ValueError(f"{self.name} divides {self.numerator} by itself; name two segments")


@dataclass(frozen=True)
class MeasureRatiosParameters:
    """Which ratios.

    Attributes:
        ratios: The ratios, in the order of the result; names are unique.
    """

    ratios: tuple[Ratio, ...] = ()

    def __post_init__(self) -> None:
        names = [ratio.name for ratio in self.ratios]
        if len(set(names)) != len(names):
            raise ValueError(f"names of ratios have to be unique, these are not: {names}")


class MeasureRatios(Step):
    """Divide the volume of one segment by that of another or of several, or their areas in the slice of a landmark.

    The numbers divided are those that the result states, so that a reader can check the ratio. A ratio with a part
    that was not found is not computed, and says why.

    Besides the ports below it takes a tuple of DerivedValue on each port that the app names in `more_inputs`: what
    other operators derived follows the ratios.

    Named Input:
        label_map: LabelMap that was measured.
        measurements: tuple of SegmentMeasurements.
        key_slices: tuple of KeySlice.

    Named Output:
        derived: tuple of DerivedValue, one a ratio, then those of other operators.

    Raises KeyError where the label map has no segment of that name.
    """

    inputs: ClassVar[tuple[str, ...]] = ("label_map", "measurements", "key_slices")
    output: ClassVar[str] = "derived"

    def process(
        self,
        label_map: LabelMap,
        measurements: tuple[SegmentMeasurements, ...],
        key_slices: tuple[KeySlice, ...],
        **others: tuple[DerivedValue, ...],
    ) -> tuple[DerivedValue, ...]:
        """Divide."""
        parameters: MeasureRatiosParameters = self.parameters or MeasureRatiosParameters()
        wanted = [r for r in parameters.ratios if not r.where_found or r.level in label_map.landmarks]
        ratios = [measure_ratio(ratio, label_map, measurements, key_slices) for ratio in wanted]
        return (*ratios, *(value for values in others.values() for value in values))


def measure_ratio(
    ratio: Ratio, label_map: LabelMap, measurements: Iterable[SegmentMeasurements], key_slices: Iterable[KeySlice]
) -> DerivedValue:
    """One ratio, or the reason why there is none.

    Raises:
        KeyError: If the label map has no segment of that name.
    """
    parts = {name: label_map.segment(name).label for name in ratio.segment_names}
    if ratio.level is None:
        found = {measured.segment_name: measured.values for measured in measurements if measured.voxels}
        values, where = _values(found, VOLUME), " in the whole scan"
    else:
        found = {row.segment_name: row.values for row in key_slices if row.role == ratio.level}
        values, where = _values(found, AREA), f" in the slice of {ratio.level}"
    missing = [label for name, label in parts.items() if name not in values]
    quotient = None if missing else rounded(values[ratio.numerator] / sum(values[name] for name in ratio.denominators))
    return DerivedValue(
        quantity=Quantity(ratio.name, "ratio", codes.RATIO, codes.RATIO_UNIT),
        label=ratio.label,
        definition=_definition(ratio, parts, where),
        segment_names=ratio.segment_names,
        value=quotient,
        reason=_reason(ratio, label_map, missing, where),
        reason_code=_code(ratio, label_map, missing),
        level=ratio.level,
    )


def _values(found: dict[str, tuple[Measurement, ...]], quantity: Quantity) -> dict[str, float]:
    """That quantity by segment, of those that are found."""
    return {name: m.value for name, values in found.items() for m in values if m.quantity == quantity}


def _definition(ratio: Ratio, labels: Mapping[str, str], where: str) -> str:
    what = "volume" if ratio.level is None else "area"
    numerator, *denominators = (f"{what} of {labels[name]}{where}" for name in (ratio.numerator, *ratio.denominators))
    total = " + ".join(denominators)
    return f"{numerator} / {total if len(denominators) == 1 else f'({total})'}"


def _reason(ratio: Ratio, label_map: LabelMap, missing: Sequence[str], where: str) -> str:
    if not missing:
        return ""
    if ratio.level is not None and ratio.level not in label_map.landmarks:
        return f"{ratio.level} was not found" + (f": {ratio.level_absent}" if ratio.level_absent else "")
    return f"{' and '.join(missing)}: not found{where}"


def _code(ratio: Ratio, label_map: LabelMap, missing: Sequence[str]) -> NotComputed | None:
    if not missing:
        return None
    lost = ratio.level is not None and ratio.level not in label_map.landmarks
    return NotComputed.NO_LEVEL if lost else NotComputed.NOT_FOUND
