"""The door to our schema: confined to it, short, holding nothing, healing by itself."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from alphapulse_nb.db import embedded, tables
from alphapulse_nb.db.connection import connect
from alphapulse_nb.errors import (
    DatabaseError,
    DatabaseUnavailable,
    InputError,
    PermissionDenied,
    QueryTimeout,
    SchemaError,
)
from alphapulse_nb.state import State, prepare
from alphapulse_nb.state.tables import users
from tests.db.conftest import execute
from tests.db.test_connection import kill_server
from tests.state.conftest import ask

SIGNALS = tables.signals
OURS = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE application_name = 'alphapulse-nb' AND datname = current_database()"
)


@pytest.mark.parametrize(
    "statement",
    [
        sa.select(SIGNALS.c.id),
        sa.select(users.c.id).where(users.c.id.in_(sa.select(SIGNALS.c.id))),
        sa.select(users.c.id).join(SIGNALS, SIGNALS.c.id == users.c.id),
        sa.insert(SIGNALS).values(symbol="X"),
        sa.update(SIGNALS).values(symbol="X"),
        sa.delete(SIGNALS),
        sa.insert(users).from_select(["name"], sa.select(SIGNALS.c.symbol)),
        sa.text("DELETE FROM public.signals"),
        sa.select(sa.text("1")),
    ],
    ids=["select", "in", "join", "insert", "update", "delete", "from_select", "text", "column"],
)
def test_what_touches_a_table_of_others_is_refused_before_it_is_sent(
    state: State, statement: sa.Executable
) -> None:
    with (
        pytest.raises(InputError, match="only tables of the schema alphapulse"),
        state.writing() as link,
    ):
        link.execute(statement)


def test_names_without_a_schema_mean_ours(state: State) -> None:
    with state.reading() as link:
        assert link.exec_driver_sql("SELECT to_regclass('users')::text").scalar() == "users"
        assert link.exec_driver_sql("SHOW search_path").scalar() == "alphapulse, pg_temp"


def test_reading_writes_nothing(state: State) -> None:
    with pytest.raises(DatabaseError, match="read-only"), state.reading() as link:
        link.execute(sa.delete(users))


def test_a_failure_inside_undoes_the_transaction(state: State, url: sa.URL) -> None:
    row = {"name": "a", "key": "a", "password": None, "role": "viewer", "version": 1}
    with pytest.raises(DatabaseError, match="null value"), state.writing() as link:
        link.execute(sa.insert(users).values(row))
    assert ask(url, "SELECT count(*) FROM alphapulse.users") == [(0,)]


def test_no_connection_is_kept_after_work(state: State, url: sa.URL) -> None:
    def read() -> None:
        with state.reading() as link:
            link.execute(sa.select(users.c.id))

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(read) for _ in range(40)]:
            done.result()
    with state.writing() as link:
        link.execute(sa.delete(users))
        assert ask(url, OURS) == [(1,)]
    assert ask(url, OURS) == [(0,)]


def test_a_statement_that_hangs_is_cancelled_by_the_server(url: sa.URL) -> None:
    with connect(url, statement_timeout=0.2) as db, State(db) as state:
        with pytest.raises(QueryTimeout, match="did not answer in time"), state.reading() as link:
            link.execute(sa.select(sa.func.pg_sleep(5)))
        with state.reading() as link:
            assert link.execute(sa.select(sa.literal(1))).scalar_one() == 1


def test_tables_that_are_not_made_are_a_schema_error_with_the_next_step(bare: State) -> None:
    with pytest.raises(SchemaError, match="alphapulse db upgrade"), bare.reading() as link:
        link.execute(sa.select(users.c.id))


def test_a_table_that_may_not_be_read_is_named(state: State, as_role: Callable[[], sa.URL]) -> None:
    theirs = as_role()
    with (
        connect(theirs) as db,
        State(db) as other,
        pytest.raises(PermissionDenied, match=r"schema alphapulse; .*alphapulse db status"),
        other.reading() as link,
    ):
        link.execute(sa.select(users.c.id))


def test_a_change_by_somebody_who_owns_nothing_names_the_owner_as_the_way(
    state: State, url: sa.URL, as_role: Callable[[], sa.URL]
) -> None:
    theirs = as_role()
    execute(url, f"GRANT USAGE ON SCHEMA alphapulse TO {theirs.username}")
    with (
        connect(theirs) as db,
        State(db) as other,
        pytest.raises(PermissionDenied, match=r"owner of table users.*db upgrade"),
        other.building() as link,
    ):
        link.exec_driver_sql("ALTER TABLE alphapulse.users ADD COLUMN extra text")


def test_a_server_that_is_away_is_unavailable(url: sa.URL) -> None:
    with (
        connect(url.set(query={}, host="127.0.0.1", port=1)) as db,
        State(db) as state,
        pytest.raises(DatabaseUnavailable, match="nothing listens there"),
    ):
        state.reading().__enter__()


def test_an_embedded_server_that_died_is_brought_back(tmp_path: Path) -> None:
    with connect(data_dir=tmp_path / "postgres") as db, State(db) as state:
        prepare(state)
        assert db.embedded is not None
        kill_server(db.embedded.pid)
        with state.writing() as link:
            assert link.execute(sa.select(sa.func.count(users.c.id))).scalar_one() == 0


def test_closing_leaves_the_embedded_server_to_its_database(tmp_path: Path) -> None:
    with connect(data_dir=tmp_path / "postgres") as db:
        with State(db) as state:
            prepare(state)
        assert db.scalar(sa.text("SELECT 42")) == 42
    assert not embedded.status(tmp_path / "postgres").running


def test_the_door_shows_no_password(url: sa.URL) -> None:
    with connect(url.set(password="hunter2-is-secret")) as db, State(db) as state:
        assert "hunter2" not in repr(state)
        assert str(url.database) in repr(state)
