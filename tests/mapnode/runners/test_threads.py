"""Threads: libraries keep to what a process is told, and runs share the cores."""

import json
import os
import subprocess
import sys

from mapnode.runners.threads import share_of_cores, thread_variables

LOOKS = "import json, numpy, threadpoolctl; print(json.dumps(threadpoolctl.threadpool_info()))"


def test_runs_at_the_same_time_have_together_no_more_threads_than_cores_are_there():
    cores = len(os.sched_getaffinity(0))

    assert share_of_cores(1) == cores
    assert all(runs * share_of_cores(runs) <= cores for runs in range(1, cores + 1))
    assert share_of_cores(cores + 1) == 1


def test_numpy_takes_as_many_threads_as_the_variables_say():
    without = {name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS")}
    environment = {**without, **thread_variables(1, without)}

    done = subprocess.run([sys.executable, "-c", LOOKS], env=environment, capture_output=True, text=True, check=True)

    pools = json.loads(done.stdout)
    assert pools
    assert {pool["num_threads"] for pool in pools} == {1}


def test_what_a_site_says_itself_stands():
    assert "OMP_NUM_THREADS" not in thread_variables(4, {"OMP_NUM_THREADS": "2"})
