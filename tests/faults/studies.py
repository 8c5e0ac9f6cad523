"""Studies: what a run sends, drawn by chance: plain, twice, in turns, late slices, other pixels, missing slices."""

from __future__ import annotations

import hashlib
import itertools
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydicom import dcmread

from mapnode.phantom import TrunkPhantomParameters, build_trunk_phantom, write_ct_series

SLICES = 12
OTHER_HU = 3.0
"""Added to other pixels; too little to change what is found in them."""


class Kind(StrEnum):
    """How a study is sent."""

    PLAIN = "plain"
    TWICE = "twice"
    """All of it again after its result."""
    IN_TURNS = "in_turns"
    """Its slices and those of another study in turns, over an association each."""
    LATE = "late"
    """One slice after the result."""
    OTHER_PIXELS = "other_pixels"
    """The same UIDs with other pixels after the result."""
    GAP = "gap"
    """A slice in the middle never comes: it is refused."""


@dataclass(frozen=True)
class Study:
    """A study to send.

    Attributes:
        uid: Study Instance UID (0020,000D).
        kind: How it is sent.
        first: What is sent first.
        later: What is sent once there is a result of that.
    """

    uid: str
    kind: Kind
    first: Sequence[Path]
    later: Sequence[Path] = ()

    def pixels(self) -> dict[str, str]:
        """Digest of the pixels by SOP Instance UID (0008,0018), as they are to be in the end."""
        datasets = [dcmread(path) for path in (*self.first, *self.later)]
        return {str(one.SOPInstanceUID): digest(one.PixelData) for one in datasets}


def digest(pixels: bytes) -> str:
    """Digest of Pixel Data (7FE0,0010)."""
    return hashlib.sha256(pixels).hexdigest()


def draw_kinds(seed: int, count: int) -> list[Kind]:
    """The kinds of a run's studies: each as often, in random order; those sent in turns are neighbours."""
    shares: list[tuple[Kind, ...]] = []
    for kind in itertools.cycle(Kind):
        if sum(map(len, shares)) >= count:
            break
        shares.append((kind, kind) if kind is Kind.IN_TURNS else (kind,))
    random.Random(seed).shuffle(shares)
    return [kind for share in shares for kind in share][:count]


def make_studies(folder: Path, seed: int, kinds: Sequence[Kind], *, slices: int = SLICES) -> list[Study]:
    """Write studies of these kinds, which differ in their UIDs."""
    phantom = build_trunk_phantom(TrunkPhantomParameters(slices=slices, spacing_mm=(5.0, 3.0, 3.0)))
    made = []
    for number, kind in enumerate(kinds):

        def write(name: str, added_hu: float = 0.0, number: int = number) -> list[Path]:
            return write_ct_series(
                phantom.hu + added_hu,
                phantom.affine_lps,
                folder / str(number) / name,
                description="axial",
                uid_seed=f"faults {seed} {number}",
                patient_id=f"F{number}",
            )

        files = write("first")
        uid = str(dcmread(files[0], stop_before_pixels=True).StudyInstanceUID)
        first, later = files, []
        if kind is Kind.TWICE:
            later = files
        elif kind is Kind.LATE:
            first, later = files[:-1], files[-1:]
        elif kind is Kind.OTHER_PIXELS:
            later = write("later", OTHER_HU)
        elif kind is Kind.GAP:
            first = [*files[: slices // 2], *files[slices // 2 + 1 :]]
        made.append(Study(uid, kind, first, later))
    return made


def as_sent(studies: Iterable[Study]) -> list[tuple[Study, ...]]:
    """Studies that go out together: two neighbours in turns, all others alone."""
    groups: list[tuple[Study, ...]] = []
    for study in studies:
        if study.kind is Kind.IN_TURNS and groups and [one.kind for one in groups[-1]] == [Kind.IN_TURNS]:
            groups[-1] = (*groups[-1], study)
        else:
            groups.append((study,))
    return groups
