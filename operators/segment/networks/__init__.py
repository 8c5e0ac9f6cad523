"""Engines that run a network: nnU-Net v2, MONAI bundles, TorchScript; they need the extra `models`."""

from operators.segment.networks.network_engine import NetworkEngine, choose_engine
from operators.segment.networks.settings import NetworkSettings

__all__ = ["NetworkEngine", "NetworkSettings", "choose_engine"]
