"""Archive: container images as one tar file, an OCI image layout that `docker load` and `podman load` take as well.

https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md; manifest.json is what Docker looks for.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tarfile
import zlib
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from pydantic import BaseModel

from mapnode.errors import WrongUse
from mapnode.package.layers import Layer, source_date_epoch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
DOCKER_MANIFEST, INDEX = "manifest.json", "index.json"
LARGEST_FILE_BYTES = 64 << 20
"""Of a file of an image that is read: a manifest, dpkg's list, an interpreter; a few bytes unpack to any size."""
NO_ARCHIVE = (tarfile.TarError, EOFError, OSError, zlib.error)
"""What reading something else as a tar file ends with."""
WHITEOUT = ".wh."
"""In front of a file's name: a layer takes that file away (OCI image-spec, layer.md)."""
OPAQUE = ".wh..wh..opq"
"""A layer takes away all that lower ones have in this folder."""


@dataclass(frozen=True)
class Image:
    """An image that is to be written.

    Attributes:
        tag: Its name.
        config: The OCI image configuration.
        layers: From the base upwards.
    """

    tag: str
    config: Mapping[str, Any]
    layers: tuple[Layer, ...]

    @property
    def config_bytes(self) -> bytes:
        """The configuration as it is stored; its digest is the image's ID."""
        return json.dumps(self.config, sort_keys=True).encode()

    @property
    def image_id(self) -> str:
        """SHA-256 of the configuration, hexadecimal."""
        return hashlib.sha256(self.config_bytes).hexdigest()

    @property
    def size(self) -> int:
        """Bytes of all layers, uncompressed."""
        return sum(layer.size for layer in self.layers)

    @property
    def manifest_bytes(self) -> bytes:
        """The OCI manifest."""
        config = _descriptor(CONFIG_TYPE, self.config_bytes)
        layers = [{"mediaType": LAYER_TYPE, "digest": f"sha256:{x.digest}", "size": x.size} for x in self.layers]
        return json.dumps(
            {"schemaVersion": 2, "mediaType": MANIFEST_TYPE, "config": config, "layers": layers}, sort_keys=True
        ).encode()


def write_archive(image: Image, file: IO[bytes], without: Collection[str] = ()) -> None:
    """Write an image's archive.

    Args:
        image: The image.
        file: Where it goes; need not be one that can seek.
        without: Digests of layers that the reader has.
    """
    manifest = _descriptor(MANIFEST_TYPE, image.manifest_bytes)
    named = {**manifest, "annotations": {"io.containerd.image.name": image.tag}}
    index = {"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [named]}
    docker = [
        {"Config": _blob(image.image_id), "RepoTags": [image.tag], "Layers": [_blob(x.digest) for x in image.layers]}
    ]
    small = {
        "oci-layout": b'{"imageLayoutVersion": "1.0.0"}',
        INDEX: json.dumps(index, sort_keys=True).encode(),
        DOCKER_MANIFEST: json.dumps(docker, sort_keys=True).encode(),
        _blob(image.image_id): image.config_bytes,
        _blob(manifest["digest"].removeprefix("sha256:")): image.manifest_bytes,
    }
    with tarfile.open(fileobj=file, mode="w|", format=tarfile.GNU_FORMAT) as tar:
        for name, content in small.items():
            tar.addfile(_entry(name, len(content)), io.BytesIO(content))
        for layer in {layer.digest: layer for layer in image.layers if layer.digest not in without}.values():
            with layer.path.open("rb") as source:
                tar.addfile(_entry(_blob(layer.digest), layer.size), source)


class _Process(BaseModel):
    """What of `config` in an image's configuration is asked for (OCI image-spec, config.md)."""

    Env: list[str] | None = None
    Labels: dict[str, str] | None = None
    User: str | None = None


class _RootFileSystem(BaseModel):
    diff_ids: list[str]


class _Configuration(BaseModel):
    architecture: str | None = None
    config: _Process | None = None
    rootfs: _RootFileSystem | None = None


@contextlib.contextmanager
def reading(name: str) -> Iterator[None]:
    """What reading of a broken or hostile archive ends with becomes ours.

    Raises:
        WrongUse: If it is no image archive.
    """
    try:
        yield
    except (*NO_ARCHIVE, AttributeError, KeyError, IndexError, TypeError, ValueError, RecursionError) as error:
        why = str(error).splitlines() or [type(error).__name__]
        raise WrongUse(f"{name} is no archive of a container image, as `docker save` writes it: {why[0]}") from error


class ImageArchive:
    """An image that somebody wrote into a tar file: Docker's form, or an OCI layout.

    Attributes:
        config: The image's configuration.
        layers: Names of the layers' members, from the base upwards.
        tags: Names that the archive gives it.
    """

    def __init__(self, tar: tarfile.TarFile, name: str) -> None:
        """Read what the archive says of its first image.

        Args:
            tar: The archive.
            name: What it is called where it is none.

        Raises:
            WrongUse: If it is no image archive.
        """
        self._tar = tar
        self._name = name
        self.tags: list[str] = []
        with reading(name):
            names = tar.getnames()
            if not {DOCKER_MANIFEST, INDEX} & set(names):
                raise WrongUse(
                    f"{name} is no archive of a container image: it has neither {DOCKER_MANIFEST} nor {INDEX}"
                )
            config, self.layers = self._docker() if DOCKER_MANIFEST in names else self._oci()
            self.config: dict[str, Any] = self._document(config)
            _Configuration.model_validate(self.config)

    def _docker(self) -> tuple[str, list[str]]:
        """Where configuration and layers lie by Docker's manifest."""
        manifest = self._document(DOCKER_MANIFEST)[0]
        self.tags = manifest.get("RepoTags") or []
        return manifest["Config"], [str(layer) for layer in manifest["Layers"]]

    def _oci(self) -> tuple[str, list[str]]:
        """Where they lie by the index of an OCI layout; of several platforms the first one."""
        manifest = self._document(INDEX)
        while "manifests" in manifest:
            # BuildKit puts what it says of an image's making beside it, for no platform.
            images = [one for one in manifest["manifests"] if (one.get("platform") or {}).get("os") != "unknown"]
            manifest = self._document(_blob(images[0]["digest"].removeprefix("sha256:")))
        parts = (manifest["config"], *manifest["layers"])
        config, *layers = (_blob(part["digest"].removeprefix("sha256:")) for part in parts)
        return config, layers

    def _document(self, member: str) -> Any:  # noqa: ANN401 - JSON
        content = self.open(member).read(LARGEST_FILE_BYTES + 1)
        if len(content) > LARGEST_FILE_BYTES:
            raise ValueError(f"{member} has more than {LARGEST_FILE_BYTES >> 20} MiB")
        return json.loads(content)

    def open(self, member: str) -> IO[bytes]:
        """One member; links between members are followed, as older versions of Docker wrote them for equal layers.

        Raises:
            WrongUse: If there is no such member.
        """
        with reading(self._name):
            file = self._tar.extractfile(member)
        if file is None:
            raise WrongUse(f"{self._name} is no archive of a container image: {member} is no file in it")
        return file

    def files(self, wanted: Collection[str]) -> dict[str, bytes]:
        """Contents of files of the image, by absolute path, as far as they are there; the uppermost layer decides.

        Raises:
            WrongUse: If a layer cannot be read.
        """
        with reading(self._name):
            return files_of((self.open(layer) for layer in self.layers), wanted)


def files_of(layers: Iterable[IO[bytes]], wanted: Collection[str]) -> dict[str, bytes]:
    """Contents of files of an image, by absolute path, as far as they are there.

    Args:
        layers: Tar files, from the base upwards: what a later one has or takes away decides.
        wanted: Absolute paths.

    Returns:
        Content by path.

    Raises:
        ValueError: If a file is too large to be one that somebody wants.
    """
    found: dict[str, bytes] = {}
    for layer in layers:
        with layer, tarfile.open(fileobj=layer, mode="r:*") as tar:
            # What a layer takes away is lower ones', wherever in it that stands.
            found |= _files_of_layer(tar, wanted, found)
    return found


def _files_of_layer(tar: tarfile.TarFile, wanted: Collection[str], lower: dict[str, bytes]) -> dict[str, bytes]:
    """Contents of wanted files in one layer; what it takes away or puts something else in the place of is forgotten.

    Raises:
        ValueError: If a file is too large to be one that somebody wants.
    """
    found: dict[str, bytes] = {}
    for member in tar:
        name = "/" + member.name.removeprefix("./").strip("/")
        folder, _, base = name.rpartition("/")
        if base == OPAQUE:
            _take_away(lower, f"{folder}/")
        elif base.startswith(WHITEOUT):
            _take_away(lower, f"{folder}/{base.removeprefix(WHITEOUT)}")
        elif not member.isdir():
            _take_away(lower, name)
            if name in wanted and (member.isreg() or member.islnk()):
                if member.size > LARGEST_FILE_BYTES:
                    raise ValueError(f"{name} has more than {LARGEST_FILE_BYTES >> 20} MiB")
                content = tar.extractfile(member)
                found[name] = content.read() if content else b""
    return found


def _take_away(found: dict[str, bytes], name: str) -> None:
    """Forget a file, or all below a folder."""
    for path in [path for path in found if path == name or path.startswith(f"{name.rstrip('/')}/")]:
        del found[path]


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime = size, source_date_epoch()
    return entry


def _blob(digest: str) -> str:
    return f"blobs/sha256/{digest}"


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{hashlib.sha256(content).hexdigest()}", "size": len(content)}
