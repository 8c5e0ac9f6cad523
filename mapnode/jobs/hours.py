"""Hours: a part of the day, as `19:00-06:30`."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

FORM = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


@dataclass(frozen=True)
class Hours:
    """From one time of day to another one, over midnight where the second is the earlier one.

    Attributes:
        start: The first moment.
        end: The first moment after.

    Examples:
        >>> Hours.parse("19:00-06:30").contains(datetime.time(2, 0))
        True
        >>> Hours.parse("08:00-18:00").contains(datetime.time(18, 0))
        False
    """

    start: datetime.time
    end: datetime.time

    @classmethod
    def parse(cls, text: str) -> Hours:
        """Read HH:MM-HH:MM.

        Raises:
            ValueError: If it is something else.
        """
        found = FORM.fullmatch(text.strip())
        if found is None:
            raise ValueError(f"{text!r} are no hours; write HH:MM-HH:MM, as 19:00-06:30")
        h1, m1, h2, m2 = map(int, found.groups())
        return cls(datetime.time(h1, m1), datetime.time(h2, m2))

    def contains(self, moment: datetime.time) -> bool:
        """Whether a moment lies in them; equal bounds are the whole day."""
        if self.start < self.end:
            return self.start <= moment < self.end
        return moment >= self.start or moment < self.end

    def now(self) -> bool:
        """Whether they are now, by the local clock."""
        return self.contains(datetime.datetime.now().time())
