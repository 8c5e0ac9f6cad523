"""python -m tests.faults [SCENE...]: the long runs; all where none is named. 1 where something does not add up."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path

from tests.faults import clock_set_back, full_disk, run, stopped_orthanc
from tests.faults.account import Account

FULL_S = 90.0
STOP_S = 60.0


def main() -> int:
    """Play the scenes with one seed."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help="kills, stopped_orthanc, full_disk, clock_set_back")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--studies", type=int, default=30)
    parser.add_argument("--sqlite", action="store_true", help="SQLite instead of PostgreSQL")
    options = parser.parse_args()
    scenes = _scenes(options)
    if unknown := set(options.scenes) - scenes.keys():
        parser.error(f"there is no scene {', '.join(sorted(unknown))}")
    failed = [name for name in options.scenes or scenes if _play(name, scenes[name], options.seed)]
    return int(bool(failed))


def _scenes(options: argparse.Namespace) -> Mapping[str, Callable[[Path], Account]]:
    """The scenes by name; each takes a folder of its own."""
    seed = options.seed
    return {
        "kills": lambda folder: run.run(
            folder, seed=seed, kills=options.kills, studies=options.studies, postgres=not options.sqlite
        ),
        "stopped_orthanc": lambda folder: stopped_orthanc.run(folder, seed=seed, stop_s=STOP_S),
        "full_disk": lambda folder: full_disk.run(folder, seed=seed, studies=12, full_s=FULL_S),
        "clock_set_back": lambda folder: clock_set_back.run(folder, seed=seed, studies=12),
    }


def _play(name: str, scene: Callable[[Path], Account], seed: int) -> bool:
    """Play one; whether something does not add up."""
    if name == "full_disk" and not full_disk.may_mount():
        print(f"{name}: skipped, only root may mount a small disk")
        return False
    with tempfile.TemporaryDirectory(prefix="mapnode-faults-") as folder:
        account = scene(Path(folder))
    for problem in account.problems:
        print(problem)
    print(
        f"{name}, seed {seed}: sent {account.sent}, done {account.done}, refused {account.refused}, "
        f"problems {len(account.problems)}",
        flush=True,
    )
    return bool(account.problems) or account.done + account.refused != account.sent


if __name__ == "__main__":
    sys.exit(main())
