"""nnunet: a model folder of nnU-Net v2, run through nnunetv2 as its own predictor runs it.

Preprocessing, tiles, mirroring, weighting, ensembling of folds, resampling and the choice of labels are nnunetv2's own.
Two things are ours, and change no value: logits are gathered in a file where they are large, and are resampled and
compared a label at a time, so that memory does not grow with the number of labels.
"""

from __future__ import annotations

import importlib
import inspect
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nnunetv2
import numpy as np
import torch
from acvl_utils.cropping_and_padding.bounding_boxes import insert_crop_into_image
from acvl_utils.cropping_and_padding.padding import pad_nd_image
from batchgenerators.utilities.file_and_folder_operations import load_json
from nnunetv2.inference.predict_from_raw_data import nnUNetPredictor
from nnunetv2.inference.sliding_window_prediction import compute_gaussian
from nnunetv2.utilities.label_handling.label_handling import determine_num_input_channels
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager
from numpy.typing import NDArray

from operators.core.errors import ModelError
from operators.core.model_folder import ModelFolder
from operators.segment.networks.device import GPU, device_of, free_bytes, precision_of
from operators.segment.networks.network import COMPUTED, Image, Prediction, Watch
from operators.segment.networks.settings import NetworkSettings
from operators.segment.networks.weights import load_weights

IN_MEMORY_BYTES = 2**30
"""Logits above this are gathered in a file of the system's temporary folder (TMPDIR)."""
LARGE_FOR_A_GPU = 0.7
"""Share of a GPU's free memory that logits may take there; the network needs some."""
TRUSTED_PACKAGES = ("dynamic_network_architectures.", "torch.nn.")
"""Where plans.json may name classes: nnunetv2 imports what stands there."""


def load_nnunet(model: ModelFolder) -> NnunetNetwork:
    """Read plans, labels and the checkpoints of all folds.

    Raises:
        ModelError: If a file is not what nnU-Net writes, a checkpoint holds more than weights and plain values, or the
            model needs more than one image.
    """
    plans_json, dataset_json = (_read_json(model.path / name) for name in ("plans.json", "dataset.json"))
    names = [name for name in model.files if name.endswith(".pth")]
    checkpoints = [load_weights(model.path / name) for name in names]
    try:
        plans = PlansManager(plans_json)
        configuration = plans.get_configuration(checkpoints[0]["init_args"]["configuration"])
        _require_trusted(configuration)
        _require_one_image(dataset_json, configuration)
        labels = plans.get_label_manager(dataset_json)
        network = _build(plans, configuration, checkpoints[0]["trainer_name"], dataset_json, labels)
        parameters = [checkpoint["network_weights"] for checkpoint in checkpoints]
        network.load_state_dict(parameters[0])
        axes = checkpoints[0].get("inference_allowed_mirroring_axes")
    except (KeyError, TypeError, RuntimeError, AttributeError, ImportError) as error:
        raise ModelError(
            f"{model.path.name} is no trained model of nnU-Net v2: {type(error).__name__}: {error}"
        ) from error

    def predictor(device: torch.device, settings: NetworkSettings) -> nnUNetPredictor:
        step = 0.5 if settings.tile_overlap is None else 1 - settings.tile_overlap
        made = nnUNetPredictor(step, use_mirroring=settings.mirroring, device=device, allow_tqdm=False)
        made.manual_initialization(network.to(device).eval(), plans, configuration, parameters, dataset_json, "", axes)
        return made

    return NnunetNetwork(_values_by_name(dataset_json["labels"]), predictor)


@dataclass(frozen=True, eq=False)
class NnunetNetwork:
    """A loaded model.

    Attributes:
        labels: Label values by name, without background and ignore; a region has several.
        predictor: Makes nnU-Net's own predictor, on a device.
    """

    labels: Mapping[str, tuple[int, ...]]
    predictor: Callable[[torch.device, NetworkSettings], nnUNetPredictor]

    @torch.inference_mode()  # type: ignore[untyped-decorator]
    def predict(self, image: Image, settings: NetworkSettings, watch: Watch) -> Prediction:
        """As nnU-Net's predict_single_npy_array.

        Args:
            image: nnU-Net takes its axes as SimpleITK reads a file: slices, rows, columns.
            settings: How it is run.
            watch: Hears of each tile.

        Returns:
            Labels, and probabilities where they are not too large.
        """
        device = device_of(settings)
        predictor = self.predictor(device, settings)
        watch.say(0.01, "preprocessing")
        plans, configuration = predictor.plans_manager, predictor.configuration_manager
        preprocessor = configuration.preprocessor_class(verbose=False)
        data, _, properties = preprocessor.run_case_npy(
            image.array[None], None, {"spacing": list(image.spacing_mm)}, plans, configuration, predictor.dataset_json
        )
        size = 4 * len(self.labels) * image.array.size
        with precision_of(settings, device), _room_for_logits() as room:
            logits = _ensemble(predictor, torch.from_numpy(data), room, watch)
            del data
            chooser = _Chooser(predictor, properties, keep=size <= settings.probabilities_mb * 1e6)
            return chooser.choose(logits, self.labels, watch)


class _Room:
    """Where logits are gathered: `(labels, slices, rows, columns)`, 16 bit as in nnU-Net."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = 0

    def logits(self, shape: Sequence[int], device: torch.device) -> torch.Tensor:
        """Zeros: on the GPU where it has room, in memory where they are small, else in a file."""
        size = 2 * int(np.prod(shape))
        if device.type == GPU and size < LARGE_FOR_A_GPU * free_bytes(device):
            return torch.zeros(tuple(shape), dtype=torch.half, device=device)
        if size <= IN_MEMORY_BYTES:
            return torch.zeros(tuple(shape), dtype=torch.half)
        self._files += 1
        path = self._folder / f"logits-{self._files}"
        return torch.from_numpy(np.memmap(path, np.float16, "w+", shape=tuple(shape)))


@contextmanager
def _room_for_logits() -> Iterator[_Room]:
    with tempfile.TemporaryDirectory(prefix="mapnode-logits-") as folder:
        yield _Room(Path(folder))


def _ensemble(predictor: nnUNetPredictor, data: torch.Tensor, room: _Room, watch: Watch) -> torch.Tensor:
    """Mean logits over the folds, as nnUNetPredictor.predict_logits_from_preprocessed_data."""
    total: torch.Tensor | None = None
    members = predictor.list_of_parameters
    for member, parameters in enumerate(members):
        predictor.network.load_state_dict(parameters)

        def tile(done: int, tiles: int, member: int = member) -> None:
            watch.tile(member * tiles + done, len(members) * tiles)

        logits = _slide(predictor, data, room, tile)
        if total is None:
            total = logits
            continue
        for channel in range(len(total)):
            total[channel] += logits[channel]
        del logits
    assert total is not None
    if len(members) > 1:
        for channel in range(len(total)):
            total[channel] /= len(members)
    return total


def _slide(
    predictor: nnUNetPredictor, data: torch.Tensor, room: _Room, tile_done: Callable[[int, int], None]
) -> torch.Tensor:
    """Logits of one fold, as nnUNetPredictor._internal_predict_sliding_window_return_logits in the same order.

    Raises:
        ModelError: If logits overflow 16 bits, as in nnU-Net.
    """
    patch = tuple(predictor.configuration_manager.patch_size)
    padded, inside = pad_nd_image(data, patch, "constant", {"value": 0}, True, None)
    slicers = predictor._internal_get_sliding_window_slicers(padded.shape[1:])
    logits = room.logits((predictor.label_manager.num_segmentation_heads, *padded.shape[1:]), predictor.device)
    weights = torch.zeros(padded.shape[1:], dtype=torch.half, device=logits.device)
    gaussian = compute_gaussian(patch, sigma_scale=1.0 / 8, value_scaling_factor=10, device=logits.device)
    for done, place in enumerate(slicers, start=1):
        tile = torch.clone(padded[place][None], memory_format=torch.contiguous_format).to(predictor.device)
        predicted = predictor._internal_maybe_mirror_and_predict(tile)[0].to(logits.device)
        predicted *= gaussian
        logits[place] += predicted
        weights[place[1:]] += gaussian
        tile_done(done, len(slicers))
    for channel in logits:
        torch.div(channel, weights, out=channel)
        if torch.isinf(channel).any():
            raise ModelError(
                "the network's output overflows 16 bits, in which nnU-Net gathers it; the model is not usable"
            )
    return logits[(slice(None), *inside[1:])]


class _Chooser:
    """From logits to labels on the image's grid, a label at a time."""

    def __init__(self, predictor: nnUNetPredictor, properties: Mapping[str, Any], *, keep: bool) -> None:
        self._predictor = predictor
        self._properties = properties
        self._keep = keep

    def choose(self, logits: torch.Tensor, labels: Mapping[str, tuple[int, ...]], watch: Watch) -> Prediction:
        """As nnunetv2's convert_predicted_logits_to_segmentation_with_correct_shape.

        Args:
            logits: `(labels, slices, rows, columns)` at the network's spacing.
            labels: The model's labels.
            watch: Hears of each label.
        """
        manager = self._predictor.label_manager
        kept: list[torch.Tensor] = []
        best: NDArray[Any] | None = None
        found: NDArray[np.uint8] | None = None
        for channel in range(len(logits)):
            watch.say(COMPUTED + (1 - COMPUTED) * channel / len(logits), f"label {channel + 1} of {len(logits)}")
            values = self._resampled(logits[channel : channel + 1])
            if self._keep:
                kept.append(values)
            if found is None:
                found = np.zeros(tuple(values.shape), np.uint8)
            if manager.has_regions:
                inside = manager.apply_inference_nonlin(values) > 0.5
                found[inside.numpy()] = manager.regions_class_order[channel]
            elif best is None:
                best = values.numpy().copy()
            else:
                # The first of equal ones wins, as argmax has it.
                better = values.numpy() > best
                found[better] = channel
                best[better] = values.numpy()[better]
        assert found is not None
        probabilities = self._probabilities(torch.stack(kept), labels) if kept else None
        return Prediction(self._placed(found), probabilities)

    def _resampled(self, channel: torch.Tensor) -> torch.Tensor:
        """One channel at the image's spacing, before cropping was undone."""
        plans, configuration = self._predictor.plans_manager, self._predictor.configuration_manager
        shape = self._properties["shape_after_cropping_and_before_resampling"]
        spacing = [self._properties["spacing"][axis] for axis in plans.transpose_forward]
        # A 2-D configuration leaves the distance between slices alone.
        current = (
            configuration.spacing if len(configuration.spacing) == len(shape) else [spacing[0], *configuration.spacing]
        )
        return torch.as_tensor(configuration.resampling_fn_probabilities(channel.cpu(), shape, current, spacing))[0]

    def _probabilities(
        self, logits: torch.Tensor, labels: Mapping[str, tuple[int, ...]]
    ) -> dict[str, NDArray[np.float32]]:
        manager = self._predictor.label_manager
        values = manager.apply_inference_nonlin(logits).numpy()
        channels = range(len(values)) if manager.has_regions else (label[0] for label in labels.values())
        return {name: self._placed(values[channel]) for name, channel in zip(labels, channels, strict=True)}

    def _placed(self, cropped: NDArray[Any]) -> NDArray[Any]:
        """Cropping and transposition undone; nothing outside."""
        whole = np.zeros(self._properties["shape_before_cropping"], cropped.dtype)
        whole = insert_crop_into_image(whole, cropped, self._properties["bbox_used_for_cropping"])
        return np.ascontiguousarray(whole.transpose(self._predictor.plans_manager.transpose_backward))


def _build(plans: Any, configuration: Any, trainer_name: str, dataset_json: Any, labels: Any) -> torch.nn.Module:  # noqa: ANN401
    """The network, as nnUNetPredictor.initialize_from_trained_model_folder builds it."""
    build = _trainer(trainer_name).build_network_architecture
    channels = determine_num_input_channels(plans, configuration, dataset_json), labels.num_segmentation_heads
    if "plans_manager" in inspect.signature(build).parameters:
        return build(plans, configuration, *channels, enable_deep_supervision=False)
    return build(
        configuration.network_arch_class_name,
        configuration.network_arch_init_kwargs,
        configuration.network_arch_init_kwargs_req_import,
        *channels,
        enable_deep_supervision=False,
    )


def _trainer(name: str) -> Any:  # noqa: ANN401 - a class of nnunetv2
    """nnunetv2's class of that name, which builds the network.

    nnunetv2 itself imports one module after the other until it has the class, those of architectures that are not
    installed among them.

    Raises:
        ModelError: If it has none.
    """
    package = Path(nnunetv2.__path__[0])
    for path in sorted((package / "training" / "nnUNetTrainer").rglob("*.py")):
        if f"class {name}(" in path.read_text(encoding="utf-8"):
            parts = path.relative_to(package.parent).with_suffix("").parts
            return getattr(importlib.import_module(".".join(parts)), name)
    raise ModelError(
        f"the model was trained by {name}, which nnunetv2 does not have; train it by one of nnunetv2's own"
    )


def _values_by_name(labels: Mapping[str, int | list[int]]) -> dict[str, tuple[int, ...]]:
    values = {name: tuple(value) if isinstance(value, list) else (value,) for name, value in labels.items()}
    return {name: value for name, value in values.items() if name != "ignore" and set(value) != {0}}


def _require_trusted(configuration: Any) -> None:  # noqa: ANN401
    """Refuse plans that name a class outside the packages of networks: it would be imported and called.

    Raises:
        ModelError: If they do.
    """
    architecture = configuration.configuration["architecture"]
    arguments = architecture["arch_kwargs"]
    named = [architecture["network_class_name"], *(arguments[name] for name in architecture["_kw_requires_import"])]
    for name in filter(None, named):
        if not str(name).startswith(TRUSTED_PACKAGES):
            raise ModelError(f"plans.json names the class {name}; it may name those of {', '.join(TRUSTED_PACKAGES)}")


def _require_one_image(dataset_json: Mapping[str, Any], configuration: Any) -> None:  # noqa: ANN401
    channels = dataset_json.get("channel_names") or dataset_json.get("modality") or {}
    if len(channels) != 1:
        raise ModelError(
            f"the model needs {len(channels)} images ({', '.join(channels.values())}); an app gives it one"
        )
    if configuration.previous_stage_name is not None:
        raise ModelError("the model is the second stage of a cascade; give a configuration that stands alone")


def _read_json(path: Path) -> Any:  # noqa: ANN401
    try:
        return load_json(str(path))
    except ValueError as error:
        raise ModelError(f"{path.name} is no JSON: {error}") from error
