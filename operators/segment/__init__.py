"""From a volume to a label map."""

from operators.segment.classical.leg_engine import LegEngine
from operators.segment.classical.trunk_engine import TrunkEngine
from operators.segment.engine import Engine
from operators.segment.networks import NetworkEngine, NetworkSettings, choose_engine
from operators.segment.parted_legs import PartedLegs
from operators.segment.segment import Segment

__all__ = [
    "Engine",
    "LegEngine",
    "NetworkEngine",
    "NetworkSettings",
    "PartedLegs",
    "Segment",
    "TrunkEngine",
    "choose_engine",
]
