"""Whose rows may be emptied, and rows that arrive as they were."""

from __future__ import annotations

from datetime import UTC, datetime

import pandas as pd
import pytest
import sqlalchemy as sa

from alphapulse_nb.db import embedded, tables
from alphapulse_nb.demo import prepare, write_fixture
from alphapulse_nb.demo.writer import copy, reserve, transaction
from alphapulse_nb.errors import DatabaseUnavailable, InputError, SchemaError

from .conftest import NOW, SEED


def counts(engine: sa.Engine) -> dict[str, int]:
    with engine.connect() as connection:
        return {
            name: connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one()
            for name, table in tables.metadata.tables.items()
        }


def test_an_empty_database_is_prepared(engine: sa.Engine) -> None:
    prepare(engine)
    assert set(counts(engine).values()) == {0}


def test_own_rows_are_emptied_and_ids_go_on(engine: sa.Engine) -> None:
    write_fixture(engine, SEED, NOW, hours=2)
    assert min(counts(engine).values()) > 0
    with transaction(engine) as connection:
        before = reserve(connection, "signals", 1)
    prepare(engine)
    assert set(counts(engine).values()) == {0}
    with transaction(engine) as connection:
        assert reserve(connection, "signals", 1) == before + 1


@pytest.mark.parametrize("note", [None, {}, {"source": "bot"}, {"source": None}])
def test_one_row_of_somebody_else_stops_everything(
    engine: sa.Engine, note: dict[str, object] | None
) -> None:
    write_fixture(engine, SEED, NOW, hours=2)
    row = {"timestamp": NOW, "symbol": "BTC/USDT", "signal_type": "LONG", "metadata": note}
    with engine.begin() as connection:
        connection.execute(sa.insert(tables.signals).values(row))
    before = counts(engine)
    with pytest.raises(InputError, match="signals holds rows that the demo desk did not write"):
        prepare(engine)
    assert counts(engine) == before


def test_a_missing_table_is_named(engine: sa.Engine) -> None:
    tables.anomalies.drop(engine)
    with pytest.raises(SchemaError, match="table anomalies does not exist"):
        prepare(engine)


def test_a_view_is_refused(engine: sa.Engine) -> None:
    tables.anomalies.drop(engine)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE VIEW anomalies AS SELECT 1 AS id"))
    try:
        with pytest.raises(InputError, match="anomalies is not a plain table"):
            prepare(engine)
    finally:
        with engine.begin() as connection:
            connection.execute(sa.text("DROP VIEW anomalies"))


def test_copied_values_come_back_as_they_were(engine: sa.Engine) -> None:
    stamp = datetime(2026, 3, 29, 1, 30, 0, 123456, tzinfo=UTC)
    frame = pd.DataFrame(
        {
            "timestamp": pd.DatetimeIndex([stamp, stamp]),
            "symbol": ["BTC/USDT", 'quote " comma ,'],
            "signal_type": ["LONG", "EXIT_LONG"],
            "entry_price": [96400.1, 0.00012345],
            "confidence": [1 / 3, float("nan")],
            "outcome": ["WIN", None],
            "evaluated_at": pd.DatetimeIndex([stamp, pd.NaT]),
            "metadata": ['{"source": "synthetic"}', None],
        }
    )
    with transaction(engine) as connection:
        assert copy(connection, "signals", frame) == 2
        rows = connection.execute(sa.select(tables.signals).order_by("id")).all()
    first, second = rows
    assert (first.timestamp, first.evaluated_at) == (stamp, stamp)
    assert (float(first.entry_price), first.confidence) == (96400.1, 1 / 3)
    assert first.metadata == {"source": "synthetic"}
    assert (second.symbol, float(second.entry_price)) == ('quote " comma ,', 0.00012345)
    assert (second.confidence, second.outcome, second.evaluated_at, second.metadata) == (None,) * 4


def test_an_unreachable_database_is_a_reason_to_retry_and_tells_no_secret() -> None:
    engine = sa.create_engine("postgresql+psycopg2://me:hunter2@127.0.0.1:1/none")
    with pytest.raises(DatabaseUnavailable, match="could not reach Postgres") as caught:
        prepare(engine)
    assert "hunter2" not in str(caught.value)


def test_a_connection_that_dies_during_a_copy_is_a_reason_to_retry(
    engine: sa.Engine, server: embedded.EmbeddedPostgres
) -> None:
    other = sa.create_engine(server.url, poolclass=sa.NullPool)
    frame = pd.DataFrame({"timestamp": [NOW], "metric_name": ["x"]})

    def interrupted() -> None:
        with transaction(engine) as connection:
            pid = connection.execute(sa.text("SELECT pg_backend_pid()")).scalar_one()
            with other.connect() as killer:
                killer.execute(sa.text("SELECT pg_terminate_backend(:pid, 5000)"), {"pid": pid})
            copy(connection, "system_metrics", frame)

    with pytest.raises(DatabaseUnavailable):
        interrupted()
    with transaction(engine) as connection:
        assert copy(connection, "system_metrics", frame) == 1
