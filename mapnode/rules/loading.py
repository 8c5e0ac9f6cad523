"""Loading: from rules.yaml to a checked rule set, or to every problem with its line, key and fix."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import yaml
from pydantic import ValidationError

from mapnode.rules.errors import Problem, RulesError
from mapnode.rules.schema import Clause, Range, Requirement, Rule, RuleSet, StudyPart

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

Place = tuple[str | int, ...]
"""Keys and indices from the document's root, as pydantic has them."""

SYNTAX_FIX = "check indentation, colons, brackets and quotes here and on the line before"
TAB = r"'\t'"
"""How PyYAML writes it."""
TAB_FIX = "indent with spaces; YAML allows no tabs there"


class _NotPlainData(yaml.MarkedYAMLError):
    """YAML that is more than text, numbers, lists and mappings."""


class _Loader(yaml.SafeLoader):
    """YAML as plain data: no tags, so that no objects can be made, no aliases, and dates stay text."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own form
        first: [(tag, form) for tag, form in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:  # noqa: ANN401 - PyYAML's own
        """Refuse what is not plain data.

        Raises:
            _NotPlainData: If a node has a tag, or stands for another.
        """
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        mark: Any = event.start_mark
        if isinstance(event, yaml.AliasEvent):
            raise _NotPlainData(None, None, f"the alias *{event.anchor} is refused; write it out", mark)
        if event.tag is not None:
            problem = f"the tag {event.tag} is refused, rules are plain data; remove it"
            raise _NotPlainData(None, None, problem, mark)
        return super().compose_node(parent, index)


class _Document:
    """The data of a rules file, with the line of each key."""

    def __init__(self, file: str, text: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._lines: dict[Place, int] = {(): 1}
        self.data = self._read(text)

    def add(self, place: Place, message: str) -> None:
        """Note a problem at a key, or at the nearest one around it."""
        known = next(place[:n] for n in range(len(place), -1, -1) if place[:n] in self._lines)
        self._add(self._lines[known], place, message)

    def _add(self, line: int, place: Place, message: str) -> None:
        self.problems.append(Problem(self.file, line, ".".join(map(str, place)) or "document", message))

    def _read(self, text: str) -> object:
        try:
            loader = _Loader(text)
            try:
                node = loader.get_single_node()
                if node is None:
                    self._add(1, (), "holds no rules; write `rules: []` for a node that runs nothing by itself")
                    return None
                self._note_lines(node, ())
                return loader.construct_document(node)
            finally:
                loader.dispose()
        except yaml.MarkedYAMLError as error:
            self._add_syntax(error)
        except yaml.reader.ReaderError as error:
            self._add(text.count("\n", 0, error.position) + 1, (), f"no YAML: {error.reason}; remove that character")
        except (ValueError, RecursionError) as error:
            self._add(1, (), f"no YAML that can be read ({type(error).__name__}); {SYNTAX_FIX}")
        return None

    def _add_syntax(self, error: yaml.MarkedYAMLError) -> None:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        problem = " ".join(part for part in (error.context, error.problem) if part)
        if isinstance(error, _NotPlainData):
            self._add(line, (), problem)
        else:
            self._add(line, (), f"no YAML: {problem}; {TAB_FIX if TAB in problem else SYNTAX_FIX}")

    def _note_lines(self, node: yaml.Node, place: Place) -> None:
        """Note the line of every key and item, and keys that stand twice."""
        self._lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.SequenceNode):
            for index, item in enumerate(node.value):
                self._note_lines(item, (*place, index))
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                self._note_key(key, (*place, str(key.value)))
                self._note_lines(value, (*place, str(key.value)))

    def _note_key(self, key: yaml.Node, place: Place) -> None:
        line = key.start_mark.line + 1
        if place in self._lines:
            self._add(line, place, f"stands twice, first on line {self._lines[place]}; keep one")
        else:
            self._lines[place] = line


def _check_images(document: _Document, rule_set: RuleSet, refusal: Callable[[str], str | None]) -> None:
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
    document = _Document(str(path), _read_text(path))
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


def _read_text(path: Path) -> str:
    """The file's text.

    Raises:
        RulesError: If it cannot be read.
    """
    try:
        data = path.read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise RulesError([
            Problem(str(path), None, "document", f"{error.strerror}; give the path of a file")
        ]) from error
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise RulesError([Problem(str(path), line, "document", "is no UTF-8; save the file as UTF-8")]) from error


def _check_names(document: _Document) -> None:
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
        return _unknown_key(detail["loc"])
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


def _unknown_key(place: Place) -> str:
    known = [field.alias or name for name, field in _model_at(place).model_fields.items()]
    near = get_close_matches(str(place[-1]).casefold(), known, n=1)
    return f"unknown key; {f'did you mean {near[0]}? ' if near else ''}there are: {', '.join(known)}"


def _model_at(place: Place) -> type[BaseModel]:
    """The model whose key a place is."""
    return MODELS[tuple(part for part in place[:-1] if isinstance(part, str))]
