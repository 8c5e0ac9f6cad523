"""ModelFolder: which engine a folder of weights is for, and the digest that names it.

| engine | what the folder holds |
|---|---|
| monai-bundle | configs/metadata.json, configs/inference.json (or .yaml), models/model.pt (or model.ts) |
| nnunet | plans.json, dataset.json, fold_N/checkpoint_final.pth (or checkpoint_best.pth), of nnU-Net v2 |
| torchscript | model.ts (or any one .ts or .pt) and its description model.yaml (docs/models.md) |

Files are looked at by name only; nothing here needs torch.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from operators.core.digest import digest_of
from operators.core.errors import ModelError

INFERENCE_NAMES = ("configs/inference.json", "configs/inference.yaml")
BUNDLE_WEIGHTS = ("models/model.pt", "models/model.ts")
CHECKPOINT_NAMES = ("checkpoint_final.pth", "checkpoint_best.pth")
"""In nnU-Net's own order of preference."""
DESCRIPTION_NAME = "model.yaml"


class EngineKind(StrEnum):
    """What segments."""

    CLASSICAL = "classical"
    """No weights: the method is part of mapnode."""
    MONAI_BUNDLE = "monai-bundle"
    """A MONAI bundle, with its own pre- and postprocessing."""
    NNUNET = "nnunet"
    """A model that nnU-Net v2 trained; several folds are an ensemble."""
    TORCHSCRIPT = "torchscript"
    """A TorchScript module, with a description of what it takes and gives."""


@dataclass(frozen=True)
class ModelFolder:
    """A folder of weights.

    Attributes:
        path: The folder itself.
        kind: The engine that it is for.
        files: What the engine reads, relative to the folder, sorted.
    """

    path: Path
    kind: EngineKind
    files: tuple[str, ...]

    @property
    def digest(self) -> str:
        """SHA-256 over names and contents of the files, hexadecimal; read again only where a file changed."""
        return digest_of([str(self.kind), [[name, _file_digest(*_stamp(self.path / name))] for name in self.files]])


def find_model(folder: Path) -> ModelFolder:
    """The model in a folder, or in the only one of its folders that holds one, as a MAP has it below its model path.

    Args:
        folder: The folder.

    Returns:
        The model.

    Raises:
        ModelError: If there is none, or more than one.
    """
    if not folder.is_dir():
        raise ModelError(f"a model is a folder; {folder.name} is none")
    places = (folder, *sorted(path for path in folder.iterdir() if path.is_dir()))
    here = _model_in(folder)
    found = [here] if here else [model for place in places[1:] if (model := _model_in(place))]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(model.path.name for model in found)
        raise ModelError(f"{folder.name} holds {len(found)} models ({names}); give the folder of one")
    raise ModelError(
        f"{folder.name} holds no model: no MONAI bundle (configs/metadata.json and inference.json, models/model.pt), "
        "no model of nnU-Net v2 (plans.json, dataset.json, fold_0/checkpoint_final.pth), no TorchScript (model.ts and "
        "model.yaml)"
    )


def holds_files(folder: Path) -> bool:
    """Whether anything lies in a folder: a MAP without weights has an empty model path."""
    return folder.is_dir() and any(path.is_file() for path in folder.rglob("*"))


def _model_in(folder: Path) -> ModelFolder | None:
    for kind, files_of in _FILES_OF.items():
        files = files_of(folder)
        if files:
            return ModelFolder(folder, kind, tuple(sorted(files)))
    return None


def _bundle_files(folder: Path) -> list[str]:
    config = _first(folder, INFERENCE_NAMES)
    weights = _first(folder, BUNDLE_WEIGHTS)
    if not (config and weights and (folder / "configs/metadata.json").is_file()):
        return []
    return ["configs/metadata.json", config, weights]


def _nnunet_files(folder: Path) -> list[str]:
    folds = {path.name: path for path in folder.glob("fold_*") if _first(path, CHECKPOINT_NAMES)}
    # As nnU-Net does: a model trained on all data is no member of an ensemble of folds.
    names = [name for name in folds if name != "fold_all"] or list(folds)
    if not names or not all((folder / name).is_file() for name in ("plans.json", "dataset.json")):
        return []
    # Every fold by the same kind of checkpoint: best ones are chosen on a fold's own validation cases.
    checkpoint = next(name for name in CHECKPOINT_NAMES if any((folds[fold] / name).is_file() for fold in names))
    members = [f"{fold}/{checkpoint}" for fold in names if (folds[fold] / checkpoint).is_file()]
    return ["plans.json", "dataset.json", *members]


def _torchscript_files(folder: Path) -> list[str]:
    modules = [path.name for pattern in ("*.ts", "*.pt") for path in folder.glob(pattern)]
    if len(modules) != 1 or not (folder / DESCRIPTION_NAME).is_file():
        return []
    return [DESCRIPTION_NAME, modules[0]]


_FILES_OF = {
    EngineKind.MONAI_BUNDLE: _bundle_files,
    EngineKind.NNUNET: _nnunet_files,
    EngineKind.TORCHSCRIPT: _torchscript_files,
}


def _first(folder: Path, names: tuple[str, ...]) -> str | None:
    return next((name for name in names if (folder / name).is_file()), None)


def _stamp(path: Path) -> tuple[Path, int, int, int]:
    state = path.stat()
    return path.resolve(), state.st_size, state.st_mtime_ns, state.st_ino


@functools.lru_cache(maxsize=256)
def _file_digest(path: Path, *_unchanged: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
