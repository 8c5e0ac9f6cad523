"""Distributions: which locked packages an app's imports load, found by loading them once in a process of its own."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mapnode.errors import NodeError, WrongUse
from mapnode.package.layout import OURS
from mapnode.share import shared_folder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from mapnode.package.closure import ImportClosure

MISSING = re.compile(r"^ModuleNotFoundError: No module named '([\w-]+)")
NO_NETWORK = {"requests"}
"""A MAP has none: who fetches by these if they are there, as pydicom its test files, does without them."""
TRACE = """
import importlib, importlib.machinery, importlib.util, json, runpy, sys, warnings
warnings.simplefilter("ignore")
before = set(sys.modules)
app, absent, parts, later = sys.argv[1], set(json.loads(sys.argv[2])), *map(json.loads, sys.argv[3:])
sys.argv[1:] = []
# As for a program in a file: modules beside it are found before all others.
sys.path.insert(0, app.rpartition("/")[0])

class Locked(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name in parts:
            return importlib.util.spec_from_file_location(name, parts[name])
        return None if name.split(".")[0] in absent else super().find_spec(name, path, target)

sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = Locked

def files():
    modules = {getattr(m, "__file__", None) for n, m in list(sys.modules.items()) if n not in before}
    libraries = {line.split(maxsplit=5)[5].strip() for line in open("/proc/self/maps") if ".so" in line and "/" in line}
    return set(filter(None, modules | libraries))

runpy.run_path(app, run_name="app")
known = files()
found, failed = {"": sorted(known)}, []
for name, taken in later.items():
    try:
        # With names, packages load the parts that they wait with until somebody asks for them.
        __import__(name, fromlist=taken)
    except ImportError:
        failed.append(name)
    found[name] = sorted(files() - known)
    known = files()
print("\\n" + json.dumps([found, failed]))
"""
"""Files of modules and shared libraries that are there when an app is loaded, and those that each module brings that it
imports later, also those that cannot be imported, until they break off. What is not locked is not there, as in the
image: who can do without it does so here as well. Where a part of a package has a stand-in, that is loaded."""


@dataclass(frozen=True)
class LockedPackage:
    """One entry of a lock file.

    Attributes:
        name: Normalised name (PEP 503).
        version: Its version.
        text: The entry's lines, with hashes.
    """

    name: str
    version: str
    text: str


@dataclass(frozen=True)
class NeededPackages:
    """What goes into an image.

    Attributes:
        packages: Lock entries, by name.
        left_out: Modules that some function would import and that are not locked, or bring what is not: engines that
            the app's manifest does not choose.
    """

    packages: tuple[LockedPackage, ...]
    left_out: tuple[str, ...]

    @property
    def lock(self) -> str:
        """A lock file of these alone."""
        return "".join(package.text for package in self.packages)


def read_lock(path: Path) -> dict[str, LockedPackage]:
    """The entries of a lock file, by normalised name.

    Raises:
        WrongUse: If there is no such file.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise WrongUse(f"the lock file {path} cannot be read: {error.strerror}") from error
    entries = re.findall(r"^([A-Za-z0-9._-]+)==(\S+)((?:.*\\\n)*.*\n)", text, flags=re.MULTILINE)
    return {
        normalised(name): LockedPackage(normalised(name), version, f"{name}=={version}{rest}")
        for name, version, rest in entries
    }


def asked_for(modules: Iterable[str]) -> frozenset[str]:
    """Packages that bring some modules, with all that those ask for of necessity, by their metadata.

    Args:
        modules: Dotted names.

    Returns:
        Normalised names. What a package only takes where it happens to be there, as its extras, is not among them.
    """
    waiting = set(_bringing({module.split(".")[0] for module in modules}))
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        found.add(name)
        try:
            asked = importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            continue
        words = (re.match(r"[\w.-]+", text) for text in asked if "extra ==" not in text)
        waiting |= {normalised(word[0]) for word in words if word} - found
    return frozenset(found)


def _bringing(tops: set[str]) -> Iterator[str]:
    """Installed packages that bring any of some modules at the top."""
    beginnings = [f"\n{top}{end}" for top in tops for end in "/."]
    for distribution in importlib.metadata.distributions():
        lines = f"\n{_record(distribution)}"
        if any(beginning in lines for beginning in beginnings):
            yield normalised(distribution.metadata["Name"])


def _record(distribution: importlib.metadata.Distribution) -> str:
    """A package's list of its files (RECORD, PEP 376); `distribution.files` looks at every file: ten seconds in all."""
    return distribution.read_text("RECORD") or ""


def normalised(name: str) -> str:
    """A distribution's name as PEP 503 compares it.

    Examples:
        >>> normalised("ml_dtypes.Extra")
        'ml-dtypes-extra'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def find_packages(
    app_folder: Path, closure: ImportClosure, lock: dict[str, LockedPackage], root: Path
) -> NeededPackages:
    """Load what an app imports, and say which locked packages that came from.

    Args:
        app_folder: Folder with app.py.
        closure: Its imports.
        lock: Entries by name.
        root: Import root of `operators`.

    Returns:
        The packages, by name.

    Raises:
        WrongUse: If a package that is loaded is not locked, or installed in another version than the locked one.
        NodeError: If the app cannot be loaded.
    """
    # A stand-in is for what others import and the app does not.
    modules = closure.at_load | closure.later
    tops = {name.split(".")[0] for name in modules}
    stand_ins = stand_ins_folder()
    paths = [root] if tops & {path.name for path in stand_ins.iterdir()} else [stand_ins, root]
    absent = sorted(_absent(lock) | (NO_NETWORK - tops))
    # Those of a file that is itself imported later are not there when the app is: they are asked for with the others.
    taken = {module: sorted(_taken_from(module, closure.names)) for module in sorted(modules)}
    found, failed = _trace((app_folder / "app.py").resolve(), taken, paths, absent)
    owners = _owners({file for files in found.values() for file in files}, [app_folder, root / OURS, stand_ins])
    brought = {name: {owners[file] for file in files if file in owners} for name, files in found.items()}
    left_out = {name for name, packages in brought.items() if name and (name in failed or not packages <= lock.keys())}
    # What one that is left out loaded before it broke off, later ones have as well.
    shared = set().union(*(brought[name] for name in failed)) & lock.keys()
    needed = sorted(shared.union(*(packages for name, packages in brought.items() if name not in left_out)))
    _require_locked(needed, lock)
    return NeededPackages(tuple(lock[name] for name in needed), tuple(sorted(left_out)))


def stand_ins_folder() -> Path:
    """Folder of the packages that stand in an image for what no MAP uses; a name with a dot is a part of a package."""
    return shared_folder("map-build") / "stand-ins"


def installed() -> list[str]:
    """Names and versions of what is installed here, as their folders have them: read in a moment."""
    folders = (Path(place) for place in sys.path if Path(place).is_dir())
    return sorted({path.name for folder in folders for path in folder.glob("*.dist-info")})


def ways_of_finding() -> bytes:
    """What `find_packages` goes by besides the app: how an app is loaded, and with which stand-ins."""
    folder = stand_ins_folder()
    files = sorted(folder.rglob("*.py"))
    named = (f"{file.relative_to(folder)}\n".encode() + file.read_bytes() for file in files)
    return b"".join([TRACE.encode(), *named])


def _absent(lock: dict[str, LockedPackage]) -> set[str]:
    """Modules at the top that only packages bring that are installed here and not locked."""
    absent: set[str] = set()
    present = {"mapnode", OURS}
    for distribution in importlib.metadata.distributions():
        tops = {line.split(",")[0].split("/")[0].split(".")[0] for line in _record(distribution).splitlines()}
        (present if normalised(distribution.metadata["Name"]) in lock else absent).update(tops)
    return absent - present


def _taken_from(module: str, names: Iterable[str]) -> Iterator[str]:
    """What is imported of a module by name."""
    return (name.rpartition(".")[2] for name in names if name.rpartition(".")[0] == module)


def _trace(
    app: Path, later: dict[str, list[str]], paths: list[Path], absent: list[str]
) -> tuple[dict[str, list[str]], list[str]]:
    """Files that an app loads, and those that each module brings that it imports later; which of these cannot be.

    Args:
        app: Its app.py.
        later: What is taken from each module.
        paths: Where modules are looked for besides this Python's own places.
        absent: Modules that are not there.

    Raises:
        WrongUse: If the app loads what is not locked.
        NodeError: If it cannot be loaded.
    """
    parts = {path.name: str(path / "__init__.py") for path in stand_ins_folder().glob("*.*")}
    done = subprocess.run(  # noqa: S603 - our own interpreter and an app of the catalogue
        # -P: what lies where this is called is none of the app's.
        [sys.executable, "-P", "-c", TRACE, str(app), *map(json.dumps, (absent, parts, later))],
        env={"PYTHONPATH": os.pathsep.join(map(str, paths)), "PATH": "/usr/bin:/bin", "USER": "holoscan"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no word"])[-1]
        if (missing := MISSING.match(last)) and missing[1] in absent:
            raise WrongUse(
                f"{app} cannot be loaded, {missing[1]} is not locked: add it to pyproject.toml and `make lock`"
            )
        raise NodeError(f"{app} cannot be loaded, so that nobody knows what it needs: {last}")
    found, failed = json.loads(done.stdout.splitlines()[-1])
    return found, failed


def _owners(files: Iterable[str], ours: Iterable[Path]) -> dict[str, str]:
    """The package that each file belongs to; a module of nobody is its own: no package will bring it.

    Args:
        files: Modules and libraries.
        ours: Folders whose files come into the image by themselves; with Python's own, and libraries of the system.
    """
    own = [f"{folder.resolve()}/" for folder in (*ours, Path(sysconfig.get_path("stdlib")))]
    wanted = {str(Path(file).resolve()): file for file in files}
    # Some modules are made and not read, and say what they like: torch.ops is `_ops.py`.
    read = {path: file for path, file in wanted.items() if path.endswith(".py") and Path(file).is_absolute()}
    owners = {file: path for path, file in read.items() if not path.startswith(tuple(own))}
    for distribution in importlib.metadata.distributions():
        folder = f"{Path(str(distribution.locate_file(''))).resolve()}/"
        inside = {path.removeprefix(folder): file for path, file in wanted.items() if path.startswith(folder)}
        names = (line.rsplit(",", 2)[0] for line in _record(distribution).splitlines())
        owners.update((inside[name], normalised(distribution.metadata["Name"])) for name in names if name in inside)
    return owners


def _require_locked(names: Iterable[str], lock: dict[str, LockedPackage]) -> None:
    """The image gets what the lock says: that has to be what was loaded here.

    Raises:
        WrongUse: If it is not.
    """
    for name in names:
        if name.startswith("/"):
            raise WrongUse(
                f"the app loads {name}, which no locked package has and the image would lack: put it beside app.py, or "
                "have it installed from a wheel that is locked"
            )
        if name not in lock:
            raise WrongUse(
                f"the app loads {name}, which the lock does not have: add it to pyproject.toml and `make lock`"
            )
        installed = importlib.metadata.version(name)
        if installed.split("+")[0] != lock[name].version.split("+")[0]:
            raise WrongUse(
                f"{name} {installed} is installed, {lock[name].version} is locked: `make demo` installs that"
            )
