"""Agreed: the attributes of a volume on which all its slices have to agree."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from operators.core.errors import InputRefused
from operators.core.findings import Finding, FindingCode
from operators.core.header import PARSE_ERRORS, attribute, read_value

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from pydicom import Dataset

    from operators.core.volume import SourceSlice

TIME = re.compile(r"(\d{2})(\d{2})(?:(\d{2})(\.\d{1,6})?)?")
"""TM and the time of DT from minutes on (PS3.5 6.2); an hour alone is no time to correct decay with."""
DATE_TIME = re.compile(r"(\d{8})([\d.]+)([+-]\d{4})?")
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Limits:
    """What a number can be.

    Attributes:
        low: Smallest value.
        high: Largest value.
        unit: Unit of both.
        reason: Why a value outside is none, and what to do.
    """

    low: float
    high: float
    unit: str
    reason: str


@dataclass(frozen=True)
class PrivateAttribute:
    """A private attribute (PS3.5 7.8.1).

    Attributes:
        group: Group number.
        creator: Private Creator that reserves the block.
        element: Offset of the element inside the block.
        name: Its name in the vendor's conformance statement.
    """

    group: int
    creator: str
    element: int
    name: str

    def __str__(self) -> str:
        return f"{self.name} ({self.group:04X},{0x1000 + self.element:04X})"

    def read(self, dataset: Dataset) -> Any:  # noqa: ANN401 - pydicom values are untyped
        """The value; None where it is absent or empty."""
        try:
            value = dataset.private_block(self.group, self.creator)[self.element].value
        except PARSE_ERRORS:
            return None
        # Of VR UN where a data set came over a node that does not know the creator.
        text = value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
        return text.strip(" \0") or None


@dataclass(frozen=True)
class AgreedHeader:
    """The headers of a volume's slices, read as one: a value on which they do not agree is refused.

    Attributes:
        datasets: One data set a slice.
        uids: SOP Instance UIDs of the slices.
    """

    datasets: tuple[Dataset, ...]
    uids: tuple[str, ...]

    @classmethod
    def of(cls, slices: Iterable[SourceSlice]) -> AgreedHeader:
        """The headers of a volume's slices."""
        headers = tuple(source.header for source in slices)
        return cls(headers, tuple(str(header.get("SOPInstanceUID") or "") for header in headers))

    def item(self, keyword: str) -> AgreedHeader:
        """The only item of a sequence, in each slice.

        Raises:
            InputRefused: If a slice has none or several.
        """
        sequences = [read_value(dataset, keyword) for dataset in self.datasets]
        if any(sequence is None for sequence in sequences):
            raise self.missing(attribute(keyword))
        if any(len(sequence) != 1 for sequence in sequences):
            raise self.invalid(attribute(keyword), "has several items, and nothing says which one the image shows")
        return AgreedHeader(tuple(sequence[0] for sequence in sequences), self.uids)

    def value(self, keyword: str) -> Any:  # noqa: ANN401 - pydicom values are untyped
        """The value on which all slices agree, None where all lack it.

        Raises:
            InputRefused: If they do not agree.
        """
        return self._agreed([read_value(dataset, keyword) for dataset in self.datasets], attribute(keyword))

    def private(self, private: PrivateAttribute) -> str | None:
        """The private value on which all slices agree, None where all lack it.

        Raises:
            InputRefused: If they do not agree.
        """
        value = self._agreed([private.read(dataset) for dataset in self.datasets], str(private))
        return None if value is None else str(value)

    def text(self, keyword: str) -> str:
        """A value that has to be there, as text.

        Raises:
            InputRefused: If it is absent or differs.
        """
        value = self.value(keyword)
        if value is None:
            raise self.missing(attribute(keyword))
        return str(value).strip()

    def number(self, keyword: str, limits: Limits) -> float:
        """A number that has to be there and inside its limits.

        Raises:
            InputRefused: If it is absent, differs, or cannot be.
        """
        return self.checked(self.text(keyword), attribute(keyword), limits)

    def checked(self, text: str, name: str, limits: Limits) -> float:
        """A number inside its limits.

        Raises:
            InputRefused: If the text is no number, or the number cannot be.
        """
        number = as_number(text)
        if number is None or not limits.low <= number <= limits.high:
            met = "no number" if number is None else f"{number:g}"
            raise self.invalid(
                name, f"is {met}, not between {limits.low:g} and {limits.high:g} {limits.unit}: {limits.reason}"
            )
        return number

    def moment(self, date_keyword: str, time_keyword: str) -> datetime:
        """Date and time, the same in all slices.

        Raises:
            InputRefused: If one is absent, differs, or is none.
        """
        return self._moment(
            self.text(date_keyword), self.text(time_keyword), f"{attribute(date_keyword)} or {attribute(time_keyword)}"
        )

    def moments(self, date_keyword: str, time_keyword: str) -> list[datetime]:
        """Date and time of each slice.

        Raises:
            InputRefused: If one is absent, or is none.
        """
        single = [AgreedHeader((d,), (uid,)) for d, uid in zip(self.datasets, self.uids, strict=True)]
        return [slice_header.moment(date_keyword, time_keyword) for slice_header in single]

    def date_time(self, text: str, name: str, utc_offset: str | None) -> datetime:
        """A DT in the local time of the instance's other times.

        Args:
            text: The value.
            name: The attribute, for a refusal.
            utc_offset: Timezone Offset From UTC (0008,0201) of the instance.

        Raises:
            InputRefused: If it is none, or of a zone that cannot be compared.
        """
        match = DATE_TIME.fullmatch(text.strip())
        if match is None:
            raise self.invalid(name, "is no date with a time from minutes on (PS3.5 6.2)")
        if match[3] is not None and match[3] != utc_offset:
            raise self.invalid(
                name, f"has a UTC offset of its own that is not {attribute('TimezoneOffsetFromUTC')} of the image"
            )
        return self._moment(match[1], match[2], name)

    def time(self, text: str, name: str) -> timedelta:
        """A TM as the time since midnight.

        Raises:
            InputRefused: If it is none.
        """
        match = TIME.fullmatch(text)
        hours, minutes, seconds = (int(part or 0) for part in match.groups()[:3]) if match else (24, 0, 0)
        # 60 is a leap second.
        if match is None or hours > 23 or minutes > 59 or seconds > 60:
            raise self.invalid(name, "is no time from minutes on (PS3.5 6.2)")
        return timedelta(hours=hours, minutes=minutes, seconds=seconds + float(match[4] or 0))

    def missing(self, name: str) -> InputRefused:
        """The refusal of a volume without an attribute."""
        return self._refusal(
            FindingCode.MISSING_ATTRIBUTE,
            f"{name} is absent or empty, and nothing stands in for it: send the series as the scanner wrote it",
        )

    def invalid(self, name: str, what: str, way_out: str = "correct it at the source") -> InputRefused:
        """The refusal of a value that cannot be used."""
        return self._refusal(FindingCode.INVALID_ATTRIBUTE, f"{name} {what}; {way_out}")

    def _moment(self, date: str, time: str, name: str) -> datetime:
        try:
            day = datetime.strptime(date, "%Y%m%d")
        except ValueError:
            raise self.invalid(name, "is no date (PS3.5 6.2)") from None
        return day + self.time(time, name)

    def _agreed(self, values: Sequence[Any], name: str) -> Any:  # noqa: ANN401 - pydicom values are untyped
        counts = Counter(map(str, values))
        if len(counts) > 1:
            away = len(values) - counts.most_common(1)[0][1]
            raise self.invalid(name, f"differs inside the volume: {away} of {len(values)} slices disagree")
        return values[0]

    def _refusal(self, code: FindingCode, message: str) -> InputRefused:
        return InputRefused([Finding(code, message, tuple(dict.fromkeys(uid for uid in self.uids if uid)))])


def as_number(text: str) -> float | None:
    """The number that a decimal string says, None where it says none.

    Examples:
        >>> as_number("3.7e8"), as_number("70 kg")
        (370000000.0, None)
    """
    try:
        return float(text)
    except ValueError:
        return None
