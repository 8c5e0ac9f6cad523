"""Plain YAML: files that people write by hand, as data alone, with the line of every key and every mistake."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pathlib import Path

    from pydantic import BaseModel

Place = tuple[str | int, ...]
"""Keys and indices from the document's root, as pydantic has them."""

SYNTAX_FIX = "check indentation, colons, brackets and quotes here and on the line before"
TAB = r"'\t'"
"""How PyYAML writes it."""
TAB_FIX = "indent with spaces; YAML allows no tabs there"


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a file.

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
            problem = f"the tag {event.tag} is refused, the file is plain data; remove it"
            raise _NotPlainData(None, None, problem, mark)
        return super().compose_node(parent, index)


class PlainDocument:
    """The data of a file, with the line of each key.

    Attributes:
        data: Text, numbers, lists and mappings; None where nothing stands in the file, or where it cannot be read.
        problems: What is wrong with it so far.
    """

    def __init__(self, path: Path) -> None:
        """Read a file; what is wrong with it is in `problems`.

        Args:
            path: The file.
        """
        self.file = str(path)
        self.problems: list[Problem] = []
        self._lines: dict[Place, int] = {(): 1}
        text = self._text(path)
        self.data = None if text is None else self._read(text)

    def add(self, place: Place, message: str) -> None:
        """Note a problem at a key, or at the nearest one around it."""
        known = next(place[:n] for n in range(len(place), -1, -1) if place[:n] in self._lines)
        self._add(self._lines[known], place, message)

    def _add(self, line: int | None, place: Place, message: str) -> None:
        self.problems.append(Problem(self.file, line, ".".join(map(str, place)) or "document", message))

    def _read(self, text: str) -> object:
        try:
            loader = _Loader(text)
            try:
                node = loader.get_single_node()
                if node is None:
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

    def _text(self, path: Path) -> str | None:
        """The file's text; None where it cannot be read."""
        try:
            data = path.read_bytes()
        except OSError as error:
            self._add(None, (), f"{error.strerror}; give the path of a file")
            return None
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            self._add(data.count(b"\n", 0, error.start) + 1, (), "is no UTF-8; save the file as UTF-8")
            return None


def unknown_key(key: str, model: type[BaseModel]) -> str:
    """What to say of a key that a model has not."""
    known = [field.alias or name for name, field in model.model_fields.items()]
    near = get_close_matches(key.casefold(), known, n=1)
    return f"unknown key; {f'did you mean {near[0]}? ' if near else ''}there are: {', '.join(known)}"
