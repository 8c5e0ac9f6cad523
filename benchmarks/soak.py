"""Soak: a real node under steady load: does anything grow that must not, and is any study lost.

    python -m benchmarks.soak --minutes 20

Every six seconds a CT of 20 slices comes, with UIDs of its own. Now and then one comes again, a last slice comes late,
somebody lists the jobs; the oldest studies are deleted over REST, as an archive's retention does. Every ten seconds
everything that could grow is looked at (soak_samples); soak_judge says what may.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import httpx
import numpy as np
from pydicom import dcmread

from benchmarks.soak_judge import after_warm_up, restarts, trends
from benchmarks.soak_samples import sample
from mapnode.pacs.orthanc_configuration import load_credentials
from mapnode.phantom import write_ct_series
from mapnode.records import JobState, Records
from mapnode.records.job_states import ACTIVE
from tests.node_under_test import NodeUnderTest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from mapnode.records.jobs import JobRecord

OUT = Path("build/soak")
EVERY_S, SAMPLE_S, REPORT_S, DRAIN_S = 6.0, 10.0, 60.0, 180.0
SLICES, SIZE = 20, 256
KEPT_STUDIES = 12
RESENT, LATE, LISTED = 5, 7, 10
"""Each so manieth study is sent twice; has a slice that comes with the next one; is followed by `mapnode jobs list`."""
KEEP_DAYS = 90.0 / 86_400
"""Files of ended jobs are kept for 90 s, so that retention works within the run."""
RULES = {
    "rules": [{"name": "soak", "app": "threshold", "when": [{"attribute": "Modality", "equals": "CT"}]}],
}
REFUSED = frozenset({JobState.REFUSED, JobState.NOT_APPLICABLE})


@dataclass
class Study:
    """One that was sent.

    Attributes:
        series_instance_uid: Its only series.
        study_instance_uid: Itself.
        sent_at: When its last slice had gone, seconds since the epoch.
        files: Its slices, as long as they may go out again.
        accepted: Whether every C-STORE was answered with Success.
        fate: What became of it, once it was deleted.
    """

    series_instance_uid: str
    study_instance_uid: str
    sent_at: float
    files: list[Path]
    accepted: bool = True
    fate: str = ""


@dataclass
class Soak:
    """A run: what was sent, what was seen."""

    node: NodeUnderTest
    records: Records
    folder: Path
    studies: list[Study] = field(default_factory=list)
    samples: list[dict[str, float]] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)

    def load(self, seconds: float) -> None:
        """Send at a steady pace, until the time is over."""
        begun = time.monotonic()
        late: list[tuple[Study, Path]] = []
        for number in range(int(seconds / EVERY_S)):
            time.sleep(max(0.0, begun + number * EVERY_S - time.monotonic()))
            if time.monotonic() - begun > seconds:
                return
            late = self._send(number, late)
            if number % LISTED == LISTED - 1:
                self.node.command("jobs", "list")
            self._delete_old()

    def _send(self, number: int, late: list[tuple[Study, Path]]) -> list[tuple[Study, Path]]:
        """A new study, and what is due of those before; the slices that come with the next one."""
        study = self._new_study(number)
        kept = [(study, study.files[-1])] if number % LATE == LATE - 1 else []
        self._store(study, study.files[: len(study.files) - len(kept)])
        self.studies.append(study)
        for owner, path in late:
            self._store(owner, [path])
        if number % RESENT == RESENT - 1 and not kept:
            sent_at = study.sent_at
            self._store(study, study.files)
            study.sent_at = sent_at
        return kept

    def _new_study(self, number: int) -> Study:
        hu = np.random.default_rng(number).normal(40, 20, (SLICES, SIZE, SIZE)).round()
        hu[:, 96:160, 96:160] += 400
        affine = np.array([[0, 0, 0.8, 0], [0, 0.8, 0, 0], [2.5, 0, 0, 0], [0, 0, 0, 1.0]])
        name = f"soak-{number:05d}"
        files = write_ct_series(hu, affine, self.folder / name, uid_seed=f"soak {number}", patient_id=name)
        header = dcmread(files[0], stop_before_pixels=True)
        return Study(header.SeriesInstanceUID, header.StudyInstanceUID, time.time(), files)

    def _store(self, study: Study, files: Sequence[Path]) -> None:
        study.accepted = self.node.send(files) == 0 and study.accepted
        study.sent_at = time.time()

    def _delete_old(self) -> None:
        """Delete the oldest study in Orthanc, once its job has ended, and its files here."""
        there = [study for study in self.studies if not study.fate]
        if len(there) <= KEPT_STUDIES:
            return
        jobs = self.jobs_of(there[0])
        if not jobs or any(job.state in ACTIVE for job in jobs):
            return
        there[0].fate = fate_of(jobs)
        credentials = load_credentials(self.node.var / "orthanc")
        url, who = f"http://127.0.0.1:{self.node.http_port}", (credentials.user, credentials.password)
        found = httpx.post(f"{url}/tools/lookup", content=there[0].study_instance_uid, auth=who, timeout=30).json()
        for one in found:
            httpx.delete(f"{url}{one['Path']}", auth=who, timeout=30).raise_for_status()
        for path in there[0].files:
            path.unlink()

    def jobs_of(self, study: Study) -> list[JobRecord]:
        """All jobs on a study's series, the oldest first."""
        jobs = self.records.jobs
        return jobs.of_rule("soak", study.series_instance_uid, frozenset(JobState))

    def watch(self, stop: threading.Event) -> None:
        """Look every ten seconds, say a line a minute."""
        told = time.monotonic()
        while True:
            try:
                self.samples.append(sample(self.node, self.records))
            except Exception as error:  # noqa: BLE001 - a thread of its own; what it could not see is said at the end
                self.trouble.append(f"a sample failed: {type(error).__name__}: {error}")
            if time.monotonic() - told >= REPORT_S and self.samples:
                told = time.monotonic()
                print(self._line(), flush=True)
            if stop.wait(SAMPLE_S):
                return

    def _line(self) -> str:
        last = self.samples[-1]
        queued = ", ".join(f"{n[6:]} {v:.0f}" for n, v in last.items() if n.startswith("queue.") and v) or "empty"
        memory = ", ".join(f"{n[:-7]} {v:.0f}" for n, v in last.items() if n.endswith("rss_mb"))
        minutes = (last["at"] - self.samples[0]["at"]) / 60
        sent, load = len(self.studies), last["load"]
        return f"{minutes:5.1f} min  {sent} studies  load {load:.1f}  RSS MB: {memory}  queue: {queued}"

    def drain(self) -> None:
        """Wait until no job is under way, and every study has one."""
        deadline = time.monotonic() + DRAIN_S
        while time.monotonic() < deadline:
            waiting = [s for s in self.studies if not s.fate and not fate_of(self.jobs_of(s))]
            if not waiting and not self.records.jobs.in_states(ACTIVE):
                return
            time.sleep(0.5)

    def turnarounds_s(self) -> list[float]:
        """Of each study that was published once: from its last C-STORE response to its results in Orthanc."""
        found = []
        for study in self.studies:
            jobs = self.jobs_of(study)
            history = self.records.jobs.history([job.id for job in jobs])
            done = [line.at for lines in history.values() for line in lines if line.event == JobState.DONE]
            found += [done[0] - study.sent_at] if len(done) == 1 else []
        return found

    def fates(self) -> Counter[str]:
        """What became of all studies."""
        return Counter(study.fate or fate_of(self.jobs_of(study)) or "lost" for study in self.studies)


def fate_of(jobs: Sequence[JobRecord]) -> str:
    """What became of a study with these jobs, the oldest first.

    Returns:
        done; refused, where a reason is given; twice, with two results in use; lost, where it ended otherwise; empty
        while nothing of this is so.
    """
    done = [job for job in jobs if job.state is JobState.DONE]
    if not jobs or any(job.state in ACTIVE for job in jobs):
        return ""
    if len(done) > 1:
        return "twice"
    if done:
        return "done"
    return "refused" if jobs[-1].state in REFUSED and jobs[-1].reason else "lost"


def report(soak: Soak) -> int:
    """Print the table; 1 where something grew that must not, or a study was lost."""
    found = trends(soak.samples)
    print(f"\n{'quantity':<24}{'after warm-up':>14}{'end':>12}{'per hour':>12}{'growth':>10}{'allowed':>10}")
    for one in found:
        allowed = "-" if one.allowed is None else f"{one.allowed:.1f}"
        mark = "  GROWS" if one.is_leak else ""
        print(
            f"{one.name:<24}{one.start:>14.2f}{one.end:>12.2f}{one.per_hour:>12.2f}{one.growth:>10.2f}{allowed:>10}{mark}"
        )
    if all(one.allowed is None for one in found):
        print("too short after the warm-up to judge growth: only what became of the studies counts")
    fates, again = soak.fates(), restarts(soak.samples)
    refused_storage = sum(not study.accepted for study in soak.studies)
    print(f"studies: sent {len(soak.studies)} = " + " + ".join(f"{n} {name}" for name, n in sorted(fates.items())))
    print(f"C-STORE failed for {refused_storage}; processes started again: {again}")
    _print_rates(soak)
    for line in soak.trouble:
        print(line)
    bad = fates["lost"] + fates["twice"] + refused_storage + len(soak.trouble) + sum(again.values())
    return int(bool(bad) or any(one.is_leak for one in found))


def _print_rates(soak: Soak) -> None:
    """Turnaround, load of the machine, and what a job costs in the databases."""
    turnarounds = soak.turnarounds_s()
    if turnarounds:
        half = len(turnarounds) // 2
        parts = [statistics.median(part) for part in (turnarounds[: half or None], turnarounds[half:])]
        print(f"turnaround: median {parts[0]:.2f} s in the first half, {parts[1]:.2f} s in the second")
    loads = [one["load"] for one in soak.samples]
    print(f"load of the machine: {min(loads):.1f} to {max(loads):.1f} on {os.cpu_count()} cores")
    judged = after_warm_up(soak.samples)
    minutes = (judged[-1]["at"] - judged[0]["at"]) / 60
    studies = minutes * 60 / EVERY_S
    for name in ("records.sqlite.mb", "jobs.sqlite.mb"):
        if studies:
            grown = (judged[-1][name] - judged[0][name]) * 1e6
            print(f"{name.removesuffix('.mb')}: {grown / studies:.0f} bytes a study")


def save(samples: Sequence[Mapping[str, float]], path: Path) -> None:
    """All samples, a row each."""
    names = sorted({name for one in samples for name in one})
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(samples)


def run(minutes: float, out: Path) -> int:
    """Soak a node of its own.

    Args:
        minutes: How long studies come.
        out: Where samples.csv and node.log go.

    Returns:
        The exit code.
    """
    out.mkdir(parents=True, exist_ok=True)
    os.environ["MAPNODE_APPS"] = str(Path(__file__).parent / "apps")
    with tempfile.TemporaryDirectory(dir=out, prefix="run.") as name:
        folder = Path(name).resolve()
        node = NodeUnderTest(folder / "node", rules=RULES, keep_jobs_days=KEEP_DAYS, keep_quarantine_days=KEEP_DAYS)
        try:
            node.start()
            soak = _soak(node, folder, minutes * 60)
            save(soak.samples, out / "samples.csv")
            code = report(soak)
            soak.records.close()
            code = node.stop() or code
        finally:
            if node.process is not None and node.process.poll() is None:
                node.stop()
            node.end_orthanc()
            with contextlib.suppress(OSError):
                (folder / "node" / "node.log").replace(out / "node.log")
    return code


def _soak(node: NodeUnderTest, folder: Path, seconds: float) -> Soak:
    soak = Soak(node, Records(node.place.records), folder / "sent")
    stop = threading.Event()
    watch = threading.Thread(target=soak.watch, args=(stop,))
    watch.start()
    try:
        soak.load(seconds)
    finally:
        stop.set()
        watch.join()
    soak.drain()
    return soak


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=20.0)
    return run(parser.parse_args().minutes, OUT)


if __name__ == "__main__":
    sys.exit(main())
