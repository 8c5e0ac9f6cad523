"""Full disk: the node's folder on a small disk of its own, on which for a while nothing is left, not a byte."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.faults.account import Account, wait_for_account
from tests.faults.sending import NO_ANSWER, Senders
from tests.faults.studies import draw_kinds, make_studies
from tests.node_under_test import NodeUnderTest, wait_for

DISK_MB = 80
MIN_FREE_MB = 4.0
OUT_OF_RESOURCES = 0xA700
"""What a sender is refused with (PS3.4 B.2.3): it keeps its study."""


def may_mount() -> bool:
    """Whether this process may have a disk of its own."""
    return os.geteuid() == 0 and subprocess.run(["unshare", "--mount", "true"], check=False).returncode == 0


def run(folder: Path, *, seed: int, studies: int, full_s: float) -> Account:
    """Fill the disk while studies arrive, are computed and go out; then give the room back, and nothing else.

    Args:
        folder: Where everything lies.
        seed: Of the studies.
        studies: Their number.
        full_s: How long nothing is left, twice: from when a job runs, and from when one is published.

    Returns:
        The account; another refusal than 0xA700 is a problem, too.
    """
    made = make_studies(folder / "studies", seed, draw_kinds(seed, studies))
    node = NodeUnderTest(folder / "node", publish_quiet_s=3.0, min_free_mb=MIN_FREE_MB)
    with _small_disk(node.var):
        node.start()
        half = studies // 2
        early, late = Senders(node, made[:half]), Senders(node, made[half:])
        try:
            node.wait_until_warm()
            early.start()
            _wait_for_state(node, "running")
            late.start()
            _fill(node.var / "filler", full_s)
            _wait_for_state(node, "publishing")
            _fill(node.var / "filler", full_s)
            early.join()
            late.join()
            account = wait_for_account(node, made)
        finally:
            node.stop()
    refusals = early.statuses | late.statuses
    print(f"the disk was full for {full_s:g} s, twice: refused with {sorted(map(hex, refusals))}", flush=True)
    if impolite := refusals - {OUT_OF_RESOURCES, NO_ANSWER}:
        account.problems.append(f"senders were refused with {sorted(map(hex, impolite))}")
    return account


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def _wait_for_state(node: NodeUnderTest, state: str) -> None:
    wait_for(lambda: any(job["state"] == state for job in node.jobs()), 120, f"a job {state}")


def _fill(file: Path, full_s: float) -> None:
    """Take every byte there is, and every one that is given back, for a while."""
    deadline = time.monotonic() + full_s
    with file.open("wb", buffering=0) as filler:
        while time.monotonic() < deadline:
            for size in (1 << 20, 1 << 12):
                with contextlib.suppress(OSError):
                    while filler.write(bytes(size)) == size:
                        pass
            time.sleep(0.02)
    file.unlink()
