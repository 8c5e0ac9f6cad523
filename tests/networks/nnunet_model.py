"""A small nnU-Net v2 model, planned and trained on phantoms by nnunetv2 itself.

    python -m tests.networks.nnunet_model FOLDER --configuration 3d_fullres --steps 200 --folds 0 1

FOLDER gets a model folder as nnU-Net leaves it: plans.json, dataset.json, fold_N/checkpoint_final.pth.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import SimpleITK
import torch

from tests.networks.phantoms import LABELS, SPACING_MM, make_phantom

DATASET, CASES, SEED = "Dataset001_Phantom", 6, 0
PATCH = (8, 16, 16)
"""So small that a phantom needs several tiles; nnU-Net would plan one for all of it."""
LEARNING_RATE = 3e-3
FEATURES = 8
"""Of the first stage; nnU-Net's own 32 is for more than phantoms."""


def write_image(array, affine_lps, path: Path) -> Path:
    """A NIfTI file by SimpleITK, of an array whose axes are slices, rows, columns."""
    image = SimpleITK.GetImageFromArray(array)
    spacing = [float((affine_lps[:3, axis] ** 2).sum() ** 0.5) for axis in (2, 1, 0)]
    image.SetSpacing(spacing)
    image.SetOrigin([float(v) for v in affine_lps[:3, 3]])
    directions = [affine_lps[:3, axis] / spacing[2 - axis] for axis in (2, 1, 0)]
    image.SetDirection([float(directions[column][row]) for row in range(3) for column in range(3)])
    SimpleITK.WriteImage(image, str(path))
    return path


def folder_of(part: str) -> Path:
    """One of nnU-Net's three folders of the data set."""
    return Path(os.environ[f"nnUNet_{part}"]) / DATASET


def write_dataset() -> None:
    """Phantoms and their truth in the layout of nnUNet_raw."""
    folder = folder_of("raw")
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True)
    cases = {}
    for case in range(CASES):
        phantom = make_phantom(seed=100 + case)
        image, labels = f"imagesTr/case_{case}_0000.nii.gz", f"labelsTr/case_{case}.nii.gz"
        write_image(phantom.hu, phantom.affine_lps, folder / image)
        write_image(phantom.truth_labels, phantom.affine_lps, folder / labels)
        cases[f"case_{case}"] = {"images": [image], "label": labels}
    description = {
        "channel_names": {"0": "CT"},
        "labels": {"background": 0, **LABELS},
        "numTraining": CASES,
        "file_ending": ".nii.gz",
        # Where they are not named, nnU-Net forks twelve processes to find them; beside torch's threads one may hang.
        "dataset": cases,
    }
    (folder / "dataset.json").write_text(json.dumps(description))


def plan(patch: Sequence[int] = ()) -> dict:
    """nnU-Net's own plans, with fewer features than it plans, and other patches where asked for."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import plan_experiment_dataset

    plan_experiment_dataset(1)
    path = folder_of("preprocessed") / "nnUNetPlans.json"
    plans = json.loads(path.read_text())
    for planned in plans["configurations"].values():
        if "architecture" in planned:
            arguments = planned["architecture"]["arch_kwargs"]
            arguments["features_per_stage"] = [FEATURES * 2 ** min(stage, 3) for stage in range(arguments["n_stages"])]
            if patch:
                planned["patch_size"] = list(patch[-len(planned["patch_size"]) :])
            planned["batch_size"] = 2
    path.write_text(json.dumps(plans))
    return {**plans, "continue_training": False}


def write_fingerprint() -> None:
    """What nnU-Net's fingerprint extractor finds in one phantom, without its processes."""
    phantom = make_phantom(seed=100)
    inside = phantom.hu[phantom.truth_labels > 0]
    low, high = np.percentile(inside, (0.5, 99.5))
    statistics = {
        "max": inside.max(), "mean": inside.mean(), "median": np.median(inside), "min": inside.min(),
        "percentile_00_5": low, "percentile_99_5": high, "std": inside.std(),
    }  # fmt: skip
    folder = folder_of("preprocessed")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "dataset_fingerprint.json").write_text(
        json.dumps({
            "foreground_intensity_properties_per_channel": {"0": {k: float(v) for k, v in statistics.items()}},
            "median_relative_size_after_cropping": 1.0,
            "shapes_after_crop": [list(phantom.hu.shape)] * CASES,
            "spacings": [list(SPACING_MM)] * CASES,
        })
    )


def trainer_of(plans: dict, configuration: str, fold: int, steps: int):
    """One of nnU-Net's own trainers for one epoch; to train, the one that learns in few steps."""
    from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer
    from nnunetv2.training.nnUNetTrainer.variants.optimizer.nnUNetTrainerAdam import nnUNetTrainerAdam1en3

    trainer_class = nnUNetTrainerAdam1en3 if steps else nnUNetTrainer
    torch.manual_seed(SEED + fold)
    np.random.seed(SEED + fold)  # nnunetv2 draws from it
    dataset = json.loads((folder_of("raw") / "dataset.json").read_text())
    trainer = trainer_class(dict(plans), configuration, fold, dataset, device=torch.device("cpu"))
    trainer.initial_lr = LEARNING_RATE
    trainer.num_epochs, trainer.num_iterations_per_epoch, trainer.num_val_iterations_per_epoch = 1, steps, 1
    return trainer


def make_trained_model(target: Path, configuration: str, folds: Sequence[int], steps: int) -> None:
    """Fingerprint, plans, preprocessing and training by nnU-Net, from phantoms in its own layout."""
    from nnunetv2.experiment_planning.plan_and_preprocess_api import extract_fingerprint_dataset, preprocess_dataset

    with work_folder():
        extract_fingerprint_dataset(1, num_processes=1, show_progress_bar=False)
        plans = plan()
        preprocess_dataset(1, configurations=(configuration,), num_processes=[1], show_progress_bar=False)
        os.environ.update(nnUNet_n_proc_DA="0")  # augmentation in this process, so that the seed decides
        for fold in folds:
            trainer = trainer_of(plans, configuration, fold, steps)
            trainer.run_training()
        shutil.copytree(trainer.output_folder_base, target, dirs_exist_ok=True)


def make_untrained_model(target: Path, configuration: str, folds: Sequence[int]) -> None:
    """The same folder with the weights that nnU-Net's trainer begins with: as good to compare two predictors by."""
    with work_folder():
        write_fingerprint()
        plans = plan(PATCH)
        # The trainer looks at the names of preprocessed files; it reads none.
        preprocessed = folder_of("preprocessed") / f"nnUNetPlans_{configuration}"
        preprocessed.mkdir()
        (preprocessed / "case_0.b2nd").touch()
        for fold in folds:
            trainer = trainer_of(plans, configuration, fold, 0)
            trainer.initialize()
            (target / f"fold_{fold}").mkdir(parents=True, exist_ok=True)
            trainer.save_checkpoint(str(target / f"fold_{fold}/checkpoint_final.pth"))
        (target / "plans.json").write_text(json.dumps(trainer.plans_manager.plans))
        (target / "dataset.json").write_text(json.dumps(trainer.dataset_json))


@contextlib.contextmanager
def work_folder() -> Iterator[None]:
    """nnU-Net's three folders, with the raw data set in place."""
    with tempfile.TemporaryDirectory() as work:
        for name in ("raw", "preprocessed", "results"):
            os.environ[f"nnUNet_{name}"] = str(Path(work, name))
        os.environ.update(nnUNet_n_proc_DA="1")
        write_dataset()
        yield


if __name__ == "__main__":
    # One process is enough for phantoms; nnunetv2 reads these when it is imported.
    os.environ.update(nnUNet_def_n_proc="1", nnUNet_n_proc_DA="1", nnUNet_compile="f")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--configuration", default="3d_fullres", choices=("2d", "3d_fullres"))
    parser.add_argument("--folds", type=int, nargs="+", default=[0])
    parser.add_argument("--steps", type=int, default=200)
    chosen = parser.parse_args()
    make_trained_model(chosen.folder, chosen.configuration, chosen.folds, chosen.steps)
