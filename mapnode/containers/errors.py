"""The errors of containers, as a tree.

NodeError
├── EngineUnreachable        no container engine answers; jobs wait for it
├── EngineRefused            the engine does not do what it is asked for
├── DiskShort                a run was ended before it, or somebody else, filled the disk
└── WrongUse
    └── ImageRefused         an image that must not be run, with the way out
"""

from __future__ import annotations

from mapnode.errors import NodeError, WrongUse


class EngineUnreachable(NodeError):
    """No container engine answers; jobs wait for it."""


class EngineRefused(NodeError):
    """The engine does not do what it is asked for."""


class DiskShort(NodeError):
    """A run was ended before it, or somebody else, filled the disk."""


class ImageRefused(WrongUse):
    """An image that must not be run, with the way out."""
