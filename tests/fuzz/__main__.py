"""python -m tests.fuzz: the long run."""

import sys

from tests.fuzz.long_run import main

# Workers import modules by name, and this one has none.
if __name__ == "__main__":
    sys.exit(main())
