"""Engine: Docker or Podman on this machine through Docker's API, the one place that meets its SDK and its errors."""

from __future__ import annotations

import contextlib
import io
import socket
import tarfile
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

import docker
from docker.errors import APIError, DockerException, NotFound
from docker.utils.socket import STDERR, SocketError, frames_iter

from mapnode.containers.errors import EngineRefused, EngineUnreachable
from mapnode.containers.limits import is_rootless, limits_not_held
from mapnode.containers.podman import config_for_podman, host_for_podman, is_podman

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from types import TracebackType

ANSWER_S = 60
"""An engine that says nothing for so long does not answer: removing a container of a slow disk takes seconds."""
REMOVALS = 4
"""Podman waits five seconds for what it killed, and refuses then: hundreds of processes may take longer to die."""
LARGEST_MANIFEST_BYTES = 1 << 20


@dataclass(frozen=True)
class ContainerState:
    """What an engine says of a container.

    Attributes:
        is_running: Whether its first process lives, or has yet to begin.
        exit_code: Of that process, once it ended; 128 and the signal where one ended it.
        out_of_memory: Whether the kernel killed a process of it for its memory limit.
    """

    is_running: bool
    exit_code: int
    out_of_memory: bool


class Engine:
    """A connection to an engine, for one thread; a context manager."""

    def __init__(self, address: str) -> None:
        """Connect.

        Args:
            address: Of its socket, `unix://...`.

        Raises:
            EngineUnreachable: If nobody answers there.
        """
        self._address = address
        with self._border():
            # Asked first: the SDK leaves the socket of a connection that failed open.
            with socket.socket(socket.AF_UNIX) as knock:
                knock.connect(address.removeprefix("unix://"))
            self._api = docker.APIClient(base_url=address, version="auto", timeout=ANSWER_S)

    def __enter__(self) -> Self:
        """The connection itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        self._api.close()

    def require_root(self) -> None:
        """The engine runs as root.

        Raises:
            EngineUnreachable: If it does not answer.
            EngineRefused: If it does not run as root.
        """
        with self._border():
            rootless = is_rootless(self._api.info())
        if rootless:
            raise EngineRefused(
                f"the container engine at {self._address} runs without root: it may drop limits without a word, as "
                "Podman does on cgroup v1, and what a MAP writes is not the node's to remove; start the machine's own "
                "(systemctl start podman.socket) and name its socket in mapnode.yaml, container_socket: "
                "unix:///run/podman/podman.sock"
            )

    def image(self, reference: str) -> dict[str, Any] | None:
        """What the engine says of an image; None where it has none of that name or digest.

        Raises:
            EngineUnreachable: If it does not answer.
            EngineRefused: If the name can be none.
        """
        with self._border():
            try:
                found: dict[str, Any] = self._api.inspect_image(reference)
            except NotFound:
                return None
        return found

    def files(self, image_id: str, paths: Collection[str], labels: Mapping[str, str]) -> dict[str, bytes]:
        """Contents of small regular files of an image by absolute path, as far as they are there; nothing is run.

        Args:
            image_id: The image.
            paths: Absolute paths.
            labels: Of the container that has to be made for that, never started, and removed again.

        Raises:
            EngineUnreachable: If the engine does not answer.
            EngineRefused: If no container can be made of the image.
        """
        with self._border():
            container = self._api.create_container(image_id, command=["none"], labels=dict(labels))["Id"]
            try:
                found = {path: self._file(container, path) for path in paths}
            finally:
                self._api.remove_container(container, force=True, v=True)
        return {path: content for path, content in found.items() if content is not None}

    def _file(self, container: str, path: str) -> bytes | None:
        try:
            chunks, stat = self._api.get_archive(container, path)
        except NotFound:
            return None
        if stat["size"] > LARGEST_MANIFEST_BYTES:
            chunks.close()
            return None
        with tarfile.open(fileobj=io.BytesIO(b"".join(chunks))) as tar:
            member = tar.next()
            file = tar.extractfile(member) if member is not None and member.isfile() else None
            return None if file is None else file.read()

    def create(self, name: str, config: Mapping[str, Any], host: Mapping[str, Any]) -> str:
        """Make a container, which does not run yet.

        Args:
            name: Its name.
            config: What `docker.APIClient.create_container` takes.
            host: What its `create_host_config` takes.

        Returns:
            Its identifier.

        Raises:
            EngineUnreachable: If the engine does not answer.
            EngineRefused: If it makes none, or one without the limits that were asked for, which is removed.
        """
        with self._border():
            if is_podman(self._api.version()):
                config, host = config_for_podman(config), host_for_podman(host)
            asked = self._api.create_host_config(**host)
            created: str = self._api.create_container(name=name, host_config=asked, **config)["Id"]
            missing = limits_not_held(asked, self._api.inspect_container(created)["HostConfig"])
        if missing:
            self.remove(created)
            raise EngineRefused(
                f"the container engine at {self._address} does not hold limits that a MAP is confined by: "
                f"{', '.join(missing)}; nothing was run. Most often the kernel lacks a cgroup controller (docker info, "
                "podman info)"
            )
        return created

    def start(self, container: str) -> Iterator[tuple[bytes | None, bytes | None]]:
        """Have a container run.

        Returns:
            What it writes to stdout and stderr, in pieces, until it ends.

        Raises:
            EngineUnreachable: If the engine does not answer.
            EngineRefused: If it cannot be run.
        """
        with self._border():
            connection = self._api.attach_socket(container, {"stdout": 1, "stderr": 1, "stream": 1})
            self._api.start(container)
        return _pieces(connection)

    def state(self, container: str) -> ContainerState | None:
        """What became of a container; None where it is gone.

        Raises:
            EngineUnreachable: If the engine does not answer.
        """
        with self._border():
            try:
                said = self._api.inspect_container(container)["State"]
            except NotFound:
                return None
        return ContainerState(bool(said["Running"]), int(said["ExitCode"]), bool(said.get("OOMKilled")))

    def remove(self, container: str) -> None:
        """End a container by SIGKILL and remove it with its anonymous volumes; nothing where it is gone.

        Raises:
            EngineUnreachable: If the engine does not answer.
            EngineRefused: If it cannot be removed.
        """
        with self._border(), contextlib.suppress(NotFound):
            for _ in range(REMOVALS - 1):
                try:
                    self._api.remove_container(container, force=True, v=True)
                except NotFound:
                    return
                except APIError:
                    continue
                return
            self._api.remove_container(container, force=True, v=True)

    def labelled(self, labels: Mapping[str, str], *, older_than_s: float = 0.0) -> dict[str, dict[str, str]]:
        """Labels of all containers that have these, by identifier, those that ended among them.

        Args:
            labels: All of them have to be there.
            older_than_s: Younger ones do not count.

        Raises:
            EngineUnreachable: If the engine does not answer.
        """
        with self._border():
            wanted = {"label": [f"{name}={value}" for name, value in labels.items()]}
            found, latest = self._api.containers(all=True, filters=wanted), time.time() - older_than_s
        return {one["Id"]: one["Labels"] for one in found if one["Created"] <= latest}

    @contextlib.contextmanager
    def _border(self) -> Iterator[None]:
        """Foreign errors become ours.

        Raises:
            EngineUnreachable: If the engine does not answer.
            EngineRefused: If it answers with an error.
        """
        try:
            yield
        except APIError as error:
            raise EngineRefused(f"the container engine refuses: {error.explanation or error}") from error
        except (DockerException, OSError) as error:
            raise EngineUnreachable(
                f"no container engine answers at {self._address} ({type(error).__name__}): start Docker or Podman's "
                "socket there, let the node's user reach it, or name another one (container_socket in mapnode.yaml)"
            ) from error


def _pieces(connection: Any) -> Iterator[tuple[bytes | None, bytes | None]]:  # noqa: ANN401 - untyped SDK object
    """What comes of stdout and stderr, up to where the engine went away; how the container ends is asked elsewhere."""
    try:
        with contextlib.suppress(SocketError, OSError, ValueError):
            for stream, piece in frames_iter(connection, tty=False):
                yield (None, piece) if stream == STDERR else (piece, None)
    finally:
        # The SDK keeps the answer there, and closes it nowhere.
        connection._response.close()
