"""Corroborator: who says how many instances a series has, and that nobody's silence hurts."""

import logging
from types import SimpleNamespace

import pytest

from mapnode.intake import corroborator as module
from mapnode.intake.corroborator import Corroborator

LAST = 5.0
KNOWN = SimpleNamespace(
    headers=[],
    source=SimpleNamespace(id="series"),
    facts=SimpleNamespace(study_instance_uid="1.2", series_instance_uid="1.2.3"),
)


@pytest.fixture
def make(monkeypatch):
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
        told = Corroborator(SimpleNamespace(), lambda *one: said.append(one), **options)
        return told, asked, said

    return make


def ask(corroborator, aet="CT1") -> None:
    corroborator.ask(KNOWN, LAST, aet)
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
