"""Weights: checkpoints read as values alone, never as code."""

from __future__ import annotations

import importlib
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.dtypes import Float32DType, Float64DType, Int64DType

from operators.core.errors import ModelError


def _numpy_values() -> list[Any]:
    """What NumPy writes for a single number, by the names of both its versions: nnU-Net keeps its scores so."""
    scalar = importlib.import_module("numpy._core.multiarray").scalar
    return [np.dtype, Float32DType, Float64DType, Int64DType, scalar, (scalar, "numpy.core.multiarray.scalar")]


def load_weights(path: Path) -> Any:  # noqa: ANN401 - what the file holds
    """Read a checkpoint; a pickle that names any class but those of tensors and plain numbers is refused.

    Args:
        path: A file of torch.save.

    Returns:
        What it holds, on the CPU.

    Raises:
        ModelError: If it holds anything else, or is damaged.
    """
    try:
        with torch.serialization.safe_globals(_numpy_values()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ModelError(f"{path.name} is not read: weights and plain values alone are loaded ({first})") from error
