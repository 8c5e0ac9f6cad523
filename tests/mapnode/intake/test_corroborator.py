"""Corroborator: who says how many instances a series has, and that nobody's silence hurts."""

import logging
from types import SimpleNamespace

import pytest
from pydicom import Dataset

from mapnode.intake import corroborator as module
from mapnode.intake.corroborator import Corroborator
from mapnode.intake.source import SourceInstance, SourceSeries
from mapnode.pacs.errors import OrthancUnreachable

LAST = 5.0
SOURCE = SourceSeries("series", "study", tuple(SourceInstance(f"{n}", f"1.{n}", f"{n}", "", n) for n in (1, 2)))


def header():
    dataset = Dataset()
    dataset.StudyInstanceUID, dataset.SeriesInstanceUID = "1.2", "1.2.3"
    return dataset


class Reader:
    """A series as it was seen; `error` is what looking at it raises."""

    client = None

    def __init__(self):
        self.seen, self.error, self.found = [], None, SOURCE

    def series_seen(self, series_id, since):
        self.seen.append((series_id, since))
        if self.error is not None:
            raise self.error
        return self.found

    def headers(self, source):
        assert source.id == self.found.id
        return [header() for _ in source.instances]


@pytest.fixture
def reader():
    return Reader()


@pytest.fixture
def make(monkeypatch, reader):
    """Makes a corroborator over a source that answers so; `said` has what it told."""

    def make(answer=None, stated=None, **options):
        asked, said = [], []

        def count_at_source(*arguments):
            asked.append(arguments)
            if isinstance(answer, Exception):
                raise answer
            return answer

        monkeypatch.setattr(module, "SourceCounts", lambda _: SimpleNamespace(count_at_source=count_at_source))
        monkeypatch.setattr(module, "stated_count", lambda _: stated)
        told = Corroborator(reader, lambda *one: said.append(one), **options)
        return told, asked, said

    return make


def ask(corroborator, aet="CT1") -> None:
    corroborator.ask("series", LAST, aet)
    corroborator._threads.shutdown(wait=True)


def test_the_source_is_asked_and_its_count_is_told(make):
    corroborator, asked, said = make(112)
    ask(corroborator)

    assert asked == [("CT1", "1.2", "1.2.3")]
    assert [(series, last, one.instances) for series, last, one in said] == [("series", LAST, 112)]
    assert said[0][2].by.startswith("CT1 says by C-FIND")


def test_what_headers_state_is_told_without_asking(make):
    corroborator, asked, said = make(stated=40, ask_source=False)
    ask(corroborator)

    assert (asked, [one.instances for *_, one in said]) == ([], [40])


def test_a_sender_that_nobody_knows_is_not_asked(make):
    corroborator, asked, _ = make(112)
    ask(corroborator, "")

    assert asked == []


def test_a_source_that_cannot_say_says_nothing(make):
    corroborator, _, said = make(None)
    ask(corroborator)

    assert said == []


def test_a_source_that_fails_is_named_without_its_words(make, caplog):
    corroborator, _, said = make(RuntimeError("DOE^JANE"))
    with caplog.at_level(logging.WARNING, logger="mapnode"):
        ask(corroborator)

    assert said == []
    assert "whether a series of CT1 is complete cannot be asked: RuntimeError" in caplog.text
    assert "DOE" not in caplog.text


def test_what_is_asked_about_is_the_series_since_its_last_arrival(make, reader):
    corroborator, _, _ = make(112)
    ask(corroborator)

    assert reader.seen == [("series", LAST)]


def test_of_a_series_that_is_gone_nothing_is_asked(make, reader):
    reader.found = None
    corroborator, asked, said = make(112, stated=40)
    ask(corroborator)

    assert (asked, said) == ([], [])


def test_while_orthanc_is_silent_nothing_is_said_and_nobody_is_warned(make, reader, caplog):
    reader.error = OrthancUnreachable("http://127.0.0.1:8042", "ConnectError")
    corroborator, _, said = make(112)
    with caplog.at_level(logging.INFO, logger="mapnode"):
        ask(corroborator)

    assert (said, caplog.text) == ([], "")
