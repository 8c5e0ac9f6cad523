"""ModuleAttributes: highdicom's table of the attributes of all modules (PS3.3), of which a result needs a few dozen.

highdicom parses all of it for the first object of a process: 100,000 entries, a quarter of a second and 70 MB. Here an
index of it says where each module begins, and a module is parsed when it is asked for.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

from highdicom import _standard_utils

MODULE = re.compile(r'\}\s*\],\s*"([^"]+)":\s*')
"""The end of a module, and the name of the next one in front of its list of attributes."""


class ModuleAttributes(Mapping[str, list[dict[str, Any]]]):
    """The attributes of each module by its name, as `json.loads` of the table gives them."""

    def __init__(self, text: str) -> None:
        """Find where the modules begin.

        Args:
            text: The table, a JSON object of arrays of objects.
        """
        # The first module looks like one behind another.
        self._text = text.replace("{", "}],", 1)
        self._begins = {match[1]: match.end() for match in MODULE.finditer(self._text)}
        self._parsed = functools.cache(self._parse)

    def __getitem__(self, module: str) -> list[dict[str, Any]]:
        """The attributes of one module."""
        return self._parsed(module)

    def __iter__(self) -> Iterator[str]:
        """Names of the modules, in the table's order."""
        return iter(self._begins)

    def __len__(self) -> int:
        """Count of the modules."""
        return len(self._begins)

    def _parse(self, module: str) -> list[dict[str, Any]]:
        attributes: list[dict[str, Any]]
        attributes, _ = json.JSONDecoder().raw_decode(self._text, self._begins[module])
        return attributes


def parse_modules_when_asked_for() -> None:
    """Have highdicom keep the table as ModuleAttributes, for as long as the process lives.

    highdicom reads it once, by `json.loads`, into the cache of one of its functions, which all its modules ask.
    """
    library: Any = _standard_utils
    parser = library.json
    library.json = SimpleNamespace(loads=ModuleAttributes)
    try:
        library.get_module_attribute_map()
    finally:
        library.json = parser
