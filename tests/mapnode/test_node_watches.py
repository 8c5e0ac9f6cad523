"""The node's main thread outlives what goes wrong around it."""

import logging

import pytest
from sqlalchemy.exc import TimeoutError as PoolIsEmpty

from mapnode.node import Node
from mapnode.settings import Settings


@pytest.fixture
def node(tmp_path):
    (tmp_path / "rules.yaml").write_text("rules: []\n")
    return Node(Settings(var=tmp_path / "var", rules=tmp_path / "rules.yaml"))


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), PoolIsEmpty("QueuePool limit")])
def test_a_watch_that_fails_ends_neither_the_node_nor_the_other_watches(node, monkeypatch, caplog, error):
    seen = []

    def fail():
        raise error

    monkeypatch.setattr(node, "_watch_orthanc", fail)
    for name in ("_watch_change_log", "_watch_gate", "_watch_replacements", "_sweep_containers"):
        monkeypatch.setattr(node, name, lambda name=name: seen.append(name))
    with caplog.at_level(logging.CRITICAL, logger="mapnode"):
        node.watch()

    assert seen == ["_watch_change_log", "_watch_gate", "_watch_replacements", "_sweep_containers"]
