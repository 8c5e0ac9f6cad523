"""kept_imports: what files import, kept between builds: parsing two hundred of them takes half of a rebuild."""

from __future__ import annotations

import contextlib
import hashlib
import json
from typing import TYPE_CHECKING

from mapnode.package.closure import Import, imports_of
from mapnode.package.file_state import keep_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

NAME = "imports.json"


@contextlib.contextmanager
def kept_imports(cache: Path) -> Iterator[Callable[[Path, str], list[Import]]]:
    """`imports_of`, which parses a file only if it changed since the block before this one.

    Args:
        cache: Folder that keeps what was found; of this block's files alone, so that it does not grow.
    """
    path = cache / NAME
    known: dict[str, list[Import]] = {}
    with contextlib.suppress(OSError, ValueError):
        known = {key: [Import(*one) for one in found] for key, found in json.loads(path.read_bytes()).items()}
    used: dict[str, list[Import]] = {}

    def imports(file: Path, package: str) -> list[Import]:
        key = hashlib.sha256(f"{package}\n".encode() + file.read_bytes()).hexdigest()
        used[key] = known[key] if key in known else imports_of(file, package)
        return used[key]

    yield imports
    if used != known:
        keep_text(path, json.dumps(used))
