"""From a volume to a label map."""

from operators.segment.segment import Segment, SegmentParameters

__all__ = ["Segment", "SegmentParameters"]
