"""What a database lacks, column by column; making tables only where none is."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from alphapulse_nb.db import tables, timescale
from alphapulse_nb.db.check import check, existing
from alphapulse_nb.db.connection import Database, connect
from alphapulse_nb.db.create import create
from alphapulse_nb.db.status import status
from alphapulse_nb.errors import PermissionDenied, SchemaError
from tests.db.conftest import execute

NAMES = list(tables.metadata.tables)

# A trading system with names and types of its own, and the views that adapt it.
LEGACY = """
CREATE SCHEMA legacy;
CREATE DOMAIN legacy.pair AS varchar(12);
CREATE TABLE legacy.funding (
    ts timestamptz, pair legacy.pair, venue text, rate double precision, next_at timestamptz);
INSERT INTO legacy.funding VALUES (now(), 'BTC/USDT', 'alpha', 0.0001, NULL);
CREATE VIEW funding_rates AS SELECT row_number() OVER ()::int AS id, ts AS timestamp,
    pair AS symbol, venue AS exchange, rate AS funding_rate, next_at AS next_funding_time,
    NULL::numeric AS estimated_rate, NULL::json AS metadata, ts AS created_at FROM legacy.funding;
CREATE VIEW anomalies AS SELECT 1::int8 AS id, now() AS timestamp, 'BTC/USDT'::text AS symbol,
    'x'::text AS data_type, 1::int AS value, 3.5::numeric AS z_score, 3::real AS threshold,
    NULL::jsonb AS metadata, now()::timestamptz AS created_at;
CREATE VIEW performance_metrics AS SELECT 1::int8 AS id, now() AS timestamp, 'B'::text AS symbol,
    's'::text AS strategy_id, 1.0 AS pnl, 0.5 AS win_rate, 0.1 AS drawdown, 1.0 AS execution_time,
    1.0 AS avg_position_size, 1.0 AS max_position_size, 1::smallint AS trade_count,
    NULL::jsonb AS metadata, now() AS created_at;
CREATE VIEW signal_predictions AS SELECT 1::int8 AS id, now() AS timestamp, 'B'::text AS symbol,
    'LONG'::text AS signal_type, 0.7 AS confidence, NULL::float8 AS predicted_pnl,
    NULL::jsonb AS features, NULL::jsonb AS metadata, now() AS created_at;
CREATE MATERIALIZED VIEW system_metrics AS SELECT 1::int8 AS id, now() AS timestamp,
    'latency'::text AS metric_name, 1.0 AS metric_value, 'ms'::text AS metric_unit,
    NULL::jsonb AS metadata, now() AS created_at;
CREATE INDEX ON system_metrics (metric_name, timestamp);
CREATE VIEW signals AS SELECT 1::int8 AS id, now() AS timestamp, 'B'::text AS symbol,
    'LONG'::text AS signal_type, 1.0 AS entry_price, 1.0 AS stop_loss, 1.0 AS target_price,
    0.7 AS confidence, 2.0 AS risk_reward_ratio, 'WIN'::text AS outcome, 0.1 AS pnl_pct,
    now() AS evaluated_at, NULL::jsonb AS metadata, now() AS created_at;
CREATE VIEW backtests AS SELECT 1::int8 AS id, now() AS timestamp, 'B'::text AS symbol,
    's'::text AS strategy_name, now() AS start_date, now() AS end_date, 1.0 AS initial_capital,
    1.0 AS final_capital, 0.1 AS total_return, 0.1 AS annualized_return, 0.1 AS volatility,
    0.1 AS sharpe_ratio, 0.1 AS sortino_ratio, 0.1 AS calmar_ratio, 0.1 AS max_drawdown,
    0.1 AS profit_factor, 0.1 AS win_rate, 7 AS total_trades, NULL::jsonb AS config,
    NULL::jsonb AS metadata, now() AS created_at
"""


def findings(db: Database) -> list[str]:
    return [str(finding) for finding in check(db)]


def test_the_reference_tables_lack_nothing(db: Database) -> None:
    assert findings(db) == []


def test_an_empty_database_lacks_every_table_and_is_told_their_columns(empty: sa.URL) -> None:
    with connect(empty) as db:
        found = check(db)
    assert [str(finding) for finding in found] == [f"{name}: missing" for name in NAMES]
    rates = found[NAMES.index("funding_rates")]
    assert "funding_rate numeric(10, 8)" in rates.next_step
    assert "alphapulse db init" in rates.next_step


@pytest.mark.parametrize(
    ("change", "problem", "serious"),
    [
        ("DROP TABLE signals CASCADE", "signals: missing", True),
        ("ALTER TABLE signals DROP COLUMN pnl_pct", "signals.pnl_pct: missing", True),
        (
            "ALTER TABLE signals ALTER pnl_pct TYPE text",
            "signals.pnl_pct: is text, expected double precision",
            True,
        ),
        (
            "ALTER TABLE anomalies ALTER data_type TYPE bytea USING data_type::bytea",
            "anomalies.data_type: is bytea, expected varchar(50)",
            True,
        ),
        (
            "ALTER TABLE signals ALTER evaluated_at TYPE timestamp",
            "signals.evaluated_at: has no time zone and is read as UTC",
            False,
        ),
        ("ALTER TABLE signals ALTER pnl_pct TYPE numeric", None, True),
        ("ALTER TABLE signals ALTER symbol TYPE text", None, True),
        ("ALTER TABLE signals ALTER metadata TYPE json", None, True),
        ("ALTER TABLE signals ADD COLUMN more text", None, True),
        (
            "DROP INDEX signals_symbol_timestamp",
            "signals: no index on (symbol, timestamp): long ranges will be slow",
            False,
        ),
        (
            "DROP INDEX system_metrics_metric_name_timestamp",
            "system_metrics: no index on (metric_name, timestamp): long ranges will be slow",
            False,
        ),
    ],
)
def test_each_change_is_found_or_accepted(
    db: Database, change: str, problem: str | None, serious: bool
) -> None:
    execute(db.url, change)
    found = check(db)
    assert [str(finding) for finding in found] == ([] if problem is None else [problem])
    assert all(finding.serious is serious and finding.next_step for finding in found)


def test_an_adapted_database_lacks_nothing_and_its_columns_can_be_read(empty: sa.URL) -> None:
    execute(empty, LEGACY)
    with connect(empty) as db:
        assert findings(db) == []
        for table in tables.metadata.tables.values():
            frame = db.read(sa.select(*(c for c in table.c if c.name != "metadata")))
            again = db.read(sa.select(*(c for c in table.c if c.name != "metadata")))
            assert len(frame) == 1
            assert (frame.dtypes == again.dtypes).all()


def test_an_adapted_database_is_told_what_its_view_lacks(empty: sa.URL) -> None:
    execute(empty, LEGACY)
    execute(
        empty,
        "DROP VIEW anomalies",
        "CREATE VIEW anomalies AS SELECT gen_random_uuid() AS id, now()::text AS timestamp,"
        " 'B'::text AS symbol, 'x'::text AS data_type, 1.0 AS value, 3.0 AS threshold,"
        " NULL::jsonb AS metadata, now() AS created_at",
    )
    with connect(empty) as db:
        found = check(db)
    assert [str(finding) for finding in found] == [
        "anomalies.id: is uuid, expected bigint",
        "anomalies.timestamp: is text, expected timestamp with time zone",
        "anomalies.z_score: missing",
    ]
    assert "NULL::double precision AS z_score in a view" in found[2].next_step


def test_a_column_that_may_not_be_read_is_named(db: Database) -> None:
    role = f"partial_{db.url.database}"
    execute(
        db.url,
        f"CREATE ROLE {role} LOGIN",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
        f"REVOKE SELECT ON signals FROM {role}",
        f"GRANT SELECT (id, timestamp) ON signals TO {role}",
    )
    with connect(db.url.set(username=role)) as theirs:
        found = findings(theirs)
    execute(db.url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")
    assert "signals.symbol: may not be read" in found
    assert len(found) == len(tables.signals.columns) - 2


def test_tables_are_made_in_an_empty_database_and_left_alone_afterwards(empty: sa.URL) -> None:
    with connect(empty) as db:
        made = create(db)
        assert made is not None
        assert not made.present
        assert findings(db) == []
        assert create(db) is None


def test_tables_are_not_made_beside_existing_ones(empty: sa.URL) -> None:
    execute(empty, "CREATE VIEW signals AS SELECT 1 AS one", "CREATE TABLE anomalies (id int)")
    with connect(empty) as db:
        with pytest.raises(SchemaError, match=r"already has anomalies, signals, but not funding"):
            create(db)
        with db.connection() as link:
            assert existing(link) == {"signals", "anomalies"}


def test_tables_are_not_made_by_a_user_who_may_not(empty: sa.URL) -> None:
    role = f"guest_{empty.database}"
    execute(empty, f"CREATE ROLE {role} LOGIN")
    with (
        connect(empty.set(username=role)) as db,
        pytest.raises(PermissionDenied, match=r"schema public.*CREATE"),
    ):
        create(db)
    execute(empty, f"DROP ROLE {role}")


def test_two_that_make_tables_at_once_do_not_collide(empty: sa.URL) -> None:
    together = threading.Barrier(2)

    def one() -> timescale.Timescale | None:
        with connect(empty) as db:
            together.wait()
            return create(db)

    with ThreadPoolExecutor(2) as pool:
        made = [future.result() for future in [pool.submit(one), pool.submit(one)]]
    assert made.count(None) == 1


def test_the_status_shows_rows_and_newest_times(db: Database) -> None:
    execute(
        db.url,
        "INSERT INTO system_metrics (timestamp, metric_name) SELECT"
        " '2026-01-31T12:00:00Z'::timestamptz - n * '1 s'::interval, 'x'"
        " FROM generate_series(0, 1233) AS n",
        "INSERT INTO signals (timestamp, symbol, signal_type) VALUES (now(), 'B', 'LONG')",
    )
    lines = {line.split()[0]: " ".join(line.split()[1:]) for line in status(db)}
    assert lines["system_metrics"] == "table 1,234 rows, newest 2026-01-31 12:00:00 UTC"
    assert lines["signals"].startswith("table 1 rows, newest 20")
    assert lines["backtests"] == "table 0 rows"
    assert lines["TimescaleDB"] == "not installed: plain tables"
    assert "Postgres" in lines["database"]


def test_the_status_of_one_broken_table_does_not_hide_the_others(db: Database) -> None:
    execute(db.url, "ALTER TABLE signals DROP COLUMN timestamp CASCADE")
    lines = {line.split()[0]: line for line in status(db)}
    assert "cannot be read" in lines["signals"]
    assert "0 rows" in lines["backtests"]


def test_the_status_of_an_empty_database_says_so(empty: sa.URL) -> None:
    with connect(empty) as db:
        *_, shown, pushes = status(db)
        assert shown.startswith("tables       none")
        assert pushes.startswith("triggers     none")
