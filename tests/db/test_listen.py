"""Listening: every notification arrives, and a connection that stops bringing them is noticed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from alphapulse_nb.db import embedded
from alphapulse_nb.db.connection import Database, connect
from alphapulse_nb.db.listen import Listener, Pauses, Standing, State
from tests.conftest import wait_until
from tests.db.between import Between
from tests.db.conftest import execute
from tests.db.test_connection import kill_server
from tests.state.conftest import ask

QUICK = Pauses(first=0.05, longest=0.2, deaf=0.1, quiet=0.1, answer=1)
LISTENING = (
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)


class Ear:
    """What a listener heard, and how it stood."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []
        self.stood: list[State] = []

    def hear(self, channel: str, payload: str) -> None:
        self.heard.append((channel, payload))
        if payload == "bad":
            raise ValueError("on purpose")

    def stand(self, standing: Standing) -> None:
        self.stood.append(standing.state)


@asynccontextmanager
async def listening(
    db: Database, ear: Ear, pauses: Pauses = QUICK, *channels: str
) -> AsyncIterator[Listener]:
    made = Listener(db, channels or ("news",), ear.hear, ear.stand, pauses=pauses)
    made.start()
    try:
        yield made
    finally:
        await made.close()


async def until(met: Callable[[], object], seconds: float = 20) -> None:
    """Wait on the loop until it is true."""
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        await asyncio.sleep(0.02)


def notify(db: Database, payload: str, channel: str = "news") -> None:
    execute(db.url, f"""SELECT pg_notify('{channel}', '{payload}')""")


def up(listener: Listener) -> Callable[[], bool]:
    return lambda: listener.standing.state is State.UP


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def open_before() -> Iterator[int]:
    """The test leaves as many descriptors as there were."""

    async def warm() -> int:
        return descriptors()

    asyncio.run(warm())
    before = descriptors()
    yield before
    wait_until(lambda: descriptors() == before)  # a thread that gives up takes a moment


def test_what_is_notified_is_heard_in_order_and_only_what_was_asked_for(
    db: Database, open_before: int
) -> None:
    async def run() -> None:
        ear = Ear()
        async with listening(db, ear, QUICK, "news", 'odd "name"') as listener:
            await until(up(listener))
            for number in range(50):
                notify(db, str(number), ("news", 'odd "name"', "others")[number % 3])
            await until(lambda: len(ear.heard) == 34)
        assert [int(payload) for _, payload in ear.heard] == [n for n in range(50) if n % 3 < 2]
        assert {channel for channel, _ in ear.heard} == {"news", 'odd "name"'}

    asyncio.run(run())


def test_what_raises_on_hearing_ends_nothing(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async def run() -> None:
        ear = Ear()
        async with listening(db, ear) as listener:
            await until(up(listener))
            notify(db, "bad")
            notify(db, "good")
            await until(lambda: ("news", "good") in ear.heard)
            assert listener.standing.state is State.UP

    asyncio.run(run())
    assert "on purpose" in caplog.text


def test_a_connection_that_is_cut_is_made_again(db: Database, open_before: int) -> None:
    async def run() -> None:
        ear = Ear()
        async with listening(db, ear) as listener:
            for number in range(3):
                await until(up(listener))
                execute(db.url, f"SELECT pg_terminate_backend(pid, 5000) FROM ({LISTENING}) x")
                await until(lambda n=number: ear.stood.count(State.DOWN) == n + 1)  # type: ignore[misc]
            await until(up(listener))
            notify(db, "after")
            await until(lambda: ear.heard == [("news", "after")])

    asyncio.run(run())


def test_a_server_that_was_killed_and_came_back_is_heard_again(
    tmp_path: Path, open_before: int
) -> None:
    async def run(server: embedded.EmbeddedPostgres, db: Database) -> None:
        ear = Ear()
        async with listening(db, ear) as listener:
            await until(up(listener))
            kill_server(server.pid)
            await until(lambda: "nothing listens there" in listener.standing.reason)
            server.ensure_running()
            await until(up(listener))
            notify(db, "after")
            await until(lambda: ear.heard == [("news", "after")])

    with embedded.start(tmp_path / "data") as server, connect(server.url) as db:
        asyncio.run(run(server, db))


def test_an_embedded_server_that_died_is_brought_back(tmp_path: Path) -> None:
    async def run(db: Database) -> None:
        ear = Ear()
        assert db.embedded is not None
        async with listening(db, ear) as listener:
            await until(up(listener))
            kill_server(db.embedded.pid)
            await until(lambda: State.DOWN in ear.stood)
            await until(up(listener))
            notify(db, "after")
            await until(lambda: ear.heard == [("news", "after")])

    with connect(data_dir=tmp_path / "data") as db:
        asyncio.run(run(db))


def test_a_connection_on_which_notifications_are_swallowed_is_deaf_and_not_kept(
    db: Database, open_before: int
) -> None:
    async def run(way: Between) -> None:
        ear = Ear()
        way.deaf = True
        async with listening(
            Database(way.url), ear, Pauses(first=0.05, answer=0.5, deaf=0.05)
        ) as listener:
            await until(lambda: ear.stood.count(State.DEAF) >= 2)
            assert State.UP not in ear.stood
            assert "did not arrive" in listener.standing.reason
            way.deaf = False
            await until(up(listener))

    with Between(db.url) as way:
        asyncio.run(run(way))


def test_a_connection_that_went_dead_without_a_word_is_noticed(
    db: Database, open_before: int
) -> None:
    async def run(way: Between) -> None:
        ear = Ear()
        async with listening(Database(way.url), ear) as listener:
            await until(up(listener))
            way.silent = True
            await until(lambda: "does not answer" in listener.standing.reason)
            way.silent = False
            await until(up(listener))
            notify(db, "after")
            await until(lambda: ear.heard == [("news", "after")])

    with Between(db.url) as way:
        asyncio.run(run(way))


def test_a_quiet_connection_that_lives_is_kept(db: Database) -> None:
    async def run() -> None:
        ear = Ear()
        begun = "SELECT backend_start, query_start FROM pg_stat_activity WHERE query = 'SELECT 1'"
        async with listening(db, ear, Pauses(quiet=0.02, answer=0.1)) as listener:
            await until(up(listener))
            seen = set()
            while len(seen) < 3:
                seen |= set(ask(db.url, begun))
                await asyncio.sleep(0.02)
        assert len({start for start, _ in seen}) == 1
        assert ear.stood == [State.UP]

    asyncio.run(run())


def test_a_server_that_keeps_silent_holds_up_neither_the_loop_nor_the_end(
    db: Database, open_before: int
) -> None:
    async def run(way: Between) -> None:
        ear = Ear()
        longest = 0.0
        way.silent = True
        async with listening(Database(way.url), ear, Pauses(answer=30)) as listener:
            for _ in range(20):
                began = time.monotonic()
                await asyncio.sleep(0.01)
                longest = max(longest, time.monotonic() - began)
            assert listener.standing.state is State.DOWN
            began = time.monotonic()
        assert time.monotonic() - began < 2
        assert longest < 0.5

    with Between(db.url) as way:
        asyncio.run(run(way))


def test_a_refusal_shows_no_password(db: Database) -> None:
    async def run() -> None:
        ear = Ear()
        url = sa.make_url("postgresql+psycopg2://me:hunter2-is-secret@127.0.0.1:1/desk")
        async with listening(Database(url), ear) as listener:
            await until(lambda: "nothing listens there" in listener.standing.reason)
            assert "hunter2" not in str(listener.standing)

    asyncio.run(run())
