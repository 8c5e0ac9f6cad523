"""A PostgreSQL of Debian's package in a folder and on a port of its own, for tests that stop, kill and restart it."""

from __future__ import annotations

import contextlib
import getpass
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest

from mapnode.pacs.orthanc_process import free_port

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
ACCOUNT = "postgres"
"""PostgreSQL refuses to run as root; Debian's package makes this account."""
USER = "mapnode"


class PostgresUnderTest:
    """Start, stop, kill; commits are on disk when they return (fsync stays on)."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mapnode-postgres-"))
        self.port = free_port()
        self._as_account = {"user": ACCOUNT} if getpass.getuser() == "root" else {}
        # Outside the server's folder, which only its account may read.
        self._secret = Path(tempfile.mkdtemp(prefix="mapnode-pgpass-")) / "pgpass"
        password = secrets.token_urlsafe(16)
        self._secret.write_text(f"127.0.0.1:{self.port}:*:{USER}:{password}\n")
        self._secret.chmod(0o600)
        (self.folder / "password").write_text(password)
        for path in (self.folder, self.folder / "password"):
            if self._as_account:
                shutil.chown(path, ACCOUNT)
        options = ["-D", str(self.data), "-U", USER, "-E", "UTF8", "--no-locale", "-A", "scram-sha-256"]
        command = [PROGRAMS[-1] / "initdb", *options, f"--pwfile={self.folder / 'password'}"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=self.folder, **self._as_account)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}?passfile={self._secret}"

    def create(self, database: str) -> str:
        """A new, empty database; its address."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{database}"')
        return self.url(database)

    def start(self) -> None:
        flags = ["-p", str(self.port), "-k", str(self.folder), "-c", "listen_addresses=127.0.0.1"]
        command = [PROGRAMS[-1] / "postgres", "-D", self.data, *flags]
        with (self.folder / "log").open("ab") as log:
            # A child of ours, that its end is noticed: a dead server that nobody waited for would count as running.
            self._server = subprocess.Popen(command, stdout=log, stderr=log, cwd=self.folder, **self._as_account)
        while not self._answers():
            assert self._server.poll() is None, (self.folder / "log").read_text(errors="replace")

    def stop(self) -> None:
        """As at the machine's shutdown: connections are ended, what was committed is kept."""
        self._server.send_signal(signal.SIGINT)
        self._server.wait()

    def kill(self) -> None:
        """As when the power fails: the server and all its processes at once."""
        backends = [pid for pid in _processes() if _parent(pid) == self._server.pid]
        self._server.kill()
        for pid in backends:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self._server.wait()
        while any(_parent(pid) is not None for pid in backends):
            pass

    def _answers(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=5).close()
        except psycopg.OperationalError:
            return False
        return True

    def remove(self) -> None:
        shutil.rmtree(self.folder)
        shutil.rmtree(self._secret.parent)


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _parent(pid: int) -> int | None:
    """The process that started another one; None once that is gone."""
    try:
        state, parent = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[:2]
    except OSError:
        return None
    return None if state == "Z" else int(parent)


def _why_not() -> str | None:
    """Why there can be no PostgreSQL here."""
    if not PROGRAMS:
        return "PostgreSQL is not installed (Debian package postgresql)"
    if getpass.getuser() == "root" and ACCOUNT not in {account.pw_name for account in pwd.getpwall()}:
        return f"there is no account {ACCOUNT}, and PostgreSQL refuses to run as root"
    return None


@pytest.fixture(scope="session")
def postgres_server():
    """One server for all tests; whoever kills it starts it again."""
    if reason := _why_not():
        pytest.skip(reason)
    server = PostgresUnderTest()
    server.start()
    yield server
    server.stop()
    server.remove()


@pytest.fixture
def postgres_url(postgres_server) -> str:
    """An empty database of its own."""
    return postgres_server.create(f"test_{secrets.token_hex(4)}")
