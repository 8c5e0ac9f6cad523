"""Device: where a network runs, and in which precision."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import torch

from operators.core.errors import ModelError
from operators.segment.networks.settings import NetworkSettings

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

GPU = "cuda"


def device_of(settings: NetworkSettings) -> torch.device:
    """The device that the settings ask for; by default a GPU where there is one.

    Raises:
        ModelError: If they ask for a GPU and there is none.
    """
    has_gpu = torch.cuda.is_available()
    if settings.device == GPU and not has_gpu:
        raise ModelError("the settings ask for a GPU (device: cuda) and there is none; use device: auto or cpu")
    return torch.device(GPU if has_gpu and settings.device != "cpu" else "cpu")


def precision_of(settings: NetworkSettings, device: torch.device) -> AbstractContextManager[object]:
    """Half precision on a GPU, if the settings allow it."""
    if device.type == GPU and settings.half_precision:
        half: AbstractContextManager[object] = torch.autocast(GPU)
        return half
    return contextlib.nullcontext()


def free_bytes(device: torch.device) -> int:
    """Memory that a GPU has left."""
    free, _ = torch.cuda.mem_get_info(device)
    return int(free)
