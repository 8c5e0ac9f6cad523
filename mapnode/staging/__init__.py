"""Decoding of instances while their study arrives, in a process that takes only what others leave."""

from mapnode.staging.stager import Stager

__all__ = ["Stager"]
