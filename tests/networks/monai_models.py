"""A small MONAI bundle and a small TorchScript model, trained on phantoms.

python -m tests.networks.monai_models bundle FOLDER --steps 150
python -m tests.networks.monai_models torchscript FOLDER --steps 150
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
import yaml
from monai.bundle import ConfigParser
from monai.losses import DiceCELoss
from monai.networks.nets import UNet

from tests.networks.phantoms import LABELS, SPACING_MM, make_phantom

SEED, CASES = 0, 6
PATCH = (16, 16, 8)
"""Columns, rows, slices."""
WINDOW_HU = (-200.0, 300.0)
CHANNELS = len(LABELS) + 1
NETWORK = {
    "_target_": "UNet",
    "spatial_dims": 3,
    "in_channels": 1,
    "out_channels": CHANNELS,
    "channels": [8, 16, 32],
    "strides": [2, 2],
    "num_res_units": 1,
    "norm": "instance",
}
SCALE = {"a_min": WINDOW_HU[0], "a_max": WINDOW_HU[1], "b_min": 0.0, "b_max": 1.0, "clip": True}


def metadata() -> dict:
    """What MONAI's schema asks for, as far as it is about the data."""
    names = {"0": "background", **{str(value): name for name, value in LABELS.items()}}
    return {
        "version": "0.1.0",
        "monai_version": "1.6.1",
        "pytorch_version": "2.13.0",
        "task": "tissues of a phantom",
        "network_data_format": {
            "inputs": {"image": {"type": "image", "format": "hounsfield", "num_channels": 1, "spatial_shape": PATCH}},
            "outputs": {"pred": {"type": "image", "format": "segmentation", "num_channels": 6, "channel_def": names}},
        },
    }


def inference() -> dict:
    """A configuration as bundles of MONAI's zoo have it; `monai.bundle run` runs it on files."""
    keys = {"keys": "image"}
    return {
        "imports": ["$import glob", "$import os"],
        "bundle_root": ".",
        "dataset_dir": "$@bundle_root + '/input'",
        "output_dir": "$@bundle_root + '/output'",
        "datalist": "$[{'image': path} for path in sorted(glob.glob(os.path.join(@dataset_dir, '*.nii')))]",
        "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
        "network_def": NETWORK,
        "network": "$@network_def.to(@device)",
        "preprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "LoadImaged", **keys},
                {"_target_": "EnsureChannelFirstd", **keys},
                {"_target_": "Orientationd", **keys, "axcodes": "RAS"},
                {"_target_": "Spacingd", **keys, "pixdim": list(reversed(SPACING_MM)), "mode": "bilinear"},
                {"_target_": "ScaleIntensityRanged", **keys, **SCALE},
                {"_target_": "EnsureTyped", **keys},
            ],
        },
        "dataset": {"_target_": "Dataset", "data": "@datalist", "transform": "@preprocessing"},
        "dataloader": {"_target_": "DataLoader", "dataset": "@dataset", "batch_size": 1, "num_workers": 0},
        "inferer": {
            "_target_": "SlidingWindowInferer",
            "roi_size": list(PATCH),
            "sw_batch_size": 2,
            "overlap": 0.5,
            "mode": "gaussian",
        },
        "postprocessing": {
            "_target_": "Compose",
            "transforms": [
                {"_target_": "Activationsd", "keys": "pred", "softmax": True},
                {
                    "_target_": "Invertd",
                    "keys": "pred",
                    "transform": "@preprocessing",
                    "orig_keys": "image",
                    "nearest_interp": False,
                    "to_tensor": True,
                },
                {"_target_": "AsDiscreted", "keys": "pred", "argmax": True},
                {"_target_": "SaveImaged", "keys": "pred", "output_dir": "@output_dir", "separate_folder": False},
            ],
        },
        "handlers": [
            {
                "_target_": "CheckpointLoader",
                "load_path": "$@bundle_root + '/models/model.pt'",
                "load_dict": {"model": "@network"},
            }
        ],
        "evaluator": {
            "_target_": "SupervisedEvaluator",
            "device": "@device",
            "val_data_loader": "@dataloader",
            "network": "@network",
            "inferer": "@inferer",
            "postprocessing": "@postprocessing",
            "val_handlers": "@handlers",
        },
        "initialize": ["$setattr(torch.backends.cudnn, 'benchmark', True)"],
        "run": ["$@evaluator.run()"],
    }


def trained_network(steps: int) -> UNet:
    """The network after some steps on phantoms; without any, as it begins."""
    torch.manual_seed(SEED)
    network = ConfigParser({"network_def": NETWORK}).get_parsed_content("network_def")
    phantoms = [make_phantom(seed=100 + case) for case in range(CASES)] if steps else []
    # As RAS: both in-plane axes run the other way than the phantom's.
    low, high = WINDOW_HU
    images = [
        torch.tensor((p.hu.transpose(2, 1, 0)[::-1, ::-1].astype("float32") - low) / (high - low)).clip(0, 1)
        for p in phantoms
    ]
    truths = [torch.tensor(p.truth_labels.transpose(2, 1, 0)[::-1, ::-1].copy()) for p in phantoms]
    loss, optimizer = DiceCELoss(to_onehot_y=True, softmax=True), torch.optim.Adam(network.parameters(), 5e-3)
    for step in range(steps):
        image, truth = images[step % CASES], truths[step % CASES]
        start = [int(torch.randint(0, size - patch + 1, ())) for size, patch in zip(image.shape, PATCH, strict=True)]
        place = tuple(slice(s, s + p) for s, p in zip(start, PATCH, strict=True))
        optimizer.zero_grad()
        loss(network(image[place][None, None]), truth[place][None, None].long()).backward()
        optimizer.step()
    return network.eval()


def make_bundle(folder: Path, steps: int = 0) -> Path:
    """A bundle folder, as MONAI's own `init_bundle` lays it out."""
    for name in ("configs", "models"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    ConfigParser.export_config_file(metadata(), str(folder / "configs/metadata.json"), indent=2)
    ConfigParser.export_config_file(inference(), str(folder / "configs/inference.json"), indent=2)
    torch.save(trained_network(steps).state_dict(), folder / "models/model.pt")
    return folder


def make_torchscript(folder: Path, steps: int = 0) -> Path:
    """A traced module with its description."""
    folder.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        traced = torch.jit.trace(trained_network(steps), torch.zeros(1, 1, *PATCH))
    torch.jit.save(traced, folder / "model.ts")
    description = {
        "orientation": "RAS",
        "spacing_mm": list(reversed(SPACING_MM)),
        "intensity": list(WINDOW_HU),
        "patch": list(PATCH),
        "overlap": 0.5,
        "labels": LABELS,
    }
    (folder / "model.yaml").write_text(yaml.safe_dump(description))
    return folder


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("form", choices=("bundle", "torchscript"))
    parser.add_argument("folder", type=Path)
    parser.add_argument("--steps", type=int, default=150)
    chosen = parser.parse_args()
    {"bundle": make_bundle, "torchscript": make_torchscript}[chosen.form](chosen.folder, chosen.steps)
