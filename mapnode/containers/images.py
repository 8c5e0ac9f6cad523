"""Images: the MAPs that rules may run, by the allow-list of mapnode.yaml, each held to its digest."""

from __future__ import annotations

import math
import os
import posixpath
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from mapnode.containers.confinement import container_paths
from mapnode.containers.errors import ImageRefused
from mapnode.errors import WrongUse
from mapnode.package import layout
from mapnode.package.manifests import read_app_manifest, read_package_manifest
from mapnode.share import references_folder
from operators.core.contract import ObjectKind
from operators.core.manifest import Manifest, OutputPart, Resources

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from mapnode.containers.engine import Engine
    from mapnode.package.manifests import AppManifest, PackageManifest
    from mapnode.settings import ImageSettings

WANTED = (layout.APP_MANIFEST, layout.PKG_MANIFEST, layout.CONFIG)
DEFAULT_SOCKET = "unix:///var/run/docker.sock"
SOCKET_VARIABLE = "DOCKER_HOST"
READING = {"mapnode.purpose": "manifests"}
"""Label of the containers that are made, and never started, to read an image's files."""
ANY_RESULT = tuple(OutputPart(kind=kind, description="") for kind in ObjectKind if kind is not ObjectKind.KEY_IMAGE)
"""What a MAP may give that does not say what it makes: whatever can be checked."""


@dataclass(frozen=True)
class MapImage:
    """A MAP that may be run.

    Attributes:
        name: Its name in the allow-list, by which jobs, switches and time limits call it.
        digest: What the allow-list pins it to.
        image_id: What the engine runs: the very content that was looked at.
        app: Its app.json.
        package: Its pkg.json.
        own: The app.yaml of an app that keeps mapnode's contract; None of any other MAP.
        environment: The image's variables.
        user: The image's user.
        memory: Its memory limit.
        output_bytes: The most that it may write.
    """

    name: str
    digest: str
    image_id: str
    app: AppManifest
    package: PackageManifest
    own: Manifest | None
    memory: str
    output_bytes: int
    environment: dict[str, str] = field(default_factory=dict)
    user: str = ""

    @property
    def version(self) -> str:
        """Of the application."""
        return self.app.version

    @property
    def needs(self) -> Resources:
        """What a run needs at most."""
        wanted = self.package.resources
        gpu = wanted.gpu_limit or wanted.gpu
        return Resources(cpu=math.ceil(wanted.cpu_limit or wanted.cpu), gpu=math.ceil(gpu), memory=self.memory)

    @property
    def outputs(self) -> tuple[OutputPart, ...]:
        """What it may give."""
        return ANY_RESULT if self.own is None else self.own.mapnode.outputs

    @property
    def choices(self) -> frozenset[ObjectKind]:
        """Objects that can be asked for: none of a MAP that does not know MAPNODE_JOB."""
        return frozenset() if self.own is None else frozenset(part.kind for part in self.own.mapnode.outputs)

    @property
    def parameters(self) -> dict[str, Any]:
        """Parameters that a rule may set: none of a MAP that does not know MAPNODE_JOB."""
        return {} if self.own is None else self.own.mapnode.parameters

    @property
    def model_digest(self) -> str:
        """Its weights are in the image."""
        return ""

    @property
    def reference_file(self) -> Path | None:
        """The site's reference set for the app, if there is one and it can be told of it."""
        folder = references_folder()
        path = None if folder is None or self.own is None else folder / f"{self.own.application.title}.json"
        return path if path is not None and path.is_file() else None

    @property
    def reference_digest(self) -> str | None:
        """SHA-256 of that file."""
        # Imported here: it loads numpy.
        from operators.core.reference_set import digest_of_file

        path = self.reference_file
        return None if path is None else digest_of_file(path)


class Images:
    """The allow-list. What an image says of itself is read once: its digest keeps it as it is."""

    def __init__(self, allowed: Mapping[str, ImageSettings], container_socket: str | None) -> None:
        """Ask nobody yet: a node without containers needs no engine.

        Args:
            allowed: `images` of mapnode.yaml.
            container_socket: Where the engine listens, as mapnode.yaml says.
        """
        self._allowed = allowed
        self._socket = container_socket
        self._known: dict[str, MapImage] = {}
        self._lock = threading.Lock()

    @property
    def is_empty(self) -> bool:
        """Whether no image may run."""
        return not self._allowed

    @property
    def address(self) -> str:
        """Where the engine listens.

        Raises:
            WrongUse: If that is elsewhere.
        """
        return socket_address(self._socket)

    def find(self, reference: str) -> MapImage:
        """The image that a rule calls for.

        Args:
            reference: Its name in the allow-list, its digest, or NAME@DIGEST.

        Returns:
            The image.

        Raises:
            ImageRefused: If it is not on the list, the engine does not have it or has another one, or it is no MAP.
            EngineUnreachable: If no engine answers.
            EngineRefused: If it is one that cannot confine a MAP.
            ManifestInvalid: If its manifests are not what the specification says.
        """
        # Imported here: Docker's SDK takes time and memory, which a node without containers does not pay for.
        from mapnode.containers.engine import Engine

        name = self.name_of(reference)
        with self._lock:
            if name not in self._known:
                with Engine(self.address) as engine:
                    engine.require_root()
                    self._known[name] = _inspect(engine, name, self._allowed[name])
            return self._known[name]

    def known(self) -> dict[str, MapImage]:
        """Those that were asked for, by name."""
        with self._lock:
            return dict(self._known)

    def name_of(self, reference: str) -> str:
        """The name on the list that a rule means.

        Raises:
            ImageRefused: If it is not on the list.
        """
        name, _, digest = reference.rpartition("@")
        for entry, settings in self._allowed.items():
            if reference == entry or (digest == settings.digest and name in {"", entry}):
                return entry
        raise ImageRefused(
            f"the image {reference} is not on the list of those that may run ({', '.join(self._allowed) or 'empty'}); "
            "add it with its digest to images: in mapnode.yaml (docs/packaging.md)"
        )


def refusal_of(reference: str, allowed: Mapping[str, ImageSettings]) -> str | None:
    """Why a rule may not call for an image, by the list alone; None where it may. No engine is asked.

    Args:
        reference: What the rule calls it.
        allowed: `images` of mapnode.yaml.
    """
    try:
        Images(allowed, None).name_of(reference)
    except ImageRefused as error:
        return str(error)
    return None


def socket_address(setting: str | None) -> str:
    """Where the engine listens.

    Args:
        setting: `container_socket` of mapnode.yaml; DOCKER_HOST where it says nothing, Docker's socket else.

    Returns:
        An address `unix://...`.

    Raises:
        WrongUse: If it is no socket of this machine: an engine elsewhere cannot mount the node's folders.
    """
    address = setting or os.environ.get(SOCKET_VARIABLE) or DEFAULT_SOCKET
    if address.startswith("/"):
        address = f"unix://{address}"
    if not address.startswith("unix:///"):
        raise WrongUse(
            f"{address} is no socket of this machine, and an engine elsewhere cannot mount the node's folders: "
            "container_socket: unix:///run/podman/podman.sock, for instance"
        )
    return address


def _inspect(engine: Engine, name: str, settings: ImageSettings) -> MapImage:
    """Hold an image to its digest and read its manifests.

    Raises:
        ImageRefused: If the engine has none of that name, another one, or one that is no MAP or cannot be confined.
    """
    found = engine.image(name)
    if found is None:
        raise ImageRefused(f"the container engine has no image {name}: load or pull it (docker load, podman load)")
    digests = digests_of(found)
    if settings.digest not in digests:
        raise ImageRefused(
            f"the image {name} is {digests[0]} now, and mapnode.yaml pins it to {settings.digest}: load the image that "
            "was pinned, or look at this one and pin it (images in mapnode.yaml)"
        )
    files = engine.files(digests[0], WANTED, READING)
    missing = sorted({layout.APP_MANIFEST, layout.PKG_MANIFEST} - files.keys())
    if missing:
        raise ImageRefused(f"the image {name} is no MAP: {' and '.join(missing)} missing")
    package, app = read_package_manifest(files[layout.PKG_MANIFEST]), read_app_manifest(files[layout.APP_MANIFEST])
    config = found.get("Config") or {}
    environment = dict(text.split("=", 1) for text in config.get("Env") or () if "=" in text)
    _require_no_volumes(name, config.get("Volumes") or (), container_paths(app, environment))
    wanted = package.resources
    return MapImage(
        name=name,
        digest=settings.digest,
        image_id=digests[0],
        app=app,
        package=package,
        own=_own_manifest(files.get(layout.CONFIG)),
        memory=settings.memory or (wanted.memory_limit or wanted.memory).removesuffix("B"),
        output_bytes=int(settings.output_mb * 1e6),
        environment=environment,
        user=config.get("User") or "",
    )


def _require_no_volumes(name: str, volumes: Iterable[str], mounted: Collection[str]) -> None:
    """An image declares no folders that an engine would make on the disk, to be written without any limit.

    Raises:
        ImageRefused: If it does; where something is mounted anyway, it may.
    """
    if more := sorted({posixpath.normpath(volume) for volume in volumes} - set(mounted)):
        raise ImageRefused(
            f"the image {name} declares volumes ({', '.join(more)}), which could be written without a limit where "
            "the rest cannot be written at all: have it built without VOLUME"
        )


def digests_of(found: Mapping[str, Any]) -> list[str]:
    """The image's ID first, which Podman writes without `sha256:`, then the digests under which registries know it."""
    image_id = f"sha256:{str(found['Id']).removeprefix('sha256:')}"
    return [image_id, *(text.rpartition("@")[2] for text in found.get("RepoDigests") or ())]


def _own_manifest(content: bytes | None) -> Manifest | None:
    """The app.yaml of one of our apps; None where a MAP has another one, or none."""
    try:
        # Not by libyaml, which has no limit to depth: a foreign image must not end the node.
        return Manifest.model_validate(yaml.safe_load(content)) if content is not None else None
    except (ValidationError, yaml.YAMLError, ValueError, RecursionError):
        return None
