"""The tail: what every server knows of the log, whatever becomes of the database or of others."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from alphapulse_nb.db import embedded, tables, triggers
from alphapulse_nb.db.connection import Database, connect
from alphapulse_nb.db.listen import Pauses
from alphapulse_nb.errors import DatabaseError, InputError
from alphapulse_nb.events import Event
from alphapulse_nb.relay import EventLog, Tail
from alphapulse_nb.relay.ring import Ring
from alphapulse_nb.state import State
from tests.db.between import Between
from tests.db.conftest import execute
from tests.db.test_connection import kill_server
from tests.relay.rows import MANY, NOON, SIGNAL, run, until

QUICK = Pauses(first=0.05, longest=0.3, deaf=60, quiet=30, answer=1)
OURS = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE application_name = 'alphapulse-nb' AND datname = current_database()"
)


LARGE = (
    "INSERT INTO signal_predictions (timestamp, symbol, signal_type, features, metadata)"
    " SELECT now(), 'X', 'LONG', big, big"
    " FROM (SELECT jsonb_build_object('a', repeat('x', 50000)) AS big) b"
)


class Viewer:
    """Whoever subscribed, and what it was told."""

    def __init__(self, tail: Tail) -> None:
        self.told: list[Event] = []
        self.leave = tail.subscribe(self.take)

    def take(self, events: Sequence[Event]) -> None:
        self.told += events

    @property
    def ids(self) -> list[int]:
        return [event.data["id"] for event in self.told]

    @property
    def seqs(self) -> list[int]:
        return [event.seq for event in self.told]


@asynccontextmanager
async def following(
    db: Database, *, interval: float = 0.3, ready: bool = True, **others: Any
) -> AsyncIterator[Tail]:
    with State(db) as state:
        tail = Tail(db, state, interval=interval, pauses=QUICK, **others)
        tail.start()
        try:
            if ready:
                await until(lambda: tail.identity and tail.listening)
                await until(lambda: begun(state) or not tail.relaying)
            yield tail
        finally:
            await tail.stop()


def begun(state: State) -> bool:
    return len(EventLog(state).cursors()) == 7


def on_time(tail: Tail) -> bool:
    return tail.standing.ok


async def warm(db: Database) -> None:
    """Every table has been seen once."""
    with State(db) as state:
        async with following(db, ready=False):
            await until(lambda: _begun(state))


def _begun(state: State) -> bool:
    try:
        return begun(state)
    except DatabaseError:
        return False


@pytest.fixture
def reader(filled: sa.URL) -> Iterator[sa.URL]:
    """A Postgres user that may read the desk and make nothing."""
    name = f"reader_{secrets.token_hex(4)}"
    execute(
        filled,
        f"CREATE ROLE {name} LOGIN",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA public TO {name}",
    )
    yield filled.set(username=name)
    execute(filled, f"DROP OWNED BY {name} CASCADE", f"DROP ROLE {name}")


def test_a_row_is_told_to_all_who_subscribed_until_they_leave(
    db: Database, writer: sa.Connection
) -> None:
    async def main() -> None:
        await warm(db)
        async with following(db) as tail:
            one, two = Viewer(tail), Viewer(tail)
            run(writer, SIGNAL)
            await until(lambda: one.ids == two.ids == [1])
            two.leave()
            two.leave()
            run(writer, SIGNAL)
            await until(lambda: one.ids == [1, 2])
            assert two.ids == [1]
            assert tail.newest == one.seqs[-1]

    asyncio.run(main())


def test_with_triggers_a_row_is_told_of_at_once(db: Database, writer: sa.Connection) -> None:
    triggers.install(db)

    async def main() -> list[float]:
        await warm(db)
        taken = []
        async with following(db, interval=60) as tail:
            viewer = Viewer(tail)
            await until(lambda: tail.standing.detail == "pushed from 7 tables")
            for number in range(1, 6):
                await asyncio.sleep(0.3)
                began = time.monotonic()
                run(writer, SIGNAL)
                await until(lambda n=number: len(viewer.ids) == n)  # type: ignore[misc]
                taken.append(time.monotonic() - began)
            run(writer, LARGE)
            await until(lambda: viewer.told[-1].data["table"] == "signal_predictions")
            assert len(viewer.told[-1].data["features"]["a"]) == 50_000
        return taken

    assert sorted(asyncio.run(main()))[2] < 2


def test_what_one_subscriber_raises_harms_no_other(
    db: Database, writer: sa.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(_: Sequence[Event]) -> None:
        raise ValueError("on purpose")

    async def main() -> None:
        await warm(db)
        async with following(db) as tail:
            tail.subscribe(fail)
            viewer = Viewer(tail)
            for number in (1, 2):
                run(writer, SIGNAL)
                await until(lambda n=number: len(viewer.ids) == n)  # type: ignore[misc]
            assert on_time(tail)

    asyncio.run(main())
    assert caplog.text.count("on purpose") >= 2


def test_two_servers_tell_the_same_events_each_once_with_the_same_numbers(
    db: Database, writer: sa.Connection
) -> None:
    async def main() -> None:
        await warm(db)
        async with following(db) as one, following(db) as two:
            viewers = Viewer(one), Viewer(two)
            assert one.identity == two.identity
            run(writer, MANY.format(500))
            for number in range(5):
                run(writer, SIGNAL)
                if number == 2:
                    relays = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted"
                    execute(db.url, f"SELECT pg_terminate_backend(pid) FROM ({relays}) x")
                await asyncio.sleep(0.1)
            await until(lambda: all(len(viewer.told) == 505 for viewer in viewers))
            await asyncio.sleep(0.7)
            assert viewers[0].told == viewers[1].told
            assert len(set(viewers[0].seqs)) == 505
            assert one.relaying != two.relaying

    asyncio.run(main())


def test_a_server_that_comes_back_reads_what_it_missed_by_its_number(
    db: Database, writer: sa.Connection
) -> None:
    async def main() -> None:
        await warm(db)
        async with following(db) as other:
            async with following(db) as tail:
                viewer = Viewer(tail)
                run(writer, SIGNAL)
                await until(lambda: viewer.ids == [1])
                place = tail.newest
            for _ in range(3):
                run(writer, SIGNAL)
            await until(lambda: other.newest > place + 2)
            async with following(db) as tail:
                await until(lambda: tail.newest == other.newest)
                # It follows from the end: what was before is in the log, not in its memory.
                assert tail.recent(place, 10) is None
                found = await tail.after(place, 10)
                assert [event.data["id"] for event in found] == [2, 3, 4]
                assert tail.recent(tail.newest, 10) == ()
                assert await tail.oldest() == 1
                assert other.recent(place, 2) == found[:2]

    asyncio.run(main())


def test_with_the_listener_cut_events_go_on(db: Database, writer: sa.Connection) -> None:
    async def main(way: Between) -> None:
        await warm(db)
        direct = Database(way.url)
        async with following(db, direct=direct) as tail:
            viewer = Viewer(tail)
            way.silent = True
            way.cut()
            await until(lambda: not tail.standing.ok)
            way.silent = False
            run(writer, SIGNAL)
            await until(lambda: viewer.ids == [1])
            await until(lambda: on_time(tail))

    with Between(db.url) as way:
        asyncio.run(main(way))


def test_a_connection_that_swallows_notifications_means_polling_and_it_is_said(
    db: Database, writer: sa.Connection
) -> None:
    async def main(way: Between) -> None:
        await warm(db)
        way.deaf = True
        async with following(db, direct=Database(way.url), ready=False) as tail:
            viewer = Viewer(tail)
            await until(lambda: "did not arrive" in tail.standing.detail)
            await until(lambda: tail.relaying)
            run(writer, SIGNAL)
            await until(lambda: viewer.ids == [1])
            assert tail.standing.detail.startswith("polling: ")
            assert not tail.standing.ok

    with Between(db.url) as way:
        asyncio.run(main(way))


def test_a_database_that_was_killed_and_came_back_loses_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    async def main(server: embedded.EmbeddedPostgres, db: Database) -> None:
        engine = sa.create_engine(server.url)
        await warm(db)
        async with following(db) as one, following(db) as two:
            viewers = Viewer(one), Viewer(two)
            with engine.begin() as link:
                run(link, MANY.format(100))
            await until(lambda: all(len(viewer.told) == 100 for viewer in viewers))
            with engine.begin() as link:
                # Written for good: the test's server may otherwise forget its last half second.
                run(link, "SET LOCAL synchronous_commit = on")
                run(link, MANY.format(50))
            kill_server(server.pid)
            await until(lambda: not one.standing.ok)
            server.ensure_running()
            engine.dispose()
            with engine.begin() as link:
                run(link, MANY.format(50))
            await until(lambda: all(len(viewer.told) >= 200 for viewer in viewers), 60)
            await until(lambda: on_time(one) and on_time(two))
            for viewer in viewers:
                assert max(Counter(viewer.ids).values()) == 1
                assert len(viewer.told) == 200
                assert viewer.seqs == sorted(set(viewer.seqs))
        engine.dispose()

    with embedded.start(tmp_path / "data") as server, connect(server.url) as db:
        engine = sa.create_engine(server.url)
        tables.metadata.create_all(engine)
        engine.dispose()
        asyncio.run(main(server, db))


def test_an_embedded_database_that_died_is_brought_back_and_events_go_on(tmp_path: Path) -> None:
    async def main(db: Database) -> None:
        assert db.embedded is not None
        await warm(db)
        async with following(db) as tail:
            viewer = Viewer(tail)
            kill_server(db.embedded.pid)
            await until(lambda: not tail.standing.ok)
            await until(lambda: on_time(tail), 60)
            with db.connection(write=True) as link:
                run(link, SIGNAL)
            await until(lambda: len(viewer.ids) == 1)

    with connect(data_dir=tmp_path / "data") as db:
        with db.connection(write=True) as link:
            tables.metadata.create_all(link)
        asyncio.run(main(db))


def test_a_database_that_is_away_at_the_start_is_waited_for(tmp_path: Path) -> None:
    async def main(server: embedded.EmbeddedPostgres, db: Database) -> None:
        async with following(db, ready=False) as tail:
            await until(lambda: "cannot be reached" in tail.standing.detail)
            assert not tail.standing.ok
            with pytest.raises(DatabaseError, match="no log of events yet"):
                await tail.after(0, 1)
            server.ensure_running()
            await until(lambda: on_time(tail))

    with embedded.start(tmp_path / "data") as server, connect(server.url) as db:
        kill_server(server.pid)
        asyncio.run(main(server, db))


def test_without_the_right_to_write_events_stay_in_the_process_and_it_is_said(
    reader: sa.URL, writer: sa.Connection
) -> None:
    async def main(db: Database) -> None:
        async with following(db, ready=False) as tail, following(db, ready=False) as other:
            viewer = Viewer(tail)
            await until(lambda: tail.relaying and other.relaying)
            await until(lambda: tail.identity and other.identity)
            assert tail.identity != other.identity
            await asyncio.sleep(0.7)
            run(writer, SIGNAL)
            await until(lambda: viewer.ids == [1])
            assert not tail.standing.ok
            assert "kept in this process only" in tail.standing.detail
            posted = await tail.post("system_status", {"part": "x"})
            await until(lambda: viewer.told[-1] == posted)
            assert await tail.after(0, 10) == viewer.told

    with connect(reader) as db:
        asyncio.run(main(db))


def test_what_is_posted_reaches_every_server(db: Database) -> None:
    async def main() -> None:
        async with following(db) as one, following(db) as two:
            viewers = Viewer(one), Viewer(two)
            await one.register("fill", {"required": ["price"]})
            await until(lambda: "fill" in two.kinds)
            posted = await two.post("fill", {"price": 1.5, "symbol": "X"}, NOON)
            await until(lambda: all(viewer.told == [posted] for viewer in viewers))
            with pytest.raises(InputError, match="price"):
                await two.post("fill", {})
            with pytest.raises(InputError, match="no type"):
                await two.post("unheard", {})
            with pytest.raises(InputError, match="built in"):
                await two.register("signal")
        async with following(db) as later:
            await until(lambda: "fill" in later.kinds)

    asyncio.run(main())


def test_a_schema_that_was_dropped_is_made_again_and_is_another_log(
    db: Database, writer: sa.Connection
) -> None:
    async def main() -> None:
        await warm(db)
        async with following(db) as tail:
            viewer = Viewer(tail)
            for _ in range(3):
                run(writer, SIGNAL)
            await until(lambda: len(viewer.ids) == 3)
            before = tail.identity
            execute(db.url, "DROP SCHEMA alphapulse CASCADE")
            run(writer, SIGNAL)
            await until(lambda: tail.identity not in {"", before})
            with State(db) as state:
                await until(lambda: _begun(state))
            run(writer, SIGNAL)
            await until(lambda: viewer.ids[-1] == 5)
            assert viewer.told[-1].seq < 3
            await until(lambda: on_time(tail))

    asyncio.run(main())


def test_after_stop_nothing_is_left(db: Database) -> None:
    async def main() -> None:
        async with following(db):
            assert db.scalar(sa.text(OURS)) >= 1
        await until(lambda: db.scalar(sa.text(OURS)) == 1)
        assert len(asyncio.all_tasks()) == 1

    asyncio.run(main())


def test_it_stops_also_at_the_moment_at_which_it_is_woken(db: Database) -> None:
    async def main() -> None:
        for _ in range(20):
            async with following(db, ready=False) as tail:
                await until(lambda: tail.relaying)
                await asyncio.sleep(0.05)
                tail._look()
            assert tail.standing.detail == "none arrive: stopped"

    asyncio.run(asyncio.wait_for(main(), 120))


def test_a_server_that_nobody_watches_asks_little(db: Database) -> None:
    async def main() -> int:
        async with following(db, interval=1) as tail:
            await until(lambda: on_time(tail))
            count = sa.text("SELECT xact_commit FROM pg_stat_database WHERE datname = :name")
            return await _transactions(db, count)

    assert asyncio.run(main()) < 150


async def _transactions(db: Database, count: sa.TextClause) -> int:
    """In five seconds."""

    def asked() -> int:
        with db.connection() as link:
            link.execute(sa.text("SELECT pg_stat_clear_snapshot()"))
            return int(link.execute(count, {"name": db.url.database}).scalar_one())

    before = asked()
    await asyncio.sleep(5)
    return asked() - before


# The memory of a tail.


def events(first: int, last: int, size: int = 1) -> list[Event]:
    return [Event(n, "signal", {"x": "x" * size}, NOON) for n in range(first, last + 1)]


def test_a_ring_keeps_the_last_events_and_knows_what_it_has_no_longer() -> None:
    ring = Ring(100, most=10)
    assert ring.after(100, 5) == ()
    assert ring.after(99, 5) is None
    ring.add(events(101, 105))
    assert [event.seq for event in ring.after(100, 99) or ()] == [101, 102, 103, 104, 105]
    assert [event.seq for event in ring.after(102, 2) or ()] == [103, 104]
    ring.add(events(106, 150))
    assert len(ring) == 10
    assert ring.newest == 150
    assert ring.after(139, 1) is None
    assert [event.seq for event in ring.after(140, 1) or ()] == [141]


def test_a_ring_of_large_events_keeps_fewer_but_always_the_last() -> None:
    ring = Ring(most=1_000, largest=10_000)
    ring.add(events(1, 100, size=1_000))
    assert 1 <= len(ring) < 10
    assert (ring.after(99, 9) or ())[-1].seq == 100
    ring.add(events(101, 101, size=50_000))
    assert [event.seq for event in ring.after(100, 9) or ()] == [101]


def test_a_ring_with_holes_in_its_numbers_finds_its_place() -> None:
    ring = Ring(most=100)
    ring.add([event for event in events(1, 50) if event.seq % 7])
    assert [event.seq for event in ring.after(13, 3) or ()] == [15, 16, 17]
    assert [event.seq for event in ring.after(14, 3) or ()] == [15, 16, 17]
