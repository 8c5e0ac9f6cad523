"""Corroboration: a source is believed when it answers clearly, and not asked again when it does not."""

import socket
import time

import pytest
from pydicom import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

from mapnode.pacs import Modality, OrthancProcess, SourceCounts, corroboration, free_port
from mapnode.pacs.corroboration import SILENCE_S
from mapnode.pacs.errors import OrthancRefused, OrthancUnreachable, UnexpectedAnswer
from tests.mapnode.pacs.helpers import orthanc_settings

STUDY, SERIES = "1.2.3", "1.2.3.4"


class Source:
    """A PACS that answers C-FIND (PS3.4 C.4.1) from `series`: instances by Series Instance UID."""

    def __init__(self, port):
        self.series = {SERIES: ["1.1", "1.2", "1.3"]}
        self.states_count = True
        self.status = 0x0000
        self.asked = 0
        node = AE("SOURCE")
        node.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
        self.server = node.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_FIND, self.find)])

    def find(self, event):
        self.asked += 1
        wanted = event.identifier
        if self.status:
            yield self.status, None
            return
        uids = self.series.get(wanted.SeriesInstanceUID, [])
        if wanted.QueryRetrieveLevel == "SERIES" and uids:
            yield 0xFF00, self.answer(NumberOfSeriesRelatedInstances=len(uids) if self.states_count else None)
        elif wanted.QueryRetrieveLevel == "IMAGE":
            for uid in uids:
                yield 0xFF00, self.answer(SOPInstanceUID=uid)
        yield 0x0000, None

    @staticmethod
    def answer(**more):
        answer = Dataset()
        answer.StudyInstanceUID, answer.SeriesInstanceUID = STUDY, SERIES
        for keyword, value in more.items():
            setattr(answer, keyword, value)
        return answer


@pytest.fixture(scope="module")
def ports():
    return {name: free_port() for name in ("SOURCE", "DEAD", "MUTE")}


@pytest.fixture(scope="module")
def asking(tmp_path_factory, ports):
    """The client of an Orthanc that knows the sources."""
    modalities = tuple(Modality(name, "127.0.0.1", port) for name, port in ports.items())
    settings = orthanc_settings(tmp_path_factory.mktemp("orthanc"), modalities=modalities)
    with OrthancProcess(settings) as orthanc, orthanc.client() as client:
        yield client


@pytest.fixture
def source(ports, monkeypatch):
    """A source that answers, however busy the machine is."""
    monkeypatch.setattr(corroboration, "LIMIT_S", 60.0)
    source = Source(ports["SOURCE"])
    yield source
    source.server.shutdown()


@pytest.mark.orthanc
def test_the_source_states_its_count(asking, source):
    assert SourceCounts(asking).count_at_source("source", STUDY, SERIES) == 3


@pytest.mark.orthanc
def test_where_the_source_states_no_count_its_instances_are_counted(asking, source):
    source.states_count = False
    assert SourceCounts(asking).count_at_source("SOURCE", STUDY, SERIES) == 3


@pytest.mark.orthanc
def test_a_series_that_the_source_does_not_know_has_no_count_and_the_next_is_asked_for(asking, source):
    counts = SourceCounts(asking)
    assert counts.count_at_source("SOURCE", STUDY, "1.2.9") is None
    assert counts.count_at_source("SOURCE", STUDY, SERIES) == 3


@pytest.mark.orthanc
def test_a_source_that_refuses_is_not_asked_again(asking, source):
    source.status = 0xA700
    counts = SourceCounts(asking)
    assert counts.count_at_source("SOURCE", STUDY, SERIES) is None
    asked, source.status = source.asked, 0x0000
    assert counts.count_at_source("SOURCE", STUDY, SERIES) is None
    assert source.asked == asked


@pytest.mark.orthanc
@pytest.mark.parametrize("aet", ["DEAD", "MUTE"])
def test_who_does_not_answer_is_waited_for_shortly_and_not_asked_again(asking, ports, aet):
    counts = SourceCounts(asking)
    with socket.socket() as mute:  # takes the connection, never says a word
        mute.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        mute.bind(("127.0.0.1", ports["MUTE"]))
        mute.listen()
        started = time.monotonic()
        assert counts.count_at_source(aet, STUDY, SERIES) is None
        assert time.monotonic() - started < 30
    woken = Source(ports[aet])
    assert counts.count_at_source(aet, STUDY, SERIES) is None
    woken.server.shutdown()
    assert woken.asked == 0


@pytest.mark.orthanc
def test_who_is_unknown_has_no_count(asking):
    assert SourceCounts(asking).count_at_source("STRANGER", STUDY, SERIES) is None


class Scripted:
    """A client that gives prepared answers, the clock running on with each."""

    url = "http://orthanc"

    def __init__(self, *answers, step_s=0.0):
        self.answers, self.now, self.asked, self.step_s = list(answers), 0.0, [], step_s

    def ask(self, kind, method, path, *, json=None, timeout_s=None):
        self.asked.append(path)
        self.now += self.step_s
        if path.startswith("/modalities?"):
            return {"CT_1": kind.__args__[1](AET="CT 1")}
        if method == "POST":
            return kind(Path="/queries/q")
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def counts(self):
        return SourceCounts(self, lambda: self.now)


def found(**more):
    return [{"SeriesInstanceUID": SERIES, **more}]


@pytest.mark.parametrize(
    "answers",
    [
        [[]],
        [found(NumberOfSeriesRelatedInstances="3") * 2],
        [[{"SeriesInstanceUID": "1.2.9", "NumberOfSeriesRelatedInstances": "3"}]],
        [[{"NumberOfSeriesRelatedInstances": "3"}]],
        [found(NumberOfSeriesRelatedInstances="0")],
        [found(NumberOfSeriesRelatedInstances="-3"), []],
        [found(NumberOfSeriesRelatedInstances="many"), [{}]],
        [found(), [{"SOPInstanceUID": "1.1"}, {"SOPInstanceUID": ""}]],
    ],
    ids=["nothing", "twice", "another series", "no series", "zero", "negative", "no UID", "empty UID"],
)
def test_what_can_be_doubted_is_no_count(answers):
    assert Scripted(*answers).counts().count_at_source("CT 1", STUDY, SERIES) is None


def test_instances_are_counted_once():
    client = Scripted(found(), [{"SOPInstanceUID": uid} for uid in ("1.1", "1.2", "1.1")])
    assert client.counts().count_at_source("CT 1", STUDY, SERIES) == 2


@pytest.mark.parametrize(
    "failure", [OrthancRefused("POST", 500, "no"), UnexpectedAnswer("POST", "no")], ids=["refused", "nonsense"]
)
def test_a_failure_of_the_source_is_remembered_for_a_while(failure):
    client = Scripted(failure, found(NumberOfSeriesRelatedInstances="3"))
    counts = client.counts()
    for _ in range(2):
        assert counts.count_at_source("CT 1", STUDY, SERIES) is None
    assert len(client.asked) == 3
    client.now = SILENCE_S + 1
    assert counts.count_at_source("CT 1", STUDY, SERIES) == 3


def test_an_orthanc_that_restarts_is_not_the_sources_fault():
    client = Scripted(OrthancUnreachable("http://orthanc", "gone"), found(NumberOfSeriesRelatedInstances="3"))
    counts = client.counts()
    assert counts.count_at_source("CT 1", STUDY, SERIES) is None
    assert counts.count_at_source("CT 1", STUDY, SERIES) == 3


def test_a_source_that_takes_too_long_in_all_has_not_answered():
    client = Scripted(found(), [{"SOPInstanceUID": "1.1"}], step_s=0.3)
    counts = client.counts()
    assert counts.count_at_source("CT 1", STUDY, SERIES) is None
    asked = len(client.asked)
    assert counts.count_at_source("CT 1", STUDY, SERIES) is None
    assert len(client.asked) == asked
