"""Sweep: what nobody looks after any more goes, what a run looks after stays. The engine is a fake one."""

from types import SimpleNamespace

import pytest

from mapnode.containers.engine import ContainerState
from mapnode.containers.errors import EngineUnreachable
from mapnode.containers.runner import Containers
from operators.core.contract import Job
from tests.mapnode.containers.test_confinement import image


class FakeEngine:
    """Keeps containers by identifier; `down` says that it does not answer, `on_state` what happens while one runs."""

    def __init__(self):
        self.labels = {}
        self.down = False
        self.on_state = lambda: None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def _ask(self):
        if self.down:
            raise EngineUnreachable("no container engine answers")

    def labelled(self, labels, *, older_than_s=0.0):
        self._ask()
        return {name: held for name, held in self.labels.items() if labels.items() <= held.items()}

    def create(self, name, config, host):
        self._ask()
        self.labels[name] = config["labels"]
        return name

    def start(self, container):
        self._ask()
        return iter(())

    def state(self, container):
        self.on_state()
        self._ask()
        return ContainerState(is_running=False, exit_code=0, out_of_memory=False)

    def remove(self, container):
        self._ask()
        self.labels.pop(container, None)


@pytest.fixture
def engine():
    return FakeEngine()


@pytest.fixture
def containers(engine, tmp_path, monkeypatch):
    monkeypatch.setattr(Containers, "engine", lambda _: engine)
    return Containers(SimpleNamespace(is_empty=False), tmp_path / "var", "node-1", 0)


def run(containers, tmp_path):
    for name in ("study", "output", "job", "var"):
        (tmp_path / name).mkdir()
    runner = containers.of(image(), "a" * 32, tmp_path / "job")
    return runner.run(tmp_path / "study", tmp_path / "output", Job(), timeout_s=30.0)


def test_a_container_that_its_run_had_to_leave_goes_with_the_next_sweep(containers, engine, tmp_path):
    def fall_silent():
        engine.down = True

    engine.on_state = fall_silent
    with pytest.raises(EngineUnreachable):
        run(containers, tmp_path)
    engine.down = False
    left = len(engine.labels)

    assert (left, containers.sweep(lambda: {"node-1"}), engine.labels) == (1, 1, {})


def test_a_container_that_a_run_looks_after_stays(containers, engine, tmp_path):
    swept = []
    engine.on_state = lambda: swept.append((containers.sweep(lambda: {"node-1"}), len(engine.labels)))
    run(containers, tmp_path)

    assert swept == [(0, 1)]
    assert engine.labels == {}


def test_a_container_of_another_process_that_lives_stays(containers, engine, tmp_path):
    engine.labels["other"] = containers.labels(**{"mapnode.process": "worker-1", "mapnode.job": "b" * 32})

    assert containers.sweep(lambda: {"node-1", "worker-1"}) == 0
    assert list(engine.labels) == ["other"]
