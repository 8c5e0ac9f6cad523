"""Headers: the header of an instance from Orthanc's storage area, or over REST where the file is not DICOM there."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from pydicom import dcmread

from mapnode.pacs.errors import CompressedAttachment

if TYPE_CHECKING:
    from pathlib import Path

    from pydicom import Dataset

    from mapnode.pacs.orthanc_client import OrthancClient


def read_header(client: OrthancClient, storage: Path, instance_id: str) -> Dataset:
    """The header of an instance without its pixels.

    Args:
        client: Orthanc.
        storage: Its storage area.
        instance_id: Orthanc's identifier of the instance.

    Returns:
        The data set; what pydicom raises on files that do not parse passes through.
    """
    try:
        return dcmread(client.attachment_path(instance_id, storage), stop_before_pixels=True)
    except (CompressedAttachment, OSError):
        return dcmread(io.BytesIO(client.instance_file(instance_id)), stop_before_pixels=True)
