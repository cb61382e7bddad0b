"""Triggers: they tell of every statement, and whatever happens to us, writing goes on."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg2
import pytest
import sqlalchemy as sa

from alphapulse_nb.db import create, tables, timescale, triggers
from alphapulse_nb.db.connection import Database, connect
from alphapulse_nb.db.triggers import Outcome
from alphapulse_nb.errors import PermissionDenied
from tests.db.conftest import execute
from tests.db.test_timescale import add_extension
from tests.db.test_timescale import db as timescale_db
from tests.state.conftest import ask

__all__ = ["timescale_db"]

INSERT = "INSERT INTO system_metrics (timestamp, metric_name) VALUES (now(), 'x')"
NAMES = list(tables.metadata.tables)


class Radio:
    """What is notified on our channel, by a connection of its own."""

    def __init__(self, url: sa.URL) -> None:
        self.link = raw(url)
        with self.link.cursor() as cursor:
            cursor.execute(f"LISTEN {triggers.CHANNEL}")

    def heard(self) -> list[str]:
        """What came since the last call."""
        with self.link.cursor() as cursor:
            cursor.execute("SELECT 1")  # whatever was committed before has come with its answer
        found = [said.payload for said in self.link.notifies]
        self.link.notifies.clear()
        return found


def raw(url: sa.URL) -> Any:
    made = psycopg2.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    made.autocommit = True
    return made


@contextmanager
def radio(url: sa.URL) -> Iterator[Radio]:
    made = Radio(url)
    yield made
    made.link.close()


@contextmanager
def role(url: sa.URL, *grants: str) -> Iterator[sa.URL]:
    """A Postgres user with these rights and no other."""
    name = f"role_{secrets.token_hex(4)}"
    execute(url, f"CREATE ROLE {name} LOGIN", *(grant.format(name) for grant in grants))
    yield url.set(username=name)
    execute(url, f"DROP OWNED BY {name} CASCADE", f"DROP ROLE {name}")


def states(outcomes: list[Outcome]) -> dict[str, str]:
    return {outcome.table: outcome.state for outcome in outcomes}


def all_of(state: str) -> dict[str, str]:
    return dict.fromkeys(NAMES, state)


def test_each_statement_is_told_once_with_the_name_of_its_table(db: Database) -> None:
    assert states(triggers.status(db)) == all_of("missing")
    assert states(triggers.install(db)) == all_of("installed")
    assert states(triggers.status(db)) == all_of("installed")
    with radio(db.url) as on:
        execute(db.url, INSERT, "UPDATE system_metrics SET metric_value = 1")
        assert on.heard() == ["system_metrics", "system_metrics"]
        execute(
            db.url,
            "INSERT INTO signals (timestamp, symbol, signal_type)"
            " SELECT now(), 'X', 'LONG' FROM generate_series(1, 1000)",
        )
        assert on.heard() == ["signals"]
        execute(db.url, "DELETE FROM signals", f"BEGIN; {INSERT}; ROLLBACK")
        assert on.heard() == []


def test_installing_twice_changes_nothing_and_installing_itself_announces_nothing(
    db: Database,
) -> None:
    oids = "SELECT oid FROM pg_trigger ORDER BY oid"
    with radio(db.url) as on:
        triggers.install(db)
        first = ask(db.url, oids)
        triggers.install(db)
        assert ask(db.url, oids) == first
        assert on.heard() == []


def test_what_was_installed_is_removed_without_a_trace(db: Database) -> None:
    triggers.install(db)
    assert states(triggers.remove(db)) == all_of("missing")
    assert ask(db.url, "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal") == []
    assert ask(db.url, "SELECT proname FROM pg_proc WHERE proname = 'announce'") == []
    assert triggers.remove(db) == []


def test_a_trigger_that_was_disabled_is_missing_and_is_mended(db: Database) -> None:
    triggers.install(db)
    execute(db.url, "ALTER TABLE signals DISABLE TRIGGER alphapulse_announce_signals")
    assert states(triggers.status(db)) == all_of("installed") | {"signals": "missing"}
    triggers.install(db)
    assert states(triggers.status(db)) == all_of("installed")


@pytest.mark.parametrize(
    "harm",
    [
        "REVOKE ALL ON SCHEMA alphapulse FROM PUBLIC",
        "REVOKE ALL ON FUNCTION alphapulse.announce() FROM PUBLIC",
        "REVOKE ALL ON FUNCTION pg_notify(text, text) FROM PUBLIC",
        "REVOKE ALL ON LANGUAGE plpgsql FROM PUBLIC",
        "DROP SCHEMA alphapulse CASCADE",
        "DROP FUNCTION alphapulse.announce() CASCADE",
    ],
)
def test_a_writer_without_any_right_to_what_is_ours_goes_on_writing(
    db: Database, harm: str
) -> None:
    triggers.install(db)
    with role(db.url, "GRANT INSERT, UPDATE, SELECT ON system_metrics TO {}") as writer:
        execute(writer, INSERT, "UPDATE system_metrics SET metric_value = 1")
        execute(db.url, harm)
        try:
            execute(writer, INSERT, "UPDATE system_metrics SET metric_value = 2")
        finally:
            execute(db.url, "GRANT EXECUTE ON FUNCTION pg_notify(text, text) TO PUBLIC")
    values = ask(db.url, "SELECT DISTINCT metric_value FROM system_metrics")
    assert values == [(2.0,)]


def test_a_search_path_of_the_writers_own_changes_nothing(db: Database) -> None:
    triggers.install(db)
    execute(
        db.url,
        "CREATE SCHEMA theirs",
        "CREATE FUNCTION theirs.pg_notify(text, text) RETURNS void LANGUAGE sql AS 'SELECT 1/0'",
        "CREATE FUNCTION theirs.lt(float8, float8) RETURNS boolean LANGUAGE sql AS 'SELECT false'",
        "CREATE OPERATOR theirs.< (FUNCTION = theirs.lt, LEFTARG = float8, RIGHTARG = float8)",
    )
    with radio(db.url) as on:
        execute(
            db.url,
            "SET search_path = theirs, pg_catalog; "
            + INSERT.replace("system_metrics", "public.system_metrics"),
        )
        assert on.heard() == ["system_metrics"]


def test_the_trigger_of_a_view_stands_on_the_table_behind_it(db: Database) -> None:
    execute(
        db.url,
        'CREATE SCHEMA "De sk"',
        'ALTER TABLE signals SET SCHEMA "De sk"',
        'ALTER TABLE "De sk".signals RENAME TO "100% odd"',
        'CREATE VIEW mine AS SELECT * FROM "De sk"."100% odd" WHERE id > 0',
        "CREATE VIEW signals AS SELECT * FROM mine WHERE symbol IN (SELECT symbol FROM mine)",
    )
    outcomes = {outcome.table: outcome for outcome in triggers.install(db)}
    assert outcomes["signals"].state == "installed"
    assert outcomes["signals"].detail == 'on "De sk"."100% odd"'
    with radio(db.url) as on:
        execute(
            db.url,
            'INSERT INTO "De sk"."100% odd" (timestamp, symbol, signal_type)'
            " VALUES (now(), 'X', 'LONG')",
        )
        assert on.heard() == ["signals"]
    assert states(triggers.remove(db)) == all_of("missing")


@pytest.mark.parametrize(
    ("made", "why"),
    [
        ("CREATE VIEW signals AS SELECT 1 AS id", "a view that reads no table"),
        (
            "CREATE VIEW signals AS SELECT b.* FROM backtests b, anomalies",
            "several tables: public.anomalies, public.backtests",
        ),
        (
            "CREATE MATERIALIZED VIEW signals AS SELECT * FROM backtests",
            "public.signals is a materialized view",
        ),
        ("CREATE FOREIGN TABLE signals (id int) SERVER far", "public.signals is a foreign table"),
        ("CREATE TYPE unrelated AS (a int)", "no such table"),
    ],
)
def test_a_name_without_one_table_behind_it_is_refused_and_the_others_are_not(
    db: Database, made: str, why: str
) -> None:
    execute(
        db.url,
        "DROP TABLE signals",
        "CREATE FOREIGN DATA WRAPPER fdw",
        "CREATE SERVER far FOREIGN DATA WRAPPER fdw",
        made,
    )
    outcomes = {outcome.table: outcome for outcome in triggers.install(db)}
    assert outcomes["signals"].state == "refused"
    assert why in outcomes["signals"].detail
    assert states(triggers.status(db)) == all_of("installed") | {"signals": "refused"}


def test_partitions_are_told_of_through_their_root(db: Database) -> None:
    execute(
        db.url,
        "DROP TABLE signals",
        "CREATE TABLE all_signals (id bigint GENERATED ALWAYS AS IDENTITY, timestamp timestamptz,"
        " twice bigint GENERATED ALWAYS AS (1 + 1) STORED NOT NULL) PARTITION BY RANGE (timestamp)",
        "CREATE TABLE signals PARTITION OF all_signals"
        " FOR VALUES FROM ('2000-1-1') TO ('2100-1-1')",
    )
    outcomes = {outcome.table: outcome for outcome in triggers.install(db)}
    assert outcomes["signals"] == Outcome("signals", "installed", "on public.all_signals")
    with radio(db.url) as on:
        execute(db.url, "INSERT INTO all_signals (timestamp) VALUES (now())")
        assert on.heard() == ["signals"]


def test_hypertables_are_told_of(timescale_db: Database) -> None:
    add_extension(timescale_db)
    create.create(timescale_db)
    with timescale_db.connection() as link:
        assert "system_metrics" in timescale.hypertables(link)
    assert states(triggers.install(timescale_db)) == all_of("installed")
    with timescale_db.connection(write=True) as link:
        link.exec_driver_sql(INSERT)
    assert timescale_db.scalar(sa.text("SELECT count(*) FROM system_metrics")) == 1


def test_where_writing_would_fail_with_a_trigger_nothing_is_left_of_the_install(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The third table's function fails; those before it had their triggers already.
    bad = "BEGIN IF TG_ARGV[0] = 'performance_metrics' THEN RAISE 'boom'; END IF; RETURN NULL; END"
    monkeypatch.setattr(triggers, "_BODY", bad)
    monkeypatch.setattr(
        triggers,
        "_MAKE_FUNCTION",
        f"CREATE FUNCTION alphapulse.announce() RETURNS trigger LANGUAGE plpgsql AS $f${bad}$f$",
    )
    outcomes = triggers.install(db)
    assert states(outcomes) == all_of("refused")
    assert "public.performance_metrics could not be written" in outcomes[0].detail
    assert "boom" in outcomes[0].detail
    assert ask(db.url, "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal") == []


def test_a_proof_leaves_no_trace_in_what_their_own_triggers_write(db: Database) -> None:
    execute(
        db.url,
        "CREATE TABLE audit (at timestamptz DEFAULT now())",
        "CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN INSERT INTO audit DEFAULT VALUES; RETURN NULL; END'",
        "CREATE TRIGGER note AFTER INSERT ON signals FOR EACH STATEMENT EXECUTE FUNCTION note()",
    )
    assert states(triggers.install(db)) == all_of("installed")
    assert ask(db.url, "SELECT count(*) FROM audit") == [(0,)]


def test_with_rights_to_some_tables_only_those_are_done_and_the_others_are_named(
    db: Database,
) -> None:
    grants = (
        f"GRANT CREATE ON DATABASE {db.url.database} TO {{}}",
        "GRANT TRIGGER, INSERT ON signals TO {}",
        "GRANT TRIGGER ON backtests TO {}",
    )
    with role(db.url, *grants) as some, connect(some) as theirs:
        outcomes = {outcome.table: outcome for outcome in triggers.install(theirs)}
        assert states(list(outcomes.values())) == all_of("refused") | {"signals": "installed"}
        assert outcomes["backtests"].detail == "permission denied for table backtests"
        assert states(triggers.status(db)) == all_of("missing") | {"signals": "installed"}
        # Dropping a trigger is its table's owner's business.
        (kept,) = triggers.remove(theirs)
        assert (kept.state, kept.detail) == ("installed", "must be owner of relation signals")
        triggers.remove(db)


def test_without_the_right_to_make_our_schema_it_is_an_error(db: Database) -> None:
    with (
        role(db.url) as nobody,
        connect(nobody) as theirs,
        pytest.raises(PermissionDenied, match="permission denied for database"),
    ):
        triggers.install(theirs)


def test_a_table_in_use_is_given_up_and_nobody_waits_behind_us(db: Database) -> None:
    holder = raw(db.url)
    with holder.cursor() as cursor:
        cursor.execute(f"BEGIN; {INSERT}")
        outcomes = {outcome.table: outcome for outcome in triggers.install(db, tries=2)}
        assert outcomes["system_metrics"].state == "refused"
        assert "in use" in outcomes["system_metrics"].detail
        assert states(triggers.status(db)) == all_of("installed") | {"system_metrics": "missing"}
        execute(db.url, "SET lock_timeout = '1s'; " + INSERT)
        cursor.execute("ROLLBACK")
    holder.close()
    assert states(triggers.install(db)) == all_of("installed")


def test_two_phase_commit_is_worth_a_note(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    assert triggers.note(db) == ""
    monkeypatch.setattr(triggers, "_PREPARED", sa.text("SELECT 10"))
    assert "two-phase commit" in triggers.note(db)
