"""Wheelhouse: a folder with the wheels of the lock, filled by pip where nobody gives one."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from mapnode.errors import WrongUse

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from mapnode.package.distributions import LockedPackage, NeededPackages

PIP = "pip"
"""It comes from the wheelhouse as well, so that every builder installs by the same one."""
LOCK_NAME = "requirements.lock"
"""What a wheelhouse that was filled here has the wheels of, for one image and another."""


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
    done, wanted = folder / LOCK_NAME, folder / f"{LOCK_NAME}.part"
    had = done.read_text(encoding="utf-8") if done.exists() else ""
    missing = _missing((*needed.packages, lock[PIP]), had)
    if not missing:
        return
    wanted.write_text("".join(missing), encoding="utf-8")
    download(folder, "--require-hashes", "-r", str(wanted))
    wanted.write_text(had + "".join(missing), encoding="utf-8")
    wanted.replace(done)


def download(folder: Path, *wanted: str) -> None:
    """Have pip get wheels, without what they ask for.

    Args:
        folder: Where they go.
        wanted: pip's words for which.

    Raises:
        WrongUse: If one cannot be had.
    """
    options = ["--quiet", "--no-deps", "--only-binary", ":all:", "--disable-pip-version-check"]
    done = subprocess.run(  # noqa: S603 - pip
        [sys.executable, "-m", "pip", "download", *options, *wanted, "-d", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        raise WrongUse(f"wheels cannot be downloaded: {last}; --wheelhouse DIR takes those of a folder")


def _missing(packages: Iterable[LockedPackage], had: str) -> list[str]:
    """Entries that a lock does not have; pip would ask its index about each of the others again."""
    return [package.text for package in packages if f"\n{package.text}" not in f"\n{had}"]


def wheels_of(package: LockedPackage, folder: Path) -> list[Path]:
    """The wheels of a locked package, none of another build of the same version (`2.13.0+cpu`).

    Raises:
        WrongUse: If there is none.
    """
    beginning = f"{package.name.replace('-', '_')}-{package.version}-"
    found = sorted(path for path in folder.glob("*.whl") if path.name.lower().startswith(beginning))
    if not found:
        raise WrongUse(f"the wheelhouse {folder} has no wheel of {package.name} {package.version}")
    return found


def require_pip(folder: Path) -> None:
    """A wheelhouse that somebody gave has to have the wheel that installs the others.

    Raises:
        WrongUse: If it has not.
    """
    if not any(folder.glob(f"{PIP}-*.whl")):
        raise WrongUse(f"the wheelhouse {folder} has no wheel of pip, which installs the others (docs/packaging.md)")
