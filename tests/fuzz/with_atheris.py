"""Coverage-guided: python -m tests.fuzz.with_atheris -runs=20000 -max_total_time=600 [folder of inputs].

An input is the number of a corpus entry and the bytes of its first file; libFuzzer mutates it, and keeps what reaches
new code of the loader or of pydicom. Needs atheris, which is no dependency of the tests.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

KINDS: Counter[str] = Counter()
"""What became of the inputs so far."""
DEFECTS: Counter[str] = Counter()
MOST_SHOWN = 20
EVERY = 1000


def main() -> None:
    """Fuzz in a process of its own: libFuzzer ends it without giving Python a chance to clean up."""
    with tempfile.TemporaryDirectory(
        prefix="mapnode_fuzz_", dir="/dev/shm" if Path("/dev/shm").is_dir() else None
    ) as folder:
        process = multiprocessing.get_context("fork").Process(target=fuzz, args=(Path(folder),))
        process.start()
        process.join()
    sys.exit(process.exitcode)


def fuzz(folder: Path) -> None:
    """Seed, instrument, and hand over to libFuzzer."""
    import atheris

    warnings.simplefilter("ignore")
    with atheris.instrument_imports(include=["operators.core", "pydicom.filereader", "pydicom.filebase"]):
        from operators.core.header import keep_values_out_of_warnings
        from tests.fuzz.case import Case, run_case
        from tests.fuzz.corpus import corpus

    keep_values_out_of_warnings()
    entries = corpus()
    work, seeds, found = (folder / name for name in ("work", "seeds", "found"))
    for path in (work, seeds, found):
        path.mkdir()
    for number, entry in enumerate(entries):
        (seeds / entry.name).write_bytes(bytes([number]) + entry.files[sorted(entry.files)[0]])

    def one_input(data: bytes) -> None:
        if not data:
            return
        entry = entries[data[0] % len(entries)]
        files = entry.files | {sorted(entry.files)[0]: data[1:]}
        outcome = run_case(Case(entry.name, entry, files, 1), work)
        KINDS[outcome.kind] += 1
        if KINDS.total() % EVERY == 0:
            say(f"{KINDS.total()} inputs, {DEFECTS.total()} defects: {dict(KINDS.most_common())}")
        for problem in outcome.problems:
            keep(problem, files)

    atheris.Setup([*sys.argv, "-max_len=8192", "-print_final_stats=1", str(found), str(seeds)], one_input)
    atheris.Fuzz()


def keep(problem: str, files: dict[str, bytes]) -> None:
    """Say what was found, and keep the first series that shows it."""
    DEFECTS[problem] += 1
    if DEFECTS[problem] > 1 or len(DEFECTS) > MOST_SHOWN:
        return
    folder = Path(tempfile.mkdtemp(prefix="mapnode_fuzz_"))
    for name, data in files.items():
        (folder / name).write_bytes(data)
    say(f"DEFECT {problem}: {folder}")


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
