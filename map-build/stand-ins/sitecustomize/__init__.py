"""Stands for the module that Python itself looks for at its start (docs.python.org/3/library/site.html).

Python looks for circular garbage after so many new objects: as many as in mapnode's warm worker
(operators/runtime/worker.py), since at its default of 700 that takes a tenth of the time of imports and finds nothing.
At the end it would look through all modules once more, a fifth of a second for memory that goes with the process.
"""

import atexit
import gc

gc.set_threshold(50_000)
atexit.register(gc.freeze)
