"""Soak samples: what a running node holds: memory, descriptors, threads, sockets of its processes, files below var."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from mapnode.node_folder import STATE_NAME
from mapnode.records.job_states import ACTIVE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from mapnode.records import Records
    from tests.node_under_test import NodeUnderTest

FOLDERS = ("jobs", "stages", "quarantine", "orthanc")
OVERDUE_S = 240.0
"""The soak keeps files of jobs for 90 s, the node stages for 60 s, housekeeping comes once a minute: what is older than
this should be gone, by a minute at least."""
DATABASES = ("records.sqlite", "jobs.sqlite")


def sample(node: NodeUnderTest, records: Records) -> dict[str, float]:
    """Look once.

    Args:
        node: The node, running.
        records: Its records.

    Returns:
        Values by name: `<process>.rss_mb`, `.fds`, `.threads`, `.sockets`, `.pid`; `<folder>.files`, `.mb`,
        `.overdue`; for databases `.mb`, with what is in the write-ahead log, and `.log_mb`, the size of that;
        `queue.<state>`, `queue.staging`; `at`, in monotonic seconds.
    """
    status = _status(node)
    counts = records.jobs.counts()
    values = {"at": time.monotonic(), "load": os.getloadavg()[0], "queue.staging": float(status["staging"]["pending"])}
    values |= {f"queue.{state}": float(counts.get(state, 0)) for state in sorted(ACTIVE)}
    for name, pid in _pids(node, status).items():
        values |= {f"{name}.{what}": value for what, value in process_values(pid).items()}
    for folder in FOLDERS:
        files, size, overdue = folder_size(node.var / folder)
        values |= {f"{folder}.files": float(files), f"{folder}.mb": size / 1e6}
        if folder != "orthanc":
            values[f"{folder}.overdue"] = float(overdue)
    for database in DATABASES:
        values[f"{database}.mb"] = database_size(node.var / database) / 1e6
        values[f"{database}.log_mb"] = _size(node.var / f"{database}-wal") / 1e6
    return values


def process_values(pid: int) -> dict[str, float]:
    """What a process holds (proc(5)); nothing where it ended meanwhile.

    Args:
        pid: The process.

    Returns:
        Resident memory in MB (10^6 bytes), open descriptors, sockets among them, threads, and the pid.
    """
    folder = Path(f"/proc/{pid}")
    try:
        fields = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines() if ":" in line)
        targets = [_target(link) for link in (folder / "fd").iterdir()]
        return {
            "pid": float(pid),
            "rss_mb": int(fields["VmRSS"].split()[0]) * 1024 / 1e6,
            "threads": float(fields["Threads"]),
            "fds": float(len(targets)),
            "sockets": float(sum(target.startswith("socket:") for target in targets)),
        }
    except (OSError, KeyError):
        return {}


def folder_size(folder: Path) -> tuple[int, int, int]:
    """Number of files below a folder, their bytes, and how many are overdue; one of several names counts under each."""
    found = [_stat(Path(base) / name) for base, _, names in os.walk(folder) for name in names]
    there = [one for one in found if one is not None]
    begun = time.time() - OVERDUE_S
    return len(there), sum(one.st_size for one in there), sum(one.st_mtime < begun for one in there)


def database_size(path: Path) -> int:
    """Bytes of an SQLite database, its pages in the write-ahead log among them, the unused ones not."""
    with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=30)) as connection:
        pages, unused, size = (
            int(connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
    return (pages - unused) * size


def _status(node: NodeUnderTest) -> dict[str, Any]:
    url = json.loads((node.var / STATE_NAME).read_text())["url"]
    status: dict[str, Any] = httpx.get(f"{url}/status", timeout=30).raise_for_status().json()
    return status


def _pids(node: NodeUnderTest, status: Mapping[str, Any]) -> dict[str, int]:
    assert node.process is not None
    pids = {"node": node.process.pid, "orthanc": node.orthanc_pid()}
    if status["staging"]["pid"]:
        pids["staging"] = status["staging"]["pid"]
    if status["workers"]:
        pids["worker"] = status["workers"][0]["pid"]
    return pids


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def _size(path: Path) -> int:
    found = _stat(path)
    return 0 if found is None else found.st_size


def _stat(path: Path) -> os.stat_result | None:
    """What is known of a file; None where it went away meanwhile."""
    try:
        return path.stat()
    except OSError:
        return None
