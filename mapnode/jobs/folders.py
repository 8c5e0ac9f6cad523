"""Folders: those of a job are made anew beside the old ones, and are on the disk before they take their place."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextlib.contextmanager
def renewed(folder: Path, name: str, require_lease: Callable[[], None]) -> Iterator[Path]:
    """A new folder that takes the place of a job's folder of that name once it is complete.

    Another process that did this job, was given up and wakes up again meets no file of this one, and spoils none.

    Args:
        folder: The job's.
        name: Of the folder in it.
        require_lease: Raises if the job is not this process's any more; nothing is replaced then.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for left in folder.glob(f"{name}.*"):
        shutil.rmtree(left, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=folder))
    try:
        yield fresh
        _make_durable(fresh)
        require_lease()
        shutil.rmtree(folder / name, ignore_errors=True)
        fresh.rename(folder / name)
        _sync(folder)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def _make_durable(folder: Path) -> None:
    """Have on the disk what a checkpoint is about to say that it is there: a power cut tears what is not.

    Not what is a link: that is Orthanc's file, which has others that keep it.
    """
    for path in folder.rglob("*"):
        if path.is_dir() or path.stat().st_nlink == 1:
            _sync(path)
    _sync(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
