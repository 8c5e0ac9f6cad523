"""Running: a drawn scan through the whole of an app, in this process."""

from __future__ import annotations

import itertools
import tempfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from mapnode.share import shared_folder
from operators.core.contract import Job, ObjectKind, Status
from operators.core.manifest import read_manifest
from operators.runtime.application import RunContext, run
from operators.runtime.worker import load_application
from tests.qc import scans
from tests.qc.cases import UNFIT, UNFIT_LEGS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from numpy.random import Generator

    from tests.qc.cases import Case
    from tests.qc.scans import Scan

    Hear = Callable[[str], None]


@dataclass(frozen=True)
class Subject:
    """An app under test.

    Attributes:
        app: Its name.
        draw: Draws a scan that fits, by the number of the draw; every so many of them may be real.
        unfit: Kinds of scans that do not fit.
    """

    app: str
    draw: Callable[[Generator, int, int], Scan]
    unfit: Mapping[str, Case]

    @property
    def folder(self) -> Path:
        """Where it lies."""
        return shared_folder("apps") / self.app


TRUNK = Subject("ct_body_composition", scans.draw_trunk, UNFIT)
LEGS = Subject("ct_leg_tissue", scans.draw_legs, UNFIT_LEGS)
SUBJECTS = {subject.app: subject for subject in (TRUNK, LEGS)}


@dataclass(frozen=True)
class End:
    """How a run ended.

    Attributes:
        kind: Kind of scan.
        source: What it was made of.
        verdict: Verdict of the quality, or status of a run that did not end as done.
        codes: What was found.
    """

    kind: str
    source: str
    verdict: str
    codes: tuple[str, ...]

    @property
    def stopped(self) -> bool:
        """Whether a reader is warned or gets no numbers; a run that failed is a defect and counts as neither."""
        return self.verdict in {"caution", "hold", Status.REFUSED, Status.NOT_APPLICABLE}

    @property
    def line(self) -> str:
        """The run as a row."""
        return f"| {self.kind} | {self.source} | {self.verdict} | {', '.join(self.codes)} |"


def run_scan(subject: Subject, scan: Scan, kind: str) -> End:
    """Write a scan and run the app on it."""
    manifest = read_manifest(subject.folder / "app.yaml")
    with tempfile.TemporaryDirectory() as name:
        source, target = Path(name, "in"), Path(name, "out")
        target.mkdir()
        scan.write(source)
        context = RunContext(source, target, None, manifest, Job(objects={ObjectKind.KEY_IMAGE: False}))
        result = run(load_application(subject.folder / "app.py"), context)
    if result.quality is None:
        codes = tuple(dict.fromkeys(reason.code for reason in result.reasons))
        return End(kind, scan.source, result.status, codes)
    held = result.quality.verdict == "hold"
    assert not (held and (result.measurements or result.derived or result.key_slices or result.slices))
    return End(kind, scan.source, result.quality.verdict, tuple(finding.code for finding in result.quality.findings))


def run_unfit(subject: Subject, draws: int, seed: int, hear: Hear, kinds: Iterable[str] | None = None) -> list[End]:
    """Every unfit kind, drawn so many times, every second time from the real patient where there is one."""
    ends = []
    for kind, draw in itertools.product(kinds or subject.unfit, range(draws)):
        rng = np.random.default_rng([seed, draw, zlib.crc32(kind.encode())])
        ends.append(run_scan(subject, subject.unfit[kind](rng, subject.draw(rng, draw, 2)), kind))
        hear(ends[-1].line)
    return ends


def run_fit(subject: Subject, count: int, seed: int, hear: Hear) -> list[End]:
    """Scans within the manifest's limits, stored in any order of axes and slices, a quarter of them real."""
    ends = []
    for draw in range(count):
        rng = np.random.default_rng([seed, draw])
        scan = scans.turned(subject.draw(rng, draw, 4), rng)
        ends.append(run_scan(subject, scan, "fit"))
        hear(ends[-1].line)
    return ends
