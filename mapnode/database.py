"""Database: where a node keeps what it knows: SQLite files in its folder, or one PostgreSQL for several machines.

    database: null                                                     SQLite, one machine
    database: postgresql://mapnode@db.hospital/mapnode?passfile=/etc/mapnode/pgpass

On SQLite records and jobs are a file each, so that intake does not wait for checkpoints; every commit is on disk.
On PostgreSQL both are in one database: schema `mapnode` is ours, schema `dbos` is DBOS's own.

Passwords are libpq's business (PGPASSFILE, ?passfile=, PGPASSWORD): none stands in mapnode.yaml, none is ever printed.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from sqlalchemy import URL, MetaData, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError

from mapnode.errors import NodeError, WrongUse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from sqlalchemy import Connection, Engine, Table
    from sqlalchemy.sql.dml import Insert

RECORDS_FILE = "records.sqlite"
JOBS_FILE = "jobs.sqlite"
SCHEMA = "mapnode"
BUSY_TIMEOUT_S = 10.0
"""How long SQLite waits for another writer before it gives up a statement; then we wait on."""
START_PATIENCE_S = 30.0
"""A database that starts together with the node is waited for so long."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.05, 2.0
POSTGRES_CONNECTION = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "tcp_user_timeout": 15_000,
    "application_name": SCHEMA,
}
"""A server that vanished without a word is noticed after 15 s, not after TCP's two hours."""
PASSING_SQLITE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL}
PASSING_POSTGRES = ("08", "53", "57P", "40")
"""Classes of SQLSTATE that pass: connection, resources (a full disk among them), restart, deadlock."""

READS = "mapnode_reads"
"""Option of a connection that only reads."""

T = TypeVar("T")
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where the two parts are.

    Attributes:
        records: SQLAlchemy's address of our tables.
        jobs: That of DBOS's tables.
    """

    records: URL
    jobs: URL

    @property
    def is_shared(self) -> bool:
        """Whether processes on other machines can reach it."""
        return self.records.get_backend_name() == "postgresql"

    @property
    def jobs_url(self) -> str:
        """What DBOS takes as `system_database_url`."""
        return self.jobs.render_as_string(hide_password=False)

    def __str__(self) -> str:
        """Its address, without what is secret in it."""
        return str(self.records.set(query={}).render_as_string(hide_password=True))


def place_of(folder: Path, url: str | None = None) -> Place:
    """Where the database of a node is.

    Args:
        folder: The node's folder (var), for SQLite.
        url: `postgresql://...`, or None for SQLite.

    Returns:
        The place; nothing is opened.

    Raises:
        WrongUse: If the address is none of PostgreSQL, or has a password in it.
    """
    if url is None:
        return Place(*(make_url(f"sqlite:///{folder / name}") for name in (RECORDS_FILE, JOBS_FILE)))
    try:
        parsed = make_url(url)
    except ArgumentError:
        parsed = URL.create("none")
    if parsed.get_backend_name() != "postgresql":
        raise WrongUse(
            "database: not an address of PostgreSQL; write postgresql://user@host/database, or null for SQLite"
        )
    if parsed.password is not None or "password" in parsed.query:
        raise WrongUse(
            "database: a password does not belong in the settings; name a file with ?passfile=FILE (mode 0600, a line "
            "host:port:database:user:password), or set PGPASSFILE or PGPASSWORD"
        )
    return Place(*(parsed.set(drivername=name) for name in ("postgresql+psycopg", "postgresql")))


class Database:
    """Our tables. Every call is a transaction of its own that waits while the database is away."""

    def __init__(self, place: Place, *, patience_s: float | None = None) -> None:
        """Prepare it; the first call connects.

        Args:
            place: Where it is.
            patience_s: How long a call waits for a database that is away; None for ever, as a service must.
        """
        self.place = place
        self._patience_s = patience_s
        self._engine = _postgres_engine(place.records) if place.is_shared else _sqlite_engine(place.records)

    def create(self, tables: MetaData) -> None:
        """Make the tables that are not there yet, while no other process does.

        Raises:
            NodeError: If the database is away or refuses us.
        """
        patience_s = START_PATIENCE_S if self._patience_s is None else self._patience_s
        if not self.place.is_shared:
            _keep_write_ahead_log(self.place.jobs)  # DBOS itself would leave readers waiting for writers
        self._patiently(lambda: self._create(tables), patience_s)

    def _create(self, tables: MetaData) -> None:
        with self._engine.begin() as connection:
            if self.place.is_shared:
                connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:schema))"), {"schema": SCHEMA})
                connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
            tables.create_all(connection)

    def transaction(self, work: Callable[[Connection], T]) -> T:
        """Do something with the tables, all of it or nothing.

        Args:
            work: Gets the connection. It may run again when the connection breaks, in the rarest case after its
                commit: what it writes must be the same the second time.

        Returns:
            What it gives.

        Raises:
            NodeError: If the database is away for longer than we wait, or refuses us.
        """

        def once() -> T:
            with self._engine.begin() as connection:
                return work(connection)

        return self._patiently(once, self._patience_s)

    def read(self, work: Callable[[Connection], T]) -> T:
        """Look at the tables as they are at one moment; nobody waits for it.

        Args:
            work: Gets the connection; may run again when it breaks.

        Returns:
            What it gives.

        Raises:
            NodeError: If the database is away for longer than we wait, or refuses us.
        """

        def once() -> T:
            with self._engine.connect().execution_options(**{READS: True}) as connection:
                return work(connection)

        return self._patiently(once, self._patience_s)

    def upsert(self, table: Table, values: Mapping[str, Any]) -> Insert:
        """The statement that inserts a row, or changes the one with its primary key."""
        insert = (postgresql.insert if self.place.is_shared else sqlite.insert)(table).values(dict(values))
        keys = [column.name for column in table.primary_key]
        changed = {name: value for name, value in values.items() if name not in keys}
        return insert.on_conflict_do_update(index_elements=keys, set_=changed)

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def _patiently(self, call: Callable[[], T], patience_s: float | None) -> T:
        """What a call gives, once the database answers.

        Raises:
            NodeError: If it does not in time, or refuses us.
        """
        deadline = None if patience_s is None else time.monotonic() + patience_s
        pause_s = FIRST_PAUSE_S
        while True:
            try:
                return call()
            except DBAPIError as error:
                if not _will_pass(error) or (deadline is not None and time.monotonic() >= deadline):
                    raise NodeError(f"the database {self.place} fails: {_first_line(error)}") from error
                if pause_s == FIRST_PAUSE_S:
                    _log.warning("waiting for the database %s: %s", self.place, _first_line(error))
            time.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def _will_pass(error: DBAPIError) -> bool:
    """Whether an error is one that waiting heals: server away or starting, disk full, another writer."""
    cause = error.orig
    if isinstance(cause, sqlite3.Error):
        # Extended codes keep the primary one in their low byte.
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in PASSING_SQLITE
    if isinstance(cause, psycopg.OperationalError) and cause.sqlstate is None:
        return not any(
            words in str(cause) for words in ("authentication failed", "does not exist", "no password supplied")
        )
    state = getattr(cause, "sqlstate", None) or ""
    return error.connection_invalidated or state.startswith(PASSING_POSTGRES)


def _first_line(error: DBAPIError) -> str:
    """What the database says, without the statement and its values."""
    return str(error.orig).strip().partition("\n")[0]


def _postgres_engine(url: URL) -> Engine:
    defaults = {name: value for name, value in POSTGRES_CONNECTION.items() if name not in url.query}
    engine = create_engine(url, pool_pre_ping=True, connect_args=defaults)
    return engine.execution_options(schema_translate_map={None: SCHEMA})


def _sqlite_engine(url: URL) -> Engine:
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def set_pragmas(connection: sqlite3.Connection, _: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own record
        connection.isolation_level = None  # SQLAlchemy begins transactions, not Python's driver
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT_S * 1000)}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # From the beginning: a reader that turns writer while another one commits would be refused at once.
        connection.exec_driver_sql("BEGIN" if connection.get_execution_options().get(READS) else "BEGIN IMMEDIATE")

    return engine


def _keep_write_ahead_log(url: URL) -> None:
    """Set the mode of journal that SQLite keeps in the file itself."""
    with contextlib.closing(sqlite3.connect(str(url.database), timeout=BUSY_TIMEOUT_S)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
