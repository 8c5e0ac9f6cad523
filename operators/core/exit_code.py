"""Exit code: how a process ends, of apps and of the command line; alone, so that `mapnode --help` loads no more."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of apps and of the command line."""

    DONE = 0
    """The app ran and its results are complete."""
    DEFECT = 1
    """A defect of ours, or of the app's."""
    WRONG_USE = 2
    """The call cannot mean anything: unknown app, no such folder, output not writable."""
    REFUSED = 3
    """The input is not fit; the reason is on stderr and in result.json."""
    NOT_APPLICABLE = 4
    """Nothing in the input is for this app: a normal end."""
