"""Orthanc configuration: what orthanc/orthanc.json leaves open, filled in from the node's settings."""

from __future__ import annotations

import ipaddress
import json
import re
import secrets
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mapnode.pacs.errors import ProgramMissing, WrongOrthancSettings
from mapnode.share import shared_folder

PLUGIN_FOLDER = Path("/usr/share/orthanc/plugins")
"""Where Debian keeps Orthanc's plugins."""
LOOPBACK = "127.0.0.1"
EVENT_SECTION = "Mapnode"
"""The section of Orthanc's configuration that orthanc/plugin.py reads."""

_CONFIGURATION_NAME = "orthanc.json"
_CREDENTIALS_NAME = "credentials.json"
_USER = "mapnode"
_AET = re.compile(r"(?! )[\x20-\x5b\x5d-\x7e]{1,16}(?<! )")
"""PS3.5 6.2, AE: at most 16 characters, neither backslash nor control, no spaces around it."""


def check_aet(aet: str) -> None:
    """Check an AE title.

    Args:
        aet: The AE title.

    Raises:
        WrongOrthancSettings: If it is none.
    """
    if not _AET.fullmatch(aet):
        raise WrongOrthancSettings(
            f"{aet!r} is no AE title: 1 to 16 characters, no backslash, no space at either end (PS3.5 6.2)"
        )


@dataclass(frozen=True)
class Modality:
    """A scanner, workstation or PACS that may talk to the node.

    Attributes:
        aet: Its AE title.
        host: Its address or name; associations from elsewhere are refused.
        port: Where it listens.
        may_store: It may send (C-STORE) and ask for storage commitment.
        may_query: It may search and fetch (C-FIND, C-MOVE, C-GET).
    """

    aet: str
    host: str
    port: int = 104
    may_store: bool = True
    may_query: bool = True

    def __post_init__(self) -> None:
        check_aet(self.aet)


@dataclass(frozen=True)
class PluginSettings:
    """Where Orthanc's plugin tells of new instances, and when it lets none in.

    Attributes:
        event_url: The node's address for events, http.
        token: What it has to show there, and the node at Orthanc.
        intake_free_bytes: Free space of the storage folder below which senders are told to keep their studies.
        results_free_bytes: Free space below which not even the node's own results come in.
    """

    event_url: str
    token: str
    intake_free_bytes: int = 2 * 1024**3
    results_free_bytes: int = 512 * 1024**2

    def __post_init__(self) -> None:
        if self.results_free_bytes > self.intake_free_bytes:
            raise WrongOrthancSettings(
                f"results_free_bytes ({self.results_free_bytes}) has to be below intake_free_bytes "
                f"({self.intake_free_bytes}): results need the space that intake leaves"
            )


@dataclass(frozen=True)
class OrthancSettings:
    """What an Orthanc of our own is started with.

    Attributes:
        folder: Everything that Orthanc keeps: configuration, credentials, storage, index, log.
        program: Orthanc's program, a path or a name.
        aet: The node's AE title.
        dicom_port: Where it listens for DICOM.
        http_port: Where it listens for REST, for this machine alone.
        modalities: Who may talk DICOM to it.
        plugin: How it tells of instances; None: it does not, and they are found in its change log.
        plugin_folder: Where Orthanc's plugins are installed.
        host: Where its REST answers; another machine than this one where something else starts it.
    """

    folder: Path
    program: str = "Orthanc"
    aet: str = "MAPNODE"
    dicom_port: int = 4242
    http_port: int = 8042
    modalities: tuple[Modality, ...] = ()
    plugin: PluginSettings | None = None
    plugin_folder: Path = PLUGIN_FOLDER
    host: str = LOOPBACK

    def __post_init__(self) -> None:
        check_aet(self.aet)
        object.__setattr__(self, "folder", self.folder.resolve())
        if self.dicom_port == self.http_port:
            raise WrongOrthancSettings(
                f"orthanc.dicom_port and orthanc.http_port are both {self.dicom_port}: they have to differ"
            )
        # Orthanc takes the first entry of an AE title and compares the address with that one alone.
        titles = [m.aet.upper() for m in self.modalities]
        twice = sorted({title for title in titles if titles.count(title) > 1})
        if twice:
            raise WrongOrthancSettings(f"orthanc.modalities names {', '.join(twice)} more than once")

    @property
    def storage(self) -> Path:
        """Orthanc's storage area."""
        return self.folder / "storage"

    @property
    def configuration_path(self) -> Path:
        """The configuration that Orthanc is started with."""
        return self.folder / _CONFIGURATION_NAME

    @property
    def url(self) -> str:
        """Orthanc's REST."""
        return f"http://{self.host}:{self.http_port}"


@dataclass(frozen=True)
class Credentials:
    """User and password of Orthanc's REST."""

    user: str
    password: str


def load_credentials(folder: Path) -> Credentials:
    """The credentials of a folder's Orthanc, made when first asked for, readable by the owner alone.

    Args:
        folder: Orthanc's folder.

    Returns:
        The credentials.

    Raises:
        WrongOrthancSettings: If the file is there and cannot be read.
    """
    path = folder / _CREDENTIALS_NAME
    if not path.exists():
        write_private(path, json.dumps({"user": _USER, "password": secrets.token_urlsafe(32)}))
    try:
        return Credentials(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise WrongOrthancSettings(f"{path} cannot be read: {error}; delete it to have new ones made") from error


def write_private(path: Path, text: str) -> None:
    """Write a file that holds a secret: for the owner alone from its first moment, replaced in one step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.draft")
    draft.unlink(missing_ok=True)
    draft.touch(mode=0o600, exist_ok=False)
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)


def render_configuration(settings: OrthancSettings, credentials: Credentials) -> dict[str, Any]:
    """Orthanc's whole configuration.

    Args:
        settings: The node's settings.
        credentials: User and password of its REST.

    Returns:
        The base configuration with everything that differs from node to node.
    """
    configuration: dict[str, Any] = {
        **read_base_configuration(),
        "Name": settings.aet,
        "DicomAet": settings.aet,
        "DicomPort": settings.dicom_port,
        "HttpPort": settings.http_port,
        "StorageDirectory": str(settings.storage),
        "IndexDirectory": str(settings.storage),
        "TemporaryDirectory": str(settings.folder / "temporary"),
        "RegisteredUsers": {credentials.user: credentials.password},
        "DicomModalities": _render_modalities(settings.modalities),
        "Plugins": [str(path) for path in _plugin_paths(settings)],
    }
    if settings.host != LOOPBACK:
        configuration |= {"RemoteAccessAllowed": True, "HttpBindAddresses": ["0.0.0.0"]}  # noqa: S104 - with a password
    if settings.plugin is not None:
        configuration["PythonScript"] = str((shared_folder("orthanc") / "plugin.py").resolve())
        configuration["LuaScripts"] = [str((shared_folder("orthanc") / "gate.lua").resolve())]
        configuration["PythonVerbose"] = False
        configuration[EVENT_SECTION] = {
            "EventUrl": settings.plugin.event_url,
            "Token": settings.plugin.token,
            "IntakeFreeBytes": settings.plugin.intake_free_bytes,
            "ResultsFreeBytes": settings.plugin.results_free_bytes,
        }
    return configuration


def read_base_configuration() -> dict[str, Any]:
    """What orthanc/orthanc.json says; a comment there has a line of its own."""
    text = (shared_folder("orthanc") / "orthanc.json").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("//")]
    base: dict[str, Any] = json.loads("\n".join(lines))
    return base


def require_plugins(settings: OrthancSettings) -> None:
    """Check that the plugins of Orthanc that the node uses are installed.

    Args:
        settings: The node's settings.

    Raises:
        ProgramMissing: If one is not.
    """
    for path in _plugin_paths(settings):
        if not path.is_file():
            raise ProgramMissing(f"Orthanc's plugin {path}")


def _plugin_paths(settings: OrthancSettings) -> list[Path]:
    names = ["libOrthancDicomWeb.so", "libOrthancGdcm.so"]
    if settings.plugin is not None:
        names.append("libOrthancPython.so")
    return [settings.plugin_folder / name for name in names]


def _render_modalities(modalities: tuple[Modality, ...]) -> dict[str, Any]:
    rendered: dict[str, Any] = {}
    for modality in modalities:
        name = re.sub(r"[^A-Za-z0-9_-]", "_", modality.aet)
        rendered[name if name not in rendered else f"{name}-{len(rendered)}"] = {
            "AET": modality.aet,
            "Host": _address(modality.host),
            "Port": modality.port,
            "AllowEcho": True,
            "AllowStore": modality.may_store,
            "AllowStorageCommitment": modality.may_store,
            "AllowFind": modality.may_query,
            "AllowFindWorklist": False,
            "AllowGet": modality.may_query,
            "AllowMove": modality.may_query,
        }
    return rendered


def _address(host: str) -> str:
    """The IPv4 address of a host: Orthanc compares text and listens on IPv4 alone.

    Args:
        host: An address or a name.

    Returns:
        The address.

    Raises:
        WrongOrthancSettings: If the name has none.
    """
    try:
        return str(ipaddress.IPv4Address(host))
    except ValueError:
        pass
    try:
        return str(socket.getaddrinfo(host, None, socket.AF_INET)[0][4][0])
    except OSError as error:
        raise WrongOrthancSettings(
            f"orthanc.modalities: the host {host!r} has no IPv4 address ({error.strerror})"
        ) from error
