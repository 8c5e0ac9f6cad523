"""Stands for the module that Python itself looks for at its start (docs.python.org/3/library/site.html).

Python looks for circular garbage after so many new objects: as many as in mapnode's warm worker
(operators/runtime/worker.py), since at its default of 700 that takes a tenth of the time of imports and finds nothing.
"""

import gc

gc.set_threshold(50_000)
