"""Case: one mutated series, loaded and judged."""

from __future__ import annotations

import functools
import os
import random
import re
import signal
import tempfile
import time
import traceback
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from operators.core.errors import InputRefused, NotApplicable
from operators.core.findings import FindingCode
from operators.core.geometry import examine
from operators.core.manifest import Criteria
from operators.core.pixels import read_values, read_volume
from operators.core.reading import read_folder
from operators.core.selection import LoadedFolder
from operators.select.select_series import select_series
from tests.fuzz.corpus import NAME, Entry, corpus
from tests.fuzz.judge import NoClaim, Unclear, image_of, judge_series, judge_volume
from tests.fuzz.mutations import EDITS, HARMLESS, cut_at_boundary, edit_file, mutate_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from operators.core.geometry import SeriesGeometry, VolumeGeometry
    from operators.core.reading import Folder
    from operators.core.volume import Volume

LONGEST_S = 10.0
"""Of the process's own time: that others use the machine is no hang."""
STUCK_S = 60.0
"""By the clock: who waits uses no time."""
MOST_BYTES = 2**30
"""Beyond what the interpreter takes."""
MEMORY = re.compile(r"^Vm(HWM|Peak):\s+(\d+) kB", re.MULTILINE)


class Hang(BaseException):
    """A case takes too long; no OSError like TimeoutError, which a parser would take for a broken file."""


@dataclass(frozen=True)
class Case:
    """A series after its mutations.

    Attributes:
        name: Entry and what was done.
        entry: What it was.
        files: What it is, by name.
        mutated: Number of files that differ.
        harmless: Whether the volume has to be the same.
    """

    name: str
    entry: Entry
    files: dict[str, bytes]
    mutated: int
    harmless: bool = False


@dataclass
class Outcome:
    """What became of a case.

    Attributes:
        kind: One of a few.
        problems: Defects: crashes, and volumes that claim what their files do not say.
        seconds: What it took.
        touched: Bytes of memory at most, beyond what there was before.
        reserved: The same of address space.
    """

    kind: str = ""
    problems: list[str] = field(default_factory=list)
    seconds: float = 0.0
    touched: int = 0
    reserved: int = 0


def make_case(seed: int, number: int) -> Case:
    """The case of a number, always the same."""
    rng = random.Random(f"{seed}/{number}")
    entry = rng.choice(corpus())
    names = sorted(entry.files)
    chosen = names if rng.random() < 0.4 else [rng.choice(names)]
    what, seed_of_change = rng.random(), rng.getrandbits(32)
    files = dict(entry.files)
    if what < 0.5:
        name = "bytes"
        # The same seed for all files: the same change in each, so that they go on to agree with each other.
        files |= {n: mutate_bytes(files[n], random.Random(seed_of_change)) for n in chosen}
    elif what < 0.55:
        name = "cut"
        files |= {n: cut_at_boundary(files[n], seed_of_change) for n in chosen}
    else:
        name = "+".join(rng.choices(sorted(EDITS), k=rng.choice((1, 1, 2, 3))))
        files |= {n: edited(files[n], name.split("+"), seed_of_change) for n in chosen}
    mutated = sum(files[n] != entry.files[n] for n in names)
    return Case(f"{entry.name}: {name}", entry, files, mutated, is_harmless(name.split("+")))


def edited(data: bytes, names: list[str], seed: int) -> bytes:
    """A file after several edits."""
    for index, name in enumerate(names):
        data = edit_file(data, name, seed + index)
    return data


def is_harmless(names: list[str]) -> bool:
    """Whether edits leave the volume as it is."""
    return set(names) <= set(HARMLESS)


def run_case(case: Case, folder: Path) -> Outcome:
    """Write the files, load them, judge what came out.

    Args:
        case: The case.
        folder: Empty, or with files of an earlier case.

    Returns:
        The outcome; nothing is raised.
    """
    for path in folder.iterdir():
        path.unlink()
    for name, data in case.files.items():
        (folder / name).write_bytes(data)
    before, started, outcome = _memory(reset=True), time.monotonic(), Outcome()
    loaded: _Loaded | None = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with time_limit():
                loaded = _load(folder)
        except InputRefused as error:
            outcome.kind, outcome.problems = "refused", _leaks([str(error)])
        except Hang:
            outcome.kind, outcome.problems = "hang", [f"it takes more than {LONGEST_S:g} s"]
        except Exception:  # noqa: BLE001 - whatever it is, it is the defect that is looked for
            outcome.kind, outcome.problems = "crash", [crash()]
        outcome.seconds, after = time.monotonic() - started, _memory()
        if loaded is not None:
            outcome.kind, outcome.problems = _kind(loaded), _judge(case, loaded)
    outcome.touched, outcome.reserved = (max(0, a - b) for a, b in zip(after, before, strict=True))
    if max(outcome.touched, outcome.reserved) > MOST_BYTES:
        gibibytes = [round(size / 2**30) for size in (outcome.touched, outcome.reserved)]
        outcome.problems.append(f"it takes {gibibytes[0]} GiB, and reserves {gibibytes[1]} GiB")
    return outcome


@contextmanager
def time_limit() -> Iterator[None]:
    """Raise Hang after LONGEST_S of work, or STUCK_S in all."""

    def stop(_number, _frame):
        raise Hang

    limits = [
        (signal.ITIMER_PROF, signal.SIGPROF, LONGEST_S),
        (signal.ITIMER_REAL, signal.SIGALRM, STUCK_S),
    ]
    handlers = [signal.signal(kind, stop) for _, kind, _ in limits]
    timers = [signal.setitimer(timer, seconds) for timer, _, seconds in limits]
    try:
        yield
    finally:
        # pytest-timeout has a timer of the clock, too.
        for (timer, kind, _), handler, left in zip(limits, handlers, timers, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(kind, handler)
            signal.setitimer(timer, *left)


def _memory(*, reset: bool = False) -> tuple[int, int]:
    """Bytes touched and reserved at most since the last reset; only what is touched can be reset."""
    if reset:
        with Path("/proc/self/clear_refs").open("w") as file:
            file.write("5")
    found = dict(MEMORY.findall(Path("/proc/self/status").read_text()))
    return int(found["HWM"]) * 1024, int(found["Peak"]) * 1024


def crash() -> str:
    """The exception that is handled, and where it was raised."""
    lines = traceback.format_exc().splitlines()
    places = [line.strip() for line in lines if line.lstrip().startswith("File ") and "operators/" in line]
    return f"{lines[-1][:200]} at {places[-1] if places else lines[-3].strip()}"


@dataclass
class _Loaded:
    """Everything that came out of a folder."""

    folder: Folder
    series: list[SeriesGeometry]
    values: list[tuple[SeriesGeometry, VolumeGeometry, NDArray]] = field(default_factory=list)
    usable: list[tuple[SeriesGeometry, Volume]] = field(default_factory=list)
    undecodable: int = 0
    messages: list[str] = field(default_factory=list)


def _load(folder: Path) -> _Loaded:
    """All that a user of a folder does.

    Raises:
        InputRefused: If there is no instance.
    """
    found = read_folder(folder)
    loaded = _Loaded(found, [examine(one) for one in found.series])
    loaded.messages += [f"{f.name} {f.reason}" for f in found.skipped]
    for geometry in loaded.series:
        loaded.messages += [finding.sentence for finding in geometry.findings]
        _read(geometry, loaded)
    try:
        select_series(LoadedFolder(tuple(loaded.series), found.skipped), Criteria(must={}))
    except (InputRefused, NotApplicable) as error:
        loaded.messages.append(str(error))
    return loaded


def _read(geometry: SeriesGeometry, loaded: _Loaded) -> None:
    """The pixels of all volumes of a series."""
    for volume in geometry.volumes:
        try:
            loaded.values.append((geometry, volume, read_values(volume)))
            if geometry.usable:
                loaded.usable.append((geometry, read_volume(volume)))
        except InputRefused as error:
            loaded.undecodable += 1
            loaded.messages.append(str(error))


def _kind(loaded: _Loaded) -> str:
    kinds = {
        "usable": loaded.usable,
        "undecodable": loaded.undecodable,
        "findings": [g for g in loaded.series if not g.usable],
        "files skipped": loaded.folder.skipped,
    }
    return ", ".join(kind for kind, there in kinds.items() if there)


def _judge(case: Case, loaded: _Loaded) -> list[str]:
    """Hold what claims to be usable to what its files say."""
    problems = [*_unnamed(case, loaded.folder), *_leaks(loaded.messages)]
    for geometry, volume, values in loaded.values:
        whole = all(frame.tile is None for frame in volume.frames)
        if whole and {f.code for f in geometry.findings} == {FindingCode.TWO_DIMENSIONAL}:
            problems += _judge_image(case, volume, values)
    for geometry, read in loaded.usable:
        tiles = [None if frame.tile is None else frame.tile.index for frame in geometry.volumes[0].frames]
        problems += judge_volume(case.files, read, tiles)
        problems += judge_series(geometry)
    return problems + (_harm(case, loaded) if case.harmless else [])


def _unnamed(case: Case, found: Folder) -> list[str]:
    named = [i.path.name for s in found.series for i in s.instances] + [file.name for file in found.skipped]
    return [] if sorted(named) == sorted(case.files) else ["a file is neither read nor named"]


def _leaks(messages: list[str]) -> list[str]:
    return ["a message has the patient's name"] if any(NAME in message for message in messages) else []


def _judge_image(case: Case, volume: VolumeGeometry, values: NDArray) -> list[str]:
    """Images without a place: their values."""
    try:
        expected = [image_of(case.files[frame.instance.path.name], frame.number) for frame in volume.frames]
    except NoClaim as reason:
        return [f"an image must not be read: {reason}"]
    except Unclear:
        return []
    agree = (
        one is None or (found.shape == one.shape and np.allclose(found, one))
        for found, one in zip(values, expected, strict=True)
    )
    return [] if all(agree) else ["an image has other values"]


def _harm(case: Case, loaded: _Loaded) -> list[str]:
    """What edits that mean nothing to a volume did to it."""
    if len(loaded.usable) != int(case.entry.usable):
        return ["a harmless edit changes what is usable"]
    for _, volume in loaded.usable:
        array, affine = original_volume(case.entry.name)
        if not np.array_equal(volume.array, array) or not np.array_equal(volume.affine_lps, affine):
            return ["a harmless edit changes the volume"]
    return []


@functools.cache
def original_volume(name: str) -> tuple[NDArray, NDArray]:
    """The volume of an entry before mutations."""
    entry = next(e for e in corpus() if e.name == name)
    with tempfile.TemporaryDirectory() as folder:
        for file, data in entry.files.items():
            (Path(folder) / file).write_bytes(data)
        volume = read_volume(examine(read_folder(Path(folder)).series[0]).volumes[0])
    return volume.array, volume.affine_lps


def fast_folder() -> str | None:
    """Where temporary files cost no disk, if there is such a place."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
