"""Memory: how much the machine has, and how much a process holds."""

from __future__ import annotations

import re
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CONTROL_GROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
UNITS = {"": 1, "k": 10**3, "Ki": 2**10, "M": 10**6, "Mi": 2**20, "G": 10**9, "Gi": 2**30}


def parse_memory(text: str) -> int:
    """Bytes of a quantity as a manifest's `resources.memory` writes it.

    Examples:
        >>> parse_memory("4Gi")
        4294967296
    """
    number = text.rstrip("kKMGi")
    return int(float(number) * UNITS[text[len(number) :]])


def machine_memory_bytes() -> int:
    """Memory of the machine, or of the container where that has less."""
    total = _of_machine("MemTotal")
    try:
        return min(total, int(CONTROL_GROUP_LIMIT.read_text(encoding="ascii")))
    except (OSError, ValueError):
        return total


def available_memory_bytes() -> int:
    """Memory that processes can still get without anything being swapped."""
    return _of_machine("MemAvailable")


def own_memory_bytes(pid: int) -> int:
    """What a process holds besides mapped files, which the system takes back when it needs them; 0 where it is gone."""
    try:
        return _read(Path("/proc", str(pid), "status"), "RssAnon")
    except (OSError, ValueError):
        return 0


def _of_machine(name: str) -> int:
    return _read(MEMINFO, name)


def _read(path: Path, name: str) -> int:
    """A line "Name:   123 kB".

    Raises:
        ValueError: If there is none.
    """
    found = re.search(rf"^{name}:\s+(\d+) kB$", path.read_text(encoding="ascii"), re.MULTILINE)
    if found is None:
        raise ValueError(f"{path} does not say {name}")
    return int(found[1]) * 1024
