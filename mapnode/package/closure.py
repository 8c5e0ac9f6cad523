"""Closure: what an app imports, found in its source: our modules, and the names of everybody else's."""

from __future__ import annotations

import ast
import sys
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple, TypeGuard

from mapnode.errors import WrongUse
from mapnode.package.layout import OURS
from mapnode.package.source_files import app_files_in

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STATEMENTS = (ast.stmt, ast.excepthandler, ast.match_case)
"""Nodes that statements stand in."""


@dataclass(frozen=True)
class ImportClosure:
    """What has to be there so that an app's imports work, those inside functions among them.

    Attributes:
        files: Files of our packages, relative to the import root: modules, and what lies beside them as data.
        at_load: Foreign modules that are imported when the app is loaded, by dotted name.
        later: Foreign modules that are imported only when some function is called.
        names: Foreign modules again, with what is taken from each: `from skimage import filters` loads another module.
        of_engine: Of those that are imported later, what the engine of the app's model alone imports.
    """

    files: tuple[Path, ...]
    at_load: frozenset[str]
    later: frozenset[str]
    names: frozenset[str]
    of_engine: frozenset[str] = frozenset()


class Import(NamedTuple):
    """One name that a file imports.

    Attributes:
        module: Where it comes from.
        name: Dotted name of what is taken.
        is_later: Whether it waits for a call.
    """

    module: str
    name: str
    is_later: bool


def imports_of(path: Path, package: str) -> list[Import]:
    """What a file imports.

    Args:
        path: The file.
        package: Dotted name of its package, for relative imports.

    Raises:
        WrongUse: If it is no Python.
    """
    try:
        return list(_imports(path, package))
    except (SyntaxError, ValueError) as error:
        raise WrongUse(f"{path} is no Python of this version: {error}") from error


def find_closure(
    app_folder: Path,
    root: Path,
    engine: str | None = None,
    imports: Callable[[Path, str], list[Import]] = imports_of,
) -> ImportClosure:
    """Follow the imports of an app.

    Args:
        app_folder: Folder with app.py.
        root: Folder that `operators` lies in.
        engine: Module of ours that the app loads by name, for the kind of its model: what it imports waits until then.
        imports: Says what a file imports.

    Returns:
        The closure. `if TYPE_CHECKING` blocks count for nothing.

    Raises:
        WrongUse: If a file of the app is no Python, or cannot go into an image.
    """
    walk = _Walk(root, imports)
    for name, path in app_files_in(app_folder).items():
        if path.suffix == ".py":
            walk.follow(path, ".".join(PurePosixPath(name).parent.parts))
    without_engine = frozenset(walk.later)
    if engine is not None:
        walk.follow_later(engine)
    data = {
        beside.relative_to(root)
        for folder in {(root / file).parent for file in walk.files}
        for beside in folder.iterdir()
        if beside.is_file() and beside.suffix not in {".py", ".pyc"}
    }
    later = frozenset(walk.later - walk.at_load)
    files, at_load, names = tuple(sorted(walk.files | data)), frozenset(walk.at_load), frozenset(walk.names)
    return ImportClosure(files, at_load, later, names, later - without_engine)


class _Walk:
    """Files met so far, and foreign names that they import."""

    def __init__(self, root: Path, imports: Callable[[Path, str], list[Import]]) -> None:
        self.root = root
        self._imports = imports
        self.files: set[Path] = set()
        self.at_load: set[str] = set()
        self.later: set[str] = set()
        self.names: set[str] = set()
        self._entered: set[str] = set()
        self._waits = False

    def follow(self, path: Path, package: str) -> None:
        """Take the imports of one file, whose package is needed for relative ones."""
        for module, name, is_later in self._imports(path, package):
            if module.split(".")[0] == OURS:
                self._enter(name)
            elif module.split(".")[0] not in sys.stdlib_module_names:
                (self.later if is_later or self._waits else self.at_load).add(module)
                self.names.add(name)

    def follow_later(self, name: str) -> None:
        """Take a module of ours that is imported when the app has been loaded."""
        self._waits = True
        self._enter(name)

    def _enter(self, name: str) -> None:
        """Take a module of ours and the packages around it; a name that is no module is one inside of its package."""
        parts = name.split(".")
        for length in range(1, len(parts) + 1):
            module = ".".join(parts[:length])
            if module in self._entered:
                continue
            self._entered.add(module)
            base = self.root.joinpath(*parts[:length])
            path = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
            file = path.relative_to(self.root)
            if path.is_file() and file not in self.files:
                self.files.add(file)
                self.follow(path, ".".join(file.parent.parts))


def _imports(path: Path, package: str) -> Iterator[Import]:
    waiting: list[tuple[ast.AST, bool]] = [(ast.parse(path.read_bytes(), str(path)), False)]
    while waiting:
        node, is_later = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, alias.name, is_later) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            module = ".".join(part for part in (base, node.module) if part)
            yield from (Import(module, f"{module}.{alias.name}", is_later) for alias in node.names)
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        inside = node.orelse if _is_type_checking(node) else ast.iter_child_nodes(node)
        # Imports are statements: expressions, most of a tree, hold none.
        waiting.extend((child, is_later or is_function) for child in inside if isinstance(child, STATEMENTS))


def _is_type_checking(node: ast.AST) -> TypeGuard[ast.If]:
    return isinstance(node, ast.If) and ast.unparse(node.test) in {"TYPE_CHECKING", "typing.TYPE_CHECKING"}
