"""The relay: whatever order rows come in and whoever dies, the log has each of them once."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from alphapulse_nb.db.connection import Database
from alphapulse_nb.db.office import RELAY, Office
from alphapulse_nb.errors import DatabaseUnavailable
from alphapulse_nb.events import Event
from alphapulse_nb.relay import EventLog, MemoryLog, Relay
from alphapulse_nb.relay.gaps import WATCHED
from alphapulse_nb.relay.log import Log
from tests.conftest import wait_until
from tests.db.conftest import execute
from tests.relay.rows import MANY, SIGNAL, run, until

OFFICES = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
PROGRAM = """
import asyncio, sys
from alphapulse_nb.db.connection import connect
from alphapulse_nb.relay import EventLog, Relay
from alphapulse_nb.db.office import RELAY, Office
from alphapulse_nb.state import State
async def main(db, state):
    relay = Relay(db, EventLog(state), Office(db, RELAY), interval=0.2)
    relay.start()
    while True:
        await asyncio.sleep(0.05)
        print("serving" if relay.serving else "waiting", flush=True)
with connect(sys.argv[1]) as db, State(db) as state:
    asyncio.run(main(db, state))
"""


class Clock:
    """A clock that is set by hand, and otherwise goes on."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def __call__(self) -> datetime:
        return datetime.now(UTC) + self._ahead

    def advance(self, **parts: float) -> None:
        self._ahead += timedelta(**parts)


class Counts:
    """Figures that remember."""

    def __init__(self) -> None:
        self.observed: list[tuple[str, float]] = []

    def count(self, name: str, by: float = 1, /, **labels: str) -> None:
        raise AssertionError("the relay counts nothing")

    def observe(self, name: str, seconds: float, /, **labels: str) -> None:
        self.observed.append((name, seconds))


@asynccontextmanager
async def relaying(
    db: Database, log: Log, *, alone: bool = False, interval: float = 0.2, **others: Any
) -> AsyncIterator[Relay]:
    relay = Relay(db, log, None if alone else Office(db, RELAY), interval=interval, **others)
    relay.start()
    try:
        yield relay
    finally:
        await relay.stop()


def events(log: Log) -> list[Event]:
    return log.after(0, 100_000)


def rows(log: Log) -> list[tuple[str, int]]:
    return [(event.data["table"], event.data["id"]) for event in events(log)]


def begun(log: Log) -> Callable[[], bool]:
    return lambda: len(log.cursors()) == 7


def test_rows_of_every_table_become_events_without_history(
    db: Database, log: EventLog, writer: sa.Connection
) -> None:
    async def main() -> None:
        run(writer, SIGNAL)
        async with relaying(db, log):
            await until(begun(log))
            for _ in range(3):
                run(writer, SIGNAL)
            run(writer, "INSERT INTO system_metrics (timestamp, metric_name) VALUES (now(), 'x')")
            await until(lambda: len(rows(log)) == 4)

    asyncio.run(main())
    assert sorted(rows(log)) == [
        *(("signals", number) for number in (2, 3, 4)),
        ("system_metrics", 1),
    ]


def test_a_notified_table_is_looked_at_at_once_and_a_burst_only_now_and_then(
    db: Database, log: EventLog, writer: sa.Connection
) -> None:
    async def main() -> float:
        async with relaying(db, log, interval=60) as relay:
            await until(begun(log))
            # Between rounds it waits for a notification.
            await asyncio.sleep(0.3)
            run(writer, SIGNAL)
            began = time.monotonic()
            relay.changed("signals")
            await until(lambda: len(rows(log)) == 1)
            taken = time.monotonic() - began
            for name in ("'; DROP TABLE signals", "", "x" * 8_000, "events"):
                relay.changed(name)
            for _ in range(100):
                relay.changed("backtests")
                await asyncio.sleep(0.003)
            assert relay.trouble == ""
            return taken

    assert asyncio.run(main()) < 5


def test_rows_that_commit_in_the_other_order_minutes_apart_are_both_told_of(
    db: Database, log: EventLog, writer: sa.Connection
) -> None:
    clock = Clock()

    async def main() -> None:
        late = sa.create_engine(db.url)
        with late.connect() as slow:
            async with relaying(db, log, now=clock):
                await until(begun(log))
                first = run(slow, SIGNAL)
                second = run(writer, SIGNAL)
                await until(lambda: rows(log) == [("signals", second)])
                clock.advance(minutes=9)
                slow.commit()
                await until(lambda: rows(log) == [("signals", second), ("signals", first)])
                # And after all that, the gap is no longer looked for.
                await until(lambda: len(log.cursors()["signals"].gaps) == 0)
        late.dispose()

    asyncio.run(main())


def test_ids_that_never_come_are_given_up(
    db: Database, log: EventLog, writer: sa.Connection
) -> None:
    clock = Clock()

    async def main() -> None:
        async with relaying(db, log, now=clock):
            await until(begun(log))
            for _ in range(3):
                execute(db.url, f"BEGIN; {SIGNAL}; ROLLBACK")
                run(writer, SIGNAL)
            run(writer, "SELECT setval('signals_id_seq', 1000000)")
            run(writer, SIGNAL)
            await until(lambda: len(rows(log)) == 4)
            await until(lambda: len(log.cursors()["signals"].gaps) == 4)
            clock.advance(seconds=WATCHED.total_seconds())
            await until(lambda: len(log.cursors()["signals"].gaps) == 0)

    asyncio.run(main())
    assert [number for _, number in rows(log)] == [2, 4, 6, 1_000_001]


def test_ten_thousand_rows_in_one_statement_are_there_once_and_in_order(
    db: Database, log: EventLog, writer: sa.Connection
) -> None:
    async def main() -> None:
        async with relaying(db, log):
            await until(begun(log))
            await asyncio.to_thread(run, writer, MANY.format(10_000))
            await until(lambda: log.bounds().newest >= 10_000, 60)

    asyncio.run(main())
    assert [number for _, number in rows(log)] == list(range(1, 10_001))


def test_an_outcome_is_told_of_again_and_a_row_first_seen_with_it_once(
    db: Database, log: EventLog, writer: sa.Connection
) -> None:
    outcome = "UPDATE signals SET outcome = :what, evaluated_at = clock_timestamp() WHERE id = :id"

    async def main() -> None:
        run(writer, SIGNAL)
        old = run(writer, "UPDATE signals SET evaluated_at = now() RETURNING id")
        before = run(writer, SIGNAL)
        async with relaying(db, log):
            await until(begun(log))
            seen = run(writer, SIGNAL)
            await until(lambda: len(rows(log)) == 1)
            execute(db.url, f"BEGIN; {SIGNAL}; UPDATE signals SET evaluated_at = now(); ROLLBACK")
            at_once = run(
                writer,
                SIGNAL.replace("signal_type)", "signal_type, evaluated_at)").replace(
                    "'LONG')", "'LONG', clock_timestamp())"
                ),
            )
            run(writer, outcome, what="WIN", id=seen)
            run(writer, outcome, what="LOSS", id=before)
            await until(lambda: len(rows(log)) == 4)
            run(writer, outcome, what="NEUTRAL", id=seen)
            await until(lambda: len(rows(log)) == 5)
            await asyncio.sleep(0.6)  # three more looks over the same ten minutes
        told = [(event.data["id"], event.data["outcome"]) for event in events(log)]
        assert Counter(told) == Counter(
            [
                (seen, None),
                (seen, "WIN"),
                (seen, "NEUTRAL"),
                (before, "LOSS"),
                (at_once, None),
            ]
        )
        assert old not in [number for number, _ in told]

    asyncio.run(main())


def test_what_came_while_no_relay_ran_is_caught_up_with(
    db: Database, log: EventLog, writer: sa.Connection
) -> None:
    clock = Clock()

    async def main() -> None:
        late = sa.create_engine(db.url)
        with late.connect() as slow:
            async with relaying(db, log, now=clock):
                await until(begun(log))
                run(slow, SIGNAL)
                run(writer, SIGNAL)
                await until(lambda: len(rows(log)) == 1)
            clock.advance(hours=5)
            run(writer, SIGNAL)
            run(writer, MANY.format(1_234))
            async with relaying(db, log, now=clock):
                await until(lambda: len(rows(log)) == 1_236)
                # Time in which nobody looked has not made it too late.
                slow.commit()
                await until(lambda: len(rows(log)) == 1_237)
        late.dispose()

    asyncio.run(main())
    assert Counter(rows(log)).most_common(1)[0][1] == 1


def test_the_loop_goes_on_while_the_relay_reads(
    db: Database, log: EventLog, writer: sa.Connection
) -> None:
    async def main() -> float:
        async with relaying(db, log):
            await until(begun(log))
            blocker = sa.create_engine(db.url)
            with blocker.connect() as held:
                held.execute(sa.text("LOCK TABLE backtests IN ACCESS EXCLUSIVE MODE"))
                longest, deadline = 0.0, time.monotonic() + 1
                while time.monotonic() < deadline:
                    began = time.monotonic()
                    await asyncio.sleep(0.01)
                    longest = max(longest, time.monotonic() - began)
            blocker.dispose()
            return longest

    assert asyncio.run(main()) < 0.7


def test_a_table_that_cannot_be_read_is_said_once_and_harms_no_other(
    db: Database, log: EventLog, writer: sa.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    execute(
        db.url,
        "DROP TABLE anomalies",
        "ALTER TABLE backtests DROP COLUMN config",
        "ALTER TABLE funding_rates RENAME TO rates",
        "CREATE VIEW funding_rates AS SELECT 1 / (id - id) AS id, timestamp, symbol, exchange,"
        " funding_rate, next_funding_time, estimated_rate, metadata, created_at FROM rates",
        "INSERT INTO rates (timestamp, symbol, exchange, funding_rate) VALUES (now(), 'X', 'y', 0)",
    )

    async def main() -> None:
        async with relaying(db, log, now=clock) as relay:
            await until(lambda: len(log.cursors()) == 5 and len(relay.unread) == 3)
            run(writer, SIGNAL)
            await until(lambda: rows(log) == [("signals", 1)])
            assert set(relay.unread) == {"anomalies", "backtests", "funding_rates"}
            execute(db.url, "ALTER TABLE backtests ADD COLUMN config jsonb")
            clock.advance(minutes=1)
            await until(lambda: set(relay.unread) == {"anomalies", "funding_rates"})
            run(
                writer,
                "INSERT INTO backtests (timestamp, symbol, strategy_name) VALUES (now(), 'X', 'y')",
            )
            await until(lambda: ("backtests", 1) in rows(log))

    asyncio.run(main())
    said = [record.getMessage() for record in caplog.records]
    for name in ("anomalies", "backtests", "funding_rates"):
        assert sum(f"no events from {name}" in line for line in said) == 1
    assert "events from backtests again" in said


def test_a_table_that_was_emptied_and_began_anew_goes_on(
    db: Database, log: EventLog, writer: sa.Connection
) -> None:
    clock = Clock()

    async def main() -> None:
        async with relaying(db, log, now=clock):
            await until(begun(log))
            for _ in range(3):
                run(writer, SIGNAL)
            await until(lambda: len(rows(log)) == 3)
            run(writer, "TRUNCATE signals RESTART IDENTITY")
            clock.advance(minutes=1)
            await until(lambda: log.cursors()["signals"].high == 0)
            run(writer, SIGNAL)
            await until(lambda: len(rows(log)) == 4)

    asyncio.run(main())
    assert [number for _, number in rows(log)] == [1, 2, 3, 1]


def test_old_events_are_removed_every_hour(
    db: Database, log: EventLog, writer: sa.Connection
) -> None:
    clock = Clock()

    async def main() -> None:
        async with relaying(db, log, now=clock, days=1):
            await until(begun(log))
            run(writer, SIGNAL)
            await until(lambda: len(rows(log)) == 1)
            clock.advance(hours=23)
            run(writer, SIGNAL)
            await until(lambda: len(rows(log)) == 2)
            assert log.bounds().oldest == 1
            clock.advance(hours=2)
            await until(lambda: rows(log) == [])
            assert log.bounds().oldest > 1

    asyncio.run(main())


def test_how_late_events_are_is_measured(
    db: Database, log: EventLog, writer: sa.Connection
) -> None:
    counts = Counts()

    async def main() -> None:
        async with relaying(db, log, figures=counts):
            await until(begun(log))
            run(writer, SIGNAL)
            await until(lambda: counts.observed)

    asyncio.run(main())
    ((name, seconds),) = counts.observed
    assert name == "event_lag_seconds"
    assert -0.1 < seconds < 10


def test_without_a_log_in_the_database_events_are_made_for_this_process(
    db: Database, writer: sa.Connection
) -> None:
    log = MemoryLog()

    async def main() -> None:
        async with relaying(db, log, alone=True):
            await until(begun(log))
            run(writer, SIGNAL)
            await until(lambda: rows(log) == [("signals", 1)])

    asyncio.run(main())


# Who is the relay.


def test_of_two_relays_one_works_and_the_other_takes_over_when_its_connection_is_cut(
    db: Database, log: EventLog, writer: sa.Connection
) -> None:
    async def main() -> None:
        async with relaying(db, log) as one, relaying(db, log) as two:
            await until(begun(log))
            for number in range(1, 6):
                assert one.serving != two.serving
                run(writer, SIGNAL)
                await until(lambda n=number: len(rows(log)) == n)  # type: ignore[misc]
                await asyncio.to_thread(
                    execute, db.url, f"SELECT pg_terminate_backend(pid, 5000) FROM ({OFFICES}) x"
                )
                await until(lambda: one.serving or two.serving)
                await asyncio.sleep(0.3)

    asyncio.run(main())
    assert [number for _, number in rows(log)] == [1, 2, 3, 4, 5]


def program(db: Database) -> subprocess.Popen[str]:
    address = db.url.render_as_string(hide_password=False)
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-c", PROGRAM, address], stdout=subprocess.PIPE, text=True
    )


def says(process: subprocess.Popen[str], word: str) -> None:
    assert process.stdout is not None
    for line in process.stdout:
        if line.strip() == word:
            return
    raise AssertionError(f"it ended before it said {word}")


def test_a_relay_that_is_killed_is_followed_within_seconds_and_no_row_is_lost_or_doubled(
    db: Database, log: EventLog, writer: sa.Connection
) -> None:
    first = program(db)
    says(first, "serving")
    second = program(db)
    says(second, "waiting")
    for number in range(60):
        run(writer, SIGNAL)
        run(writer, MANY.format(20))
        if number == 20:
            first.kill()
            first.wait()
            killed = time.monotonic()
        time.sleep(0.02)
    says(second, "serving")
    taken = time.monotonic() - killed
    asyncio.run(wait_for_rows(log, 60 * 21))
    second.kill()
    second.wait()
    for process in (first, second):
        assert process.stdout is not None
        process.stdout.close()
    assert taken < 15
    assert max(Counter(rows(log)).values()) == 1


async def wait_for_rows(log: Log, count: int) -> None:
    await until(lambda: len(rows(log)) >= count)
    await asyncio.sleep(0.5)
    assert len(rows(log)) == count


def test_a_relay_that_was_stopped_and_goes_on_doubles_nothing_and_sets_nothing_back(
    db: Database, log: EventLog, writer: sa.Connection
) -> None:
    first = program(db)
    says(first, "serving")
    second = program(db)
    says(second, "waiting")
    os.kill(first.pid, signal.SIGSTOP)
    # What Postgres does after half a minute of silence, at once.
    execute(db.url, f"SELECT pg_terminate_backend(pid, 5000) FROM ({OFFICES}) x")
    says(second, "serving")
    for _ in range(10):
        run(writer, SIGNAL)
    asyncio.run(wait_for_rows(log, 10))
    high = log.cursors()["signals"].high
    os.kill(first.pid, signal.SIGCONT)
    says(first, "waiting")
    run(writer, SIGNAL)
    asyncio.run(wait_for_rows(log, 11))
    assert log.cursors()["signals"].high == high + 1
    for process in (first, second):
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
    assert max(Counter(rows(log)).values()) == 1


def test_the_office_is_left_to_others_when_its_holder_says_nothing_for_long(db: Database) -> None:
    office = Office(db, RELAY)
    assert office.hold()
    assert db.scalar(sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")) == 1
    assert office._ask("SHOW idle_session_timeout") == "30s"
    other = Office(db, RELAY)
    assert not other.hold()
    office.leave()
    # Postgres ends a connection in its own time, and the lock with it.
    wait_until(other.hold)
    other.leave()


def test_behind_a_pooler_the_office_is_a_transaction_and_shuts_out_the_others(
    db: Database,
) -> None:
    pooled, plain = Office(db, RELAY), Office(db, RELAY)
    assert pooled.hold(pooled=True)
    assert pooled.hold(pooled=True)
    assert pooled._ask("SHOW idle_in_transaction_session_timeout") == "30s"
    assert not plain.hold()
    pooled.leave()
    wait_until(plain.hold)
    assert not pooled.hold(pooled=True)
    assert not pooled.hold(pooled=True)
    plain.leave()
    wait_until(lambda: pooled.hold(pooled=True))
    # It turns out that there is no pooler: no transaction stays open, and nobody slips in.
    idle = sa.text(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE state = 'idle in transaction' AND datname = current_database()"
    )
    assert db.scalar(idle) == 1
    assert pooled.hold()
    assert db.scalar(idle) == 0
    assert not plain.hold()
    assert not plain.hold(pooled=True)
    pooled.leave()
    wait_until(plain.hold)
    plain.leave()


def test_without_a_database_there_is_no_office(db: Database) -> None:
    nowhere = Database(sa.make_url("postgresql+psycopg2://me:hunter2-is-secret@127.0.0.1:1/desk"))
    office = Office(nowhere, RELAY)
    with pytest.raises(DatabaseUnavailable, match="nothing listens there") as refused:
        office.hold()
    assert "hunter2" not in str(refused.value)
    assert not office.held
