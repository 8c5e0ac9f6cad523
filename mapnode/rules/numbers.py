"""Numbers: reading DICOM's decimal and integer strings."""

from __future__ import annotations

import math
import re

DECIMAL = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
"""PS3.5 6.2, DS and IS."""


def as_number(text: str) -> float | None:
    """The number that a text is, or None.

    Examples:
        >>> as_number("1.250"), as_number("045Y"), as_number("nan")
        (1.25, None, None)
    """
    if not DECIMAL.fullmatch(text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None
