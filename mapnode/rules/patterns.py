"""Patterns: regular expressions that end in bounded time on any text.

Python's matcher tries one path after the other, and `(a+)+b` has more paths than there is time. So a pattern is refused
on load if it has more than `MAX_PATHS` paths over a text of `MAX_TEXT` characters, and texts are cut there.
"""

from __future__ import annotations

import re
import warnings
from importlib import import_module
from itertools import starmap
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

MAX_PATTERN = 200
MAX_TEXT = 64
"""Characters of a value that a pattern sees: the most that a Long String may have (PS3.5 6.2, LO)."""
MAX_PATHS = 1_000_000
"""Paths from one start, about 10 ms; four `.*` in a row are below, five are above."""

Paths = list[int]
"""Number of ways to consume 0, 1, ... MAX_TEXT characters, if every character fitted everywhere."""

NOTHING: Paths = [1] + [0] * MAX_TEXT
ONE_CHARACTER: Paths = [0, 1] + [0] * (MAX_TEXT - 1)


def check_pattern(pattern: str) -> None:
    """Refuse a pattern that does not compile or might not end.

    Args:
        pattern: Regular expression in Python's syntax.

    Raises:
        ValueError: If it is too long, does not compile, refers back to a group, or has too many paths, with the fix.

    Examples:
        >>> check_pattern("(?i)abdom.*(art|ven)")
        >>> check_pattern("(a+)+b")
        Traceback (most recent call last):
        ValueError: may take forever on some texts (repeats in repeats, or too many); make clauses of its parts
    """
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"has {len(pattern)} characters, at most {MAX_PATTERN} are allowed; make clauses of its parts")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)  # such as [[, whose meaning is to change
            re.compile(pattern)
            # Private to Python: there is no public way to a parsed pattern, and test_patterns.py would see it change.
            tree = import_module("re._parser").parse(pattern)
    except (re.error, OverflowError, RecursionError, FutureWarning) as error:
        raise ValueError(
            f"is no regular expression: {error}; put \\ before a character that is to stand for itself"
        ) from error
    if sum(_sequence(tree)) > MAX_PATHS:
        raise ValueError("may take forever on some texts (repeats in repeats, or too many); make clauses of its parts")


def pattern_found(pattern: str, text: str) -> bool:
    """Whether a checked pattern is found anywhere in the first `MAX_TEXT` characters of a text."""
    return re.search(pattern, text[:MAX_TEXT]) is not None


def _sequence(tree: Iterable[tuple[Any, Any]]) -> Paths:
    """Paths through parts that follow each other."""
    paths = NOTHING
    for part in starmap(_part, tree):
        paths = _then(paths, part)
    return paths


def _then(first: Paths, second: Paths) -> Paths:
    return [sum(first[i] * second[n - i] for i in range(n + 1) if first[i]) for n in range(MAX_TEXT + 1)]


def _part(operation: object, argument: Any) -> Paths:  # noqa: ANN401 - the parser's nodes have no types
    """Paths through one part.

    Raises:
        ValueError: If it is none of those that can be counted.
    """
    count = PARTS.get(str(operation))
    if count is None:
        raise ValueError("refers back to a group, and that cannot be bounded; write the text out")
    return count(argument)


def _branch(argument: Any) -> Paths:  # noqa: ANN401
    return [sum(counts) for counts in zip(*map(_sequence, argument[1]), strict=True)]


def _repeat(argument: Any) -> Paths:  # noqa: ANN401
    least, most, body = argument
    once = _sequence(body)
    total, power = [0] * (MAX_TEXT + 1), NOTHING
    for times in range(min(most, MAX_TEXT) + 1):
        if times >= min(least, MAX_TEXT):
            total = [a + b for a, b in zip(total, power, strict=True)]
        power = _then(power, once)
    return total


def _look(argument: Any) -> Paths:  # noqa: ANN401
    """A look ahead or behind consumes nothing, but all its paths may be tried."""
    return [max(1, sum(_sequence(argument[1]))), *NOTHING[1:]]


def _one_character(_: Any) -> Paths:  # noqa: ANN401
    return ONE_CHARACTER


def _nothing(_: Any) -> Paths:  # noqa: ANN401
    return NOTHING


PARTS: dict[str, Callable[[Any], Paths]] = {
    "LITERAL": _one_character,
    "NOT_LITERAL": _one_character,
    "ANY": _one_character,
    "IN": _one_character,
    "AT": _nothing,
    "BRANCH": _branch,
    "SUBPATTERN": lambda argument: _sequence(argument[-1]),
    "ATOMIC_GROUP": _sequence,
    "MAX_REPEAT": _repeat,
    "MIN_REPEAT": _repeat,
    "POSSESSIVE_REPEAT": _repeat,
    "ASSERT": _look,
    "ASSERT_NOT": _look,
}
