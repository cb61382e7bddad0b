"""The demo desk: a synthetic trading system that fills the tables and keeps writing.

The whole history is simulated in memory at the start, so that prices, positions and PnL are one
path. Its newest day goes to the database first and older days follow behind it; live bars then
continue the same path. Ids follow time although the newest rows are written first: the history's
ids are taken from the sequences beforehand, so that a reader who remembers the highest id it has
seen does not mistake a backfilled row for a new one.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import sqlalchemy as sa

from alphapulse_nb.db import tables
from alphapulse_nb.demo.book import Trade, outcome
from alphapulse_nb.demo.market import MINUTES_PER_DAY
from alphapulse_nb.demo.simulation import (
    MARK_EVERY,
    Frames,
    Step,
    history,
    synthetic_system,
)
from alphapulse_nb.demo.system import Meter
from alphapulse_nb.demo.writer import copy, reserve, transaction
from alphapulse_nb.errors import DatabaseUnavailable, InputError

log = logging.getLogger(__name__)

DAY = timedelta(days=1)
BAR_SECONDS = 5.0  # of a live bar
# After a longer pause (a laptop that slept) minute bars make up for it, as in the history.
LONG_PAUSE_SECONDS = 600.0
FIRST_WAIT, LONGEST_WAIT = 0.5, 10.0  # seconds between attempts to reach the database


def utc_now() -> datetime:
    return datetime.now(UTC)


class Desk:
    """The history up to `now` (cut to its minute), and the live market after it.

    The same seed, `now` and `days` give the same rows. `write_recent`, then `backfill` and `run`,
    which may share the engine from two threads. Every write is one transaction and is not repeated
    when its rows are already there.
    """

    def __init__(self, seed: int, now: datetime, days: int = 30) -> None:
        if now.tzinfo is None:
            raise InputError(f"now must have a time zone, got {now!r}; use datetime.now(UTC)")
        if days < 1:
            raise InputError(f"days must be at least 1, got {days}")
        self.days = days
        self._simulation, step = history(seed, now.astimezone(UTC), days * MINUTES_PER_DAY)
        self.end = self._simulation.now
        self._frames: Frames = step.frames
        self._lock = threading.Lock()
        self._numbered = False
        self._written = 0

    def write_recent(self, engine: sa.Engine) -> int:
        """Write the newest 24 hours of every table; the number of rows.

        Signals of positions still open are among them, however old: `run` will resolve them.
        """
        self._number(engine)
        return self._write_day(engine, 0)

    def backfill(
        self,
        engine: sa.Engine,
        progress: Callable[[float, str], None],
        stop: threading.Event | None = None,
    ) -> int:
        """Write the older days, newest first; the number of rows.

        `progress` gets the finished fraction of all days and a text. A lost connection is waited
        for; `stop` ends it between two days. Called again, it writes what is missing.
        """
        stop = stop or threading.Event()
        self._number(engine)
        rows = 0
        for age in range(1, self.days):
            done = _patiently(lambda age=age: self._write_day(engine, age), stop)  # type: ignore[misc]
            if done is None:
                break
            rows += done
            progress((age + 1) / self.days, f"{age + 1} of {self.days} days")
        return rows

    def run(
        self,
        engine: sa.Engine,
        stop: threading.Event,
        interval: float = 5.0,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """Write live rows until `stop` is set.

        Every `interval` seconds: the bars that have closed (one per `BAR_SECONDS`), with all that
        follows from them, and a sample of the system. While the database is away bars wait, and
        are written when it is back.
        """
        meter = Meter(self._written)
        waiting: deque[Step] = deque()
        wait = FIRST_WAIT
        while not stop.is_set():
            while (step := self._next_step(clock())) is not None:
                waiting.append(step)
            try:
                while waiting:
                    self._write_step(engine, waiting[0])
                    waiting.popleft()
                self._write_sample(engine, meter, clock())
            except DatabaseUnavailable as error:
                log.warning("%s; steps waiting: %d; next try in %.1f s", error, len(waiting), wait)
                stop.wait(wait)
                wait = min(2 * wait, LONGEST_WAIT)
                continue
            wait = FIRST_WAIT
            stop.wait(interval)

    def _number(self, engine: sa.Engine) -> None:
        """Give every row of the history its id, once."""
        with self._lock:
            if self._numbered:
                return
            with transaction(engine) as connection:
                first = {
                    name: reserve(connection, name, len(frame))
                    for name, frame in self._frames.items()
                }
            for name, frame in self._frames.items():
                frame.insert(0, "id", first[name] + np.arange(len(frame)))
            self._numbered = True

    def _write_day(self, engine: sa.Engine, age: int) -> int:
        """Write the day that ended `age` days before the history's end, unless it is there."""
        parts = {name: self._day(name, frame, age) for name, frame in self._frames.items()}
        with transaction(engine) as connection:
            if _has_row(connection, parts["funding_rates"]):
                return 0
            rows = sum(copy(connection, name, part) for name, part in parts.items())
        self._count(rows)
        return rows

    def _day(self, name: str, frame: pd.DataFrame, age: int) -> pd.DataFrame:
        newest = pd.Timestamp(self.end - age * DAY)
        inside = (frame["timestamp"] > newest - DAY) & (frame["timestamp"] <= newest)
        if name == "signals":
            # An open position goes with the newest day: `run` may resolve it before its own day
            # would have been written.
            pending = frame["outcome"] == "PENDING"
            inside = (inside | pending) if age == 0 else (inside & ~pending)
        return frame[inside]

    def _next_step(self, now: datetime) -> Step | None:
        """The bars that closed by `now` and were not made yet; None when there are none."""
        behind = (now - self._simulation.now).total_seconds()
        if behind > LONG_PAUSE_SECONDS:
            return self._simulation.advance(int(behind // 60), 60.0, MARK_EVERY)
        bars = int(behind // BAR_SECONDS)
        return self._simulation.advance(bars, BAR_SECONDS) if bars > 0 else None

    def _write_step(self, engine: sa.Engine, step: Step) -> None:
        with transaction(engine) as connection:
            # A connection lost during COMMIT leaves open whether the rows arrived.
            if _has_bar(connection, step):
                return
            rows = sum(copy(connection, name, frame) for name, frame in step.frames.items())
            opened = {id(trade) for trade in step.opened}
            for trade in step.resolved:
                if id(trade) not in opened:
                    _resolve(connection, trade)
        self._count(rows)

    def _write_sample(self, engine: sa.Engine, meter: Meter, now: datetime) -> None:
        with transaction(engine) as connection:
            frame = meter.sample(connection, self._written, now)
            copy(connection, "system_metrics", frame)
        self._count(len(frame))

    def _count(self, rows: int) -> None:
        with self._lock:
            self._written += rows


def write_fixture(engine: sa.Engine, seed: int, now: datetime, hours: int = 24) -> int:
    """Write `hours` of every table up to `now`, for notebooks and tests; the number of rows.

    Reads no clock and measures nothing: the system metrics are synthetic too and say so, and
    `created_at` is the row's own time. The tables must be empty for ids to begin at 1.
    """
    _, step = history(seed, now.astimezone(UTC), hours * 60)
    frames = {**step.frames, "system_metrics": synthetic_system(seed, step)}
    with transaction(engine) as connection:
        return sum(
            copy(connection, name, frame.assign(created_at=frame["timestamp"]))
            for name, frame in frames.items()
        )


def _patiently(write: Callable[[], int], stop: threading.Event) -> int | None:
    """The result of `write`, tried again while the database is away; None when stopped."""
    wait = FIRST_WAIT
    while not stop.is_set():
        try:
            return write()
        except DatabaseUnavailable as error:
            log.warning("%s; next try in %.1f s", error, wait)
            stop.wait(wait)
            wait = min(2 * wait, LONGEST_WAIT)
    return None


def _has_row(connection: sa.Connection, frame: pd.DataFrame) -> bool:
    """Whether the frame's first row is in `funding_rates`."""
    table = tables.funding_rates
    first = frame.iloc[0]
    query = sa.select(table.c.id).where(
        table.c.id == int(first["id"]), table.c.timestamp == first["timestamp"].to_pydatetime()
    )
    return connection.execute(query).first() is not None


def _has_bar(connection: sa.Connection, step: Step) -> bool:
    table = tables.funding_rates
    first = step.frames["funding_rates"].iloc[0]
    query = (
        sa.select(table.c.id)
        .where(
            table.c.symbol == str(first["symbol"]),
            table.c.timestamp == first["timestamp"].to_pydatetime(),
        )
        .limit(1)
    )
    return connection.execute(query).first() is not None


def _resolve(connection: sa.Connection, trade: Trade) -> None:
    """Write the outcome of a signal that was PENDING; no two signals share symbol and time."""
    table = tables.signals
    connection.execute(
        sa.update(table)
        .where(table.c.symbol == trade.symbol, table.c.timestamp == trade.signalled)
        .values(outcome(trade))
    )
