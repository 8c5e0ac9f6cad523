"""Orthanc elsewhere: an Orthanc that something else starts, a container for instance, from the node's configuration."""

from __future__ import annotations

import contextlib
import json
import logging
import time
from typing import TYPE_CHECKING

from mapnode.pacs.errors import OrthancAbsent, OrthancUnreachable, PacsError
from mapnode.pacs.orthanc_access import OrthancAccess
from mapnode.pacs.orthanc_configuration import (
    render_configuration,
    write_private,
)

if TYPE_CHECKING:
    from mapnode.pacs.resources import SystemInformation

READY_POLL_S = 0.2

_log = logging.getLogger(__name__)


class OrthancElsewhere(OrthancAccess):
    """An Orthanc that shares the node's folder, and that the node neither starts nor stops.

    The node writes its configuration there; what starts Orthanc waits for that file, and starts Orthanc again when it
    changed (docker/orthanc-entry-point).

    Args:
        settings: What it is to be started with; `host` is where its REST answers.
    """

    def is_running(self) -> bool:
        """Whether it answers."""
        with self.client() as client, contextlib.suppress(PacsError):
            client.system()
            return True
        return False

    def start(self) -> None:
        """Write the configuration that it is to be started with, where it is not the one that is there."""
        folder = self.settings.folder
        for part in (folder, self.settings.storage, folder / "temporary"):
            part.mkdir(parents=True, exist_ok=True)
        text = json.dumps(render_configuration(self.settings, self.credentials), indent=2)
        path = self.settings.configuration_path
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_private(path, text)
            _log.info("Orthanc has to be started with %s", path)

    def wait_until_ready(self, timeout_s: float = 120.0) -> SystemInformation:
        """Wait until REST answers.

        Args:
            timeout_s: How long to wait.

        Returns:
            What Orthanc says of itself.

        Raises:
            OrthancAbsent: If it does not answer in time.
        """
        deadline = time.monotonic() + timeout_s
        with self.client() as client:
            while True:
                with contextlib.suppress(OrthancUnreachable):
                    return client.system()
                if time.monotonic() > deadline:
                    raise OrthancAbsent(self.url, timeout_s, str(self.settings.configuration_path))
                time.sleep(READY_POLL_S)

    def stop(self) -> None:
        """Leave it running: it goes on receiving."""
