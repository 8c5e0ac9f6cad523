"""The database's entry point: a database that is made once, and starts again whatever happened to its folder."""

import contextlib
import getpass
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from mapnode.pacs.orthanc_process import free_port
from tests.node_under_test import wait_for
from tests.postgres_under_test import ACCOUNT, PROGRAMS

DOCKERFILE = Path(__file__).parents[2] / "docker" / "Dockerfile"
ENTRY_POINT = DOCKERFILE.parent / "database-entry-point"
START_S = 60.0

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(not PROGRAMS, reason="PostgreSQL is not installed: apt-get install postgresql"),
]


class Database:
    """The entry point as in its image, in a folder and on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._as_account = {"user": ACCOUNT} if getpass.getuser() == "root" else {}
        (folder / "password").write_text("secret")
        script = ENTRY_POINT.read_text()
        for there, here in (
            ("/var/lib/database", str(folder)),
            ("/run/secrets/database_password", str(folder / "password")),
            ("unix_socket_directories=/tmp", f"unix_socket_directories={folder} -p {self.port}"),
        ):
            assert there in script
            script = script.replace(there, here)
        (folder / "entry-point").write_text(script)
        for path in (folder, *folder.iterdir()):
            if self._as_account:
                shutil.chown(path, ACCOUNT, ACCOUNT)

    @contextlib.contextmanager
    def running(self) -> Iterator[subprocess.Popen]:
        """It answers while the block runs."""
        environment = {**os.environ, "PATH": f"{PROGRAMS[-1]}:{os.environ['PATH']}", "LC_ALL": "C.UTF-8"}
        with (self.folder / "log").open("ab") as log:
            server = subprocess.Popen(
                ["bash", self.folder / "entry-point"],
                env=environment,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self._as_account,
            )
        try:
            wait_for(lambda: self._answers() or server.poll() is not None, START_S, "the database")
            assert server.poll() is None, (self.folder / "log").read_text(errors="replace")
            yield server
        finally:
            # Whoever is connected, and however often it was asked before.
            server.send_signal(signal.SIGQUIT)
            server.wait()

    def connect(self) -> psycopg.Connection:
        return psycopg.connect(host="127.0.0.1", port=self.port, user="mapnode", password="secret", dbname="mapnode")

    def _answers(self) -> bool:
        try:
            self.connect().close()
        except psycopg.OperationalError:
            return False
        return True


@pytest.fixture
def database():
    # Not in pytest's own folder, which is closed to other users.
    with tempfile.TemporaryDirectory(prefix="mapnode-database-") as folder:
        yield Database(Path(folder))


def test_it_starts_again_where_kubernetes_opened_its_folder_to_the_group(database):
    """At each mount fsGroup gives a volume's folders to its group, to be written as well, which PostgreSQL refuses."""
    with database.running():
        pass
    for path in (database.folder, *database.folder.rglob("*")):
        path.chmod(path.stat().st_mode | (0o2770 if path.is_dir() else 0o660))
    with database.running(), database.connect() as connection:
        assert connection.execute("SELECT 1").fetchone() == (1,)


def test_it_ends_at_once_when_the_engine_stops_it_whoever_is_connected(database):
    name = re.search(r"AS database$.*?^STOPSIGNAL (\w+)$", DOCKERFILE.read_text(), flags=re.MULTILINE | re.DOTALL)
    with database.running() as server, contextlib.closing(database.connect()):
        server.send_signal(signal.SIGTERM if name is None else signal.Signals[name[1]])
        # Docker waits ten seconds.
        assert server.wait(timeout=10) == 0
