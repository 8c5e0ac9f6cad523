"""Orthanc access: how the node reaches its Orthanc, whoever starts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mapnode.pacs.orthanc_client import OrthancClient
from mapnode.pacs.orthanc_configuration import load_credentials

if TYPE_CHECKING:
    from mapnode.pacs.orthanc_configuration import Credentials, OrthancSettings


class OrthancAccess:
    """An Orthanc with the node's settings.

    Args:
        settings: What it is started with.
    """

    def __init__(self, settings: OrthancSettings) -> None:
        self.settings = settings

    @property
    def url(self) -> str:
        """Orthanc's REST."""
        return self.settings.url

    @property
    def credentials(self) -> Credentials:
        """User and password of its REST."""
        return load_credentials(self.settings.folder)

    def client(self) -> OrthancClient:
        """A client with the right credentials and the plugin's token; the caller closes it."""
        token = "" if self.settings.plugin is None else self.settings.plugin.token
        return OrthancClient(self.url, self.credentials.user, self.credentials.password, token=token)
