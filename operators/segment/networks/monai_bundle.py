"""monai_bundle: a MONAI bundle with its own preprocessing, network, inferer and postprocessing.

A bundle's configuration is a program: `_target_` names what is imported and called, `$` is evaluated as Python. Only
its weights are read as values alone. Give mapnode bundles whose source you trust (docs/models.md).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.bundle import ConfigParser
from monai.transforms import AsDiscreted, Compose
from numpy.typing import NDArray

from operators.core.errors import ModelError
from operators.core.model_folder import ModelFolder
from operators.segment.networks.monai_chain import PREDICTION, MonaiChain, from_monai, read_from_memory
from operators.segment.networks.network import COMPUTED, Image, Prediction, Watch
from operators.segment.networks.settings import NetworkSettings
from operators.segment.networks.weights import load_weights

WRITERS = ("SaveImaged", "SaveImage")
"""Steps that write files: what a run gives is in memory."""
BITS = 8
"""Channels that may overlap: each is a bit of a label."""


def load_bundle(model: ModelFolder) -> BundleNetwork:
    """Read a bundle's configuration and weights.

    Raises:
        ModelError: If a part is missing or not what MONAI's own workflow would run.
    """
    config = next(name for name in model.files if "inference" in name)
    weights = next(name for name in model.files if name.startswith("models/"))
    parser = ConfigParser()
    try:
        parser.read_meta(str(model.path / "configs/metadata.json"))
        parser.read_config(str(model.path / config))
        parser["bundle_root"] = str(model.path)
        _leave_out_writers(parser)
        preprocessing, postprocessing, inferer = (
            parser.get_parsed_content(name) for name in ("preprocessing", "postprocessing", "inferer")
        )
        network = _network(parser, model.path / weights)
    except ModelError:
        raise
    except Exception as error:
        first = str(error).partition("\n")[0]
        raise ModelError(f"the bundle {model.path.name} cannot be used: {type(error).__name__}: {first}") from error
    chain = MonaiChain(preprocessing, read_from_memory(preprocessing), network, inferer)
    return BundleNetwork(_names(model.path / "configs/metadata.json"), chain, postprocessing)


class BundleNetwork:
    """A loaded bundle.

    Attributes:
        labels: Label values by name, without the background; of channels that may overlap, all combinations.
    """

    def __init__(self, names: Mapping[int, str], chain: MonaiChain, postprocessing: Compose) -> None:
        self._names, self._chain, self._postprocessing = names, chain, postprocessing
        self._exclusive = any(isinstance(one, AsDiscreted) and _takes_highest(one) for one in _steps(postprocessing))
        self.labels = {
            name: (index,) if self._exclusive else combinations(index)
            for index, name in names.items()
            if not (self._exclusive and index == 0)
        }

    def predict(self, image: Image, settings: NetworkSettings, watch: Watch) -> Prediction:
        """As MONAI's evaluator: preprocess, infer, postprocess.

        Args:
            image: The image; the bundle turns and resamples it itself.
            settings: How the network is run.
            watch: Hears of each tile.

        Returns:
            Labels on the image's grid, and the probabilities that the bundle made them of where it did so there.
        """
        data = self._chain.run(image, settings, watch)
        watch.say(COMPUTED, "postprocessing")
        probabilities = None
        for step in _steps(self._postprocessing):
            if isinstance(step, AsDiscreted) and self._fits(data[PREDICTION], image, settings):
                probabilities = from_monai(data[PREDICTION], image).astype(np.float32)
            data = step(data)
        found = from_monai(data[PREDICTION], image)
        labels = _chosen(found) if self._exclusive else _combined(found)
        if probabilities is None:
            return Prediction(labels)
        return Prediction(
            labels, {name: probabilities[index] for index, name in self._names.items() if name in self.labels}
        )

    def _fits(self, values: torch.Tensor, image: Image, settings: NetworkSettings) -> bool:
        """Whether an output is probabilities on the image's grid, and not too large to be kept."""
        return (
            len(values) > max(self._names)
            and values.shape[1:] == image.array.shape[::-1]
            and values.numel() * 4 <= settings.probabilities_mb * 1e6
            and float(values.min()) >= 0
            and float(values.max()) <= 1
        )


def combinations(channel: int) -> tuple[int, ...]:
    """Labels of 8 bits in which the bit of a channel is set.

    Examples:
        >>> combinations(7)[:2], len(combinations(0))
        ((128, 129), 128)
    """
    return tuple(label for label in range(1, 2**BITS) if label >> channel & 1)


def _chosen(channels: NDArray[Any]) -> NDArray[np.uint8]:
    """Labels that exclude each other, `(channels, slices, rows, columns)`: one channel of them, or a channel each.

    What is in no channel is background: a step after the choice took it away (KeepLargestConnectedComponentd).
    """
    labels = channels[0] if len(channels) == 1 else channels.argmax(axis=0)
    return np.asarray(labels, dtype=np.uint8)


def _combined(channels: NDArray[Any]) -> NDArray[np.uint8]:
    """Channels that may overlap, `(channels, slices, rows, columns)`, as one label a voxel, a bit each.

    Raises:
        ModelError: If they are too many.
    """
    if len(channels) > BITS:
        raise ModelError(f"the bundle gives {len(channels)} channels that may overlap; a label map holds {BITS}")
    labels = np.zeros(channels.shape[1:], np.uint8)
    for channel, inside in enumerate(channels):
        labels |= (inside > 0).astype(np.uint8) << channel
    return labels


def _steps(postprocessing: Any) -> tuple[Any, ...]:  # noqa: ANN401
    """The single transforms of a chain."""
    return tuple(postprocessing.flatten().transforms) if isinstance(postprocessing, Compose) else (postprocessing,)


def _takes_highest(step: AsDiscreted) -> bool:
    return any(step.argmax)


def _leave_out_writers(parser: ConfigParser) -> None:
    """Disable the steps that write files, by MONAI's own `_disabled_`."""
    for index, step in enumerate(parser.get("postprocessing", {}).get("transforms", ())):
        if str(step.get("_target_", "")).rsplit(".", 1)[-1] in WRITERS:
            parser[f"postprocessing::transforms::{index}::_disabled_"] = True


def _network(parser: ConfigParser, weights: Path) -> torch.nn.Module:
    """The network with its weights; a bundle without a definition has it in TorchScript.

    Raises:
        ModelError: If the weights are not the network's.
    """
    if weights.suffix == ".ts":
        return torch.jit.load(str(weights), map_location="cpu")
    network = parser.get_parsed_content("network_def")
    state = load_weights(weights)
    network.load_state_dict(state.get("model", state))
    return network


def _names(metadata: Path) -> dict[int, str]:
    """Names of the output's channels.

    Raises:
        ModelError: If the metadata does not say them.
    """
    try:
        outputs = json.loads(metadata.read_text(encoding="utf-8"))["network_data_format"]["outputs"]
        return {int(index): str(name) for index, name in outputs[PREDICTION]["channel_def"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(
            f"{metadata.name} does not name the output's channels (network_data_format.outputs.pred.channel_def)"
        ) from error
