"""Outcome: what the operators of a run know of its result."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Outcome:
    """The fields of result.json that operators fill; the rest is known to whoever runs the application."""

    fields: dict[str, Any] = field(default_factory=dict)
