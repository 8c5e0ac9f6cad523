"""torchscript: a TorchScript module and its description, model.yaml (docs/models.md).

The module gets `(1, 1, columns, rows, slices)` and gives one channel a label, the background first. Around it stand
MONAI's transforms: turn, resample, scale, tiles weighted by a Gaussian, softmax, and the way back.
"""

from __future__ import annotations

from pathlib import Path
from typing import Self

import numpy as np
import torch
import yaml
from monai.inferers import SlidingWindowInferer
from monai.transforms import Compose, EnsureTyped, Invertd, LoadImaged, Orientationd, ScaleIntensityRanged, Spacingd
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from operators.core.errors import ModelError
from operators.core.model_folder import DESCRIPTION_NAME, ModelFolder
from operators.segment.networks.monai_chain import IMAGE, PREDICTION, MonaiChain, from_monai, read_from_memory
from operators.segment.networks.network import COMPUTED, Image, Prediction, Watch
from operators.segment.networks.settings import NetworkSettings


class Description(BaseModel):
    """model.yaml: what the module takes and gives; three numbers are for columns, rows, slices after the turn."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    orientation: str = Field(default="RAS", pattern="^[LRAPSI]{3}$")
    """The ends that columns, rows and slices run to."""
    spacing_mm: tuple[float, float, float] | None = None
    """What the image is resampled to, linearly; as it is where absent."""
    intensity: tuple[float, float]
    """Values that become 0 and 1; what lies beyond is clipped."""
    patch: tuple[int, int, int]
    """Size of a tile."""
    overlap: float = Field(default=0.5, ge=0, lt=1)
    """Share of a tile that the next one covers again."""
    labels: dict[str, int]
    """Channel of each label by name; channel 0 is the background and has no name."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.intensity[0] >= self.intensity[1]:
            raise ValueError(f"intensity is a lower and a higher value, not {self.intensity}")
        if not self.labels or min(self.labels.values()) < 1 or len(set(self.labels.values())) < len(self.labels):
            raise ValueError("labels names channels from 1, each once")
        return self


def load_torchscript(model: ModelFolder) -> TorchScriptNetwork:
    """Read the module and its description.

    Raises:
        ModelError: If one of them is not what it should be.
    """
    description = read_description(model.path / DESCRIPTION_NAME)
    module_name = next(name for name in model.files if name != DESCRIPTION_NAME)
    try:
        module = torch.jit.load(str(model.path / module_name), map_location="cpu")
    except RuntimeError as error:
        raise ModelError(f"{module_name} is no TorchScript module: {str(error).splitlines()[0]}") from error
    preprocessing = Compose(_transforms(description))
    inferer = SlidingWindowInferer(description.patch, overlap=description.overlap, mode="gaussian")
    chain = MonaiChain(preprocessing, read_from_memory(preprocessing), module, inferer)
    return TorchScriptNetwork(description, chain)


def read_description(path: Path) -> Description:
    """Read model.yaml.

    Raises:
        ModelError: If it is no YAML, or has a wrong key or value.
    """
    try:
        return Description.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'document'}: {e['msg']}" for e in error.errors())
        raise ModelError(f"{path.name}: {wrong}") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ModelError(f"{path.name}: no YAML: {error}") from error


class TorchScriptNetwork:
    """A loaded module.

    Attributes:
        labels: Label values by name.
    """

    def __init__(self, description: Description, chain: MonaiChain) -> None:
        self.labels = {name: (channel,) for name, channel in description.labels.items()}
        self._chain = chain
        self._invert = Invertd(
            keys=PREDICTION, transform=chain.preprocessing, orig_keys=IMAGE, nearest_interp=False, to_tensor=True
        )

    def predict(self, image: Image, settings: NetworkSettings, watch: Watch) -> Prediction:
        """Infer, then bring one channel after the other back: memory does not grow with the number of labels.

        Args:
            image: The image.
            settings: How the network is run.
            watch: Hears of each tile and each label.

        Returns:
            For each voxel the channel of the highest probability.
        """
        data = self._chain.run(image, settings, watch)
        shares = torch.softmax(data[PREDICTION], dim=0)
        keep = 4 * len(self.labels) * image.array.size <= settings.probabilities_mb * 1e6
        labels = np.zeros(image.array.shape, np.uint8)
        highest: np.ndarray | None = None
        kept = {}
        for channel in range(len(shares)):
            watch.say(COMPUTED + (1 - COMPUTED) * channel / len(shares), f"label {channel + 1} of {len(shares)}")
            one = self._invert({**data, PREDICTION: shares[channel : channel + 1]})
            share = from_monai(one[PREDICTION], image)[0]
            if highest is None:
                highest = share.copy()
            else:
                better = share > highest
                labels[better] = channel
                highest[better] = share[better]
            kept.update({name: share for name, (value,) in self.labels.items() if value == channel and keep})
        return Prediction(labels, kept or None)


def _transforms(description: Description) -> list[object]:
    low, high = description.intensity
    return [
        LoadImaged(keys=IMAGE, ensure_channel_first=True),
        EnsureTyped(keys=IMAGE),
        Orientationd(keys=IMAGE, axcodes=description.orientation),
        *([Spacingd(keys=IMAGE, pixdim=description.spacing_mm, mode="bilinear")] if description.spacing_mm else []),
        ScaleIntensityRanged(keys=IMAGE, a_min=low, a_max=high, b_min=0.0, b_max=1.0, clip=True),
    ]
