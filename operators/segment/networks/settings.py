"""NetworkSettings: how a network is run; what is not said is as the model's own format says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from operators.core.errors import ModelError

DEVICES = ("auto", "cpu", "cuda")


@dataclass(frozen=True)
class NetworkSettings:
    """Settings that an app's parameters may replace, under the same names.

    Attributes:
        device: cuda, cpu, or auto: a GPU where there is one.
        half_precision: 16 bit floating point on a GPU (autocast); a CPU computes in 32 bit always.
        tile_overlap: Share of a tile that the next one covers again, 0 to below 1; None for the model's own.
        mirroring: Average over mirrored tiles where the model was trained for that (nnU-Net): better, 4 to 8 times
            slower.
        time_budget_s: Longest time for the network; None for no limit. A run that needs longer fails and says so.
        probabilities_mb: Probabilities are given where they take no more memory than this.
    """

    device: str = "auto"
    half_precision: bool = True
    tile_overlap: float | None = None
    mirroring: bool = True
    time_budget_s: float | None = None
    probabilities_mb: float = 1000.0

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            ModelError: If a value is out of range.
        """
        if self.device not in DEVICES:
            raise ModelError(f"device is one of {', '.join(DEVICES)}, not {self.device!r}")
        if self.tile_overlap is not None and not 0 <= self.tile_overlap < 1:
            raise ModelError(f"tile_overlap is a share from 0 to below 1, not {self.tile_overlap}")
        if self.time_budget_s is not None and not self.time_budget_s > 0:
            raise ModelError(f"time_budget_s is a positive number of seconds, not {self.time_budget_s}")

    @classmethod
    def from_parameters(cls, parameters: Mapping[str, Any]) -> NetworkSettings:
        """The settings among an app's parameters; others are left alone."""
        names = {field.name for field in fields(cls)}
        return cls(**{name: value for name, value in parameters.items() if name in names})

    @property
    def for_digest(self) -> dict[str, Any]:
        """Those that change a label."""
        left_out = {"time_budget_s", "probabilities_mb"}
        return {name: value for name, value in asdict(self).items() if name not in left_out}
