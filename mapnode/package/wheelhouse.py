"""Wheelhouse: a folder with the wheels of the lock, filled by pip where nobody gives one."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from mapnode.errors import WrongUse

if TYPE_CHECKING:
    from pathlib import Path

    from mapnode.package.distributions import LockedPackage, NeededPackages

PIP = "pip"
"""It comes from the wheelhouse as well, so that every builder installs by the same one."""


def fill_wheelhouse(folder: Path, needed: NeededPackages, lock: dict[str, LockedPackage]) -> None:
    """Download what is missing; pip knows what is there.

    Args:
        folder: The wheelhouse; made where it is missing.
        needed: What goes into an image.
        lock: All locked packages, pip's own among them.

    Raises:
        WrongUse: If a wheel cannot be had.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wanted = folder / "requirements.lock"
    wanted.write_text(needed.lock + lock[PIP].text, encoding="utf-8")
    options = ["--quiet", "--no-deps", "--require-hashes", "--only-binary", ":all:", "--disable-pip-version-check"]
    done = subprocess.run(  # noqa: S603 - pip
        [sys.executable, "-m", "pip", "download", *options, "-r", str(wanted), "-d", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise WrongUse(f"wheels cannot be downloaded: {last}; --wheelhouse DIR takes those of a folder")
