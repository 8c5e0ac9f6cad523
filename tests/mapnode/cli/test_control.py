"""pause, drain, resume, rerun: what they change in the records, and what they say."""

import json

import pytest
import typer
from sqlalchemy.exc import OperationalError
from typer.testing import CliRunner

from mapnode.cli import control
from mapnode.database import place_of
from mapnode.errors import NodeError, WrongUse
from mapnode.jobs import ledger as module
from mapnode.records import Records
from mapnode.records.requests import RequestKind
from tests.mapnode.engine import APP

app = typer.Typer()
for command in (control.pause, control.drain, control.resume, control.rerun):
    app.command()(command)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "mapnode.yaml"
    path.write_text("var: var\n")
    return path


@pytest.fixture
def records(tmp_path, config):
    (tmp_path / "var").mkdir()
    records = Records(place_of(tmp_path / "var", None).records)
    yield records
    records.close()


def mapnode(config, *arguments):
    return CliRunner().invoke(app, [*arguments, "--config", str(config)])


def test_pause_keeps_jobs_from_starting_and_says_why(config, records):
    done = mapnode(config, "pause", "--reason", "maintenance", "--json")

    assert json.loads(done.stdout) == {"off": {"jobs": "maintenance"}}
    assert records.switches.all() == {"jobs": "maintenance"}


def test_the_kill_switch_of_an_app_is_its_own(config, records):
    mapnode(config, "pause", "--app", APP, "--reason", "wrong numbers")
    mapnode(config, "pause")
    mapnode(config, "resume")
    before = records.switches.all()
    done = mapnode(config, "resume", "--app", APP)

    assert before == {f"app:{APP}": "wrong numbers"}
    assert (records.switches.all(), done.stdout) == ({}, "everything is on\n")


def test_an_image_that_may_run_has_a_kill_switch_too(config, records):
    config.write_text(f"var: var\nimages: {{'ct:1': {{digest: 'sha256:{'a' * 64}'}}}}\n")
    mapnode(config, "pause", "--app", "ct:1", "--reason", "wrong numbers")

    assert records.switches.all() == {"app:ct:1": "wrong numbers"}


def test_a_kill_switch_of_an_app_that_there_is_not_is_wrong_use(config, records):
    assert isinstance(mapnode(config, "pause", "--app", "nothing").exception, WrongUse)
    assert records.switches.all() == {}


def test_drain_keeps_studies_from_coming_in_until_resume(config, records):
    done = mapnode(config, "drain")
    before = records.switches.all()
    mapnode(config, "resume")

    assert done.stdout == "off: intake  drained on demand\n"
    assert (set(before), records.switches.all()) == ({"intake"}, {})


def test_rerun_waits_in_the_records_where_no_node_runs(config, records, monkeypatch):
    monkeypatch.setattr(module, "ANSWER_S", 0.0)

    done = mapnode(config, "rerun", "1.2.3", "1.2.4")

    (request,) = records.requests.all()
    assert (request.kind, request.argument) == (RequestKind.RERUN, {"uids": ["1.2.3", "1.2.4"]})
    assert "when it is started the next time" in str(done.exception)


def test_rerun_says_where_to_look_when_the_node_took_it(config, records, monkeypatch):
    monkeypatch.setattr(module.Ledger, "rerun", lambda *_: None)

    assert "mapnode jobs list" in mapnode(config, "rerun", "1.2.3").stdout


def test_a_database_that_goes_away_meanwhile_is_one_line(config, records, monkeypatch):
    def gone(*_):
        raise OperationalError("SELECT", {}, Exception("server closed the connection unexpectedly"))

    monkeypatch.setattr(module.Ledger, "rerun", gone)

    error = mapnode(config, "rerun", "1.2.3").exception

    assert isinstance(error, NodeError)
    assert str(error).endswith("cannot be read: server closed the connection unexpectedly")
