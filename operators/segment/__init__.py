"""From a volume to a label map."""

from operators.segment.classical.trunk_engine import TrunkEngine
from operators.segment.engine import Engine
from operators.segment.segment import Segment

__all__ = ["Engine", "Segment", "TrunkEngine"]
