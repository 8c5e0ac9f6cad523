"""Quality control on scans that fit and on scans that do not: python -m tests.qc [--draws N] [--seed N].

Each scan is written as DICOM and run through the whole app. An unfit one counts as caught where the run is refused, not
applicable, or ends with caution or hold; a fit one as falsely stopped where it does any of these.
"""

from __future__ import annotations

import argparse
import sys

from tests.qc.running import run_fit, run_unfit, table


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draws", type=int, default=3, help="scans of each unfit kind")
    parser.add_argument("--fit", type=int, default=40, help="scans that fit")
    parser.add_argument("--seed", type=int, default=7)
    arguments = parser.parse_args()
    fit = run_fit(arguments.fit, arguments.seed, print)
    unfit = run_unfit(arguments.draws, arguments.seed, print)
    print(table(unfit, fit))
    caught, stopped = sum(end.stopped for end in unfit), sum(end.stopped for end in fit)
    return int(caught < 0.9 * len(unfit) or stopped > 0.05 * len(fit))


if __name__ == "__main__":
    sys.exit(main())
