"""Run: studies are sent while processes are killed; at the end everything must add up."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path

from tests.faults.account import Account, wait_for_account
from tests.faults.ground import Ground
from tests.faults.schedule import make_schedule
from tests.faults.sending import Senders
from tests.faults.studies import draw_kinds, make_studies


def run(folder: Path, *, seed: int, kills: int, studies: int, postgres: bool) -> Account:
    """Send the studies and deliver the kills.

    Args:
        folder: Where everything lies.
        seed: Of the schedule, and of the kinds of studies.
        kills: Number of kills.
        studies: Number of studies.
        postgres: The database is PostgreSQL and a victim, too.

    Returns:
        The account.
    """
    kinds = draw_kinds(seed, studies)
    drawn = ", ".join(f"{count} {kind}" for kind, count in sorted(Counter(kinds).items()))
    print(f"seed {seed}, {kills} kills, {'PostgreSQL' if postgres else 'SQLite'}, studies: {drawn}", flush=True)
    made = make_studies(folder / "studies", seed, kinds)
    ground = Ground(folder / "node", postgres=postgres)
    ground.start()
    try:
        senders = Senders(ground.node, made)
        senders.start()
        _deliver(ground, seed, kills)
        senders.join()
        return wait_for_account(ground.node, made)
    finally:
        ground.stop()
        print(f"kills delivered: {dict(Counter(ground.delivered))}", flush=True)


def _deliver(ground: Ground, seed: int, kills: int) -> None:
    """Kill by the schedule; who is not there when his turn comes is waited for."""
    for number, kill in enumerate(make_schedule(seed, kills, ground.victims), start=1):
        time.sleep(kill.pause_s)
        deadline = time.monotonic() + 60
        while not (killed := ground.kill(kill.victim)) and time.monotonic() < deadline:
            time.sleep(0.1)
        print(f"kill {number} of {kills}: {kill.victim if killed else f'no {kill.victim} to kill'}", flush=True)
