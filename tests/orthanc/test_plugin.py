"""The plugin inside a fake Orthanc: it takes note, posts, compares, and never holds anything up."""

import ast
import importlib.util
import json
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from mapnode.pacs.events import TOKEN_HEADER, EventBatch

PLUGIN = Path(__file__).parents[2] / "orthanc" / "plugin.py"
TOKEN = "token of this test"


def new_date():
    return time.strftime("%Y%m%dT%H%M%S", time.gmtime())


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

    def __init__(self, data, *, date=None, aet="CT"):
        self.data, self._content, self._date, self._aet = data, json.loads(data), date, aet

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
        return 2

    def GetInstanceJson(self):  # noqa: N802
        return json.dumps({"7fe0,0010": {}} if self._content.get("frames") else {})

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

    ChangeType = SimpleNamespace(NEW_INSTANCE=3, NEW_SERIES=5, ORTHANC_STARTED=10, ORTHANC_STOPPED=11)
    DicomToJsonFlags = SimpleNamespace(
        INCLUDE_BINARY=1, INCLUDE_PRIVATE_TAGS=2, INCLUDE_UNKNOWN_TAGS=4, INCLUDE_PIXEL_DATA=8
    )
    DicomToJsonFormat = SimpleNamespace(FULL=1)
    InstanceOrigin = SimpleNamespace(UNKNOWN=1, DICOM_PROTOCOL=2, REST_API=3, PLUGIN=4)

    def __init__(self, configuration):
        super().__init__("orthanc")
        self.configuration, self.log, self.callbacks, self.stored = configuration, [], {}, {}

    def GetConfiguration(self):  # noqa: N802
        return json.dumps(self.configuration)

    def LogWarning(self, line):  # noqa: N802
        self.log.append(line)

    def RegisterOnChangeCallback(self, function):  # noqa: N802
        self.callbacks["change"] = function

    def RegisterOnStoredInstanceCallback(self, function):  # noqa: N802
        self.callbacks["stored"] = function

    def GetDicomForInstance(self, name):  # noqa: N802
        return self.stored[name]

    def CreateDicomInstance(self, data):  # noqa: N802
        return Dicom(data)

    def RestApiGet(self, path):  # noqa: N802
        return json.dumps({"MainDicomTags": {"SOPInstanceUID": f"1.2.{path[-1]}"}}).encode() + b"\0"


class Node:
    """A receiver of events."""

    def __init__(self):
        self.batches, self.tokens, self.connections, self.status = [], [], set(), 204
        node = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if node.status == 204:
                    node.batches.append(EventBatch.model_validate_json(body))
                node.tokens.append(self.headers[TOKEN_HEADER])
                node.connections.add(self.client_address)
                self.send_response(node.status)
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
        return [event for batch in self.batches for event in batch.events]

    def close(self):
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def node():
    node = Node()
    yield node
    node.close()


@pytest.fixture
def load(monkeypatch):
    """Loads the script as Orthanc does, on the fake module."""

    def load(configuration):
        fake = FakeOrthanc(configuration)
        monkeypatch.setitem(sys.modules, "orthanc", fake)
        specification = importlib.util.spec_from_file_location("plugin_under_test", PLUGIN)
        module = importlib.util.module_from_spec(specification)
        # BATCH_S and the like are read from the module; dataclasses and threads want it to be known.
        monkeypatch.setitem(sys.modules, "plugin_under_test", module)
        specification.loader.exec_module(module)
        module.RETRY_S = 0.05
        return fake, module

    return load


@pytest.fixture
def started(load, node):
    """A plugin in an Orthanc that has started; stopped at the end."""
    fake, module = load({"Mapnode": {"EventUrl": node.url, "Token": TOKEN}})
    fake.callbacks["change"](fake.ChangeType.ORTHANC_STARTED, 4, "")
    yield fake, module
    fake.callbacks["change"](fake.ChangeType.ORTHANC_STOPPED, 4, "")


def eventually(condition, timeout_s=5.0):
    deadline = time.monotonic() + timeout_s
    while not (value := condition()) and time.monotonic() < deadline:
        time.sleep(0.002)
    return value


def arrive(fake, name):
    fake.callbacks["change"](fake.ChangeType.NEW_INSTANCE, 3, name)


def test_without_a_section_it_is_idle(load):
    fake, module = load({})
    assert module.PLUGIN is None
    assert fake.callbacks == {}
    assert "no section" in fake.log[0]


def test_only_plain_http_is_taken(load):
    with pytest.raises(ValueError, match="EventUrl"):
        load({"Mapnode": {"EventUrl": "https://127.0.0.1/", "Token": TOKEN}})


def test_new_instances_are_posted_with_the_token_on_one_connection(started, node):
    fake, _ = started
    for name in "abc":
        arrive(fake, name)
        assert eventually(lambda name=name: name in [event.id for event in node.events])
    assert [event.id for event in node.events] == ["a", "b", "c"]
    assert set(node.tokens) == {TOKEN}
    assert len(node.connections) == 1
    assert abs(node.events[0].at - time.time()) < 5


def test_what_gathers_goes_together(started, node):
    fake, _ = started
    for number in range(200):
        arrive(fake, f"{number}")
    assert eventually(lambda: len(node.events) == 200)
    assert len(node.batches) < 20


def test_other_changes_are_nobodys_business(started, node):
    fake, _ = started
    fake.callbacks["change"](fake.ChangeType.NEW_SERIES, 2, "s")
    arrive(fake, "a")
    assert eventually(lambda: node.events)
    assert [event.id for event in node.events] == ["a"]


def test_what_waits_at_the_end_is_still_posted(load, node):
    fake, module = load({"Mapnode": {"EventUrl": node.url, "Token": TOKEN}})
    module.BATCH_S = 30
    fake.callbacks["change"](fake.ChangeType.ORTHANC_STARTED, 4, "")
    arrive(fake, "a")
    assert eventually(lambda: node.events)
    arrive(fake, "b")
    started = time.monotonic()
    fake.callbacks["change"](fake.ChangeType.ORTHANC_STOPPED, 4, "")
    assert time.monotonic() - started < 2
    assert [event.id for event in node.events] == ["a", "b"]
    assert not module.PLUGIN.sender.is_alive()
    assert not module.PLUGIN.comparer.is_alive()


def test_a_node_that_does_not_take_events_is_told_of_once_and_gets_their_number_later(started, node):
    fake, _ = started
    node.status = 503
    for name in "abc":
        arrive(fake, name)
    assert eventually(lambda: len(node.tokens) >= 3)
    node.status = 204
    assert eventually(lambda: sum(batch.dropped for batch in node.batches) == 3)
    assert node.events == []
    assert len([line for line in fake.log if "does not take events" in line]) == 1
    assert eventually(lambda: any("takes events again" in line for line in fake.log))


def test_a_dead_node_costs_a_callback_nothing(load):
    fake, module = load({"Mapnode": {"EventUrl": "http://127.0.0.1:1/", "Token": TOKEN}})
    fake.callbacks["change"](fake.ChangeType.ORTHANC_STARTED, 4, "")
    started = time.monotonic()
    for number in range(60_000):
        arrive(fake, f"{number}")
    assert time.monotonic() - started < 3
    assert len(module.PLUGIN.outbox._instances) <= module.QUEUE_EVENTS
    fake.callbacks["change"](fake.ChangeType.ORTHANC_STOPPED, 4, "")


def test_a_full_outbox_drops_and_counts(load):
    _, module = load({})
    outbox = module.Outbox(limit=2)
    for name in "abc":
        outbox.add_instance(name)
    batch = outbox.take()
    assert ([name for name, _ in batch.instances], batch.dropped) == (["a", "b"], 1)
    assert outbox.take() is None


def test_conflicts_that_could_not_be_posted_are_kept_in_order(load):
    _, module = load({})
    outbox = module.Outbox()
    conflicts = [module.Conflict(name, "1.2", "CT", "dicom", 1.0) for name in "abc"]
    for conflict in conflicts[:2]:
        outbox.add_conflict(conflict)
    outbox.give_back(outbox.take())
    outbox.add_conflict(conflicts[2])
    assert outbox.take().conflicts == conflicts


IMAGE = dicom(frames=["ab", "cd"])


@pytest.mark.parametrize(
    ("again", "conflict"),
    [
        (IMAGE, False),
        (dicom(frames=["ab", "cd"], elements={"0008,103e": "corrected"}), False),
        (dicom(frames=["AB", "CD"], syntax="2"), False),
        (dicom(frames=["AB", "CD"]), False),
        (dicom(frames=["ab", "cx"]), True),
        (dicom(frames=["ab"]), True),
        (dicom(elements={}), True),
    ],
    ids=["equal", "other header", "other syntax", "other encoder", "other pixels", "fewer frames", "no pixels"],
)
def test_a_resend_conflicts_when_its_pixels_are_others(started, node, again, conflict):
    fake, _ = started
    fake.stored["a"] = IMAGE
    fake.callbacks["stored"](Dicom(again, date="20200101T000000"), "a")
    fake.stored["b"] = IMAGE
    fake.callbacks["stored"](Dicom(dicom(frames=["zz"]), date="20200101T000000", aet="PACS"), "b")
    assert eventually(lambda: any(event.id == "b" for event in node.events))
    found = [event for event in node.events if event.id == "a"]
    assert len(found) == conflict
    if conflict:
        assert (found[0].sop_instance_uid, found[0].calling_aet, found[0].origin) == ("1.2.a", "CT", "dicom")


def test_objects_without_pixels_conflict_by_their_elements(load):
    fake, module = load({})
    one, same, other = dicom(elements=1), dicom(elements=1, syntax="2"), dicom(elements=2)
    assert module.same_content(fake, same, one)
    assert not module.same_content(fake, other, one)


def test_what_is_new_is_not_even_copied(started):
    fake, module = started

    class New(Dicom):
        def GetInstanceData(self):  # noqa: N802
            raise AssertionError("copied")

    fake.callbacks["stored"](New(IMAGE, date=new_date()), "a")
    assert not module.PLUGIN.comparer._arrivals


def test_a_resend_within_the_same_second_is_seen(load):
    _, module = load({})
    detector = module.ResendDetector()
    assert not detector.came_again("a", new_date())
    assert not detector.came_again("b", new_date())
    assert detector.came_again("a", new_date())


def test_without_a_reception_date_everything_is_compared(load):
    _, module = load({})
    assert module.ResendDetector().came_again("a", None)


def test_a_resend_that_cannot_be_compared_is_counted(started, node):
    fake, _ = started
    fake.callbacks["stored"](Dicom(IMAGE, date=None), "gone")
    assert eventually(lambda: sum(batch.unchecked for batch in node.batches) == 1)
    assert any("was not compared" in line for line in fake.log)


def test_a_resend_without_room_is_counted(load, node):
    fake, module = load({"Mapnode": {"EventUrl": node.url, "Token": TOKEN}})
    module.PLUGIN.comparer._limit_bytes = 1
    for _ in range(2):  # the first may wait alone, however large it is
        fake.callbacks["stored"](Dicom(IMAGE, date=None), "a")
    assert len(module.PLUGIN.comparer._arrivals) == 1
    assert module.PLUGIN.outbox.take().unchecked == 1


def test_it_imports_the_standard_library_and_orthanc_alone():
    found = set()
    for statement in ast.walk(ast.parse(PLUGIN.read_text(encoding="utf-8"))):
        if isinstance(statement, ast.Import):
            found |= {alias.name.split(".")[0] for alias in statement.names}
        elif isinstance(statement, ast.ImportFrom):
            found.add(statement.module.split(".")[0])
    assert found - {"orthanc"} <= sys.stdlib_module_names


def test_the_folder_is_no_package():
    assert not (PLUGIN.parent / "__init__.py").exists()
