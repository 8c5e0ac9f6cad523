"""Orthanc process: an Orthanc of the node's own: started, watched, stopped, and found again after a crash."""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING, Self

from mapnode.pacs.errors import FolderInUse, OrthancStopped, OrthancUnreachable, PortInUse, ProgramMissing
from mapnode.pacs.orthanc_access import OrthancAccess
from mapnode.pacs.orthanc_configuration import (
    OrthancSettings,
    render_configuration,
    require_plugins,
    write_private,
)
from mapnode.pacs.resources import SystemInformation

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

PID_NAME = "orthanc.pid"
PORTS = range(20_000, 32_000)
"""Registered by few, and below the range that Linux gives away (ip_local_port_range, from 32768 on)."""
_port_numbers = itertools.count(os.getpid() * 509)
"""Processes that were started one after the other look for ports in different places."""
KEPT_LOGS = 3
"""Logs of earlier runs that are kept beside the current one."""
READY_POLL_S = 0.05
PREDECESSOR_GRACE_S = 15.0
"""How long an Orthanc whose node was killed may take to stop before it is killed."""
KILL_PATIENCE_S = 5.0
PORT_PATIENCE_S = 3.0
_PYTHON_VARIABLES = ("PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__")

_log = logging.getLogger(__name__)


class OrthancProcess(OrthancAccess):
    """An Orthanc that the node starts and stops, and that goes on receiving when the node dies without a word.

    It is started in a session of its own, so that a Ctrl-C at the terminal reaches the node alone, which then stops
    Orthanc after its own work. After a kill of the node the next one finds it by its pid file and takes it over, if
    it runs with the configuration that is wanted now; otherwise it is stopped first.

    Args:
        settings: What to start.
    """

    def __init__(self, settings: OrthancSettings) -> None:
        super().__init__(settings)
        self._process: subprocess.Popen[bytes] | None = None
        self._taken_over: int | None = None

    @property
    def log_path(self) -> Path:
        """Its log, of this run."""
        return self.settings.folder / "orthanc.log"

    @property
    def pid(self) -> int | None:
        """Its process; None when it does not run."""
        if self._process is not None:
            return self._process.pid if self._process.poll() is None else None
        return self._taken_over if self._taken_over is not None and self._predecessor() == self._taken_over else None

    def is_running(self) -> bool:
        """Whether the process lives."""
        return self.pid is not None

    def start(self) -> None:
        """Start Orthanc; everything that can be wrong with the settings is found before.

        Raises:
            WrongOrthancSettings: If Orthanc or a plugin is missing, a port taken, or the folder in use.
        """
        if self.is_running():
            return
        command = self._command()
        self._process = self._taken_over = None
        predecessor = self._predecessor()
        if predecessor is not None and self._is_configured_so():
            _log.warning("Orthanc runs already, as process %d: its node died; taking it over", predecessor)
            self._taken_over = predecessor
            return
        # Its ports come free a moment after it has left the list of processes.
        patience_s = PORT_PATIENCE_S if self._pid_path.exists() else 0.0
        if predecessor is not None:
            self._end_predecessor(predecessor)
        check_port_is_free(self.settings.dicom_port, "orthanc.dicom_port", patience_s)
        check_port_is_free(self.settings.http_port, "orthanc.http_port", patience_s)
        self._prepare_folder()
        self._spawn(command)

    def wait_until_ready(self, timeout_s: float = 30.0) -> SystemInformation:
        """Wait until REST answers; Orthanc listens for DICOM before that.

        Args:
            timeout_s: How long to wait.

        Returns:
            What Orthanc says of itself.

        Raises:
            OrthancStopped: If the process ends, or does not answer in time.
        """
        deadline = time.monotonic() + timeout_s
        with self.client() as client:
            while True:
                if not self.is_running():
                    status = None if self._process is None else self._process.returncode
                    raise OrthancStopped(f"Orthanc ended with {status} instead of starting", status, self.log_tail())
                with contextlib.suppress(OrthancUnreachable):
                    return client.system()
                if time.monotonic() > deadline:
                    raise OrthancStopped(f"Orthanc was not ready after {timeout_s:g} s", None, self.log_tail())
                time.sleep(READY_POLL_S)

    def stop(self, grace_s: float = 20.0) -> int | None:
        """Stop Orthanc: SIGTERM, and SIGKILL when it has not gone after a while. Nothing happens when it does not run.

        Args:
            grace_s: How long it may take; with plugins 2 to 5 s are usual.

        Returns:
            Its exit code, 0 for a clean stop, negative for a signal; None when it was never started.
        """
        pid = self.pid
        if pid is not None:
            _end(pid, grace_s, self._is_gone)
        self._pid_path.unlink(missing_ok=True)
        return None if self._process is None else self._process.returncode

    def log_tail(self, lines: int = 20) -> str:
        """The end of its log."""
        try:
            return "\n".join(self.log_path.read_text(encoding="utf-8", errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def __enter__(self) -> Self:
        self.start()
        try:
            self.wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def _pid_path(self) -> Path:
        return self.settings.folder / PID_NAME

    def _command(self) -> list[str]:
        """The command that Orthanc is started with.

        Raises:
            ProgramMissing: If a part of it is not installed.
        """
        search = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"])
        program = shutil.which(self.settings.program, path=search)
        if program is None:
            raise ProgramMissing(f"Orthanc's program {self.settings.program}")
        require_plugins(self.settings)
        return [program, str(self.settings.configuration_path)]

    def _configuration(self) -> str:
        return json.dumps(render_configuration(self.settings, self.credentials), indent=2)

    def _is_configured_so(self) -> bool:
        """Whether the configuration on disk, which the predecessor was started with, is the one that is wanted."""
        try:
            return self.settings.configuration_path.read_text(encoding="utf-8") == self._configuration()
        except OSError:
            return False

    def _prepare_folder(self) -> None:
        folder = self.settings.folder
        folder.mkdir(parents=True, exist_ok=True)
        self.settings.storage.mkdir(exist_ok=True)
        (folder / "temporary").mkdir(exist_ok=True)
        write_private(self.settings.configuration_path, self._configuration())
        rotate_logs(self.log_path, KEPT_LOGS)

    def _spawn(self, command: list[str]) -> None:
        """Start the process.

        Raises:
            OrthancStopped: If the system starts no process.
        """
        try:
            with self.log_path.open("ab") as log:
                self._process = subprocess.Popen(  # noqa: S603 - the command is ours
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    cwd=self.settings.folder,
                    env=_environment(),
                    start_new_session=True,
                )
        except OSError as error:
            raise OrthancStopped(f"Orthanc cannot be started: {error.strerror}", None, "") from error
        write_private(self._pid_path, str(self._process.pid))

    def _end_predecessor(self, pid: int) -> None:
        """Stop an Orthanc whose node died and that runs with another configuration.

        Raises:
            FolderInUse: If it does not go.
        """
        _log.warning("stopping the Orthanc of an earlier node, process %d: it has other settings", pid)
        _end(pid, PREDECESSOR_GRACE_S, lambda: self._predecessor() is None)
        if self._predecessor() is not None:
            raise FolderInUse(str(self.settings.folder), pid)

    def _is_gone(self) -> bool:
        return self.pid is None

    def _predecessor(self) -> int | None:
        """The process of an earlier run on the same folder, if it lives."""
        return living_process(self.settings)


def living_process(settings: OrthancSettings) -> int | None:
    """The Orthanc that runs on a folder, whether its node lives or not; None where none does."""
    try:
        pid = int((settings.folder / PID_NAME).read_text(encoding="utf-8"))
        arguments = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except (OSError, ValueError):
        return None
    return pid if os.fsencode(settings.configuration_path) in arguments else None


def _end(pid: int, grace_s: float, is_gone: Callable[[], bool]) -> None:
    """SIGTERM, and SIGKILL when the process has not gone after a while; wait for its end."""
    for number, patience_s in ((signal.SIGTERM, grace_s), (signal.SIGKILL, KILL_PATIENCE_S)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            if is_gone():
                return
            time.sleep(READY_POLL_S)


def check_port_is_free(port: int, setting: str, patience_s: float = 0.0) -> None:
    """Check that Orthanc can listen on a port.

    Args:
        port: The port.
        setting: The setting that names it.
        patience_s: How long it may take to come free.

    Raises:
        PortInUse: If it cannot.
    """
    deadline = time.monotonic() + patience_s
    while (reason := _why_taken(port)) is not None:
        if time.monotonic() >= deadline:
            raise PortInUse(port, setting, reason)
        time.sleep(READY_POLL_S)


def _why_taken(port: int) -> str | None:
    with socket.socket() as probe:
        # As Orthanc does it: a port that only waits out an earlier connection (TIME_WAIT) is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("", port))
        except PermissionError:
            return "ports below 1024 need a privilege that this process lacks"
        except OSError:
            return "another program listens there"
    return None


def free_port() -> int:
    """A port that nobody listens on at this moment, another one at each call.

    Not of those that the kernel gives to whoever asks for any: before it is listened on nobody gets it by chance.

    Raises:
        OSError: If there is none.
    """
    for number in itertools.islice(_port_numbers, len(PORTS)):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("", PORTS[number % len(PORTS)]))
            return PORTS[number % len(PORTS)]
    raise OSError(f"none of the ports {PORTS.start} to {PORTS.stop - 1} is free")


def rotate_logs(path: Path, kept: int) -> None:
    """Move a log to name.1, the earlier one to name.2 and so on; the oldest goes."""
    names = [path, *(path.with_name(f"{path.name}.{number}") for number in range(1, kept + 1))]
    for older, newer in zip(reversed(names[1:]), reversed(names[:-1]), strict=True):
        if newer.exists():
            newer.replace(older)


def _environment() -> dict[str, str]:
    """Ours, less what would lead Orthanc's own Python astray."""
    environment = {name: value for name, value in os.environ.items() if name not in _PYTHON_VARIABLES}
    # DCMTK's acceptor leaves Nagle's algorithm on; each response then waits 40 ms for a delayed ACK.
    return environment | {"TCP_NODELAY": "1", "PYTHONDONTWRITEBYTECODE": "1", "PYTHONNOUSERSITE": "1"}
