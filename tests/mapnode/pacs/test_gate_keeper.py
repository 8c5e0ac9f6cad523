"""GateKeeper: the gate is as the node wants it, and Orthanc is asked seldom."""

import pytest

from mapnode.pacs import gate as module
from mapnode.pacs.errors import OrthancUnreachable
from mapnode.pacs.gate import GateKeeper, GateState


class Plugin:
    """A gate that counts what it is asked."""

    def __init__(self):
        self.by_node, self.reason, self.calls, self.is_gone = False, "", 0, False

    def state(self):
        self.calls += 1
        if self.is_gone:
            raise OrthancUnreachable("http://127.0.0.1:1", "gone")
        return GateState(closed=self.by_node, by_node=self.by_node, by_disk=False, reason=self.reason, free_bytes=1)

    def close(self, reason):
        self.by_node, self.reason = True, reason
        return self.state()

    def open(self):
        self.by_node, self.reason = False, ""
        return self.state()


@pytest.fixture
def plugin():
    return Plugin()


@pytest.fixture
def keeper(plugin):
    return GateKeeper(plugin)


def test_it_closes_and_opens_as_is_wanted(keeper, plugin):
    keeper.keep("drained")
    assert (plugin.by_node, plugin.reason) == (True, "drained")
    keeper.keep(None)
    assert not plugin.by_node


def test_a_node_that_starts_opens_what_its_predecessor_left_closed(keeper, plugin):
    plugin.by_node = True
    keeper.keep(None)
    assert not plugin.by_node


@pytest.mark.parametrize("reason", [None, "drained"])
def test_as_long_as_nothing_changes_orthanc_is_not_asked(keeper, plugin, reason):
    keeper.keep(reason)
    asked = plugin.calls
    for _ in range(100):
        keeper.keep(reason)
    assert plugin.calls == asked


def test_an_orthanc_that_started_anew_is_closed_again(keeper, plugin):
    keeper.keep("drained")
    plugin.by_node = False
    keeper.keep("drained")
    assert not plugin.by_node
    keeper.doubt()
    keeper.keep("drained")
    assert plugin.by_node


def test_one_of_whose_start_nobody_told_is_closed_after_a_while(keeper, plugin, monkeypatch):
    keeper.keep("drained")
    plugin.by_node = False
    monkeypatch.setattr(module.time, "monotonic", lambda: keeper._next_s)
    keeper.keep("drained")
    assert plugin.by_node


def test_an_orthanc_that_does_not_answer_is_asked_with_the_next_turn(keeper, plugin):
    plugin.is_gone = True
    keeper.keep("drained")
    assert not plugin.by_node
    plugin.is_gone = False
    keeper.keep("drained")
    assert plugin.by_node
