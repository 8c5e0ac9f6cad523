"""Archive: container images as one tar file, an OCI image layout that `docker load` and `podman load` take as well.

https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md; manifest.json is what Docker looks for.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

from mapnode.errors import WrongUse
from mapnode.package.layers import Layer, source_date_epoch

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
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
        "index.json": json.dumps(index, sort_keys=True).encode(),
        "manifest.json": json.dumps(docker, sort_keys=True).encode(),
        _blob(image.image_id): image.config_bytes,
        _blob(manifest["digest"].removeprefix("sha256:")): image.manifest_bytes,
    }
    with tarfile.open(fileobj=file, mode="w|", format=tarfile.GNU_FORMAT) as tar:
        for name, content in small.items():
            tar.addfile(_entry(name, len(content)), io.BytesIO(content))
        for layer in {layer.digest: layer for layer in image.layers if layer.digest not in without}.values():
            with layer.path.open("rb") as source:
                tar.addfile(_entry(_blob(layer.digest), layer.size), source)


class ImageArchive:
    """An image that somebody wrote into a tar file: Docker's form, or an OCI layout with Docker's manifest.json.

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
        try:
            manifest = json.loads(self.open("manifest.json").read())[0]
            self.config: dict[str, Any] = json.loads(self.open(manifest["Config"]).read())
            self.layers: list[str] = manifest["Layers"]
            self.tags: list[str] = manifest["RepoTags"] or []
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise WrongUse(f"{name} is no archive of a container image, as `docker save` writes it") from error

    def open(self, member: str) -> IO[bytes]:
        """One member; links between members are followed, as older versions of Docker wrote them for equal layers.

        Raises:
            KeyError: If there is no such member.
        """
        file = self._tar.extractfile(member)
        if file is None:
            raise KeyError(member)
        return file

    def files(self, wanted: Collection[str]) -> dict[str, bytes]:
        """Contents of files of the image, by absolute path, as far as they are there; the uppermost layer decides."""
        return files_of((self.open(layer) for layer in self.layers), wanted)


def files_of(layers: Iterable[IO[bytes]], wanted: Collection[str]) -> dict[str, bytes]:
    """Contents of files of an image, by absolute path, as far as they are there.

    Args:
        layers: Tar files, from the base upwards: what a later one has or takes away decides.
        wanted: Absolute paths.

    Returns:
        Content by path.
    """
    found: dict[str, bytes] = {}
    for layer in layers:
        with layer, tarfile.open(fileobj=layer, mode="r:*") as tar:
            for member in tar:
                name = "/" + member.name.removeprefix("./").strip("/")
                folder, _, base = name.rpartition("/")
                if base == OPAQUE:
                    _take_away(found, f"{folder}/")
                elif base.startswith(WHITEOUT):
                    _take_away(found, f"{folder}/{base.removeprefix(WHITEOUT)}")
                elif name in wanted and member.isfile():
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
