"""The errors of the node and the command line, as a tree.

NodeError                    base; carries the exit code that it ends a command with
└── WrongUse                 the call cannot mean anything (exit code 2)
"""

from __future__ import annotations

from typing import ClassVar

from operators.core.exit_code import ExitCode


class NodeError(Exception):
    """Something went wrong outside an app."""

    exit_code: ClassVar[ExitCode] = ExitCode.DEFECT


class WrongUse(NodeError):
    """The call cannot mean anything: unknown app, no such folder, output not writable."""

    exit_code: ClassVar[ExitCode] = ExitCode.WRONG_USE


def words_of(error: BaseException) -> str:
    """An error for the log: our own words, and of a foreign one its kind alone, for it may quote a patient's name."""
    return str(error) if isinstance(error, NodeError) else type(error).__name__
