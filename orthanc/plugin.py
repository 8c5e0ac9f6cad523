"""Orthanc plugin: tells the node of new instances, and of instances that came again with other pixels.

Runs inside Orthanc (PythonScript), in the Python that Orthanc was built with: standard library and Orthanc's own module
only. It is the fast path and nothing more: the node reads Orthanc's change log anyway, so an event may get lost, and
nothing here may ever hold up a C-STORE. Callbacks take note and return; two threads do the work.

What the callbacks see (measured on 1.10.1): OnChange is called outside of C-STORE and only for what is new. OnStored is
called before C-STORE answers, for what came again, too, which Orthanc keeps away from its change log. For such an
instance it carries the metadata of the stored one: a reception date that is not now.

Settings: section "Mapnode" of Orthanc's configuration, with EventUrl (http) and Token. Without it the plugin is idle.
"""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import OrderedDict, deque
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import orthanc  # type: ignore[import-not-found, unused-ignore]  # Orthanc's own module, inside Orthanc

TOKEN_HEADER = "X-Mapnode-Token"  # noqa: S105 - a header's name
BATCH_S = 0.02
"""Pause between two posts; what gathers meanwhile goes together."""
RETRY_S = 1.0
"""Pause after a post that failed."""
TIMEOUT_S = 2.0
BATCH_EVENTS = 5_000
QUEUE_EVENTS = 50_000
"""Instances that wait at most; the node finds more of them in the change log."""
QUEUE_BYTES = 64 * 1024 * 1024
"""Instances that came again and wait to be compared."""
FRESH_S = 2
"""A reception date so near to now is taken for now: it is written to the second."""

_REST_TIMEOUT_JOIN_S = 3.0


class Conflict(NamedTuple):
    """An instance that came again with other pixels."""

    instance_id: str
    sop_instance_uid: str
    calling_aet: str
    origin: str
    at: float

    def as_json(self) -> dict[str, Any]:
        """As the node reads it (mapnode/pacs/events.py)."""
        return {
            "kind": "conflict",
            "id": self.instance_id,
            "sop_instance_uid": self.sop_instance_uid,
            "calling_aet": self.calling_aet,
            "origin": self.origin,
            "at": self.at,
        }


class Batch(NamedTuple):
    """What goes in one post."""

    instances: list[tuple[str, float]]
    conflicts: list[Conflict]
    dropped: int
    unchecked: int

    def as_json(self) -> bytes:
        """As the node reads it (mapnode/pacs/events.py)."""
        events = [{"kind": "instance", "id": name, "at": at} for name, at in self.instances]
        events += [conflict.as_json() for conflict in self.conflicts]
        return json.dumps({"events": events, "dropped": self.dropped, "unchecked": self.unchecked}).encode()


class Outbox:
    """Events that wait for the next post. Adding never waits; instances may be dropped, conflicts are kept.

    A conflict stands nowhere else but in Orthanc's log, so it stays here until the node has taken it.
    """

    def __init__(self, limit: int = QUEUE_EVENTS) -> None:
        self._limit = limit
        self._lock = threading.Lock()
        self._filled = threading.Event()
        self._instances: deque[tuple[str, float]] = deque()
        self._conflicts: deque[Conflict] = deque(maxlen=limit)
        self._dropped = 0
        self._unchecked = 0

    def add_instance(self, instance_id: str) -> None:
        """Take note of a new instance."""
        with self._lock:
            if len(self._instances) < self._limit:
                self._instances.append((instance_id, time.time()))
            else:
                self._dropped += 1
        self._filled.set()

    def add_conflict(self, conflict: Conflict) -> None:
        """Take note of an instance that came again with other pixels."""
        with self._lock:
            self._conflicts.append(conflict)
        self._filled.set()

    def add_unchecked(self) -> None:
        """Take note of an instance that came again and was not compared."""
        with self._lock:
            self._unchecked += 1
        self._filled.set()

    def take(self, most: int = BATCH_EVENTS) -> Batch | None:
        """Take the oldest events; None when there are none."""
        with self._lock:
            self._filled.clear()
            instances = [self._instances.popleft() for _ in range(min(most, len(self._instances)))]
            conflicts = [self._conflicts.popleft() for _ in range(min(most, len(self._conflicts)))]
            batch = Batch(instances, conflicts, self._dropped, self._unchecked)
            self._dropped = self._unchecked = 0
            if self._instances or self._conflicts:
                self._filled.set()
        return batch if any(batch) else None

    def give_back(self, batch: Batch) -> None:
        """Take back what could not be posted: instances count as dropped from now on."""
        with self._lock:
            self._dropped += batch.dropped + len(batch.instances)
            self._unchecked += batch.unchecked
            self._conflicts.extendleft(reversed(batch.conflicts))
        self._filled.set()

    def wait(self) -> None:
        """Wait until there is something to take."""
        self._filled.wait()

    def wake(self) -> None:
        """End a wait."""
        self._filled.set()


class Receiver:
    """The node's end of the connection, which is kept open.

    Args:
        url: The node's address for events.
        token: The secret to show there.
    """

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or parts.hostname is None:
            raise ValueError(f"EventUrl has to be http://host:port/path, got {url!r}")
        self._host, self._port, self._path = parts.hostname, parts.port or 80, parts.path or "/"
        self._headers = {"Content-Type": "application/json", TOKEN_HEADER: token}
        self._connection: http.client.HTTPConnection | None = None

    def post(self, body: bytes) -> None:
        """Post a batch.

        Args:
            body: JSON.

        Raises:
            ConnectionError: If the node does not answer, or does not take it.
        """
        if self._connection is not None:
            try:
                self._send(self._connection, body)
            except (OSError, http.client.HTTPException):
                self.close()  # it closed a connection that was idle: worth one more try
            else:
                return
        self._connection = http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)
        try:
            self._send(self._connection, body)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise ConnectionError(f"{type(error).__name__}: {error}") from error

    def _send(self, connection: http.client.HTTPConnection, body: bytes) -> None:
        """Send a batch and read the answer.

        Raises:
            ConnectionError: If the answer is an error.
        """
        connection.request("POST", self._path, body, self._headers)
        answer = connection.getresponse()
        answer.read()
        if answer.status >= 300:
            raise ConnectionError(f"it answered {answer.status} {answer.reason}")

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Sender(threading.Thread):
    """Posts what gathers in the outbox, one batch at a time.

    Args:
        outbox: Where events wait.
        receiver: The node.
        warn: Writes a line into Orthanc's log.
    """

    def __init__(self, outbox: Outbox, receiver: Receiver, warn: Any) -> None:  # noqa: ANN401 - Orthanc's own function
        super().__init__(name="mapnode sender", daemon=True)
        self._outbox = outbox
        self._receiver = receiver
        self._warn = warn
        self._stopping = threading.Event()
        self._reached = True

    def run(self) -> None:
        """Post until told to stop, then what is left, once."""
        while not self._stopping.is_set():
            self._outbox.wait()
            self._stopping.wait(BATCH_S if self.post() else RETRY_S)
        self.post()
        self._receiver.close()

    def post(self) -> bool:
        """Post one batch, if there is any; whether that went well."""
        batch = self._outbox.take()
        if batch is None:
            return True
        try:
            self._receiver.post(batch.as_json())
        except OSError as error:
            self._outbox.give_back(batch)
            if self._reached:
                self._warn(f"mapnode: the node does not take events ({error}); it will find them in the change log")
            self._reached = False
            return False
        if not self._reached:
            self._warn("mapnode: the node takes events again")
        self._reached = True
        return True

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._outbox.wake()
        self.join(_REST_TIMEOUT_JOIN_S)


class Arrival(NamedTuple):
    """An instance that came again, as it was received."""

    instance_id: str
    data: bytes
    calling_aet: str
    origin: str
    at: float


class Comparer(threading.Thread):
    """Compares what came again with what is stored.

    Args:
        api: Orthanc's module.
        outbox: Takes conflicts.
        limit_bytes: Instances that wait at most, together.
    """

    def __init__(self, api: Any, outbox: Outbox, limit_bytes: int = QUEUE_BYTES) -> None:  # noqa: ANN401 - untyped
        super().__init__(name="mapnode comparer", daemon=True)
        self._api = api
        self._outbox = outbox
        self._limit_bytes = limit_bytes
        self._filled = threading.Condition()
        self._arrivals: deque[Arrival] = deque()
        self._bytes = 0
        self._stopping = False

    def has_room(self, size: int) -> bool:
        """Whether an instance of that size may wait here; one that is larger than everything may, alone."""
        return self._bytes == 0 or self._bytes + size <= self._limit_bytes

    def add(self, arrival: Arrival) -> None:
        """Have an instance compared."""
        with self._filled:
            self._arrivals.append(arrival)
            self._bytes += len(arrival.data)
            self._filled.notify()

    def run(self) -> None:
        """Compare until told to stop."""
        while True:
            with self._filled:
                self._filled.wait_for(lambda: self._arrivals or self._stopping)
                if self._stopping:
                    return
                arrival = self._arrivals.popleft()
            self.compare(arrival)
            with self._filled:
                self._bytes -= len(arrival.data)

    def compare(self, arrival: Arrival) -> None:
        """Compare one instance, and report it when its pixels are others."""
        try:
            stored = self._api.GetDicomForInstance(arrival.instance_id)
            if same_content(self._api, arrival.data, stored):
                return
            resource = json.loads(self._api.RestApiGet(f"/instances/{arrival.instance_id}").rstrip(b"\0"))
            uid = resource["MainDicomTags"]["SOPInstanceUID"]
        except Exception as error:  # noqa: BLE001 - Orthanc's module raises its own kind; the thread has to live
            self._outbox.add_unchecked()
            self._api.LogWarning(f"mapnode: instance {arrival.instance_id} came again and was not compared ({error})")
            return
        self._outbox.add_conflict(Conflict(arrival.instance_id, uid, arrival.calling_aet, arrival.origin, arrival.at))
        self._api.LogWarning(
            f"mapnode: SOP Instance UID {uid} came again with other content from "
            f"{arrival.calling_aet or arrival.origin}; the stored instance {arrival.instance_id} stays as it is"
        )

    def stop(self) -> None:
        """End the thread."""
        with self._filled:
            self._stopping = True
            self._filled.notify()
        self.join(_REST_TIMEOUT_JOIN_S)


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
    by memory, as the date is written to the second. A clock that was set makes a new instance look old at worst: it is
    compared with itself then.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
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
        fresh = {time.strftime("%Y%m%dT%H%M%S", time.gmtime(now - back)) for back in range(-1, FRESH_S + 1)}
        with self._lock:
            while self._recent and next(iter(self._recent.values())) < now - 2 * FRESH_S:
                self._recent.popitem(last=False)
            seen = instance_id in self._recent
            self._recent[instance_id] = now
            self._recent.move_to_end(instance_id)
        return seen or reception_date not in fresh


class Plugin:
    """Connects Orthanc's callbacks with the threads.

    Args:
        api: Orthanc's module.
        receiver: The node.
    """

    def __init__(self, api: Any, receiver: Receiver) -> None:  # noqa: ANN401 - Orthanc's module is untyped
        self._api = api
        self.outbox = Outbox()
        self.sender = Sender(self.outbox, receiver, api.LogWarning)
        self.comparer = Comparer(api, self.outbox)
        self._resends = ResendDetector()
        self._origins = {
            value: name.lower().removesuffix("_protocol").removesuffix("_api")
            for name, value in vars(api.InstanceOrigin).items()
            if name.isupper()
        }

    def register(self) -> None:
        """Ask Orthanc for its callbacks."""
        self._api.RegisterOnChangeCallback(self.on_change)
        self._api.RegisterOnStoredInstanceCallback(self.on_stored)

    def on_change(self, change: int, level: int, resource_id: str) -> None:
        """Orthanc's OnChange: off the way of C-STORE."""
        kinds = self._api.ChangeType
        if change == kinds.NEW_INSTANCE:
            self.outbox.add_instance(resource_id)
        elif change == kinds.ORTHANC_STARTED:
            self.sender.start()
            self.comparer.start()
        elif change == kinds.ORTHANC_STOPPED:
            self.comparer.stop()
            self.sender.stop()

    def on_stored(self, instance: Any, instance_id: str) -> None:  # noqa: ANN401 - Orthanc's own object
        """Orthanc's OnStoredInstance: C-STORE answers after this. What is new costs some microseconds."""
        if not self._resends.came_again(instance_id, instance.GetInstanceMetadata("ReceptionDate")):
            return
        if not self.comparer.has_room(instance.GetInstanceSize()):
            self.outbox.add_unchecked()
            return
        origin = self._origins.get(instance.GetInstanceOrigin(), "unknown")
        self.comparer.add(
            Arrival(instance_id, instance.GetInstanceData(), instance.GetInstanceRemoteAet(), origin, time.time())
        )


def start(api: Any) -> Plugin | None:  # noqa: ANN401 - Orthanc's module is untyped
    """Start the plugin, if Orthanc's configuration has a section for it."""
    section = json.loads(api.GetConfiguration()).get("Mapnode")
    if section is None:
        api.LogWarning('mapnode: no section "Mapnode" in the configuration, no events')
        return None
    plugin = Plugin(api, Receiver(section["EventUrl"], section["Token"]))
    plugin.register()
    return plugin


PLUGIN = start(orthanc)
