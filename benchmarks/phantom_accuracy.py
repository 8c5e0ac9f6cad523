"""Phantom accuracy: what the apps measure on random digital phantoms against the truth, as docs/phantom-accuracy.md.

Clean phantoms are held to a limit: volumes and areas within 2 % or a shell of half a pixel, whichever is larger, mean
attenuations within 2 HU, diameters within half a voxel's diagonal. Degraded ones are tabulated. Everything follows from
seeds; readings are kept in build/phantom-accuracy, by the bytes of the modules that they come from, so that an
interrupted run goes on. The run exits with 1 where a clean row does not hold.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import re
import sys
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks import leg_cases, lesion_cases, trunk_cases
from benchmarks.readings import Reading, cell_of, grouped, row_of

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "phantom-accuracy.md"
KEPT = ROOT / "build" / "phantom-accuracy"
FIRST_DEGRADED = 1000
HEADER = "| quantity | n | mean error | worst error | worst / allowed | hold |\n|---|---|---|---|---|---|"
INTRODUCTION = """# Accuracy on phantoms

Written by `make phantom-accuracy`; not to be edited. What the operators of the apps measure on digital phantoms whose
truth is integrated from their shapes (`mapnode/phantom`), on a grid that knows nothing of the voxels, or known in
closed form. Phantoms are drawn by seed; their slices are 1, 2, 3, 4 and 5 mm apart by turns, and samples, not averages.
They are simpler than bodies: this page says how well a method measures what it was made to see, not how well it
measures patients.

Allowed is 2 % of the truth, or a shell of half a pixel around the tissue's outline where that is more; for mean
attenuations 2 HU; for diameters half a voxel's diagonal; for surfaces 2 %. Where worst / allowed is above
1, the row does not hold. Rows "mask without fault" are no measurement: they say what the mean attenuation of the
phantom's own voxels is off, whoever draws the mask: of cortex and marrow the voxels' centres hit a little more or less.
"""


@dataclass(frozen=True)
class Cases:
    """Random phantoms of one kind.

    Attributes:
        text: Heading and what the phantoms are; `{digest}` and `{count}` stand for the engine's and the readings'.
        readings: From a seed to readings, by how the phantom was degraded, which is "" for a clean one.
        module: Where they come from.
        phantoms: How many are measured.
    """

    text: str
    readings: Callable[[int], Iterable[tuple[str, list[Reading]]]]
    module: ModuleType
    phantoms: int = 50

    @property
    def digest(self) -> str:
        """Digest of the engine's constants; measure_segmentation has none."""
        return str(self.module.ENGINE.algorithm.digest) if hasattr(self.module, "ENGINE") else ""


def _clean(readings: Callable[[int], list[Reading]]) -> Callable[[int], Iterable[tuple[str, list[Reading]]]]:
    return lambda seed: [("", readings(seed))]


ALL = {
    "thighs": Cases(
        """## ct_leg_tissue, clean

Model digest `{digest}`.
Random legs, 20 slices or 50 mm anywhere along the thighs, pixels of 0.7 to 1.3 mm; n counts legs.
""",
        _clean(leg_cases.thigh_readings),
        leg_cases,
    ),
    "legs": Cases(
        """## ct_leg_tissue, whole legs, clean

Model digest `{digest}`.
Random legs from below the knees to above the hips, slices of 3, 4 and 5 mm, pixels of 2.5 mm; n counts legs. Areas of
the worst slice leave out 30 mm on both sides of the knee joint, where cartilage counts as muscle.
""",
        _clean(leg_cases.whole_readings),
        leg_cases,
    ),
    "legs-degraded": Cases(
        """## ct_leg_tissue, degraded

Model digest `{digest}`.
Mean error (worst error) of {count} legs, 30 slices of 5 mm along the femora, pixels of 1.5 mm.
""",
        lambda seed: leg_cases.degraded_readings(FIRST_DEGRADED + seed),
        leg_cases,
        phantoms=3,
    ),
    "trunks": Cases(
        """## ct_body_composition, clean

Model digest `{digest}`.
Random trunks, small and large, lean and stout, on random grids: stacks of 40 to 80 mm anywhere between diaphragm and
iliac crest, pixels of 0.8 to 1.5 mm; areas are compared in twelve slices of each. Of trunks in which a pelvis was seen
nothing else is compared: the app measures above its crest, and says so.
""",
        _clean(trunk_cases.clean_readings),
        trunk_cases,
        phantoms=60,
    ),
    "trunks-degraded": Cases(
        """## ct_body_composition, degraded

Model digest `{digest}`.
Mean error (worst error) of {count} trunks, 20 slices of 5 mm, pixels of 1.2 mm.
""",
        lambda seed: trunk_cases.degraded_readings(FIRST_DEGRADED + seed),
        trunk_cases,
        phantoms=3,
    ),
    "lesions": Cases(
        """## measure_segmentation, ellipsoids, clean

Random ellipsoids with axes of 10 to 50 mm, turned at random, in fat; pixels of 0.5 to 1.2 mm. The mask is that of the
voxels whose centres lie inside. Allowed for volumes is 2 %, or a shell of half a voxel around the ellipsoid. The
surface is that of Crofton's formula (operators/measure/measure_shapes.py), which misses lines between slices.
""",
        _clean(lesion_cases.clean_readings),
        lesion_cases,
    ),
    "lesions-degraded": Cases(
        """## measure_segmentation, ellipsoids, degraded

Mean error (worst error) of {count} ellipsoids as above, with the masks of their true outlines: noise and blur change
the attenuation alone. A tilt that the header states gives the diameters in the tilted planes, which are not axial.
""",
        lesion_cases.degraded_readings,
        lesion_cases,
    ),
}


def main() -> int:
    """Measure what was not yet measured, and write the page."""
    arguments = _arguments()
    KEPT.mkdir(parents=True, exist_ok=True)
    with ProcessPoolExecutor(arguments.processes) as pool:
        for kind in arguments.kinds:
            _measure(kind, arguments.phantoms or ALL[kind].phantoms, pool)
    kept = {kind: _by_how(_read(kind)) for kind in ALL}
    PAGE.write_text(_page(kept, _sections(PAGE.read_text(encoding="utf-8"))), encoding="utf-8")
    wrong = [
        f"{kind}: {name}"
        for kind, by_how in kept.items()
        for name, each in grouped(by_how.get("", [])).items()
        if not all(reading.holds for reading in each) and not name.endswith("without fault")
    ]
    print(f"{PAGE}: {f'these rows do not hold: {wrong}' if wrong else 'all rows hold'}")
    return 1 if wrong else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=ALL, default=list(ALL))
    parser.add_argument("--phantoms", type=int, help="phantoms of each kind, instead of as many as the page has")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)))
    return parser.parse_args()


def _measure(kind: str, count: int, pool: ProcessPoolExecutor) -> None:
    """Measure the phantoms of one kind whose readings are not kept from an earlier run, and keep theirs."""
    kept = _read(kind)
    seeds = sorted(set(range(count)) - {each["seed"] for each in kept})
    for seed, records in zip(seeds, pool.map(functools.partial(_records, kind), seeds), strict=True):
        print(f"{kind} {seed}", file=sys.stderr, flush=True)
        kept += records
        _file(kind).write_text(json.dumps(kept, indent=1), encoding="utf-8")


def _records(kind: str, seed: int) -> list[dict[str, Any]]:
    """Readings of one phantom, as they are kept."""
    return [
        asdict(each) | {"how": how, "seed": seed} for how, readings in ALL[kind].readings(seed) for each in readings
    ]


def _file(kind: str) -> Path:
    """Where readings are kept: of other constants or another method they are other readings."""
    digest = hashlib.sha256(ALL[kind].digest.encode())
    folders = ("mapnode/phantom", "operators/segment/classical", "operators/measure")
    sources = [path for folder in folders for path in sorted((ROOT / folder).glob("*.py"))]
    sources += [ROOT / "benchmarks" / name for name in ("readings.py", "degradations.py")]
    for path in (*sources, Path(str(ALL[kind].module.__file__))):
        digest.update(path.read_bytes())
    return KEPT / f"{kind}-{digest.hexdigest()[:12]}.json"


def _read(kind: str) -> list[dict[str, Any]]:
    """Readings that are kept, as records."""
    path = _file(kind)
    return list(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else []


def _by_how(records: list[dict[str, Any]]) -> dict[str, list[Reading]]:
    """Readings by how their phantom was degraded."""
    out: dict[str, list[Reading]] = {}
    for each in records:
        fields = {name: each[name] for name in ("quantity", "truth", "measured", "allowed")}
        out.setdefault(each["how"], []).append(Reading(**fields))
    return out


def _page(kept: dict[str, dict[str, list[Reading]]], before: dict[str, str]) -> str:
    """The page; kinds without readings keep the section that they had."""
    return "".join([f"{INTRODUCTION}\n", *(_section(kind, by_how, before) for kind, by_how in kept.items())])


def _section(kind: str, by_how: dict[str, list[Reading]], before: dict[str, str]) -> str:
    text = ALL[kind].text
    if not by_how:
        return before.get(text.splitlines()[0], "")
    first = next(iter(grouped(next(iter(by_how.values()))).values()))
    table = _clean_table(by_how[""]) if "" in by_how else _degraded_table(by_how)
    return f"{text.format(digest=ALL[kind].digest, count=len(first))}\n{table}\n"


def _sections(page: str) -> dict[str, str]:
    """Sections of a page by their headings."""
    return {part.splitlines()[0]: part for part in re.split(r"(?m)^(?=## )", page)}


def _clean_table(readings: list[Reading]) -> str:
    return "\n".join([HEADER, *(row_of(name, each) for name, each in grouped(readings).items()), ""])


def _degraded_table(degraded: dict[str, list[Reading]]) -> str:
    """A row for each degradation, a column for each quantity."""
    names = list(grouped(next(iter(degraded.values()))))
    rows = [
        f"| {how} | {' | '.join(cell_of(each) for each in grouped(readings).values())} |"
        for how, readings in degraded.items()
    ]
    return "\n".join([f"| | {' | '.join(names)} |", "|---" * (len(names) + 1) + "|", *rows, ""])


if __name__ == "__main__":
    sys.exit(main())
