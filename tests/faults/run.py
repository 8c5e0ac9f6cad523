"""Run: studies are sent while processes are killed; at the end everything must add up."""

from __future__ import annotations

import argparse
import queue
import random
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from pydicom import dcmread

from mapnode.phantom import TrunkPhantomParameters, build_trunk_phantom, write_ct_series
from mapnode.records.job_states import ACTIVE
from tests.faults.account import Account, take_account
from tests.faults.ground import Ground
from tests.faults.schedule import make_schedule

SENDERS = 3
SLICES = 12
LONGEST_S = 1800.0


def run(folder: Path, *, seed: int, kills: int, studies: int, postgres: bool) -> Account:
    """Send the studies and deliver the kills.

    Args:
        folder: Where everything lies.
        seed: Of the schedule.
        kills: Number of kills.
        studies: Number of studies.
        postgres: The database is PostgreSQL and a victim, too.

    Returns:
        The account.
    """
    print(f"seed {seed}, {kills} kills, {studies} studies, {'PostgreSQL' if postgres else 'SQLite'}", flush=True)
    sent = _make_studies(folder / "studies", studies, seed)
    ground = Ground(folder / "node", postgres=postgres)
    ground.start()
    try:
        senders = _start_senders(ground, sent)
        _deliver(ground, seed, kills)
        for sender in senders:
            sender.join(timeout=LONGEST_S)
            assert not sender.is_alive(), "studies could not be sent"
        jobs = _wait_for_jobs(ground, len(sent))
        with ground.node.client() as client:
            return take_account({study: len(files) for study, files in sent.items()}, jobs, client)
    finally:
        ground.stop()
        print(f"kills delivered: {dict(Counter(ground.delivered))}", flush=True)


def _make_studies(folder: Path, count: int, seed: int) -> dict[str, list[Path]]:
    """Studies that differ in their UIDs, by Study Instance UID."""
    phantom = build_trunk_phantom(TrunkPhantomParameters(slices=SLICES, spacing_mm=(5.0, 3.0, 3.0)))
    made = {}
    for number in range(count):
        name = f"faults {seed} {number}"
        target = folder / str(number)
        files = write_ct_series(
            phantom.hu, phantom.affine_lps, target, description="axial", uid_seed=name, patient_id=f"F{number}"
        )
        made[str(dcmread(files[0], stop_before_pixels=True).StudyInstanceUID)] = files
    return made


def _start_senders(ground: Ground, sent: Mapping[str, list[Path]]) -> list[threading.Thread]:
    """Threads that send study after study; what was not acknowledged is sent again, as scanners do."""
    waiting: queue.SimpleQueue[list[Path]] = queue.SimpleQueue()
    for files in sent.values():
        waiting.put(files)

    def send() -> None:
        while True:
            try:
                files = waiting.get_nowait()
            except queue.Empty:
                return
            while ground.node.send(files) != 0:
                time.sleep(0.5)

    senders = [threading.Thread(target=send, daemon=True) for _ in range(SENDERS)]
    for sender in senders:
        sender.start()
    return senders


def _deliver(ground: Ground, seed: int, kills: int) -> None:
    """Kill by the schedule; who is not there when his turn comes is waited for."""
    for number, kill in enumerate(make_schedule(seed, kills, ground.victims), start=1):
        time.sleep(kill.pause_s)
        deadline = time.monotonic() + 60
        while not (killed := ground.kill(kill.victim)) and time.monotonic() < deadline:
            time.sleep(0.1)
        print(f"kill {number} of {kills}: {kill.victim if killed else f'no {kill.victim} to kill'}", flush=True)


def _wait_for_jobs(ground: Ground, studies: int) -> list[dict[str, object]]:
    """The jobs once every study has one and none is under way; the last ones that were seen if that takes too long."""
    deadline = time.monotonic() + LONGEST_S
    while True:
        jobs = ground.node.jobs()
        has_job = {job["study_instance_uid"] for job in jobs}
        under_way = [job for job in jobs if job["state"] in ACTIVE]
        if (len(has_job) >= studies and not under_way) or time.monotonic() > deadline:
            return jobs
        time.sleep(1.0)


def main() -> int:
    """Command line of a run; 1 where it does not add up."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--studies", type=int, default=30)
    parser.add_argument("--sqlite", action="store_true", help="SQLite instead of PostgreSQL")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mapnode-faults-") as folder:
        account = run(
            Path(folder),
            seed=options.seed,
            kills=options.kills,
            studies=options.studies,
            postgres=not options.sqlite,
        )
    for problem in account.problems:
        print(problem)
    print(
        f"seed {options.seed}: sent {account.sent}, done {account.done}, refused {account.refused}, "
        f"problems {len(account.problems)}"
    )
    return int(bool(account.problems) or account.done + account.refused != account.sent)
