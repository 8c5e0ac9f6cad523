"""python -m tests.faults: the long run."""

import sys

from tests.faults.run import main

sys.exit(main())
