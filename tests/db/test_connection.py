"""The door to Postgres: read-only, bounded, holding nothing while idle, healing by itself."""

from __future__ import annotations

import os
import signal
import threading
import time
import traceback
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg2
import pytest
import sqlalchemy as sa

from alphapulse_nb.db import connection, embedded, tables
from alphapulse_nb.db.connection import Database, connect
from alphapulse_nb.errors import (
    DatabaseError,
    DatabaseUnavailable,
    InputError,
    PermissionDenied,
    QueryTimeout,
    SchemaError,
)
from tests.conftest import wait_until
from tests.db.conftest import execute

RATES = tables.funding_rates
SECRET = "hunter2-is-secret"
OURS = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'alphapulse-nb'"


def connections(db: Database) -> int:
    """How many of our connections the server holds for this database."""
    raw = psycopg2.connect(db.url.set(drivername="postgresql").render_as_string())
    with raw.cursor() as cursor:
        cursor.execute(f"{OURS} AND datname = current_database()")
        (count,) = cursor.fetchone() or (0,)
    raw.close()
    return int(count)


def kill_server(pid: int | None) -> None:
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while embedded.leases.birth(pid) is not None:
        time.sleep(0.02)


def test_an_insert_is_refused(db: Database) -> None:
    with pytest.raises(DatabaseError, match="read-only"):
        db.scalar(
            sa.text("INSERT INTO system_metrics (timestamp, metric_name) VALUES (now(), 'x')")
        )


def test_a_slow_statement_is_cancelled_by_the_server(filled: sa.URL) -> None:
    with (
        connect(filled, statement_timeout=0.2) as db,
        pytest.raises(QueryTimeout, match=r"longer than 0\.2 s"),
    ):
        db.scalar(sa.text("SELECT pg_sleep(5)"))


@pytest.mark.parametrize("change", ["DROP TABLE {}", "ALTER TABLE {} DROP COLUMN funding_rate"])
def test_what_is_missing_is_a_schema_error_with_the_next_step(db: Database, change: str) -> None:
    execute(db.url, change.format(RATES.name))
    with pytest.raises(SchemaError, match=r"funding_rate.*alphapulse db check"):
        db.read(sa.select(RATES.c.funding_rate))


def test_a_user_without_rights_is_told_so(db: Database) -> None:
    role = f"reader_{db.url.database}"
    execute(db.url, f"CREATE ROLE {role} LOGIN")
    try:
        with (
            connect(db.url.set(username=role)) as theirs,
            pytest.raises(PermissionDenied, match=r"funding_rates.*Grant"),
        ):
            theirs.read(sa.select(RATES.c.id))
    finally:
        execute(db.url, f"DROP ROLE {role}")


def test_times_are_utc_whatever_the_server_says(db: Database) -> None:
    execute(db.url, f"ALTER DATABASE {db.url.database} SET timezone = 'Asia/Tokyo'")
    assert db.scalar(sa.text("SHOW timezone")) == "UTC"


def test_no_connection_is_kept_after_a_read(db: Database) -> None:
    db.read(sa.select(RATES.c.id))
    db.scalar(sa.text("SELECT 1"))
    assert connections(db) == 0


def test_a_session_shares_its_connection_and_closes_it_at_its_end(db: Database) -> None:
    with db.session():
        first = db.scalar(sa.text("SELECT pg_backend_pid()"))
        assert db.scalar(sa.text("SELECT pg_backend_pid()")) == first
        assert connections(db) == 1
    assert connections(db) == 0


def test_thirty_threads_read_at_once(db: Database) -> None:
    with ThreadPoolExecutor(30) as pool:
        values = pool.map(
            lambda n: db.scalar(sa.text(f"SELECT {n} FROM pg_sleep(0.02)")), range(300)
        )
        assert list(values) == list(range(300))
    wait_until(lambda: connections(db) == 0)  # a backend takes a moment to end


def test_a_connection_that_was_cut_while_it_waited_is_replaced(db: Database) -> None:
    with db.session():
        pid = db.scalar(sa.text("SELECT pg_backend_pid()"))
        execute(db.url, f"SELECT pg_terminate_backend({pid}, 5000)")
        assert db.scalar(sa.text("SELECT 42")) == 42


def test_a_connection_cut_during_a_query_is_unavailable_and_the_next_read_works(
    db: Database,
) -> None:
    def cut() -> None:
        while not connections(db):
            time.sleep(0.01)
        execute(
            db.url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'alphapulse-nb' AND datname = current_database()",
        )

    cutter = threading.Thread(target=cut)
    cutter.start()
    with pytest.raises(DatabaseUnavailable, match="cannot be reached"):
        db.scalar(sa.text("SELECT pg_sleep(8)"))
    cutter.join()
    assert db.scalar(sa.text("SELECT 42")) == 42


@pytest.mark.parametrize("inside_a_session", [False, True])
def test_the_embedded_server_is_brought_back_after_a_kill(
    tmp_path: Path, inside_a_session: bool
) -> None:
    with connect(data_dir=tmp_path / "data") as db:
        assert db.embedded is not None
        if inside_a_session:
            with db.session():
                assert db.scalar(sa.text("SELECT 1")) == 1
                kill_server(db.embedded.pid)
                assert db.scalar(sa.text("SELECT 2")) == 2
        else:
            kill_server(db.embedded.pid)
            assert db.scalar(sa.text("SELECT 2")) == 2


def test_another_server_that_died_is_unavailable_until_it_is_back(tmp_path: Path) -> None:
    with embedded.start(tmp_path / "data") as server, connect(server.url) as db:
        assert db.scalar(sa.text("SELECT 1")) == 1
        kill_server(server.pid)
        with pytest.raises(DatabaseUnavailable, match="nothing listens there"):
            db.scalar(sa.text("SELECT 1"))
        server.ensure_running()
        assert db.scalar(sa.text("SELECT 2")) == 2


@contextmanager
def limited(db: Database, limit: int) -> Iterator[None]:
    """Leave the database, for users without special rights, that many connections."""
    role = f"crowd_{db.url.database}"
    execute(db.url, f"CREATE ROLE {role} LOGIN CONNECTION LIMIT {limit}")
    yield
    execute(db.url, f"DROP ROLE {role}")


def test_a_full_server_is_asked_again_until_a_slot_is_free(db: Database) -> None:
    with limited(db, 1):
        url = db.url.set(username=f"crowd_{db.url.database}")
        holder = psycopg2.connect(url.set(drivername="postgresql").render_as_string())
        threading.Timer(0.5, holder.close).start()
        with connect(url) as crowd:
            assert crowd.scalar(sa.text("SELECT 42")) == 42


def test_a_server_that_stays_full_is_unavailable(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "_RETRY_FOR_A_SLOT", 0.2)
    with (
        limited(db, 0),
        connect(db.url.set(username=f"crowd_{db.url.database}")) as crowd,
        pytest.raises(DatabaseUnavailable, match="no free connection"),
    ):
        crowd.scalar(sa.text("SELECT 42"))


def test_writing_is_possible_only_when_asked_for(db: Database) -> None:
    insert = sa.insert(tables.system_metrics).values(timestamp=sa.func.now(), metric_name="x")
    with pytest.raises(DatabaseError, match="read-only"), db.connection() as link:
        link.execute(insert)
    with db.connection(write=True) as link:
        link.execute(insert)
    assert db.scalar(sa.select(sa.func.count()).select_from(tables.system_metrics)) == 1


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (f"postgresql://me:{SECRET}@127.0.0.1:1/desk", "nothing listens there"),
        (f"postgresql://me:{SECRET}@host.invalid/desk", "name is unknown"),
        (f"postgresql://me:{SECRET}@/desk?host=/nowhere", "nothing listens there"),
    ],
)
def test_an_address_that_does_not_answer_is_named_without_its_password(url: str, says: str) -> None:
    with connect(url) as db:
        assert SECRET not in repr(db) + db.where
        with pytest.raises(DatabaseUnavailable, match=says) as caught:
            db.scalar(sa.text("SELECT 1"))
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("url", "says"),
    [
        (f"mysql://me:{SECRET}@host/desk", "'mysql'; expected postgresql://"),
        (f"postgresql://me@host:{SECRET}/desk", "cannot be read"),
        (f"postgresql://me:{SECRET}@host/desk?sslmod={SECRET}", "among: sslmod"),
        (SECRET, "cannot be read"),
    ],
)
def test_a_wrong_url_is_refused_without_showing_it(url: str, says: str) -> None:
    with pytest.raises(InputError, match=says) as caught:
        connect(url)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
