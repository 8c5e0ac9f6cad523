"""torch_wheel: torch for CPUs, which no lock has (decision 0020), held to the wheel that is at hand, by its hash."""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
from typing import TYPE_CHECKING

from mapnode.errors import WrongUse
from mapnode.package.distributions import LockedPackage
from mapnode.package.file_state import keep_text, state_key
from mapnode.package.wheelhouse import download

if TYPE_CHECKING:
    from pathlib import Path

TORCH = "torch"
EXTRA = "`make with-models` installs it"


def lock_torch(wheelhouse: Path | None, cache: Path) -> LockedPackage:
    """The build of torch that is installed here, as a lock's entry with the hash of its wheel.

    Args:
        wheelhouse: Folder with wheels that somebody gave.
        cache: Folder that the wheel is downloaded to where nobody did.

    Returns:
        The entry; `2.13.0+cpu` is another build than `2.13.0`, so that the image gets what was tried here.

    Raises:
        WrongUse: If torch is not installed, not in the version that is pinned, or its wheel cannot be had.
    """
    version = installed_version()
    folder = wheelhouse or cache
    if wheelhouse is None and not list(folder.glob(f"{TORCH}-{version}-*.whl")):
        folder.mkdir(parents=True, exist_ok=True)
        download(folder, f"{TORCH}=={version}")
    wheels = sorted(folder.glob(f"{TORCH}-{version}-*.whl"))
    if not wheels:
        raise WrongUse(f"the wheelhouse {folder} has no wheel of {TORCH} {version}, which is installed here")
    hashes = "".join(f" \\\n    --hash=sha256:{_digest(wheel, cache)}" for wheel in wheels)
    return LockedPackage(TORCH, version, f"{TORCH}=={version}{hashes}\n")


def installed_version() -> str:
    """The version that is here, with the name of its build.

    Raises:
        WrongUse: If there is none, or another one than pyproject.toml pins.
    """
    try:
        version = importlib.metadata.version(TORCH)
    except importlib.metadata.PackageNotFoundError:
        raise WrongUse(f"an image with a model needs {TORCH}, which is not installed here: {EXTRA}") from None
    asked = " ".join(importlib.metadata.requires("mapnode") or ())
    pinned = re.search(rf"\b{TORCH}==([\w.]+)", asked)
    if pinned and version.split("+")[0] != pinned[1]:
        raise WrongUse(f"{TORCH} {version} is installed, {pinned[1]} is pinned: {EXTRA}")
    return version


def _digest(wheel: Path, cache: Path) -> str:
    """SHA-256 of a wheel, read once: pip holds it against the hash when it installs it."""
    kept = cache / f"{TORCH}-{state_key(wheel)}.sha256"
    if not kept.exists():
        with wheel.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        cache.mkdir(parents=True, exist_ok=True)
        keep_text(kept, digest)
    return kept.read_text(encoding="ascii")
