"""Database: the same tables on SQLite and PostgreSQL; no password is shown; a database that is away is waited for."""

import contextlib
import re
import secrets
import sqlite3
import threading
import time

import pytest
from dbos._utils import retriable_sqlite_exception
from sqlalchemy import Column, Float, Integer, MetaData, String, Table, make_url, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from mapnode.database import (
    create_tables,
    open_database,
    outlast_full_disk,
    patiently,
    place_of,
    prepare_jobs,
    upsert,
    will_pass,
    write_ahead,
)
from mapnode.errors import NodeError, WrongUse

TABLES = MetaData()
THINGS = Table(
    "things", TABLES, Column("name", String, primary_key=True), Column("count", Integer), Column("at", Float)
)
DATABASES = ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)]


@pytest.fixture(params=DATABASES)
def place(request, tmp_path):
    return place_of(tmp_path, None if request.param == "sqlite" else request.getfixturevalue("postgres_url"))


@pytest.fixture
def opened(place):
    """Opens the database, as often as asked; every connection is closed at the end."""
    made = []

    def open_it(**how):
        made.append(open_database(place.records, **how))
        return made[-1]

    yield open_it
    for engine in made:
        engine.dispose()


@pytest.fixture
def engine(opened):
    engine = opened()
    create_tables(engine, TABLES)
    return engine


@pytest.fixture
def on_postgres(postgres_url, tmp_path):
    engine = open_database(place_of(tmp_path, postgres_url).records)
    create_tables(engine, TABLES)
    yield engine
    engine.dispose()


def rows(engine):
    with engine.connect() as connection:
        return [tuple(row) for row in connection.execute(select(THINGS).order_by(THINGS.c.name))]


def put(engine, name, count, at=0.0):
    with engine.begin() as connection:
        upsert(connection, THINGS, {"name": name, "count": count, "at": at}, ("name",))


def test_an_error_says_nothing_of_what_was_to_be_written(engine):
    with pytest.raises(DBAPIError) as failed, engine.begin() as connection:
        connection.execute(text("INSERT INTO nowhere VALUES (:name)"), {"name": "DOE^JANE"})

    assert "DOE" not in str(failed.value)


def test_what_was_committed_is_there_for_another_process(engine, opened):
    put(engine, "one", 1, 0.5)

    assert rows(opened()) == [("one", 1, 0.5)]


def test_making_the_tables_again_keeps_what_is_in_them(engine, opened):
    put(engine, "one", 1)
    again = opened()
    create_tables(again, TABLES)

    assert rows(again) == [("one", 1, 0.0)]


def in_threads(target, engines):
    """Do the same on many connections at once; what failed."""
    failures = []

    def work(engine):
        try:
            target(engine)
        except (NodeError, DBAPIError) as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(engine,)) for engine in engines]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return failures


def test_many_processes_may_make_the_tables_at_once(opened):
    assert in_threads(lambda engine: create_tables(engine, TABLES), [opened() for _ in range(6)]) == []


class Busy:
    """A connection to a file that others switch to a write-ahead log at the same time."""

    def __init__(self, refusals, code=sqlite3.SQLITE_BUSY):
        self.refusals, self.code, self.done = refusals, code, []

    def execute(self, statement):
        if self.refusals:
            self.refusals -= 1
            error = sqlite3.OperationalError("database is locked")
            error.sqlite_errorcode = self.code
            raise error
        self.done.append(statement)


def test_who_is_refused_a_write_ahead_log_since_others_want_it_too_tries_again():
    connection = Busy(refusals=3)
    write_ahead(connection)

    assert connection.done == ["PRAGMA journal_mode=WAL"]


def test_a_file_that_cannot_have_a_write_ahead_log_is_said_at_once():
    with pytest.raises(sqlite3.OperationalError):
        write_ahead(Busy(refusals=1, code=sqlite3.SQLITE_READONLY))


def test_an_upsert_changes_the_row_with_its_key_and_no_other(engine):
    put(engine, "one", 1)
    put(engine, "two", 2)
    put(engine, "one", 3, 7.0)

    assert rows(engine) == [("one", 3, 7.0), ("two", 2, 0.0)]


def test_a_transaction_that_fails_leaves_nothing(engine):
    def fail(connection):
        upsert(connection, THINGS, {"name": "one", "count": 1, "at": 0.0}, ("name",))
        raise KeyError("on purpose")

    with pytest.raises(KeyError):
        patiently(engine, fail)

    assert rows(engine) == []


def test_writers_at_the_same_time_lose_no_update(engine, opened):
    put(engine, "one", 0)

    def count_up(engine):
        for _ in range(25):
            patiently(engine, lambda c: c.execute(update(THINGS).values(count=THINGS.c.count + 1)))

    assert in_threads(count_up, [opened() for _ in range(4)]) == []
    assert rows(engine) == [("one", 100, 0.0)]


def test_an_error_that_waiting_does_not_heal_is_told_at_once(engine):
    put(engine, "one", 1)

    with pytest.raises(NodeError, match=r"fails: .*(UNIQUE|duplicate key)") as raised:
        patiently(engine, lambda c: c.execute(THINGS.insert().values(name="one")))
    assert isinstance(raised.value.__cause__, IntegrityError)
    assert not will_pass(raised.value.__cause__)


def test_readers_do_not_wait_for_a_writer(tmp_path):
    place = place_of(tmp_path)
    engine, other = open_database(place.records), open_database(place.records)
    create_tables(engine, TABLES)

    with engine.begin() as connection:
        upsert(connection, THINGS, {"name": "one", "count": 1, "at": 0.0}, ("name",))
        seen = rows(other)

    assert seen == []
    engine.dispose()
    other.dispose()


def test_sqlite_files_are_as_safe_as_sqlite_can(tmp_path):
    place = place_of(tmp_path)
    prepare_jobs(place)
    engine = open_database(place.records)
    with engine.connect() as connection:
        found = [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")]
    engine.dispose()

    with contextlib.closing(sqlite3.connect(place.jobs.database)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert found == ["wal", 2]


def error_of_a_full_disk(engine):
    create_tables(engine, TABLES)
    with engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1")
        with pytest.raises(DBAPIError, match="full") as raised:
            connection.execute(THINGS.insert().values(name="x" * 100_000))
    engine.dispose()
    return raised.value


def test_a_full_disk_will_pass(tmp_path):
    assert will_pass(error_of_a_full_disk(open_database(place_of(tmp_path).records)))


def test_dbos_tries_again_what_met_a_full_disk(tmp_path):
    engine = open_database(place_of(tmp_path).jobs)
    before = retriable_sqlite_exception(error_of_a_full_disk(engine))
    outlast_full_disk(engine)

    assert (before, retriable_sqlite_exception(error_of_a_full_disk(engine))) == (False, True)


@pytest.mark.postgres
def test_on_postgresql_our_tables_are_in_a_schema_of_their_own(on_postgres):
    with on_postgres.connect() as connection:
        query = text("SELECT schemaname FROM pg_tables WHERE tablename = 'things'")
        assert connection.execute(query).scalars().all() == ["mapnode"]


@pytest.mark.postgres
@pytest.mark.parametrize("fate", ["stop", "kill"])
def test_a_call_waits_for_a_postgresql_that_went_away_and_goes_on(postgres_server, on_postgres, fate):
    put(on_postgres, "before", 1)
    getattr(postgres_server, fate)()
    waiting = threading.Thread(target=put, args=(on_postgres, "meanwhile", 2), daemon=True)
    waiting.start()
    waiting.join(0.5)
    was_waiting = waiting.is_alive()
    postgres_server.start()
    waiting.join(30)

    assert was_waiting
    assert rows(on_postgres) == [("before", 1, 0.0), ("meanwhile", 2, 0.0)]


@pytest.mark.postgres
def test_a_transaction_that_postgresql_did_not_survive_is_done_again(postgres_server, on_postgres):
    times = []

    def work(connection):
        upsert(connection, THINGS, {"name": "one", "count": len(times), "at": 0.0}, ("name",))
        times.append(connection)
        if len(times) == 1:
            postgres_server.kill()
            postgres_server.start()
        upsert(connection, THINGS, {"name": "two", "count": len(times), "at": 0.0}, ("name",))

    patiently(on_postgres, work)

    assert rows(on_postgres) == [("one", 1, 0.0), ("two", 2, 0.0)]


@pytest.mark.postgres
def test_a_command_does_not_wait_for_ever(postgres_server, postgres_url, tmp_path):
    engine = open_database(place_of(tmp_path, postgres_url).records, patience_s=0.2)
    postgres_server.stop()
    begun = time.monotonic()
    try:
        with pytest.raises(NodeError, match=r"the database postgresql.*@127\.0\.0\.1:\d+/test_\w+ fails: .*refused"):
            rows(engine)
        assert time.monotonic() - begun < 30
    finally:
        postgres_server.start()
    engine.dispose()


@pytest.mark.postgres
def test_a_wrong_password_is_told_at_once_and_not_shown(postgres_url, tmp_path):
    secret = secrets.token_hex(8)
    (tmp_path / "pgpass").write_text(f"*:*:*:*:{secret}\n")
    (tmp_path / "pgpass").chmod(0o600)
    url = make_url(postgres_url).set(query={"passfile": str(tmp_path / "pgpass")})
    engine = open_database(place_of(tmp_path, url.render_as_string()).records)

    with pytest.raises(NodeError, match="password authentication failed") as raised:
        create_tables(engine, TABLES)
    assert secret not in str(raised.value)
    engine.dispose()


@pytest.mark.parametrize("url", ["mysql://host/x", "sqlite:///x", "nonsense", "", "postgresql+asyncpg//x"])
def test_an_address_of_something_else_is_wrong_use(tmp_path, url):
    with pytest.raises(WrongUse, match="not an address of PostgreSQL"):
        place_of(tmp_path, url)


@pytest.mark.parametrize("url", ["postgresql://u:hush@h/d", "postgresql://u@h/d?password=hush"])
def test_a_password_in_the_settings_is_wrong_use_and_not_shown(tmp_path, url):
    with pytest.raises(WrongUse, match=re.escape("a password does not belong in the settings")) as raised:
        place_of(tmp_path, url)
    assert "hush" not in str(raised.value)


def test_a_place_is_shown_without_its_options(tmp_path):
    place = place_of(tmp_path, "postgresql://u@h:5/d?passfile=/secret/place")

    assert str(place) == "postgresql+psycopg://u@h:5/d"
    assert make_url(place.jobs_url) == make_url("postgresql://u@h:5/d?passfile=/secret/place")
