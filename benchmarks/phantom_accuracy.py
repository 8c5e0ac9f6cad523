"""Phantom accuracy: what the apps measure on random digital phantoms against the truth, as docs/phantom-accuracy.md.

Clean phantoms are held to a limit: volumes and areas within 2 % or a shell of half a pixel, whichever is larger, mean
attenuations within 2 HU. Degraded ones are tabulated. Everything follows from seeds; readings are kept in
build/phantom-accuracy, by the engine's constants, so that an interrupted run goes on: where the method itself changed,
`make clean` first. The run exits with 1 where a clean row does not hold.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import leg_cases, trunk_cases
from benchmarks.readings import Reading, cell_of, grouped, row_of

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "phantom-accuracy.md"
KEPT = ROOT / "build" / "phantom-accuracy"
KINDS = ("legs", "degraded", "trunk")
CLEAN = {"legs": leg_cases.clean_readings, "trunk": trunk_cases.clean_readings}
FIRST_DEGRADED = 1000
HEADER = "| quantity | n | mean error | worst error | worst / allowed | hold |\n|---|---|---|---|---|---|"
INTRODUCTION = """# Accuracy on phantoms

Written by `make phantom-accuracy`; not to be edited. What the operators of the apps measure on digital phantoms whose
truth is integrated from their shapes (`mapnode/phantom`), on a grid that knows nothing of the voxels. Phantoms are
drawn by seed; their slices are 1, 2, 3, 4 and 5 mm apart by turns. They are simpler than bodies: this page says how
well a method measures what it was made to see, not how well it measures patients.

Allowed is 2 % of the truth, or a shell of half a pixel around the tissue's outline where that is more; for mean
attenuations 2 HU. Where worst / allowed is above 1, the row does not hold.
"""
LEGS = """## ct_leg_tissue, clean

Model digest `{digest}`.
Two legs a phantom, pixels of 2.5 mm; n counts legs. From 3 mm on the stack holds whole femora, below it is 30 slices
anywhere along the thighs. Areas of the worst slice leave out 30 mm on both sides of the knee joint, where cartilage
counts as muscle.
"""
DEGRADED = """## ct_leg_tissue, degraded

Model digest `{digest}`.
Mean error (worst error) of {count} legs, 30 slices of 5 mm along the femora, pixels of 2.5 mm.
"""
TRUNK = """## ct_body_composition, clean

Model digest `{digest}`.
One body on random grids: stacks of 100 to 180 mm, pixels of 0.9 to 2 mm.
"""


def main() -> int:
    """Measure what was not yet measured, and write the page."""
    arguments = _arguments()
    KEPT.mkdir(parents=True, exist_ok=True)
    for kind in arguments.kinds:
        _measure(kind, arguments.degraded if kind == "degraded" else arguments.phantoms)
    kept = {kind: _by_how(_read(kind)) for kind in KINDS}
    PAGE.write_text(_page(kept), encoding="utf-8")
    wrong = [name for kind in CLEAN for name, each in grouped(kept[kind][""]).items() if not all(r.holds for r in each)]
    print(f"{PAGE}: {f'these rows do not hold: {wrong}' if wrong else 'all rows hold'}")
    return 1 if wrong else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS)
    parser.add_argument("--phantoms", type=int, default=50, help="clean phantoms of each kind")
    parser.add_argument("--degraded", type=int, default=3, help="phantoms that are degraded in every way")
    return parser.parse_args()


def _measure(kind: str, count: int) -> None:
    """Measure the phantoms of one kind whose readings are not kept from an earlier run, and keep theirs."""
    kept = _read(kind)
    for seed in sorted(set(range(count)) - {each["seed"] for each in kept}):
        print(f"{kind} {seed}", file=sys.stderr, flush=True)
        kept += [asdict(each) | {"how": how, "seed": seed} for how, each in _readings(kind, seed)]
        _file(kind).write_text(json.dumps(kept, indent=1), encoding="utf-8")


def _readings(kind: str, seed: int) -> Iterator[tuple[str, Reading]]:
    """Readings with how their phantom was degraded, which is "" for a clean one."""
    if kind in CLEAN:
        yield from (("", each) for each in CLEAN[kind](seed))
        return
    for how, readings in leg_cases.degraded_readings(FIRST_DEGRADED + seed):
        yield from ((how, each) for each in readings)


def _file(kind: str) -> Path:
    """Where readings are kept: of other constants they are other readings."""
    engine = trunk_cases.ENGINE if kind == "trunk" else leg_cases.ENGINE
    return KEPT / f"{kind}-{engine.algorithm.digest[:12]}.json"


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


def _page(kept: dict[str, dict[str, list[Reading]]]) -> str:
    legs, trunk = leg_cases.ENGINE.algorithm.digest, trunk_cases.ENGINE.algorithm.digest
    degraded = kept["degraded"]
    count = len(next(iter(grouped(next(iter(degraded.values()))).values())))
    return "\n".join([
        INTRODUCTION,
        LEGS.format(digest=legs),
        _clean_table(kept["legs"][""]),
        DEGRADED.format(digest=legs, count=count),
        _degraded_table(degraded),
        TRUNK.format(digest=trunk),
        _clean_table(kept["trunk"][""]),
    ])


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
