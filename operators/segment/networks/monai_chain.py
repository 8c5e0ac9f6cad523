"""monai_chain: MONAI's transforms and inferer on an image in memory, as its evaluators run them on a file."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from monai.data import ImageReader, decollate_batch, list_data_collate
from monai.data.meta_tensor import MetaTensor
from monai.inferers import SlidingWindowInferer
from monai.transforms import Compose, LoadImaged
from monai.utils import MetaKeys, SpaceKeys
from numpy.typing import NDArray

from operators.core.errors import GeometryError, ModelError
from operators.segment.networks.device import device_of, precision_of
from operators.segment.networks.network import Image, Watch
from operators.segment.networks.settings import NetworkSettings

IMAGE, PREDICTION = "image", "pred"
"""Keys that MONAI's bundles use for what goes in and comes out."""
RAS_OF_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
LAST_FIRST = [2, 1, 0, 3]
"""MONAI's arrays have columns first, as files of NIfTI do; ours slices first."""


class MemoryReader(ImageReader):  # type: ignore[misc]
    """Gives LoadImaged the present image instead of a file, as NibabelReader gives a file that SimpleITK wrote.

    Attributes:
        image: The image.
    """

    def __init__(self) -> None:
        self.image: Image | None = None

    def verify_suffix(self, filename: Any) -> bool:  # noqa: ANN401 - MONAI's signature
        """Every name is the present image."""
        return self.image is not None

    def read(self, data: Any, **_: Any) -> Image:  # noqa: ANN401
        """The present image.

        Raises:
            ModelError: If there is none.
        """
        if self.image is None:
            raise ModelError("a MONAI chain reads an image only while it segments it")
        return self.image

    def get_data(self, img: Image) -> tuple[NDArray[Any], dict[str, Any]]:
        """Array `(columns, rows, slices)`, and its place as MONAI writes it."""
        affine_ras = RAS_OF_LPS @ img.affine_lps[:, LAST_FIRST]
        array = img.array.transpose(2, 1, 0)
        return array, {
            MetaKeys.AFFINE: affine_ras,
            MetaKeys.ORIGINAL_AFFINE: affine_ras.copy(),
            MetaKeys.SPACE: SpaceKeys.RAS,
            MetaKeys.SPATIAL_SHAPE: np.array(array.shape),
            MetaKeys.ORIGINAL_CHANNEL_DIM: float("nan"),
        }


def read_from_memory(preprocessing: Compose) -> MemoryReader:
    """Have the loaders of a chain read from memory.

    Raises:
        ModelError: If the chain loads nothing.
    """
    reader = MemoryReader()
    loaders = [one for one in preprocessing.flatten().transforms if isinstance(one, LoadImaged)]
    if not loaders:
        raise ModelError("the model's preprocessing has no LoadImaged, so that no image gets into it")
    for loader in loaders:
        loader.register(reader)
    return reader


@dataclass(frozen=True, eq=False)
class MonaiChain:
    """Preprocessing, network and inferer.

    Attributes:
        preprocessing: From a file to the network's input.
        reader: What the preprocessing's loader reads from.
        network: The network.
        inferer: How it gets over the image.
    """

    preprocessing: Compose
    reader: MemoryReader
    network: torch.nn.Module
    inferer: Callable[..., Any]

    def run(self, image: Image, settings: NetworkSettings, watch: Watch) -> dict[str, Any]:
        """The network's output, with all that is needed to bring it back onto the image's grid.

        Args:
            image: The image.
            settings: How the network is run.
            watch: Hears of each tile.

        Returns:
            The data of the chain, `image` and `pred` among it, on the CPU.
        """
        device = device_of(settings)
        watch.say(0.01, "preprocessing")
        self.reader.image = image
        try:
            batch = list_data_collate([self.preprocessing({IMAGE: "memory"})])
        finally:
            self.reader.image = None
        inferer = with_overlap(self.inferer, settings.tile_overlap)
        network = _Counting(self.network.to(device).eval(), _tiles(inferer, batch[IMAGE].shape[2:]), watch)
        with torch.no_grad(), precision_of(settings, device):
            batch[PREDICTION] = inferer(batch[IMAGE].to(device), network).float().cpu()
        (data,) = decollate_batch(batch)
        return dict(data)


class _Counting:
    """The network, telling of each call: a call is a tile or some."""

    def __init__(self, network: torch.nn.Module, calls: int, watch: Watch) -> None:
        self._network, self._calls, self._watch = network, calls, watch
        self._done = 0

    def __call__(self, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        result = self._network(*args, **kwargs)
        self._done += 1
        self._watch.tile(min(self._done, self._calls), self._calls)
        return result


def with_overlap(inferer: Any, overlap: float | None) -> Any:  # noqa: ANN401 - of MONAI, or a bundle's own
    """The inferer with another overlap, where one is asked for and it goes by tiles."""
    if overlap is not None and isinstance(inferer, SlidingWindowInferer):
        inferer = copy.copy(inferer)
        inferer.overlap = overlap
    return inferer


def _tiles(inferer: Any, shape: Sequence[int]) -> int:  # noqa: ANN401
    """About how often the inferer calls the network."""
    if not isinstance(inferer, SlidingWindowInferer):
        return 1
    roi = np.minimum(np.broadcast_to(inferer.roi_size, len(shape)), shape)
    overlap = np.broadcast_to(inferer.overlap, len(shape))
    steps = [
        math.ceil((size - tile) / max(1, int(tile * (1 - share)))) + 1
        for size, tile, share in zip(shape, roi, overlap, strict=True)
    ]
    calls: int = -(-math.prod(steps) // int(inferer.sw_batch_size))
    return max(1, calls)


def from_monai(channels: Any, image: Image) -> NDArray[Any]:  # noqa: ANN401 - tensor or array
    """An output of a chain `(channels, columns, rows, slices)` as `(channels, slices, rows, columns)` of the image.

    Raises:
        GeometryError: If it does not lie on the image's grid.
    """
    array = np.asarray(channels).transpose(0, 3, 2, 1)
    if array.shape[1:] != image.array.shape:
        raise GeometryError(
            f"the model gives labels of the shape {array.shape[1:]} for an image of {image.array.shape}; "
            "its postprocessing has to bring them back onto the image's grid (Invertd)"
        )
    if isinstance(channels, MetaTensor):
        affine_lps = (RAS_OF_LPS @ np.asarray(channels.affine))[:, LAST_FIRST]
        if not np.allclose(affine_lps, image.affine_lps, atol=1e-2):
            raise GeometryError(
                "the model gives labels that lie elsewhere than the image; its postprocessing has to bring them back "
                "onto the image's grid (Invertd)"
            )
    return array
