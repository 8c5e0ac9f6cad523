"""Threads: how many the matrices of an app's process may have, so that the runs of a node share the machine's cores.

OpenBLAS, MKL, OpenMP and with them torch start a thread for each core of the machine, whoever else computes, and wait
for each other by turning in circles: two runs on two cores take twice the time of two runs with one thread each.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""What the libraries read once, while they load."""


def share_of_cores(runs: int) -> int:
    """Threads for each of so many runs at the same time; at least one.

    Examples:
        >>> share_of_cores(10_000)
        1
    """
    return max(1, len(os.sched_getaffinity(0)) // runs)


def thread_variables(threads: int, environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that give the libraries so many threads; what an environment already says stands.

    Examples:
        >>> thread_variables(2, {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"})
        {'OPENBLAS_NUM_THREADS': '2'}
    """
    return {name: str(threads) for name in VARIABLES if name not in environment}
