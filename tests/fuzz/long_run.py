"""Long run: many cases, each in a worker that may die, hang or eat memory."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import random
import resource
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from pathlib import Path

from operators.core.header import keep_values_out_of_warnings
from tests.fuzz.case import MOST_BYTES, STUCK_S, Outcome, fast_folder, make_case, run_case

PATIENCE_S = STUCK_S + 5
"""A worker that says nothing for so long hangs where no signal reaches it."""
MOST_ADDRESSES = 16 * MOST_BYTES
"""So that a case that asks for more harms nobody else on the machine."""
EXAMPLES = 3


@dataclass
class Worker:
    """A process with its number of the case that it is at."""

    process: multiprocessing.process.BaseProcess
    pipe: Connection
    number: int
    since: float


@dataclass
class Summary:
    """What came out so far."""

    seed: int
    started: float = field(default_factory=time.monotonic)
    cases: int = 0
    files: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    defects: dict[str, list[int]] = field(default_factory=dict)
    slowest: tuple[float, int] = (0.0, 0)
    touched: int = 0
    reserved: int = 0

    def add(self, number: int, mutated: int, outcome: Outcome) -> None:
        """Count one case."""
        self.cases += 1
        self.files += mutated
        self.kinds[outcome.kind] += 1
        self.slowest = max(self.slowest, (outcome.seconds, number))
        self.touched, self.reserved = max(self.touched, outcome.touched), max(self.reserved, outcome.reserved)
        for problem in set(outcome.problems):
            self.defects.setdefault(problem, []).append(number)

    def lines(self) -> list[str]:
        """The summary for people."""
        seconds = time.monotonic() - self.started
        found = sum(map(len, self.defects.values()))
        return [
            f"seed {self.seed}: {self.cases} cases, {self.files} mutated files in {seconds:.0f} s, {found} defects",
            *(f"  {count:7d}  {kind}" for kind, count in self.kinds.most_common()),
            f"slowest: {self.slowest[0]:.2f} s (case {self.slowest[1]})",
            f"memory beyond the interpreter: {self.touched >> 20} MiB touched, {self.reserved >> 20} MiB reserved",
            *(
                f"DEFECT {len(numbers)} times, cases {numbers[:EXAMPLES]}: {problem}"
                for problem, numbers in sorted(self.defects.items(), key=lambda d: -len(d[1]))
            ),
        ]


def work(pipe: Connection, seed: int, first: int, step: int) -> None:
    """Run every `step`th case, and say what came out, until the pipe ends."""
    keep_values_out_of_warnings()
    resource.setrlimit(resource.RLIMIT_AS, (MOST_ADDRESSES, MOST_ADDRESSES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory(prefix="mapnode_fuzz_", dir=fast_folder()) as folder:
        number = first
        while True:
            case = make_case(seed, number)
            pipe.send((number, case.mutated, run_case(case, Path(folder))))
            number += step


def start(seed: int, first: int, step: int) -> Worker:
    """A new worker at a case."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    # A process of its own, not a fork: its memory is measured from the interpreter on.
    process = multiprocessing.get_context("spawn").Process(target=work, args=(theirs, seed, first, step), daemon=True)
    process.start()
    theirs.close()
    return Worker(process, ours, first, time.monotonic() + PATIENCE_S)


def fuzz(seed: int, files: int, seconds: float, first: int = 0) -> Summary:
    """Run cases until enough files were mutated or the time is over."""
    step = len(os.sched_getaffinity(0))
    workers = [start(seed, first + offset, step) for offset in range(step)]
    summary, shown = Summary(seed), time.monotonic()
    while summary.files < files and time.monotonic() - summary.started < seconds:
        wait([worker.pipe for worker in workers], timeout=1)
        workers = [advance(worker, seed, step, summary) for worker in workers]
        if time.monotonic() - shown > 10:
            shown = time.monotonic()
            say(summary.lines()[0])
    for worker in workers:
        worker.process.kill()
    return summary


def advance(worker: Worker, seed: int, step: int, summary: Summary) -> Worker:
    """Take what a worker has to say; replace it where it died, hangs, or keeps too much memory."""
    try:
        while worker.pipe.poll():
            number, mutated, outcome = worker.pipe.recv()
            summary.add(number, mutated, outcome)
            worker.number, worker.since = number + step, time.monotonic()
            if outcome.reserved > MOST_BYTES:
                # What is reserved at most is never forgotten: a later case would hide behind it.
                return replaced(worker, seed, step, worker.number)
    except EOFError:
        worker.process.join()
        died = Outcome("process died", [f"the process died with {worker.process.exitcode}"])
        summary.add(worker.number, 1, died)
        return replaced(worker, seed, step, worker.number + step)
    if time.monotonic() - worker.since > PATIENCE_S:
        summary.add(worker.number, 1, Outcome("hang", ["it hangs where no signal reaches it"], PATIENCE_S))
        return replaced(worker, seed, step, worker.number + step)
    return worker


def replaced(worker: Worker, seed: int, step: int, number: int) -> Worker:
    """Another worker instead of one."""
    worker.process.kill()
    worker.pipe.close()
    return start(seed, number, step)


def keep(seed: int, number: int, folder: Path) -> None:
    """Write the files of one case, run it, and say what comes out."""
    keep_values_out_of_warnings()
    folder.mkdir(parents=True, exist_ok=True)
    case = make_case(seed, number)
    outcome = run_case(case, folder)
    say(f"{case.name}: {outcome.kind}", *outcome.problems)


def say(*lines: str) -> None:
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Read the options, run, say what was found; 1 where there are defects."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=main.__doc__)
    parser.add_argument("--files", type=int, default=100_000, help="mutated files")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    parser.add_argument("--seed", type=int, help="of all cases; printed, so that a run can be made again")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--case", type=int, help="only this case; its files go to --keep")
    parser.add_argument("--keep", type=Path, help="a folder for the files of --case; files in it are removed")
    options = parser.parse_args()
    seed = random.SystemRandom().randrange(2**32) if options.seed is None else options.seed
    if options.case is not None and options.keep is not None:
        keep(seed, options.case, options.keep)
        return 0
    say(f"seed {seed}")
    summary = fuzz(seed, options.files, options.seconds, options.first)
    say(*summary.lines())
    return int(bool(summary.defects))
