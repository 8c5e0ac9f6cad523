"""A fake of Orthanc's module, and a node that receives events."""

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from types import ModuleType, SimpleNamespace

from mapnode.pacs.events import TOKEN_HEADER, EventBatch

TOKEN = "token of this test"
UUID = "29fa63f8-e612-4b3f-8b99-5fbe116d04c9"


def new_date():
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime(time.time()))


class Image:
    """A decoded frame."""

    def __init__(self, pixels):
        self._pixels = pixels

    def GetImageWidth(self):  # noqa: N802 - Orthanc's name
        return len(self._pixels)

    def GetImageHeight(self):  # noqa: N802
        return 1

    def GetImagePixelFormat(self):  # noqa: N802
        return 3

    def GetImageBuffer(self):  # noqa: N802
        return self._pixels


class Dicom:
    """A DICOM file here is JSON: frames, transfer syntax, elements."""

    def __init__(self, data, *, date=None, aet="CT", origin=2):
        self.data, self._content, self._date, self._aet, self._origin = data, json.loads(data), date, aet, origin

    def GetInstanceData(self):  # noqa: N802
        return self.data

    def GetInstanceSize(self):  # noqa: N802
        return len(self.data)

    def GetInstanceMetadata(self, name):  # noqa: N802
        assert name == "ReceptionDate"
        return self._date

    def GetInstanceRemoteAet(self):  # noqa: N802
        return self._aet

    def GetInstanceOrigin(self):  # noqa: N802
        return self._origin

    def GetInstanceJson(self):  # noqa: N802
        return json.dumps({"7fe0,0010": {}} if self._content.get("frames") else {})

    def GetInstanceSimplifiedJson(self):  # noqa: N802
        return json.dumps({"SOPInstanceUID": "1.2.a", **self._content.get("tags", {})})

    def GetInstanceAdvancedJson(self, _form, _flags, _limit):  # noqa: N802
        return json.dumps(self._content.get("elements"))

    def GetInstanceFramesCount(self):  # noqa: N802
        return len(self._content["frames"])

    def GetInstanceTransferSyntaxUid(self):  # noqa: N802
        return self._content.get("syntax", "1")

    def GetInstanceRawFrame(self, index):  # noqa: N802
        return self._content["frames"][index].encode()

    def GetInstanceDecodedFrame(self, index):  # noqa: N802
        return Image(self._content["frames"][index].lower().encode())


def dicom(**content):
    return json.dumps(content).encode()


class FakeOrthanc(ModuleType):
    """Orthanc's module, as far as the plugin uses it."""

    ChangeType = SimpleNamespace(
        DELETED=1,
        NEW_INSTANCE=3,
        NEW_SERIES=5,
        ORTHANC_STARTED=10,
        ORTHANC_STOPPED=11,
        UPDATED_ATTACHMENT=12,
        UPDATED_METADATA=13,
        JOB_SUBMITTED=16,
    )
    ResourceType = SimpleNamespace(PATIENT=0, STUDY=1, SERIES=2, INSTANCE=3, NONE=4)
    DicomToJsonFlags = SimpleNamespace(
        INCLUDE_BINARY=1, INCLUDE_PRIVATE_TAGS=2, INCLUDE_UNKNOWN_TAGS=4, INCLUDE_PIXEL_DATA=8
    )
    DicomToJsonFormat = SimpleNamespace(FULL=1)
    InstanceOrigin = SimpleNamespace(UNKNOWN=1, DICOM_PROTOCOL=2, REST_API=3, PLUGIN=4)

    def __init__(self, configuration):
        super().__init__("orthanc")
        self.configuration, self.log, self.callbacks, self.stored = configuration, [], {}, {}
        self.gone, self.stored_md5, self.jobs = set(), "d1", {}

    def GetConfiguration(self):  # noqa: N802
        return json.dumps(self.configuration)

    def LogWarning(self, line):  # noqa: N802
        self.log.append(line)

    def RegisterOnChangeCallback(self, function):  # noqa: N802
        self.callbacks["change"] = function

    def RegisterOnStoredInstanceCallback(self, function):  # noqa: N802
        self.callbacks["stored"] = function

    def RegisterIncomingCStoreInstanceFilter(self, function):  # noqa: N802
        self.callbacks["c-store"] = function

    def RegisterRestCallback(self, path, function):  # noqa: N802
        self.callbacks[path] = function

    def GetDicomForInstance(self, name):  # noqa: N802
        return self.stored[name]

    def CreateDicomInstance(self, data):  # noqa: N802
        return Dicom(data)

    def RestApiGet(self, path):  # noqa: N802
        if path.startswith("/jobs/"):
            return json.dumps(self.jobs[path.removeprefix("/jobs/")]).encode() + b"\0"
        name, _, question = path.removeprefix("/instances/").partition("/")
        if name in self.gone:
            raise ValueError("no such resource")
        answers = {
            "": {"ParentSeries": f"series of {name}", "MainDicomTags": {"SOPInstanceUID": f"1.2.{name}"}},
            "metadata?expand": {"RemoteAET": "CT", "CalledAET": "MAPNODE", "Origin": "DicomProtocol"},
            "attachments/dicom/info": {"Uuid": UUID, "UncompressedMD5": "d1", "CompressedMD5": self.stored_md5},
        }
        return json.dumps(answers[question]).encode() + b"\0"


class Node:
    """A receiver of events."""

    def __init__(self):
        self.batches, self.tokens, self.connections, self.status = [], [], set(), 204
        node = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                status, body = node.status, self.rfile.read(int(self.headers["Content-Length"]))
                if status == 204:
                    node.batches.append(EventBatch.model_validate_json(body))
                node.tokens.append(self.headers[TOKEN_HEADER])
                node.connections.add(self.client_address)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_):
                pass

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/orthanc/events"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def events(self):
        """All but that Orthanc has started."""
        return [event for batch in self.batches for event in batch.events if event.kind != "started"]

    def forget(self):
        """Begin to listen anew."""
        self.batches.clear()
        self.tokens.clear()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def eventually(condition, timeout_s=60.0):
    deadline = time.monotonic() + timeout_s
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(0.002)
    return value


def configuration(url, storage, **more):
    """What the plugin reads of Orthanc's configuration."""
    section = {"EventUrl": url, "Token": TOKEN, "IntakeFreeBytes": 1000, "ResultsFreeBytes": 100, **more}
    return {"StorageDirectory": str(storage), "DicomWeb": {"Root": "/dicom-web/"}, "Mapnode": section}


def arrive(fake, name):
    fake.callbacks["change"](fake.ChangeType.NEW_INSTANCE, 3, name)
