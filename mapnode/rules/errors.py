"""The errors of rules, as a tree.

WrongUse                     the call cannot mean anything (exit code 2)
└── RulesError               a rules file is not what the schema says; it carries every problem
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mapnode.errors import WrongUse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mapnode.plain_yaml import Problem


class RulesError(WrongUse):
    """A rules file is refused.

    Attributes:
        problems: Everything that is wrong with it, in the order of lines.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(sorted(problems, key=lambda problem: problem.line or 0))
        super().__init__("\n".join(problem.sentence for problem in self.problems))
