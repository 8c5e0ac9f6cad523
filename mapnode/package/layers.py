"""Layers: folders as tar files whose bytes depend on nothing but names and contents."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import stat
import tarfile
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from mapnode.package.file_state import keep_text, part_of

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_EPOCH = 315_532_800
"""1 January 1980, the first day that a zip file can name: the time of everything in an image, unless SOURCE_DATE_EPOCH
says another one (reproducible-builds.org)."""
BLOCK_BYTES = 1 << 20
GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class Layer:
    """One layer: an uncompressed tar file.

    Attributes:
        path: The file.
        digest: SHA-256 of its bytes, hexadecimal: the layer's diff ID.
        size: Its bytes.
        description: How it came to be, for the image's history.
    """

    path: Path
    digest: str
    size: int
    description: str


def source_date_epoch() -> int:
    """Seconds since 1970 that everything in an image is dated with."""
    return int(os.environ.get("SOURCE_DATE_EPOCH") or DEFAULT_EPOCH)


def write_layer(path: Path, files: Mapping[str, Path | bytes | None], description: str) -> Layer:
    """Write a layer.

    Args:
        path: The tar file to write; it appears when it is complete.
        files: By absolute path in the image: a file, a symbolic link (taken as one), content, or None for a folder.
            The folders around them come by themselves.
        description: How it came to be.

    Returns:
        The layer. Owner is root, modes 755 and 644, the time `source_date_epoch`.
    """
    entries: dict[str, Path | bytes | None] = dict(files)
    for name in files:
        entries.update({str(folder): None for folder in PurePosixPath(name).parents if str(folder) not in entries})
    part = part_of(path)
    with tarfile.open(part, "w", format=tarfile.GNU_FORMAT) as tar:
        for name in sorted(entries.keys() - {"/"}):
            _add(tar, name.removeprefix("/"), entries[name])
    layer = read_layer(part, description)
    keep_text(_digest_file(path), layer.digest)
    part.replace(path)
    return replace(layer, path=path)


def read_layer(path: Path, description: str) -> Layer:
    """A tar file as a layer."""
    with path.open("rb") as file:
        return Layer(path, hashlib.file_digest(file, "sha256").hexdigest(), path.stat().st_size, description)


def kept_layer(path: Path, description: str) -> Layer | None:
    """A layer that `write_layer` wrote before, if it did: 400 MB need not be read to know their digest again.

    Whoever loads an image checks every layer's digest, so that one that was damaged since is found there.
    """
    if not path.exists():
        return None
    return Layer(path, _digest_file(path).read_text(encoding="ascii"), path.stat().st_size, description)


def _digest_file(path: Path) -> Path:
    return path.with_suffix(".sha256")


def tree(folder: Path, prefix: str) -> dict[str, Path | bytes | None]:
    """Everything in a folder, by its path below a prefix; empty folders as well."""
    found: dict[str, Path | bytes | None] = {}
    for path in sorted(folder.rglob("*")):
        is_folder = path.is_dir() and not path.is_symlink()
        found[f"{prefix}/{path.relative_to(folder).as_posix()}"] = None if is_folder else path
    return found


def inflate(source: Path, target: Path) -> None:
    """Copy a tar file, without gzip's compression where it has that; the copy appears when it is complete."""
    part = part_of(target)
    with source.open("rb") as file:
        is_compressed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    with (gzip.open if is_compressed else open)(source, "rb") as plain, part.open("wb") as copy:
        while block := plain.read(BLOCK_BYTES):
            copy.write(block)
    part.replace(target)


def is_program(path: Path) -> bool:
    """Whether its owner may run a file, whoever asks."""
    return bool(path.stat().st_mode & stat.S_IXUSR)


def _add(tar: tarfile.TarFile, name: str, what: Path | bytes | None) -> None:
    entry = tarfile.TarInfo(name)
    entry.mtime = source_date_epoch()
    entry.mode = 0o755
    if what is None:
        entry.type = tarfile.DIRTYPE
        tar.addfile(entry)
    elif isinstance(what, Path) and what.is_symlink():
        entry.type, entry.linkname = tarfile.SYMTYPE, str(what.readlink())
        tar.addfile(entry)
    else:
        entry.mode = 0o755 if isinstance(what, Path) and is_program(what) else 0o644
        with io.BytesIO(what) if isinstance(what, bytes) else what.open("rb") as content:
            # Weights need not fit into memory.
            entry.size = content.seek(0, os.SEEK_END)
            content.seek(0)
            tar.addfile(entry, content)
