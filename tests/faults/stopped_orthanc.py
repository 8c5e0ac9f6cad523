"""Stopped Orthanc: it hangs, ports open, while a study arrives, a job computes, and results go out."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

from tests.faults.account import Account, wait_for_account
from tests.faults.sending import Senders, send_in_turns
from tests.faults.studies import Kind, make_studies
from tests.node_under_test import NodeUnderTest, wait_for

QUIET_S = 6.0
"""Long enough for the first job to go out while the second one computes."""
MOST_LINES = 20
"""That the node may log while Orthanc hangs."""
MOST_CPU = 0.25
"""Of a core, that the node may take while it waits."""


def run(folder: Path, *, seed: int, stop_s: float) -> Account:
    """Stop Orthanc while three studies are under way: one before its decision, one computing, one on its way out.

    Args:
        folder: Where everything lies.
        seed: Of the studies.
        stop_s: How long it hangs.

    Returns:
        The account; that the node was noisy or busy meanwhile is a problem, too.
    """
    arriving, computing, leaving = make_studies(folder / "studies", seed, [Kind.PLAIN] * 3, slices=24)
    node = NodeUnderTest(folder / "node", publish_quiet_s=QUIET_S)
    node.start()
    senders = Senders(node, [arriving])
    try:
        node.wait_until_warm()
        assert send_in_turns(node.dicom_port, [leaving.first]) == 0
        wait_for(lambda: _states(node) == ["waiting"], 60, "the first job to be computed")
        assert send_in_turns(node.dicom_port, [computing.first]) == 0
        assert send_in_turns(node.dicom_port, [arriving.first[:12]]) == 0
        wait_for(lambda: "publishing" in _states(node), 30, "the first job to go out")
        noise = _hang(node, stop_s, senders)
        account = wait_for_account(node, [arriving, computing, leaving])
        account.problems += noise
        return account
    finally:
        node.stop()


def _hang(node: NodeUnderTest, stop_s: float, senders: Senders) -> list[str]:
    """Stop Orthanc for a while, with somebody who sends meanwhile; how noisy and busy the node was."""
    assert node.process is not None
    pid = node.orthanc_pid()
    print(f"Orthanc hangs; jobs are {_states(node)}", flush=True)
    lines, cpu_s = node.log.count("\n"), _cpu_s(node.process.pid)
    # Whatever fails in between: an Orthanc that stays stopped would outlive the test.
    going_on = threading.Timer(stop_s, os.kill, (pid, signal.SIGCONT))
    os.kill(pid, signal.SIGSTOP)
    going_on.start()
    senders.start()
    time.sleep(stop_s)
    lines, cpu_s = node.log.count("\n") - lines, _cpu_s(node.process.pid) - cpu_s
    print(f"Orthanc hung for {stop_s:g} s: {lines} lines in the log, {cpu_s:.1f} s of the processor", flush=True)
    senders.join()
    noise = []
    if lines > MOST_LINES:
        noise.append(f"the node logged {lines} lines while Orthanc hung")
    if cpu_s > MOST_CPU * stop_s:
        noise.append(f"the node took {cpu_s:.1f} s of the processor while Orthanc hung")
    return noise


def _states(node: NodeUnderTest) -> list[str]:
    return [job["state"] for job in node.jobs()]


def _cpu_s(pid: int) -> float:
    """Time of the processor that a process took, its threads together."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
