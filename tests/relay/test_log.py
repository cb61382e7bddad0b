"""The log: each event once, in an order in which no reader misses one; nobody behind writes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import psycopg2
import pytest
import sqlalchemy as sa

from alphapulse_nb.db.connection import Database
from alphapulse_nb.errors import DatabaseUnavailable, InputError
from alphapulse_nb.relay import EventLog, MemoryLog
from alphapulse_nb.relay import log as logs
from alphapulse_nb.relay.gaps import Gaps
from alphapulse_nb.relay.log import Bounds, Cursor, Log, Overtaken, post
from alphapulse_nb.relay.sources import Entry
from alphapulse_nb.state import State
from alphapulse_nb.state.tables import SCHEMA
from tests.conftest import wait_until
from tests.db.conftest import execute
from tests.relay.rows import NOON

CURSOR = Cursor("signals", 7, NOON, Gaps().passed(1, [5, 7], NOON), "era/", NOON)


def entry(number: int, revision: str = "", symbol: str = "BTC/USDT") -> Entry:
    data = {"id": number, "table": "signals", "symbol": symbol}
    return Entry("signal", data, NOON, symbol, "signals", number, revision, NOON)


@pytest.fixture(params=["database", "memory"])
def either(request: pytest.FixtureRequest) -> Log:
    if request.param == "memory":
        return MemoryLog()
    made: EventLog = request.getfixturevalue("log")
    return made


def ids(log: Log, after: int = 0) -> list[int]:
    return [event.data["id"] for event in log.after(after, 1_000)]


def test_events_are_numbered_in_the_order_in_which_they_were_appended(either: Log) -> None:
    assert either.bounds() == Bounds(1, 0)
    done = either.append([entry(number) for number in (3, 1, 2)])
    either.append([entry(9)])
    assert ids(either) == [3, 1, 2, 9]
    found = either.after(0, 2)
    assert [event.data["id"] for event in found] == [3, 1]
    assert ids(either, done.newest) == [9]
    assert either.bounds() == Bounds(1, either.after(0, 99)[-1].seq)
    assert (found[0].type, found[0].symbol, found[0].at) == ("signal", "BTC/USDT", NOON)


def test_a_row_is_told_of_once_and_once_for_each_revision(either: Log) -> None:
    first = either.append([entry(1), entry(2), entry(1)])
    assert [one.id for one in first.entries] == [1, 2]
    again = either.append([entry(1), entry(1, "r"), entry(2), entry(3)])
    assert [(one.id, one.revision) for one in again.entries] == [(1, "r"), (3, "")]
    assert either.append([entry(3)]).entries == []
    assert ids(either) == [1, 2, 1, 3]


def test_a_cursor_comes_back_as_it_was_saved(either: Log) -> None:
    saved = either.append([entry(1)], CURSOR).cursor
    assert either.cursors() == {"signals": saved}
    assert saved == replace(CURSOR, version=1)


def test_who_was_overtaken_writes_neither_events_nor_a_cursor(either: Log) -> None:
    slow = either.append((), CURSOR).cursor
    assert slow is not None
    quick = either.append([entry(8)], replace(slow, high=8)).cursor
    for stale in (CURSOR, slow):
        with pytest.raises(Overtaken):
            either.append([entry(8), entry(99)], replace(stale, high=3))
    assert ids(either) == [8]
    assert either.cursors()["signals"] == quick


@pytest.mark.parametrize("name", ["plain", "ünï/códe 🚀", "'; DROP TABLE events; --", "%s %(x)s"])
def test_any_text_comes_back_the_same(either: Log, name: str) -> None:
    made = Entry("signal", {"symbol": name, name: [name, None]}, NOON, name, name, 1, name, None)
    either.append([made])
    (event,) = either.after(0, 10)
    assert event.data == made.data
    assert either.append([made]).entries == []


def test_what_comes_from_no_row_is_posted_as_often_as_it_is_said(either: Log) -> None:
    first = post(either, "fill", {"symbol": "X", "n": 1}, NOON)
    second = post(either, "fill", {"symbol": "X", "n": 1}, NOON)
    assert second.seq > first.seq
    assert either.after(0, 10) == [first, second]


@pytest.mark.parametrize("bad", ["\0", "\ud800"])
def test_a_text_that_no_database_holds_is_refused(either: Log, bad: str) -> None:
    for data in ({bad: 1}, {"a": [{"b": f"x{bad}"}]}):
        with pytest.raises(InputError, match="no text"):
            post(either, "fill", data, NOON)
    assert either.after(0, 10) == []


def test_types_are_kept_with_their_schemas(either: Log) -> None:
    either.register("fill", None)
    either.register("risk.limit", {"type": "object"})
    either.register("fill", {"required": ["a"]})
    assert either.types() == {"fill": {"required": ["a"]}, "risk.limit": {"type": "object"}}


def test_another_log_has_another_identity(either: Log, state: State) -> None:
    assert either.identity() == either.identity() != MemoryLog().identity()


def test_memory_keeps_the_last_events_and_says_from_where() -> None:
    log = MemoryLog(most=3)
    log.append([entry(number) for number in range(1, 6)])
    assert ids(log) == [3, 4, 5]
    assert log.bounds() == Bounds(3, 5)


def test_what_is_old_goes_in_portions_and_the_log_knows_what_it_no_longer_has(
    log: EventLog, state: State
) -> None:
    log.append([entry(number) for number in range(1, 11)])
    seqs = [event.seq for event in log.after(0, 99)]
    with state.looking() as link:
        cut = link.execute(sa.text(f"SELECT max(logged_at) FROM {SCHEMA}.events")).scalar_one()
    log.append([entry(11)])
    later = cut + timedelta(microseconds=1)
    assert log.expire(cut) == 0
    assert [log.expire(later, 4) for _ in range(4)] == [4, 4, 2, 0]
    assert ids(log) == [11]
    assert log.bounds() == Bounds(seqs[-1] + 1, log.after(0, 9)[0].seq)
    assert log.expire(later + timedelta(days=1)) == 1
    # An empty log still knows where it stood.
    assert log.bounds().newest == log.bounds().oldest - 1 > 0


def test_numbers_become_visible_in_their_order(log: EventLog, db: Database) -> None:
    """A transaction that has a number and is not committed holds back those that come after."""
    dsn = db.url.set(drivername="postgresql").render_as_string(hide_password=False)
    holder = psycopg2.connect(dsn)
    with holder.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtext('alphapulse-nb event log'))")
        cursor.execute(
            "INSERT INTO alphapulse.events (type, data, at) VALUES ('x', '{\"id\": 0}', now())"
        )
    threads = [
        threading.Thread(target=lambda n=number: log.append([entry(n)]))  # type: ignore[misc]
        for number in range(1, 5)
    ]
    for thread in threads:
        thread.start()
    waiting = sa.text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    wait_until(lambda: db.scalar(waiting) == 4)
    assert ids(log) == []
    holder.commit()
    for thread in threads:
        thread.join(20)
    holder.close()
    found = log.after(0, 99)
    assert found[0].data["id"] == 0
    assert sorted(event.data["id"] for event in found) == [0, 1, 2, 3, 4]


def test_a_number_is_notified_when_it_can_be_read(log: EventLog, db: Database) -> None:
    raw = psycopg2.connect(db.url.set(drivername="postgresql").render_as_string())
    raw.autocommit = True
    heard: Callable[[], Any] = lambda: (raw.poll(), raw.notifies)[1]  # noqa: E731
    with raw.cursor() as cursor:
        cursor.execute(f"LISTEN {logs.CHANNEL}")
        done = log.append([entry(1), entry(2)])
        log.append([entry(1)])
        log.register("fill", None)
        wait_until(lambda: len(heard()) == 2)
    assert [said.payload for said in raw.notifies] == [str(done.newest), "types"]
    raw.close()


def test_a_process_that_hangs_in_the_middle_does_not_keep_the_log_from_others(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    quick = sa.select(sa.func.set_config("idle_in_transaction_session_timeout", "200ms", True))
    monkeypatch.setattr(logs, "_PATIENCE", quick)
    unknown = logs._unknown
    hung = iter([True])

    def hang(link: sa.Connection, entries: Sequence[Entry]) -> list[Entry]:
        if next(hung, False):
            log.append([entry(1)])  # waits until the server has ended the transaction around it
        return unknown(link, entries)

    monkeypatch.setattr(logs, "_unknown", hang)
    with pytest.raises(DatabaseUnavailable):
        log.append([entry(2)])
    assert ids(log) == [1]


def test_a_column_of_ours_that_is_gone_is_an_error_of_the_schema(
    log: EventLog, db: Database
) -> None:
    execute(db.url, "DROP TABLE alphapulse.events")
    with pytest.raises(Exception, match="alphapulse db upgrade"):
        log.append([entry(1)])
