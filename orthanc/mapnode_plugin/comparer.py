"""Comparer: compares what came again under a known SOP Instance UID with what is stored.

Images with other pixels, or of a patient whose identity was corrected, replace what is stored: who sends them again
means it. What has no pixels stays as it is, and so does what mapnode itself made: a PACS changes reports on their way.
"""

from __future__ import annotations

import json
import threading
import time
from collections import OrderedDict, deque
from typing import Any

from mapnode_plugin.outbox import Outbox
from mapnode_plugin.replacements import Arrival, Replacements

FRESH_S = 2
"""A reception date so near to now is taken for now: it is written to the second."""
IDENTITY = ("PatientName", "PatientBirthDate", "PatientSex", "AccessionNumber", "StudyID")
"""What corrections of a study change; Patient ID is part of Orthanc's identifiers."""
OWN_MANUFACTURER = "mapnode"
STOP_S = 3.0
"""How long the end of the thread is waited for."""


class Comparer(threading.Thread):
    """Compares what came again with what is stored, or is going to be.

    Args:
        api: Orthanc's module.
        outbox: Takes conflicts.
        replacements: The files of what came again; those that an earlier run left are compared first.
    """

    def __init__(self, api: Any, outbox: Outbox, replacements: Replacements) -> None:  # noqa: ANN401 - untyped
        super().__init__(name="mapnode comparer", daemon=True)
        self._api = api
        self._outbox = outbox
        self._replacements = replacements
        self._filled = threading.Condition()
        self._arrivals = deque(replacements.waiting)
        self._stopping = False
        for left in replacements.given_up:
            self._give_up(
                left.instance_id, f"Orthanc ended {left.tries} times while that was done; kept as {left.path}"
            )

    def add(self, instance_id: str, data: bytes, *, origin: str, calling_aet: str) -> None:
        """Have an instance compared; it is on disk when this returns, as its sender is told of success next."""
        # The node stores over REST what is to be in place, and there may be a later one to come: no news.
        if origin == "rest" and self._replacements.is_placing(instance_id, data):
            return
        try:
            arrival = self._replacements.take(instance_id, data, origin=origin, calling_aet=calling_aet)
        except OSError as error:
            self._give_up(instance_id, error)
            return
        with self._filled:
            self._arrivals.append(arrival)
            self._filled.notify()

    def run(self) -> None:
        """Compare until told to stop; what is left then waits in its file."""
        while True:
            with self._filled:
                self._filled.wait_for(lambda: self._arrivals or self._stopping)
                if self._stopping:
                    return
                arrival = self._arrivals.popleft()
            self.compare(arrival)

    def compare(self, arrival: Arrival) -> None:
        """Compare one instance, and report and replace the stored one when it is another one; its file goes."""
        try:
            arrival = self._replacements.begin(arrival)
            self._compare(arrival)
        except Exception as error:  # noqa: BLE001 - Orthanc's module raises its own kind; the thread has to live
            if self._stopping:
                return  # Orthanc ends and may answer no more: compared when it starts again
            self._give_up(arrival.instance_id, error)
        self._replacements.drop(arrival)

    def _compare(self, arrival: Arrival) -> None:
        received = arrival.path.read_bytes()
        stored = self._replacements.newest(arrival.instance_id) or self._api.GetDicomForInstance(arrival.instance_id)
        tags = _tags(self._api, stored)
        is_same = same_content(self._api, received, stored)
        if is_same and same_identity(tags, _tags(self._api, received)):
            return
        is_replaced = may_replace(self._api, tags, stored)
        if is_replaced:
            self._replacements.keep(arrival)
        elif is_same:
            return
        uid = tags["SOPInstanceUID"]
        self._outbox.add({
            "kind": "conflict",
            "id": arrival.instance_id,
            "at": arrival.at,
            "sop_instance_uid": uid,
            "calling_aet": arrival.calling_aet,
            "origin": arrival.origin,
        })
        self._api.LogWarning(
            f"mapnode: SOP Instance UID {uid} came again with other content from "
            f"{arrival.calling_aet or arrival.origin}; the stored instance {arrival.instance_id} "
            f"{'is replaced' if is_replaced else 'stays as it is'}"
        )

    def _give_up(self, instance_id: str, error: Exception | str) -> None:
        self._outbox.add_unchecked()
        self._api.LogWarning(f"mapnode: instance {instance_id} came again and was not compared ({error})")

    def stop(self) -> None:
        """End the thread."""
        with self._filled:
            self._stopping = True
            self._filled.notify()
        self.join(STOP_S)


def same_content(api: Any, received: bytes, stored: bytes) -> bool:  # noqa: ANN401 - Orthanc's module is untyped
    """Whether two DICOM files under one SOP Instance UID mean the same.

    Images are the same when their pixels are, whatever their headers say: a PACS corrects headers. What has no pixels
    is the same when all its data elements are; the File Meta Information, which each sender writes anew, is no part.
    """
    if received == stored:
        return True
    ours, theirs = api.CreateDicomInstance(received), api.CreateDicomInstance(stored)
    if _has_pixels(ours) != _has_pixels(theirs):
        return False
    if not _has_pixels(ours):
        return _elements(api, ours) == _elements(api, theirs)
    frames = ours.GetInstanceFramesCount()
    if frames != theirs.GetInstanceFramesCount():
        return False
    if ours.GetInstanceTransferSyntaxUid() == theirs.GetInstanceTransferSyntaxUid() and all(
        ours.GetInstanceRawFrame(index) == theirs.GetInstanceRawFrame(index) for index in range(frames)
    ):
        return True
    # Another transfer syntax, or another encoder: what the pixels say counts.
    return all(_decoded(ours, index) == _decoded(theirs, index) for index in range(frames))


def same_identity(one: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether two headers name the same patient and request, in the same way."""
    return all(str(one.get(name) or "").strip() == str(other.get(name) or "").strip() for name in IDENTITY)


def may_replace(api: Any, tags: dict[str, Any], stored: bytes) -> bool:  # noqa: ANN401
    """Whether what is stored may be replaced: it is an image, and none that mapnode made."""
    return _has_pixels(api.CreateDicomInstance(stored)) and tags.get("Manufacturer") != OWN_MANUFACTURER


def _tags(api: Any, data: bytes) -> dict[str, Any]:  # noqa: ANN401
    found: dict[str, Any] = json.loads(api.CreateDicomInstance(data).GetInstanceSimplifiedJson())
    return found


def _has_pixels(instance: Any) -> bool:  # noqa: ANN401
    return any(tag in json.loads(instance.GetInstanceJson()) for tag in ("7fe0,0010", "7FE0,0010"))


def _elements(api: Any, instance: Any) -> str:  # noqa: ANN401
    flags = api.DicomToJsonFlags
    everything = (
        flags.INCLUDE_BINARY | flags.INCLUDE_PRIVATE_TAGS | flags.INCLUDE_UNKNOWN_TAGS | flags.INCLUDE_PIXEL_DATA
    )
    text: str = instance.GetInstanceAdvancedJson(api.DicomToJsonFormat.FULL, everything, 0)
    return text


def _decoded(instance: Any, index: int) -> tuple[int, int, int, bytes]:  # noqa: ANN401
    image = instance.GetInstanceDecodedFrame(index)
    return image.GetImageWidth(), image.GetImageHeight(), image.GetImagePixelFormat(), image.GetImageBuffer()


class ResendDetector:
    """Tells what came again from what is new, without asking Orthanc's index.

    An instance that came again carries the reception date of the first one. One that came again within moments is told
    by memory, as the date is written to the second; what came in the moments before the start, which memory lacks, is
    taken for old. A clock that was set makes a new instance look old at worst: it is compared with itself then.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._before_start = _dates(time.time(), range(FRESH_S + 1))
        self._recent: OrderedDict[str, float] = OrderedDict()

    def came_again(self, instance_id: str, reception_date: str | None) -> bool:
        """Whether an instance was stored before.

        Args:
            instance_id: Orthanc's identifier.
            reception_date: Orthanc's metadata: UTC, 20250102T101500.

        Returns:
            False when it is surely new.
        """
        now = time.time()
        fresh = _dates(now, range(-1, FRESH_S + 1)) - self._before_start
        with self._lock:
            while self._recent and next(iter(self._recent.values())) < now - 2 * FRESH_S:
                self._recent.popitem(last=False)
            seen = instance_id in self._recent
            self._recent[instance_id] = now
            self._recent.move_to_end(instance_id)
        return seen or reception_date not in fresh


def _dates(now: float, back_s: range) -> set[str]:
    """Reception dates as Orthanc writes them, so many seconds back."""
    return {time.strftime("%Y%m%dT%H%M%S", time.gmtime(now - back)) for back in back_s}
