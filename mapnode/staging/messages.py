"""Messages between the node and its staging process: JSON lines on its stdin and stdout."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class _Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Request(_Message):
    """One line to the process."""

    id: int
    folder: str
    """The stage."""
    path: str | None = None
    """The file to decode into it; None removes the stage."""


class Answer(_Message):
    """One line of the process; two for each request."""

    id: int
    done: bool
    """False when it begins: what kills the process then is not tried again."""
    slices: int = 0
    """How many were staged; 0 for what is no gray image, or cannot be decoded or written."""
