"""cuda_packages: torch's build for GPUs with NVIDIA's libraries, in place of the build that is installed here."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from mapnode.errors import WrongUse
from mapnode.package.distributions import LockedPackage, NeededPackages, read_lock
from mapnode.package.torch_wheel import EXTRA, TORCH, installed_version

if TYPE_CHECKING:
    from pathlib import Path

LOCK = "cuda.lock"


def read_cuda_lock(requirements: Path) -> dict[str, LockedPackage]:
    """The packages of torch for CUDA, by name.

    Args:
        requirements: Folder with the locks.

    Returns:
        torch and NVIDIA's libraries: another build of the release that the app was tried with here.

    Raises:
        WrongUse: If torch is not installed here, or in another release.
    """
    lock = read_lock(requirements / LOCK)
    installed, locked = installed_version(), lock[TORCH].version
    if installed.split("+")[0] != locked.split("+")[0]:
        raise WrongUse(f"{TORCH} {installed} is installed, {LOCK} has {locked}: {EXTRA}, `make lock` renews the lock")
    return lock


def with_cuda(needed: NeededPackages, lock: dict[str, LockedPackage]) -> NeededPackages:
    """What an image for GPUs needs.

    NVIDIA's libraries are loaded by torch's for CUDA alone, so that nothing that is loaded here shows them: all go in.

    Args:
        needed: What the app loads here.
        lock: The packages of torch for CUDA; they take the place of others of the same name.
    """
    packages = {package.name: package for package in needed.packages} | lock
    return dataclasses.replace(needed, packages=tuple(packages[name] for name in sorted(packages)))
