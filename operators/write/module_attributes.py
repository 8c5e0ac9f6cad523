"""ModuleAttributes: highdicom's table of the attributes of all modules (PS3.3), of which a result needs a few dozen.

highdicom parses all of it for the first object of a process: 100,000 entries, a quarter of a second and 70 MB. Here an
index of it says where each module begins, and a module is parsed when it is asked for. The table itself, 20 MB, is read
where it lies in the system's memory of files: copies of it take as long as the index.
"""

from __future__ import annotations

import functools
import itertools
import json
import mmap
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Self

from highdicom import _standard_utils

FIRST = re.compile(rb'\s*\{\s*"([^"]+)":\s*')
"""The beginning of the table, and the name of its first module."""
MODULE = re.compile(rb'\}\s*\],\s*"([^"]+)":\s*')
"""The end of a module, and the name of the next one in front of its list of attributes."""


class ModuleAttributes(Mapping[str, list[dict[str, Any]]]):
    """The attributes of each module by its name, as `json.loads` of the table gives them."""

    def __init__(self, table: bytes | mmap.mmap) -> None:
        """Find where the modules begin.

        Args:
            table: A JSON object of arrays of objects, in UTF-8.
        """
        found = [match for match in (FIRST.match(table), *MODULE.finditer(table)) if match]
        ends = itertools.chain((match.end() for match in found[1:]), [len(table)])
        self._table = table
        self._places = {match[1].decode(): slice(match.end(), end) for match, end in zip(found, ends, strict=True)}
        self._parsed = functools.cache(self._parse)

    def __getitem__(self, module: str) -> list[dict[str, Any]]:
        """The attributes of one module."""
        return self._parsed(module)

    def __iter__(self) -> Iterator[str]:
        """Names of the modules, in the table's order."""
        return iter(self._places)

    def __len__(self) -> int:
        """Count of the modules."""
        return len(self._places)

    def _parse(self, module: str) -> list[dict[str, Any]]:
        attributes: list[dict[str, Any]]
        attributes, _ = json.JSONDecoder().raw_decode(self._table[self._places[module]].decode())
        return attributes


class _MappedFile(mmap.mmap):
    """A file's bytes without a copy, for whoever would decode all of them."""

    def decode(self, _encoding: str) -> Self:
        """The bytes as they are."""
        return self


def _map_file(_package: str, name: str) -> _MappedFile:
    """A file of highdicom, in place of `pkgutil.get_data`."""
    with (Path(_standard_utils.__file__).parent / name).open("rb") as file:
        return _MappedFile(file.fileno(), 0, access=mmap.ACCESS_READ)


def parse_modules_when_asked_for() -> None:
    """Have highdicom keep the table as ModuleAttributes, for as long as the process lives.

    highdicom reads it once, by `pkgutil.get_data` and `json.loads`, into the cache of one of its functions, which all
    its modules ask.
    """
    library: Any = _standard_utils
    reader, parser = library.pkgutil, library.json
    library.pkgutil, library.json = SimpleNamespace(get_data=_map_file), SimpleNamespace(loads=ModuleAttributes)
    try:
        library.get_module_attribute_map()
    finally:
        library.pkgutil, library.json = reader, parser
