"""Base image: what lies below a MAP's own layers: a root file system, an image's archive, or an image of an engine."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import platform
import re
import shutil
import sys
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mapnode.errors import WrongUse
from mapnode.package.archive import DOCKER_MANIFEST, INDEX, NO_ARCHIVE, ImageArchive, files_of, reading
from mapnode.package.container_engine import find_engine
from mapnode.package.file_state import keep_text, part_of, state_key
from mapnode.package.layers import Layer, inflate, read_layer

if TYPE_CHECKING:
    from collections.abc import Iterable

DPKG_STATUS = "/var/lib/dpkg/status"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
PYTHON = f"python{sys.version_info.major}.{sys.version_info.minor}"
"""The image's Python has to be the one that this process has: wheels and pyc files are for one version."""


@dataclass(frozen=True)
class BaseImage:
    """What lies below.

    Attributes:
        name: What the caller called it.
        layers: From the lowest upwards.
        environment: Its variables.
        architecture: As OCI names it.
        packages: Debian packages in it, version by name.
    """

    name: str
    layers: tuple[Layer, ...]
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": PATH})
    architecture: str = "amd64"
    packages: dict[str, str] = field(default_factory=dict)


def find_base_image(name: str, cache: Path) -> BaseImage:
    """The base image of that name.

    Args:
        name: A file (root file system or image archive), else the name of an image that Docker or Podman has.
        cache: Folder for layers that have to be taken out of an archive.

    Returns:
        The base image.

    Raises:
        WrongUse: If there is none, or it has no Python of our version.
    """
    path = Path(name)
    if not path.is_file():
        path = _from_engine(name, cache)
    kept = cache / f"base-{state_key(path)}.json"
    base = _kept_base(kept)
    if base is None:
        base = _describe(path, name, cache)
        keep_text(kept, json.dumps(dataclasses.asdict(base), default=str))
    return dataclasses.replace(base, name=name)


def _kept_base(kept: Path) -> BaseImage | None:
    """What was found out about a file that has not changed since; None where something of it is gone."""
    if not kept.exists():
        return None
    fields = json.loads(kept.read_text(encoding="utf-8"))
    layers = tuple(Layer(**{**layer, "path": Path(layer["path"])}) for layer in fields.pop("layers"))
    return BaseImage(layers=layers, **fields) if all(layer.path.exists() for layer in layers) else None


def _describe(path: Path, name: str, cache: Path) -> BaseImage:
    """Read a base image.

    Raises:
        WrongUse: If it is none, or has no Python of our version.
    """
    with reading(name):
        layers, config = _read(path, cache)
        interpreters = {f"/usr/bin/{PYTHON}", f"/usr/local/bin/{PYTHON}"}
        found = files_of((layer.path.open("rb") for layer in layers), {DPKG_STATUS, *interpreters})
    variables = (config.get("config") or {}).get("Env") or [f"PATH={PATH}"]
    environment = dict(text.split("=", 1) for text in variables if "=" in text)
    if not interpreters & found.keys():
        raise WrongUse(f"the base image {name} has no {PYTHON}, which packages would be installed for")
    here = ARCHITECTURES.get(platform.machine(), platform.machine())
    if (architecture := config.get("architecture") or here) != here:
        raise WrongUse(f"the base image {name} is for {architecture}, the packages that would go in are for {here}")
    return BaseImage(name, layers, environment, architecture, _debian_packages(found.get(DPKG_STATUS, b"").decode()))


def _from_engine(name: str, cache: Path) -> Path:
    """An archive of an engine's image, written once for each ID.

    Raises:
        WrongUse: If the engine has no such image.
    """
    engine = find_engine()
    known = engine.image(name)
    if known is None:
        raise WrongUse(
            f"{engine.program} has no image {name}: `map-build/base-debian FILE.tar` makes a base image, which "
            "--base-image FILE.tar takes"
        )
    path = cache / f"image-{str(known['Id']).removeprefix('sha256:')}.tar"
    if not path.exists():
        part = part_of(path)
        engine.save(name, part)
        part.replace(path)
    return path


def _read(path: Path, cache: Path) -> tuple[tuple[Layer, ...], dict[str, Any]]:
    """Layers and configuration; a file without Docker's manifest is a root file system.

    Raises:
        WrongUse: If it is no tar file at all, or an image whose layers are not what it says.
    """
    try:
        with tarfile.open(path) as tar:
            if _has_manifest(tar):
                archive = ImageArchive(tar, str(path))
                return tuple(_taken_out(archive, path, cache)), archive.config
    except NO_ARCHIVE as error:
        raise WrongUse(f"{path} is neither a root file system nor an image: {error}") from error
    return (_plain(path, cache),), {}


def _has_manifest(tar: tarfile.TarFile) -> bool:
    """Whether it is an image archive; a root file system shows within its first entries that it is none."""
    for count, member in enumerate(tar):
        if member.name in {DOCKER_MANIFEST, INDEX}:
            return True
        if count > 0 and member.name.removeprefix("./").split("/")[0] in {"bin", "etc", "usr"}:
            return False
    return False


def _taken_out(archive: ImageArchive, path: Path, cache: Path) -> Iterable[Layer]:
    """The layers, each in the cache by its digest.

    Raises:
        WrongUse: If a layer is not the one that the configuration names: images to come would stand on it.
    """
    wanted = (archive.config.get("rootfs") or {}).get("diff_ids") or []
    if len(wanted) != len(archive.layers):
        raise WrongUse(f"{path} has {len(archive.layers)} layers, and its configuration names {len(wanted)}")
    for diff_id, member in zip(wanted, archive.layers, strict=True):
        digest = diff_id.removeprefix("sha256:")
        if not re.fullmatch("[0-9a-f]{64}", digest):
            raise WrongUse(f"{path} names a layer by {diff_id}, which is no SHA-256")
        target = cache / f"layer-{digest}.tar"
        if not target.exists():
            part, plain = part_of(target), part_of(target.with_suffix(".plain"))
            with archive.open(member) as source, part.open("wb") as copy:
                shutil.copyfileobj(source, copy)
            inflate(part, plain)
            part.unlink()
            if read_layer(plain, "").digest != digest:
                plain.unlink()
                raise WrongUse(f"{path} is damaged, or has layers that are compressed otherwise than by gzip: {member}")
            plain.replace(target)
        yield read_layer(target, "base image")


def _plain(path: Path, cache: Path) -> Layer:
    """A root file system without compression."""
    with path.open("rb") as file:
        if file.read(2) != b"\x1f\x8b":
            return read_layer(path, "base image")
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    target = cache / f"layer-of-{digest}.tar"
    if not target.exists():
        inflate(path, target)
    return read_layer(target, "base image")


def _debian_packages(status: str) -> dict[str, str]:
    """Version by name of the packages that dpkg says are installed."""
    found = {}
    for paragraph in status.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Version|Status): (.*)$", paragraph, flags=re.MULTILINE))
        if fields.get("Status") == "install ok installed":
            found[fields["Package"]] = fields["Version"]
    return found
