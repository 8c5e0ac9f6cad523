"""Quality control on scans that fit and on scans that do not: python -m tests.qc [--app APP] [--draws N] [--seed N].

Each scan is written as DICOM and run through the whole app. An unfit one counts as caught where the run is refused, not
applicable, or ends with caution or hold; a fit one as falsely stopped where it does any of these.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from tests.qc.page import PAGE, table, write_section
from tests.qc.running import SUBJECTS, run_fit, run_unfit

if TYPE_CHECKING:
    from tests.qc.running import Subject


def reaches_goal(subject: Subject, draws: int, fit_count: int, seed: int) -> bool:
    """Run all and write the page; whether at least 90 % of the unfit are caught, at most 5 % of the fit stopped."""
    fit = run_fit(subject, fit_count, seed, print)
    unfit = run_unfit(subject, draws, seed, print)
    how = f"{draws} scans of each unfit kind, {fit_count} that fit, by seed {seed}."
    write_section(subject.app, how, unfit, fit)
    print(f"{subject.app}\n{table(unfit, fit)}\n{PAGE}")
    caught, stopped = sum(end.stopped for end in unfit), sum(end.stopped for end in fit)
    return caught >= 0.9 * len(unfit) and stopped <= 0.05 * len(fit)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--app", choices=SUBJECTS, help="all where none is named")
    parser.add_argument("--draws", type=int, default=3, help="scans of each unfit kind")
    parser.add_argument("--fit", type=int, default=40, help="scans that fit")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    subjects = [SUBJECTS[arguments.app]] if arguments.app else SUBJECTS.values()
    reached = [reaches_goal(subject, arguments.draws, arguments.fit, arguments.seed) for subject in subjects]
    return int(not all(reached))


if __name__ == "__main__":
    sys.exit(main())
