"""The database's entry point: a database that is made once, and starts again whatever happened to its folder."""

import getpass
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import psycopg
import pytest

from mapnode.pacs.orthanc_process import free_port
from tests.node_under_test import wait_for
from tests.postgres_under_test import ACCOUNT, PROGRAMS

ENTRY_POINT = Path(__file__).parents[2] / "docker" / "database-entry-point"
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

    def run(self) -> list[str]:
        """Start it, ask for the databases, end it."""
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
            wait_for(lambda: self._names() or server.poll() is not None, START_S, "the database")
            assert server.poll() is None, (self.folder / "log").read_text(errors="replace")
            return self._names()
        finally:
            # Its own: it does not wait for connections.
            server.send_signal(signal.SIGINT)
            server.wait()

    def _names(self) -> list[str]:
        try:
            with psycopg.connect(
                host="127.0.0.1", port=self.port, user="mapnode", password="secret", dbname="mapnode"
            ) as connection:
                return [name for (name,) in connection.execute("SELECT datname FROM pg_database")]
        except psycopg.OperationalError:
            return []


@pytest.fixture
def database():
    # Not in pytest's own folder, which is closed to other users.
    with tempfile.TemporaryDirectory(prefix="mapnode-database-") as folder:
        yield Database(Path(folder))


def test_it_starts_again_where_kubernetes_opened_its_folder_to_the_group(database):
    """At each mount fsGroup gives a volume's folders to its group, to be written as well, which PostgreSQL refuses."""
    assert "mapnode" in database.run()
    for path in (database.folder, *database.folder.rglob("*")):
        path.chmod(path.stat().st_mode | (0o2770 if path.is_dir() else 0o660))
    assert "mapnode" in database.run()
