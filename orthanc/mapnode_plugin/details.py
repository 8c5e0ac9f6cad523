"""Details: what Orthanc knows of an event, so that the node need not ask for each instance.

Asked in the sender's thread, after C-STORE has answered: 0.1 to 0.3 ms an instance.
"""

from __future__ import annotations

import json
from typing import Any

from mapnode_plugin.outbox import Event


def read_json(api: Any, path: str) -> dict[str, Any]:  # noqa: ANN401 - Orthanc's module is untyped
    """An answer of Orthanc's REST, asked from inside."""
    answer: dict[str, Any] = json.loads(api.RestApiGet(path).rstrip(b"\0"))
    return answer


def complete(api: Any, event: Event) -> Event | None:  # noqa: ANN401 - Orthanc's module is untyped
    """An event with what Orthanc knows of it.

    Args:
        api: Orthanc's module.
        event: As the callback noted it.

    Returns:
        The event, bare where Orthanc does not know (any more); None for a job that is nothing to the node.
    """
    try:
        if event["kind"] == "instance":
            return event | _instance(api, f"/instances/{event['id']}")
        if event["kind"] == "job":
            return _commitment(event, read_json(api, f"/jobs/{event['id']}"))
    except Exception:  # noqa: BLE001 - Orthanc's module raises its own kind; a bare event is better than none
        return event if event["kind"] == "instance" else None
    return event


def _commitment(event: Event, job: dict[str, Any]) -> Event | None:
    """Who asked for storage commitment (N-ACTION, PS3.4 J.3.2). Of which instances, the job does not say."""
    if job["Type"] != "StorageCommitmentScp":
        return None
    content = job["Content"]
    return event | {
        "kind": "commitment",
        "calling_aet": content["RemoteAet"],
        "called_aet": content["CalledAet"],
        "transaction_uid": content["TransactionUid"],
    }


def _instance(api: Any, path: str) -> dict[str, str]:  # noqa: ANN401 - Orthanc's module is untyped
    instance = read_json(api, path)
    metadata = read_json(api, f"{path}/metadata?expand")
    file = read_json(api, f"{path}/attachments/dicom/info")
    # A compressed file is not the DICOM file: nobody may link it.
    linkable = file["CompressedMD5"] == file["UncompressedMD5"]
    return {
        "series_id": instance["ParentSeries"],
        "sop_instance_uid": instance["MainDicomTags"]["SOPInstanceUID"],
        "file_uuid": file["Uuid"] if linkable else "",
        "md5": file["UncompressedMD5"],
        "calling_aet": metadata.get("RemoteAET", ""),
        "called_aet": metadata.get("CalledAET", ""),
        "origin": metadata.get("Origin", ""),
    }
