"""What the variables of a MAP do to its Python."""

import os
import subprocess
import sys

from mapnode.package.layout import environment

CPU_OF_IDLING = """
import time
import numpy, scipy.linalg
matrix = numpy.ones((400, 400))
matrix @ matrix, scipy.linalg.blas.dgemm(1.0, matrix, matrix)
began = time.process_time()
time.sleep(0.5)
print(time.process_time() - began)
"""


def test_threads_for_matrices_take_no_time_while_they_wait():
    variables = {**os.environ, **environment("0.0.0"), "PYTHONPATH": ""}
    done = subprocess.run(
        [sys.executable, "-c", CPU_OF_IDLING], env=variables, capture_output=True, text=True, check=True
    )
    assert float(done.stdout) < 0.05
