"""The errors of the room that talks to Orthanc, as a tree.

NodeError
└── PacsError
    ├── OrthancUnreachable       no connection, no answer in time, or an error that no object can have caused
    ├── OrthancRefused           it answered with an error; carries status and detail
    │   ├── NotFound             no such resource (404)
    │   ├── NotAuthorised        wrong user or password (401, 403)
    │   ├── IntakeClosed         it takes no objects now: closed, or the disk is full; try again later
    │   └── OrthancFailed        an error of its own (5xx)
    ├── UnexpectedAnswer         it answered something that is no answer to the question
    ├── OrthancStopped           the process ended, or never got ready; carries the end of its log
    ├── OrthancAbsent            what something else starts does not answer
    ├── CompressedAttachment     the stored file is not the DICOM file
    └── WrongOrthancSettings     cannot start as told (exit code 2)
        ├── PortInUse            somebody listens there already
        ├── ProgramMissing       Orthanc or one of its plugins is not installed
        └── FolderInUse          another Orthanc runs on the same folder
"""

from __future__ import annotations

from typing import ClassVar

from mapnode.errors import NodeError
from operators.core.contract import ExitCode


class PacsError(NodeError):
    """Something went wrong between the node and Orthanc."""


class OrthancUnreachable(PacsError):
    """No connection to Orthanc, no answer in time, or an error of its own to a simple question: worth trying again.

    Attributes:
        url: Where Orthanc was looked for.
    """

    def __init__(self, url: str, reason: str) -> None:
        super().__init__(f"Orthanc does not answer at {url}: {reason}")
        self.url = url


class OrthancRefused(PacsError):
    """Orthanc answered with an error.

    Attributes:
        status: HTTP status.
        detail: What Orthanc says of it.
    """

    def __init__(self, request: str, status: int, detail: str) -> None:
        super().__init__(f"Orthanc refused {request}: {status} {detail}")
        self.status = status
        self.detail = detail


class NotFound(OrthancRefused):
    """Orthanc has no such resource; it may have been deleted meanwhile."""


class NotAuthorised(OrthancRefused):
    """Orthanc does not take the user and password."""


class IntakeClosed(OrthancRefused):
    """Orthanc takes no objects at the moment: the gate is closed, or its disk is nearly full. Worth trying again."""


class OrthancFailed(OrthancRefused):
    """An error of Orthanc's own (5xx): its database or disk may be away, or what was sent be more than it can stand."""


class UnexpectedAnswer(PacsError):
    """Orthanc, or whatever listens there, answered something that is no answer to the question."""

    def __init__(self, request: str, reason: str) -> None:
        super().__init__(f"Orthanc's answer to {request} cannot be read: {reason}")


class OrthancStopped(PacsError):
    """Orthanc's process ended, or did not get ready in time.

    Attributes:
        exit_status: Its exit code, negative for a signal; None while it still runs.
        log_tail: The end of its log.
    """

    def __init__(self, what: str, exit_status: int | None, log_tail: str) -> None:
        super().__init__(f"{what}; the end of its log:\n{log_tail or '(empty)'}")
        self.exit_status = exit_status
        self.log_tail = log_tail


class OrthancAbsent(PacsError):
    """An Orthanc that something else starts does not answer."""

    def __init__(self, url: str, seconds: float, configuration: str) -> None:
        super().__init__(f"no Orthanc answered at {url} for {seconds:g} s; start one there with {configuration}")


class CompressedAttachment(PacsError):
    """Orthanc keeps this file compressed (StorageCompression was on once): read it over REST instead."""

    def __init__(self, instance_id: str) -> None:
        super().__init__(f"Orthanc keeps instance {instance_id} compressed; its file cannot be linked")


class WrongOrthancSettings(PacsError):
    """Orthanc cannot be started as the settings say."""

    exit_code: ClassVar[ExitCode] = ExitCode.WRONG_USE


class PortInUse(WrongOrthancSettings):
    """A port that Orthanc is to listen on is taken.

    Attributes:
        port: The port.
        setting: The setting that names it.
    """

    def __init__(self, port: int, setting: str, reason: str) -> None:
        super().__init__(f"port {port} cannot be used: {reason}; free it, or set {setting} to another one")
        self.port = port
        self.setting = setting


class ProgramMissing(WrongOrthancSettings):
    """Orthanc, or one of its plugins, is not installed."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} was not found; on Debian: apt-get install orthanc orthanc-dicomweb orthanc-gdcm orthanc-python"
        )


class FolderInUse(WrongOrthancSettings):
    """Another Orthanc runs on the same folder.

    Attributes:
        pid: Its process.
    """

    def __init__(self, folder: str, pid: int) -> None:
        super().__init__(f"{folder} is in use by an Orthanc that still runs (process {pid}); stop its node first")
        self.pid = pid
