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
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import psycopg
from sqlalchemy import URL, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from mapnode.errors import NodeError, WrongUse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sqlalchemy import Connection, Dialect, Engine, ExceptionContext, MetaData, Table

RECORDS_FILE = "records.sqlite"
JOBS_FILE = "jobs.sqlite"
SCHEMA = "mapnode"
BUSY_TIMEOUT_S = 10.0
"""How long SQLite waits for another writer before it gives up a statement; then we wait on."""
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
REFUSALS = ("authentication failed", "no password supplied", "does not exist", "no pg_hba.conf entry")
"""What a server says to those whom it will not let in later either; there is no SQLSTATE before one is in."""

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
    def exists(self) -> bool:
        """Whether there can be something: a server, or files."""
        return self.is_shared or Path(str(self.records.database)).is_file()

    @property
    def jobs_url(self) -> str:
        """What DBOS takes as `system_database_url`."""
        return self.jobs.render_as_string(hide_password=False)

    @property
    def where(self) -> str:
        """The node's folder, or the server's address without what is secret in it."""
        return str(self) if self.is_shared else str(Path(str(self.records.database)).parent)

    def __str__(self) -> str:
        """Its address, without what is secret in it."""
        return shown(self.records)


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


def open_database(url: URL | str, *, patience_s: float | None = None) -> Engine:
    """An engine for a database; nothing is connected yet.

    Its connections are tried before use, and a server that is away is waited for. Who is in the middle of a transaction
    then gets an error of which `will_pass` is true. No error repeats what was to be written.

    Args:
        url: SQLAlchemy's address of it (Place).
        patience_s: How long to wait for a database that is away; None for ever, as a service must.

    Returns:
        The engine.
    """
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(parsed, hide_parameters=True)
        event.listen(engine, "connect", _set_pragmas)
        return engine
    defaults = {name: value for name, value in POSTGRES_CONNECTION.items() if name not in parsed.query}
    engine = create_engine(parsed, pool_pre_ping=True, hide_parameters=True, connect_args=defaults)

    @event.listens_for(engine, "do_connect")
    def connect(dialect: Dialect, _: Any, arguments: list[Any], options: dict[str, Any]) -> Any:  # noqa: ANN401
        return _patiently(lambda: dialect.connect(*arguments, **options), _is_away, parsed, patience_s)

    return engine.execution_options(schema_translate_map={None: SCHEMA})


def create_tables(engine: Engine, tables: MetaData) -> None:
    """Make the tables that are not there yet, while no other process does."""
    with engine.begin() as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:schema))"), {"schema": SCHEMA})
            connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
        else:
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # the driver begins none for what makes tables
        tables.create_all(connection)


def prepare_jobs(place: Place) -> None:
    """Set what DBOS does not set on its file: a log by which readers and writers do not wait for each other."""
    if not place.is_shared:
        with contextlib.closing(sqlite3.connect(str(place.jobs.database), timeout=BUSY_TIMEOUT_S)) as connection:
            write_ahead(connection)


def write_ahead(connection: sqlite3.Connection) -> None:
    """Have a file of SQLite keep a write-ahead log, from the first process on that opens it.

    Of several that do so at once SQLite refuses all but one, and has them not wait, whatever their timeout.

    Raises:
        sqlite3.OperationalError: If the file cannot be changed, or is in use for BUSY_TIMEOUT_S.
    """
    deadline = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
        except sqlite3.OperationalError as error:
            if _sqlite_code(error) != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                raise
            time.sleep(FIRST_PAUSE_S)
        else:
            return


def outlast_full_disk(engine: Engine) -> None:
    """Have DBOS wait for room on a full disk, as it waits for another writer.

    DBOS tries again what it writes when SQLite says "database is locked", and nothing else; a workflow whose step could
    not be written would be pending for ever, as nobody runs it any more.

    Args:
        engine: DBOS's own.
    """

    @event.listens_for(engine, "handle_error")
    def say_locked(context: ExceptionContext) -> OperationalError | None:
        error = context.original_exception
        if _sqlite_code(error) != sqlite3.SQLITE_FULL:
            return None
        return OperationalError(context.statement, None, sqlite3.OperationalError(f"database is locked: {error}"))


def upsert(connection: Connection, table: Table, values: Mapping[str, Any], keys: Sequence[str]) -> None:
    """Insert a row, or update the one with these keys."""
    dialect = postgresql if connection.dialect.name == "postgresql" else sqlite
    statement: Any = dialect.insert(table).values(**values)
    changed = {name: value for name, value in values.items() if name not in keys}
    if changed:
        connection.execute(statement.on_conflict_do_update(index_elements=list(keys), set_=changed))
    else:
        connection.execute(statement.on_conflict_do_nothing(index_elements=list(keys)))


def patiently(engine: Engine, work: Callable[[Connection], T]) -> T:
    """Do a transaction again until it is through, however often the database goes away meanwhile.

    Args:
        engine: The database.
        work: Gets the connection. In the rarest case it runs again after its commit: what it writes must be the same
            the second time.

    Returns:
        What it gives.
    """

    def once() -> T:
        with engine.begin() as connection:
            return work(connection)

    return _patiently(once, will_pass, engine.url, None)


def will_pass(error: BaseException) -> bool:
    """Whether waiting heals an error: the server is away or starts, the disk is full, another one writes."""
    if not isinstance(error, DBAPIError):
        return False
    if isinstance(error.orig, sqlite3.Error):
        return _sqlite_code(error.orig) in PASSING_SQLITE
    return error.connection_invalidated or (error.orig is not None and _is_away(error.orig))


def _sqlite_code(error: BaseException) -> int:
    """SQLite's primary code of an error; 0 where it has none."""
    # Extended codes keep the primary one in their low byte.
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _is_away(error: BaseException) -> bool:
    """Whether an error of PostgreSQL's driver means that the server is away, and not that it refuses us."""
    state = getattr(error, "sqlstate", None)
    if state is None:
        refused = any(words in str(error) for words in REFUSALS)
        return isinstance(error, psycopg.OperationalError) and not refused
    return str(state).startswith(PASSING_POSTGRES)


def _patiently(call: Callable[[], T], passes: Callable[[BaseException], bool], url: URL, patience_s: float | None) -> T:
    """What a call gives, once the database answers.

    Raises:
        NodeError: If the database is away for longer than we wait, or does not let us in.
    """
    deadline = None if patience_s is None else time.monotonic() + patience_s
    pause_s = FIRST_PAUSE_S
    while True:
        try:
            return call()
        except (DBAPIError, psycopg.Error) as error:
            said = str(getattr(error, "orig", error)).strip().partition("\n")[0]  # without the statement and its values
            if not passes(error) or (deadline is not None and time.monotonic() >= deadline):
                raise NodeError(f"the database {shown(url)} fails: {said}") from error
            if pause_s == FIRST_PAUSE_S:
                _log.warning("waiting for the database %s: %s", shown(url), said)
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, LONGEST_PAUSE_S)


def shown(url: URL) -> str:
    """An address without what is secret in it."""
    return str(url.set(query={}).render_as_string(hide_password=True))


def _set_pragmas(connection: sqlite3.Connection, _: Any) -> None:  # noqa: ANN401 - SQLAlchemy's own record
    """A write-ahead log lets commands read while the node writes; every commit is on disk."""
    # The lock from a transaction's first write on: one that came to it later would be refused, not kept waiting.
    connection.isolation_level = "IMMEDIATE"
    write_ahead(connection)
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute(f"PRAGMA busy_timeout={int(BUSY_TIMEOUT_S * 1000)}")
