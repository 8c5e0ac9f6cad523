"""The errors of rules, as a tree.

WrongUse                     the call cannot mean anything (exit code 2)
└── RulesError               a rules file is not what the schema says; it carries every problem
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mapnode.errors import WrongUse

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a rules file.

    Attributes:
        file: The file as it was named.
        line: Line, from 1; None where the file could not be read at all.
        key: Path of the key, such as `rules.0.when.1.regex`, or `document`.
        message: What is wrong, and the fix.
    """

    file: str
    line: int | None
    key: str
    message: str

    @property
    def sentence(self) -> str:
        """The problem as one line, with file and line in front as compilers print them."""
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        return f"{place}: {self.key}: {self.message}"


class RulesError(WrongUse):
    """A rules file is refused.

    Attributes:
        problems: Everything that is wrong with it, in the order of lines.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line or 0))
        super().__init__("\n".join(problem.sentence for problem in self.problems))
