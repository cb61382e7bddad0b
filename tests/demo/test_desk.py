"""The desk against a real Postgres: newest day first, no doubles, no gaps, and it stops."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path

import pandas as pd
import pytest
import sqlalchemy as sa

from alphapulse_nb.db import embedded, tables
from alphapulse_nb.demo import Desk, write_fixture
from alphapulse_nb.demo.book import signals_frame
from alphapulse_nb.demo.simulation import history
from alphapulse_nb.errors import InputError

from .conftest import END, NOW, SEED

DAYS = 3
BAR = pd.Timedelta(seconds=5)
HISTORY_TABLES = sorted(set(tables.metadata.tables) - {"system_metrics"})


def rows(engine: sa.Engine, name: str, order: str = "id") -> pd.DataFrame:
    with engine.connect() as connection:
        connection.execute(sa.text("SET timezone = 'UTC'"))
        return pd.read_sql(sa.text(f"SELECT * FROM {name} ORDER BY {order}"), connection)


def ignore(_fraction: float, _text: str) -> None:
    """A progress nobody watches."""


class FastClock:
    """Runs `speed` times as fast as real time, from `start`."""

    def __init__(self, start: datetime, speed: float) -> None:
        self._start, self._speed, self._begin = start, speed, time.monotonic()

    def __call__(self) -> datetime:
        return self._start + timedelta(seconds=self._speed * (time.monotonic() - self._begin))


@contextmanager
def running(
    desk: Desk, engine: sa.Engine, clock: Callable[[], datetime], interval: float = 0.05
) -> Iterator[threading.Thread]:
    stop = threading.Event()
    thread = threading.Thread(target=desk.run, args=(engine, stop, interval, clock))
    thread.start()
    try:
        yield thread
    finally:
        stop.set()
        thread.join(timeout=30)
    assert not thread.is_alive()


def wait_until(condition: Callable[[], bool], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.05)


def count(engine: sa.Engine, name: str, where: str = "true") -> int:
    with engine.connect() as connection:
        query = sa.text(f"SELECT count(*) FROM {name} WHERE {where}")
        return int(connection.execute(query).scalar_one())


def assert_one_grid(funding: pd.DataFrame, step: pd.Timedelta) -> None:
    """Every pair and exchange has each bar once, with no bar missing."""
    for _, own in funding.groupby(["symbol", "exchange"]):
        gaps = own["timestamp"].sort_values().diff().dropna()
        assert (gaps == step).all()


def test_the_newest_day_comes_first_and_the_rest_joins_it(engine: sa.Engine) -> None:
    desk = Desk(SEED, NOW, DAYS)
    recent = desk.write_recent(engine)
    funding = rows(engine, "funding_rates")
    assert len(funding) == 14_400
    assert funding["timestamp"].max() == END
    assert funding["timestamp"].min() == END - timedelta(days=1, minutes=-1)
    assert count(engine, "system_metrics") == 0
    seen: list[tuple[float, str]] = []
    older = desk.backfill(engine, lambda fraction, text: seen.append((fraction, text)))
    assert seen == [(2 / 3, "2 of 3 days"), (1.0, "3 of 3 days")]
    assert recent + older == sum(count(engine, name) for name in HISTORY_TABLES)
    expected = history(SEED, NOW, DAYS * 1_440)[1].frames
    for name in HISTORY_TABLES:
        written = rows(engine, name)
        assert written["timestamp"].is_monotonic_increasing, f"ids of {name} follow time"
        assert len(written) == len(expected[name])
        assert (written["timestamp"].to_numpy() == expected[name]["timestamp"].to_numpy()).all()
    assert_one_grid(rows(engine, "funding_rates"), pd.Timedelta(minutes=1))
    rates = rows(engine, "funding_rates")["funding_rate"].astype(float)
    assert (rates.to_numpy() == expected["funding_rates"]["funding_rate"].to_numpy()).all()


def test_writing_again_writes_nothing(engine: sa.Engine) -> None:
    desk = Desk(SEED, NOW, DAYS)
    assert desk.write_recent(engine) > 0
    assert desk.write_recent(engine) == 0
    assert desk.backfill(engine, ignore) > 0
    assert desk.backfill(engine, ignore) == 0


def test_a_stopped_backfill_goes_on_where_it_was(engine: sa.Engine) -> None:
    desk = Desk(SEED, NOW, DAYS)
    desk.write_recent(engine)
    stop = threading.Event()
    desk.backfill(engine, lambda *_: stop.set(), stop)
    assert count(engine, "funding_rates") == 2 * 14_400
    desk.backfill(engine, ignore)
    assert count(engine, "funding_rates") == DAYS * 14_400
    assert_one_grid(rows(engine, "funding_rates"), pd.Timedelta(minutes=1))


def test_a_position_open_for_days_is_written_with_the_newest_day_and_once(
    engine: sa.Engine,
) -> None:
    desk = Desk(SEED, NOW, DAYS)
    signals = desk._frames["signals"]
    oldest = signals.index[signals["outcome"].notna()][0]
    signals.loc[oldest, "outcome"] = "PENDING"
    stamp = f"timestamp = '{signals['timestamp'][oldest].isoformat()}'"
    desk.write_recent(engine)
    assert count(engine, "signals", stamp) == 1
    desk.backfill(engine, ignore)
    assert count(engine, "signals", stamp) == 1
    assert count(engine, "signals") == len(signals)


def test_backfill_and_live_rows_go_together(engine: sa.Engine) -> None:
    desk = Desk(SEED, NOW, DAYS)
    desk.write_recent(engine)
    with running(desk, engine, FastClock(END, speed=100)):
        desk.backfill(engine, ignore)
        wait_until(lambda: count(engine, "system_metrics") > 0)
    funding = rows(engine, "funding_rates")
    assert funding["id"].is_unique
    assert_one_grid(funding[funding["timestamp"] <= END], pd.Timedelta(minutes=1))
    assert_one_grid(funding[funding["timestamp"] >= END], BAR)


def test_bad_arguments_are_named() -> None:
    with pytest.raises(InputError, match="now must have a time zone"):
        Desk(SEED, NOW.replace(tzinfo=None))
    with pytest.raises(InputError, match="days must be at least 1"):
        Desk(SEED, NOW, 0)


def test_live_bars_follow_the_history_without_gap_or_double(
    engine: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    # At this speed a busy machine's pause of six seconds would be one of ten minutes.
    monkeypatch.setattr("alphapulse_nb.demo.desk.LONG_PAUSE_SECONDS", 1e9)
    desk = Desk(SEED, NOW, days=1)
    desk.write_recent(engine)
    live = f"timestamp > '{END.isoformat()}'"
    with running(desk, engine, FastClock(END, speed=100)):
        wait_until(lambda: count(engine, "funding_rates", live) >= 600)
        wait_until(lambda: count(engine, "signal_predictions", live) > 0)
        wait_until(lambda: count(engine, "system_metrics") >= 50)
    funding = rows(engine, "funding_rates")
    assert_one_grid(funding[funding["timestamp"] >= END], BAR)
    performance = rows(engine, "performance_metrics")
    for _, own in performance.groupby(["symbol", "strategy_id"]):
        fresh = own[own["timestamp"] >= END]
        assert (fresh["timestamp"].diff().dropna() == BAR).all()
        # PnL goes on from the history: no jump larger than a position could make in seconds.
        assert fresh["pnl"].diff().abs().max() < 1_000
    measured = rows(engine, "system_metrics")
    assert set(measured["metadata"].map(lambda note: note["source"])) == {"demo desk"}


def test_rows_of_the_history_are_not_counted_as_live_throughput(engine: sa.Engine) -> None:
    desk = Desk(SEED, NOW, days=1)
    desk.write_recent(engine)
    with running(desk, engine, lambda: END):
        wait_until(lambda: count(engine, "system_metrics") > 0)
    measured = rows(engine, "system_metrics")
    assert measured[measured["metric_name"] == "throughput"]["metric_value"].iloc[0] == 0


def test_outcomes_of_open_signals_are_updated_when_they_are_known(engine: sa.Engine) -> None:
    desk = Desk(SEED, NOW, days=1)
    desk.write_recent(engine)
    pending = count(engine, "signals", "outcome = 'PENDING'")
    later = END + timedelta(hours=8)
    with running(desk, engine, lambda: later):
        wait_until(lambda: count(engine, "system_metrics") > 0)
    simulation, step = history(SEED, NOW, 1_440)
    after = simulation.advance(8 * 60, 60.0, 5)
    expected = signals_frame(step.opened + after.opened, [])
    written = rows(engine, "signals", order="timestamp")
    written = written[written["outcome"].notna()].reset_index(drop=True)
    assert pending > 0
    assert written["timestamp"].tolist() == expected["timestamp"].tolist()
    assert written["outcome"].tolist() == expected["outcome"].tolist()
    pd.testing.assert_series_equal(written["pnl_pct"], expected["pnl_pct"], rtol=1e-9)
    resolved = pd.to_datetime(written["evaluated_at"], utc=True)
    assert (resolved.dropna() == expected["evaluated_at"].dropna()).all()


def test_a_step_whose_commit_arrived_is_not_written_twice(engine: sa.Engine) -> None:
    for _ in range(2):
        with running(Desk(SEED, NOW, days=1), engine, lambda: END + timedelta(minutes=1)):
            wait_until(lambda: count(engine, "funding_rates") >= 120)
            time.sleep(0.2)
    assert count(engine, "funding_rates") == 120
    assert count(engine, "performance_metrics") == 120


def test_a_database_restart_costs_no_bar(tmp_path: Path) -> None:
    with embedded.start(tmp_path / "postgres") as server:
        engine = sa.create_engine(server.url)
        # The desk must get over its pool's dead connections by itself.
        outside = sa.create_engine(server.url, poolclass=sa.NullPool)
        tables.metadata.create_all(engine)
        desk = Desk(SEED, NOW, days=1)
        with running(desk, engine, FastClock(END, speed=100)):
            wait_until(lambda: count(outside, "funding_rates") >= 300)
            pid = server.pid
            assert pid is not None
            os.kill(pid, signal.SIGINT)  # Postgres' fast shutdown
            wait_until(lambda: server.pid is None)
            time.sleep(0.5)
            server.ensure_running()
            down = count(outside, "funding_rates")
            wait_until(lambda: count(outside, "funding_rates") >= down + 1_200)
        assert_one_grid(rows(outside, "funding_rates"), BAR)
        engine.dispose()


def test_a_desk_whose_database_is_away_still_stops() -> None:
    engine = sa.create_engine("postgresql+psycopg2://nobody@127.0.0.1:1/none")
    desk = Desk(SEED, NOW, days=1)
    with running(desk, engine, FastClock(END, speed=100)):
        time.sleep(0.3)


def test_a_long_pause_is_made_up_in_minute_bars(engine: sa.Engine) -> None:
    desk = Desk(SEED, NOW, days=1)
    with running(desk, engine, lambda: END + timedelta(hours=2, seconds=20)):
        wait_until(lambda: count(engine, "system_metrics") > 0)
    funding = rows(engine, "funding_rates")
    assert len(funding) == (120 + 4) * 10
    assert funding["timestamp"].max() == END + timedelta(hours=2, seconds=20)


def test_a_fixture_is_the_same_each_time(engine: sa.Engine) -> None:
    def written() -> dict[str, pd.DataFrame]:
        write_fixture(engine, SEED, NOW, hours=3)
        frames = {name: rows(engine, name) for name in tables.metadata.tables}
        with engine.begin() as connection:
            names = ", ".join(frames)
            connection.execute(sa.text(f"TRUNCATE {names} RESTART IDENTITY"))
        return frames

    once, again = written(), written()
    for name, frame in once.items():
        pd.testing.assert_frame_equal(frame, again[name])
        assert len(frame), name
        assert (frame["created_at"] == frame["timestamp"]).all()
        assert (frame["metadata"].map(lambda note: note["source"]) == "synthetic").all()
        assert frame["timestamp"].max() <= END
    assert len(once["funding_rates"]) == 180 * 10
    assert once["system_metrics"].groupby("metric_name").size().eq(180).all()
