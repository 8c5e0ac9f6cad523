"""Loading: from rules.yaml to a checked rule set, or to every problem with its line, key and fix."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import ValidationError

from mapnode.plain_yaml import PlainDocument, unknown_key
from mapnode.rules.errors import RulesError
from mapnode.rules.schema import Clause, Range, Requirement, Rule, RuleSet, StudyPart

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

    from mapnode.plain_yaml import Place


def _check_images(document: PlainDocument, rule_set: RuleSet, refusal: Callable[[str], str | None]) -> None:
    """Note each image that may not run; a rule that is off runs none."""
    for index, rule in enumerate(rule_set.rules):
        if rule.image is not None and rule.mode != "off" and (reason := refusal(rule.image)):
            document.add(("rules", index, "image"), f"{reason}, or set the rule's mode to off")


def load_rules(
    path: Path, apps: Collection[str] | None = None, image_refusal: Callable[[str], str | None] | None = None
) -> RuleSet:
    """Read and check a rules file.

    Args:
        path: The file.
        apps: Names of the apps that there are; None leaves them unchecked.
        image_refusal: Says why an image may not run, or None where it may; None leaves images unchecked.

    Returns:
        The rules, in the order of the file.

    Raises:
        RulesError: If anything is wrong with it, with every problem's line, key and fix.
    """
    document = PlainDocument(path)
    if document.data is None and not document.problems:
        document.add((), "holds no rules; write `rules: []` for a node that runs nothing by itself")
    if document.problems and document.data is None:
        raise RulesError(document.problems)
    rule_set = None
    try:
        rule_set = RuleSet.model_validate(document.data, context={"apps": apps})
    except ValidationError as error:
        for detail in error.errors():
            # A list whose items are all wrong counts as empty for pydantic; its items are named already.
            if detail["type"] != "too_short" or not detail["input"]:
                document.add(detail["loc"], _message(detail))
    _check_names(document)
    if rule_set is not None and image_refusal is not None:
        _check_images(document, rule_set, image_refusal)
    if rule_set is None or document.problems:
        raise RulesError(document.problems)
    return rule_set


def _check_names(document: PlainDocument) -> None:
    """Note rules that share a name; other mistakes do not hide it."""
    first: dict[str, int] = {}
    for index, name in _names(document.data):
        if name in first:
            document.add(("rules", index, "name"), f"{name!r} is the name of rules.{first[name]} too; choose another")
        first.setdefault(name, index)


def _names(data: object) -> Iterator[tuple[int, str]]:
    rules = data.get("rules") if isinstance(data, dict) else None
    for index, rule in enumerate(rules if isinstance(rules, list) else ()):
        name = rule.get("name") if isinstance(rule, dict) else None
        if isinstance(name, str):
            yield index, name


def _message(detail: ErrorDetails) -> str:
    """What is wrong and the fix, in the words of this file instead of pydantic's."""
    kind, context = detail["type"], detail.get("ctx", {})
    if kind == "value_error":
        return str(context["error"])
    if kind == "extra_forbidden":
        return unknown_key(str(detail["loc"][-1]), _model_at(detail["loc"]))
    if kind == "literal_error":
        return f"{detail['input']!r} is not known here; write {context['expected']}"
    return MESSAGES.get(kind, f"{detail['msg']}; see docs/rules.md")


MESSAGES = {
    "missing": "is missing; add it",
    "model_type": "has to be a mapping (key: value)",
    "dict_type": "has to be a mapping (key: value)",
    "invalid_key": "is no text; put it in quotes",
    "tuple_type": "has to be a list, even of one: [A] or a line `- A` each",
    "too_short": "is empty; name at least one, otherwise nothing or everything would match",
    "string_type": "has to be text; put it in quotes",
    "string_pattern_mismatch": "has to be lower case letters, digits and _, a letter first",
    "bool_type": "has to be true or false, without quotes",
    "finite_number": "has to be a finite number; leave a bound out for none",
}
"""By pydantic's type of error."""


MODELS: dict[tuple[str, ...], type[BaseModel]] = {
    (): RuleSet,
    ("rules",): Rule,
    ("rules", "when"): Clause,
    ("rules", "when", "range"): Range,
    ("rules", "study"): StudyPart,
    ("rules", "study", "requires"): Requirement,
    ("rules", "study", "requires", "when"): Clause,
    ("rules", "study", "requires", "when", "range"): Range,
}
"""By the keys that lead there."""


def _model_at(place: Place) -> type[BaseModel]:
    """The model whose key a place is."""
    return MODELS[tuple(part for part in place[:-1] if isinstance(part, str))]
