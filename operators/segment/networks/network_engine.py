"""NetworkEngine: a model folder as an engine, whatever its format."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from operators.core import codes
from operators.core.errors import GeometryError, ModelError, SegmentationError
from operators.core.identity import digest_of
from operators.core.label_map import Algorithm, LabelMap, Segment
from operators.core.model_folder import EngineKind, ModelFolder, find_model
from operators.core.orientation import Orientation, canonical
from operators.core.patient_ends import CANONICAL
from operators.core.probability_map import ProbabilityMap
from operators.core.volume import Volume
from operators.segment.engine import Engine, Report
from operators.segment.networks.labels import merged_probabilities, segments_of
from operators.segment.networks.monai_loading import monai_loading
from operators.segment.networks.network import Image, Network, Prediction, Watch
from operators.segment.networks.settings import NetworkSettings

if TYPE_CHECKING:
    from operators.runtime.application import RunContext


@dataclass(frozen=True)
class NetworkEngine:
    """A network.

    Attributes:
        model: The folder of its weights.
        version: Version of the app.
        settings: How it is run.
        labels: The catalogue's name for what the model calls otherwise.
        orientation: The ends that columns, rows and slices of its input run to, as in the manifest.
    """

    model: ModelFolder
    version: str
    settings: NetworkSettings = field(default_factory=NetworkSettings)
    labels: Mapping[str, str] = field(default_factory=dict)
    orientation: str = CANONICAL

    @property
    def algorithm(self) -> Algorithm:
        """The algorithm that results name; its digest changes with every file of the model and every setting."""
        content = {
            "engine": str(self.model.kind),
            "version": self.version,
            "model": self.model.digest,
            "settings": self.settings.for_digest,
            "labels": dict(self.labels),
            "orientation": self.orientation,
        }
        return Algorithm(
            name=f"{self.model.kind} {self.model.path.name}"[:64],
            version=self.version,
            digest=digest_of(content),
            family=codes.ARTIFICIAL_INTELLIGENCE,
        )

    @property
    def segments(self) -> tuple[Segment, ...]:
        """What the model's labels mean."""
        return segments_of(load_network(self.model).labels, self.labels)

    def segment(self, volume: Volume, report: Report) -> LabelMap:
        """Turn a volume to the model's orientation, run the network, and turn the labels back.

        Args:
            volume: `(slices, rows, columns)`.
            report: Hears of the fraction done.

        Returns:
            Labels on the volume's grid, with probabilities where they are not too large.

        Raises:
            GeometryError: If the slices are shifted against each other.
            SegmentationError: If there is nothing but padding.
            ModelError: If the model cannot be loaded, or not be run on such an image.
            TimeBudgetExceeded: If it takes longer than the settings allow.
        """
        if volume.is_sheared:
            raise GeometryError("the stack is sheared (gantry tilt); StraightenStack brings it onto an orthogonal grid")
        watch = Watch(report, self.settings.time_budget_s)
        watch.say(0.0, "loading the model")
        network = load_network(self.model)
        segments = segments_of(network.labels, self.labels)
        turn = canonical(volume.affine_lps, self.orientation)
        image = _image_of(volume, turn)
        prediction = network.predict(image, self.settings, watch)
        _require_grid(prediction, image)
        watch.say(1.0, "done")
        labels = np.ascontiguousarray(turn.undo(prediction.labels))
        probabilities = None
        if prediction.probabilities is not None:
            merged = merged_probabilities(prediction.probabilities, self.labels, segments)
            arrays = tuple(np.ascontiguousarray(turn.undo(array)) for array in merged)
            probabilities = ProbabilityMap(arrays, volume.affine_lps, segments, self.algorithm)
        return LabelMap(labels, volume.affine_lps, segments, self.algorithm, probabilities=probabilities)


def choose_engine(context: RunContext, classical: Engine | None = None, needs: Collection[str] = ()) -> Engine:
    """The engine of a run: the network in its model folder, else the app's classical method.

    Args:
        context: The run.
        classical: What segments without weights.
        needs: Names of the segments that the app cannot do without.

    Returns:
        The engine.

    Raises:
        ModelError: If there is neither, the folder holds no model, or one without a segment that is needed.
    """
    manifest = context.manifest
    if context.model_folder is None:
        manifest.require_weights(None)
        if classical is None:
            raise ModelError(
                f"the manifest of {manifest.application.title} promises a classical default; the app has none"
            )
        return classical
    engine = NetworkEngine(
        find_model(context.model_folder),
        manifest.application.version,
        NetworkSettings.from_parameters(context.parameters),
        manifest.mapnode.model.labels,
        manifest.mapnode.model.orientation,
    )
    missing = set(needs) - {segment.name for segment in engine.segments} if needs else ()
    if missing:
        raise ModelError(
            f"the model {engine.model.path.name} has no {', '.join(sorted(missing))}, which the app measures; "
            "give another one, or say in the manifest which of its labels mean that (mapnode.model.labels)"
        )
    return engine


LOADERS = {
    EngineKind.MONAI_BUNDLE: ("monai_bundle", "load_bundle"),
    EngineKind.NNUNET: ("nnunet", "load_nnunet"),
    EngineKind.TORCHSCRIPT: ("torchscript", "load_torchscript"),
}
"""Module and function of each format; the module alone imports the format's package, when it is needed."""


def load_network(model: ModelFolder) -> Network:
    """A model, read once a process: as long as its files stay the same, the same object.

    Raises:
        ModelError: If the extra `models` is not installed, or the folder is not what its format says.
    """
    return _loaded(model, model.digest)


@functools.lru_cache(maxsize=1)
def _loaded(model: ModelFolder, _digest: str) -> Network:
    """Load.

    Raises:
        ModelError: As load_network.
    """
    module, function = LOADERS[model.kind]
    try:
        with monai_loading(whole=model.kind is EngineKind.MONAI_BUNDLE):
            load = getattr(importlib.import_module(f"{__package__}.{module}"), function)
    except ImportError as error:
        needs = error.name or str(error).splitlines()[0]
        raise ModelError(f"{model.kind} needs {needs}; install the extra: pip install 'mapnode[models]'") from error
    network: Network = load(model)
    return network


def _image_of(volume: Volume, turn: Orientation) -> Image:
    """The volume as the model wants it; padding becomes the lowest value, which is nothing in every modality.

    Raises:
        SegmentationError: If there is nothing but padding.
    """
    values = volume.array
    if volume.padding is not None:
        inside = values[~volume.padding]
        if inside.size == 0:
            raise SegmentationError("the volume holds nothing but padding")
        values = np.where(volume.padding, inside.min(), values)
    turned = np.ascontiguousarray(turn.apply(values))
    return Image(turned, turn.apply_affine(volume.affine_lps, volume.array.shape))


def _require_grid(prediction: Prediction, image: Image) -> None:
    if prediction.labels.shape != image.array.shape:
        raise GeometryError(
            f"the model gives labels of the shape {prediction.labels.shape} for an image of {image.array.shape}; "
            "its postprocessing has to bring them back onto the image's grid (Invertd in a MONAI bundle)"
        )
