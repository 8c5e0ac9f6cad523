"""The error of the classical trunk engine."""

from __future__ import annotations

from operators.core.errors import SegmentationError


class TrunkSegmentationError(SegmentationError):
    """The volume holds nothing that this engine can segment."""
