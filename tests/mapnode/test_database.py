"""Database: the same tables on SQLite and PostgreSQL; no password is shown; a database that is away is waited for."""

import re
import secrets
import sqlite3
import threading
import time

import pytest
from sqlalchemy import Column, Float, Integer, MetaData, String, Table, make_url, select, text

from mapnode.database import Database, place_of
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

    def open_database(**how) -> Database:
        made.append(Database(place, **how))
        return made[-1]

    yield open_database
    for database in made:
        database.close()


def rows(database):
    return database.read(lambda c: [tuple(row) for row in c.execute(select(THINGS).order_by(THINGS.c.name))])


def put(database, name, count, at=0.0):
    values = {"name": name, "count": count, "at": at}
    database.transaction(lambda c: c.execute(database.upsert(THINGS, values)))


def test_what_was_committed_is_there_for_another_process(opened):
    database = opened()
    database.create(TABLES)
    put(database, "one", 1, 0.5)

    assert rows(opened()) == [("one", 1, 0.5)]


def test_making_the_tables_again_keeps_what_is_in_them(opened):
    database = opened()
    database.create(TABLES)
    put(database, "one", 1)
    again = opened()
    again.create(TABLES)

    assert rows(again) == [("one", 1, 0.0)]


def test_many_processes_may_make_the_tables_at_once(opened):
    databases = [opened() for _ in range(6)]
    failures = []

    def create(database):
        try:
            database.create(TABLES)
        except NodeError as error:
            failures.append(error)

    threads = [threading.Thread(target=create, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []


def test_an_upsert_changes_the_row_with_its_key_and_no_other(opened):
    database = opened()
    database.create(TABLES)
    put(database, "one", 1)
    put(database, "two", 2)
    put(database, "one", 3, 7.0)

    assert rows(database) == [("one", 3, 7.0), ("two", 2, 0.0)]


def test_a_transaction_that_fails_leaves_nothing(opened):
    database = opened()
    database.create(TABLES)

    def work(connection):
        connection.execute(database.upsert(THINGS, {"name": "one", "count": 1, "at": 0.0}))
        raise KeyError("on purpose")

    with pytest.raises(KeyError):
        database.transaction(work)
    assert rows(database) == []


def test_writers_at_the_same_time_lose_no_update(opened):
    databases = [opened() for _ in range(4)]
    databases[0].create(TABLES)
    put(databases[0], "one", 0)

    def count_up(connection):
        row = connection.execute(select(THINGS.c.count).where(THINGS.c.name == "one").with_for_update())
        connection.execute(THINGS.update().values(count=row.scalar_one() + 1))

    def work(database):
        for _ in range(25):
            database.transaction(count_up)

    threads = [threading.Thread(target=work, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert rows(databases[0]) == [("one", 100, 0.0)]


def test_readers_do_not_wait_for_a_writer(tmp_path):
    database, other = Database(place_of(tmp_path)), Database(place_of(tmp_path))
    database.create(TABLES)

    def look_from_elsewhere(connection):
        connection.execute(database.upsert(THINGS, {"name": "one", "count": 1, "at": 0.0}))
        return rows(other)

    assert database.transaction(look_from_elsewhere) == []
    database.close()
    other.close()


def test_sqlite_files_are_as_safe_as_sqlite_can(tmp_path):
    place = place_of(tmp_path)
    database = Database(place)
    database.create(TABLES)

    for url in (place.records, place.jobs):
        with sqlite3.connect(url.database) as connection:
            assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        connection.close()
    assert database.read(lambda c: c.exec_driver_sql("PRAGMA synchronous").scalar()) == 2
    database.close()


@pytest.mark.postgres
def test_on_postgresql_our_tables_are_in_a_schema_of_their_own(postgres_url, tmp_path):
    database = Database(place_of(tmp_path, postgres_url))
    database.create(TABLES)

    found = database.read(
        lambda c: c.execute(text("SELECT schemaname FROM pg_tables WHERE tablename = 'things'")).scalars().all()
    )
    database.close()
    assert found == ["mapnode"]


@pytest.mark.postgres
@pytest.mark.parametrize("fate", ["stop", "kill"])
def test_a_call_waits_for_a_postgresql_that_went_away_and_goes_on(postgres_server, postgres_url, tmp_path, fate):
    database = Database(place_of(tmp_path, postgres_url))
    database.create(TABLES)
    put(database, "before", 1)
    getattr(postgres_server, fate)()
    waiting = threading.Thread(target=put, args=(database, "meanwhile", 2), daemon=True)
    waiting.start()
    waiting.join(0.5)
    was_waiting = waiting.is_alive()
    postgres_server.start()
    waiting.join(30)

    assert was_waiting
    assert rows(database) == [("before", 1, 0.0), ("meanwhile", 2, 0.0)]
    database.close()


@pytest.mark.postgres
def test_a_command_does_not_wait_for_ever(postgres_server, postgres_url, tmp_path):
    database = Database(place_of(tmp_path, postgres_url), patience_s=0.2)
    postgres_server.stop()
    begun = time.monotonic()
    try:
        with pytest.raises(NodeError, match=r"the database postgresql.*@127\.0\.0\.1:\d+/test_\w+ fails: .*refused"):
            rows(database)
    finally:
        postgres_server.start()
    assert time.monotonic() - begun < 10
    database.close()


@pytest.mark.postgres
def test_a_wrong_password_is_told_at_once_and_not_shown(postgres_url, tmp_path):
    secret = secrets.token_hex(8)
    (tmp_path / "pgpass").write_text(f"*:*:*:*:{secret}\n")
    (tmp_path / "pgpass").chmod(0o600)
    url = make_url(postgres_url).set(query={"passfile": str(tmp_path / "pgpass")})
    database = Database(place_of(tmp_path, url.render_as_string()))

    with pytest.raises(NodeError, match="password authentication failed") as raised:
        database.create(TABLES)
    assert secret not in str(raised.value)
    database.close()


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
