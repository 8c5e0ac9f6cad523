"""Faked clock: whoever has this folder on PYTHONPATH has a `time.time` that is off by what a file says, in seconds.

Python imports a module of this name before anything else. The monotonic clock goes on, as it does for a clock that is
really set. libfaketime 0.9.10 of Debian 12 does not serve: under it Python's sleep fails (clock_nanosleep, EINVAL).
"""

import os
import time
from pathlib import Path

OFFSET_FILE = Path(os.environ["FAKED_CLOCK"])
_true_time, _true_time_ns = time.time, time.time_ns


def _offset_s() -> int:
    return int(OFFSET_FILE.read_text())


time.time = lambda: _true_time() + _offset_s()
time.time_ns = lambda: _true_time_ns() + _offset_s() * 10**9
