"""`StreamClient` against a real server that comes and goes, and against hostile ones."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import json
import logging
import random
import ssl
import subprocess
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

import alphapulse_nb
from alphapulse_nb.db.connection import Database
from alphapulse_nb.errors import InputError, StreamRefused
from alphapulse_nb.events import Event, stamp
from alphapulse_nb.server.access import Rules
from alphapulse_nb.server.stream import session as session_module
from alphapulse_nb.stream_client import Gap, State, StreamClient, connection, handler
from alphapulse_nb.stream_client.backoff import Backoff
from alphapulse_nb.stream_client.place import Place
from tests.cable import Cable
from tests.conftest import Desk, ago
from tests.deploy.conftest import needed
from tests.stream.served import KEY, Streaming, serving
from tests.stream.tails import MemoryTail

TOKEN = "correct-horse-battery"
BTC, ETH = "BTC/USDT", "ETH/USDT"
AT_ONCE = Backoff(first=0.01, most=0.05)


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    """On a loop that must be left as clean as it was."""

    async def whole() -> None:
        async with asyncio.timeout(90):
            await scenario()
        left = asyncio.all_tasks() - {asyncio.current_task()}
        if left:
            # A server of the test's own may be about to end what nobody waits for.
            _, left = await asyncio.wait(left, timeout=2)
        assert not left, left

    asyncio.run(whole(), debug=False)


async def until(met: Callable[[], Any], seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not met():
            await asyncio.sleep(0.01)


async def seqs(stream: StreamClient, count: int) -> list[int]:
    """The numbers of the next events."""
    found: list[int] = []
    async with asyncio.timeout(60):
        async for event in stream:
            found.append(event.seq)
            if len(found) >= count:
                break
    return found


def client(server: Streaming, **more: Any) -> StreamClient:
    return StreamClient(server.url, **{"backoff": AT_ONCE, "poll_every": 0, **more})


def test_events_are_iterated_over_by_type_and_symbol(db: Database) -> None:
    async def scenario() -> None:
        async with client(server, types="signal", symbols=[BTC]) as stream:
            assert stream.status.state is State.LIVE
            server.add("prediction")
            server.add("signal", symbol=ETH)
            server.add("signal", 3, side="LONG")
            wanted = [event.seq for event in server.tail.events[-3:]]
            assert await seqs(stream, 3) == wanted
            status = stream.status
            assert (status.messages, status.attempts, status.last_error) == (3, 0, "")
            assert status.lag is not None
            assert -1 < status.lag < 30
            assert stream.seq == wanted[-1]
        assert stream.status.state is State.CLOSED
        assert [event async for event in stream] == []

    with serving(db) as server:
        run(scenario)


@pytest.mark.parametrize("seed", range(5))
def test_through_restarts_each_event_comes_once_and_in_order(db: Database, seed: int) -> None:
    """Ten restarts at random moments for each seed, while events keep coming."""
    chance = random.Random(seed)  # noqa: S311
    done = threading.Event()

    def keep_adding() -> None:
        while not done.is_set():
            # While the server stops, the log is added to from here, as by another server.
            with lock:
                server.add(count=chance.randrange(1, 30))
            time.sleep(chance.random() * 0.02)

    def restart() -> None:
        with lock:
            server.stop()
            server.tail.add(count=chance.randrange(0, 20))
            server.start()

    async def scenario() -> None:
        async with client(server, buffer=chance.choice([1, 7, 1_000])) as stream:
            adding = asyncio.create_task(asyncio.to_thread(keep_adding))
            getting = asyncio.create_task(everything(stream))
            for _ in range(10):
                await asyncio.sleep(chance.random() * 0.15)
                await asyncio.to_thread(restart)
            done.set()
            await adding
            await until(lambda: stream.seq == server.tail.newest)
            await stream.close()
            assert await getting == [event.seq for event in server.tail.events]
            assert stream.status.gaps == 0

    async def everything(stream: StreamClient) -> list[int]:
        return [event.seq async for event in stream]

    lock = threading.Lock()
    with serving(db, tail=MemoryTail(kept=chance.choice([20, 10_000]))) as server:
        try:
            run(scenario)
        finally:
            done.set()


def test_a_handler_that_fails_or_is_slow_harms_no_other(
    db: Database, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "MOST_WAITING", 20)
    caplog.set_level(logging.ERROR)
    goes = threading.Event()
    got: list[int] = []
    plain: list[int] = []

    async def scenario() -> None:
        stream = client(server)

        @stream.on("signal", symbols=BTC)
        async def good(event: Event) -> None:
            got.append(event.seq)

        @stream.on()
        def plain_and_good(event: Event) -> None:
            assert threading.current_thread() is not threading.main_thread()
            plain.append(event.seq)

        @stream.on()
        async def fails(event: Event) -> None:
            raise ValueError("on purpose")

        @stream.on()
        async def is_cancelled(event: Event) -> None:
            raise asyncio.CancelledError

        @stream.on()
        def stops_iteration(event: Event) -> None:
            raise StopIteration

        @stream.on()
        def slow(event: Event) -> None:
            goes.wait(60)

        @stream.on("backtest")
        async def not_asked(event: Event) -> None:
            raise AssertionError

        async with stream:
            for _ in range(10):
                await asyncio.to_thread(server.add, "signal", 5)
                await until(lambda: stream.seq == server.tail.newest)
                await until(lambda: len(plain) == stream.status.messages)
            await until(lambda: len(got) == 50)
            known = {one.name.rpartition(".")[2]: one for one in stream.status.handlers}
            assert got == plain == [event.seq for event in server.tail.events]
            assert (known["good"].handled, known["good"].failed) == (50, 0)
            for name in ("fails", "is_cancelled", "stops_iteration"):
                await until(functools.partial(is_through, stream, name, 50))
            assert known["not_asked"].waiting == 0
            slow_one = known["slow"]
            assert (slow_one.handled, slow_one.waiting) == (0, 20)
            assert slow_one.dropped == 29
            goes.set()
        assert "fails failed" in caplog.text
        assert "on purpose" in caplog.text

    with serving(db) as server:
        run(scenario)


def is_through(stream: StreamClient, name: str, failures: int) -> bool:
    status = next(one for one in stream.status.handlers if one.name.endswith(name))
    return status.failed == failures


def test_handlers_alone_are_run_and_can_be_stopped(db: Database) -> None:
    async def scenario() -> None:
        got: list[Event] = []
        stream = client(server)
        with pytest.raises(InputError, match="no handler"):
            await stream.run()
        stream.on("signal")(got.append)
        running = asyncio.create_task(stream.run())
        await until(lambda: stream.status.state is State.LIVE)
        # Nobody iterates: more than waits for an iteration comes through all the same.
        await asyncio.to_thread(server.add, "signal", 1_500)
        await until(lambda: len(got) == 1_500)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        assert stream.status.state is State.CLOSED

    with serving(db) as server:
        run(scenario)


def test_a_handler_may_close_its_client(db: Database) -> None:
    async def scenario() -> None:
        stream = client(server)

        @stream.on("signal")
        async def last(event: Event) -> None:
            await stream.close()

        async with stream:
            server.add("signal", 3)
            await until(lambda: stream.status.state is State.CLOSED)

    with serving(db) as server:
        run(scenario)


def test_who_iterates_slowly_misses_nothing(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "STALL_SECONDS", 0.3)
    count = 4_000

    async def scenario() -> None:
        async with client(server, buffer=3) as stream:
            await asyncio.to_thread(server.add, "signal", count, note="x" * 2_000)
            # Meanwhile the server gives the client up, which goes on where it was.
            first = await seqs(stream, 5)
            await until(lambda: server.shared.figures.value("streams_closed", why="slow") > 0)
            rest = await seqs(stream, count - 5)
            assert first + rest == [event.seq for event in server.tail.events]

    with serving(db) as server:
        run(scenario)


def test_more_and_less_can_be_subscribed_to_meanwhile(db: Database) -> None:
    async def scenario() -> None:
        async with client(server, types="backtest", buffer=2) as stream:
            await stream.subscribe("signal")
            assert repr(stream).endswith("types=['backtest', 'signal'], symbols=None)")
            # From within the iteration, with more events waiting than the buffer holds.
            await asyncio.to_thread(server.add, "signal", 10)
            found = []
            async for event in stream:
                found.append(event.type)
                if len(found) == 1:
                    await stream.subscribe("prediction")
                    await asyncio.to_thread(server.add, "prediction")
                if event.type == "prediction":
                    break
            assert found == ["signal"] * 10 + ["prediction"]
            with pytest.raises(InputError, match="Did you mean signal"):
                await stream.subscribe("signals")
            await stream.unsubscribe(["signal", "prediction"])
            await asyncio.to_thread(server.stop)
            await stream.subscribe("fill")
            server.tail.add("signal")
            server.tail.add("fill")
            await asyncio.to_thread(server.start)
            assert await seqs(stream, 1) == [server.tail.newest]
            await stream.unsubscribe()
            assert repr(stream).endswith("types=[], symbols=[])")

    with serving(db) as server:
        run(scenario)


def test_after_a_pause_of_the_program_it_goes_on_where_it_was(db: Database) -> None:
    async def scenario() -> None:
        async with client(server) as stream:
            server.add("signal", 3)
            await seqs(stream, 2)
            after, log = stream.seq, stream.log
        server.add("signal", 4)
        assert after is not None
        async with client(server, after=after, log=log) as stream:
            missed = [event.seq for event in server.tail.events if event.seq > after]
            assert await seqs(stream, len(missed)) == missed

    with serving(db) as server:
        run(scenario)


def test_what_the_log_no_longer_has_is_a_gap_that_is_told(db: Database) -> None:
    async def scenario() -> None:
        told: list[Gap] = []
        server.add("signal", 100)
        after = server.tail.events[9].seq
        server.tail.kept, server.tail.gone = 10, server.tail.events[49].seq
        stream = client(server, after=after, log=server.tail.identity)
        stream.on_gap(told.append)
        items = stream.items()
        async with stream:
            gap = await anext(items)
            assert isinstance(gap, Gap)
            assert (gap.after, gap.until) == (after, server.tail.gone)
            event = await anext(items)
            assert isinstance(event, Event)
            assert event.seq == server.tail.events[50].seq
            assert stream.status.gaps == 1
            assert stream.status.last_gap == gap
            await until(lambda: told == [gap])

    with serving(db) as server:
        run(scenario)


@pytest.mark.parametrize("identity", ["a log", "another log"])
def test_a_log_that_begins_anew_is_a_gap_and_then_goes_on(db: Database, identity: str) -> None:
    """With another name, or restored from a backup that ends earlier."""

    async def scenario() -> None:
        async with client(server) as stream:
            server.add("signal", 50)
            await seqs(stream, 50)
            await asyncio.to_thread(server.stop)
            server.tail.identity = identity
            del server.tail.events[5:]
            newest = server.tail.newest
            await asyncio.to_thread(server.start)
            items = stream.items()
            gap = await anext(items)
            assert isinstance(gap, Gap)
            assert gap.until == newest
            server.add("signal")
            event = await anext(items)
            assert isinstance(event, Event)
            assert event.seq == server.tail.newest
            assert stream.log == identity

    with serving(db) as server:
        run(scenario)


def test_a_log_that_cannot_be_read_now_is_waited_for(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        server.add("signal", 100)
        server.tail.kept, server.tail.is_away = 10, True
        async with client(server, after=0) as stream:
            await until(lambda: "cannot read its log" in stream.status.last_error)
            server.tail.is_away = False
            assert await seqs(stream, 100) == [event.seq for event in server.tail.events]
            assert stream.status.gaps == 0

    with serving(db) as server:
        run(scenario)


def test_wrong_credentials_are_an_error_at_once_and_nowhere_repeated(
    db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = "battery-staple-wrong"

    async def scenario() -> None:
        for token in ("", wrong):
            with pytest.raises(StreamRefused, match="does not let us in") as caught:
                async with client(server, token=token):
                    pass
            assert wrong not in str(caught.value)
        async with client(server, token=TOKEN) as stream:
            server.add()
            assert len(await seqs(stream, 1)) == 1
            assert TOKEN not in repr(stream) + repr(vars(stream)) + repr(stream.status)
            assert TOKEN not in "".join(repr(task) for task in asyncio.all_tasks())

    with serving(db, rules=Rules(key=KEY, token=TOKEN)) as server:
        run(scenario)
    assert wrong not in caplog.text
    assert TOKEN not in caplog.text


def test_credentials_that_end_to_be_good_end_an_iteration(db: Database) -> None:
    async def scenario() -> None:
        async with client(server, token=TOKEN) as stream:
            await asyncio.to_thread(server.stop)
            server._rules = Rules(key=KEY, token="another-horse-battery")
            await asyncio.to_thread(server.start)
            with pytest.raises(StreamRefused):
                await seqs(stream, 1)
            assert stream.status.state is State.CLOSED
            assert "does not let us in" in stream.status.last_error

    with serving(db, rules=Rules(key=KEY, token=TOKEN)) as server:
        run(scenario)


def test_an_unknown_type_is_an_error_at_once(db: Database) -> None:
    async def scenario() -> None:
        with pytest.raises(StreamRefused, match="Did you mean signal"):
            await client(server, types="signals").start()

    with serving(db) as server:
        run(scenario)


def test_where_there_is_no_dashboard_that_is_said(db: Database) -> None:
    async def scenario(poll_every: float) -> None:
        async with client(server, poll_every=poll_every) as stream:
            with pytest.raises(StreamRefused, match="no stream at this address"):
                await seqs(stream, 1)

    with serving(db, has_api=False) as server:
        server.stop()
        server.has_stream = False
        server.start()
        run(lambda: scenario(0))
        run(lambda: scenario(0.05))


def insert(desk: Desk, symbol: str, confidence: float) -> int:
    """A new signal of the trading system; its id."""
    number: int = desk.run(
        "INSERT INTO signals (timestamp, symbol, signal_type, entry_price, stop_loss, target_price,"
        " confidence, risk_reward_ratio, outcome) VALUES (now(), :symbol, 'LONG', 1, 1, 1,"
        " :confidence, 2, 'PENDING') RETURNING id",
        symbol=symbol,
        confidence=confidence,
    )
    return number


def test_without_a_stream_the_api_is_asked_and_nothing_comes_twice(
    desk: Desk, db: Database
) -> None:
    symbol = "POLL/USDT"
    first = insert(desk, symbol, 0.1)

    def relayed(number: int) -> None:
        """The stream's own event of a row, as the log has it."""
        server.tail.add("signal", table="signals", id=number, symbol=symbol, evaluated_at=None)

    async def scenario() -> None:
        found: list[Event] = []
        async with client(server, types="signal", symbols=symbol, poll_every=0.2) as stream:

            async def collect() -> None:
                async for event in stream:
                    found.append(event)  # noqa: PERF401 - it is looked at meanwhile

            collecting = asyncio.create_task(collect())
            await asyncio.to_thread(server.call, lambda: relayed(first))
            await until(lambda: len(found) == 1)
            await asyncio.to_thread(switch, False)
            await until(lambda: stream.status.state is State.POLLING)
            polled = [insert(desk, symbol, 0.2), insert(desk, symbol, 0.3)]
            await until(lambda: len(found) == 3)
            assert [(event.seq, event.data["id"]) for event in found[1:]] == [
                (0, number) for number in polled
            ]
            assert found[1].type == "signal"
            assert found[1].data["table"] == "signals"
            assert not {"metadata", "created_at"} & set(found[1].data)
            assert abs(found[1].at - datetime.now(UTC)) < timedelta(minutes=1)
            desk.run(
                "UPDATE signals SET outcome = 'WIN', evaluated_at = now() WHERE id = :id",
                id=polled[0],
            )
            await until(lambda: len(found) == 4)
            assert found[3].data["outcome"] == "WIN"
            unseen = insert(desk, symbol, 0.4)
            await until(lambda: len(found) == 5)
            for number in (*polled, unseen):
                relayed(number)
            won = found[3].data["evaluated_at"]
            server.tail.add(
                "signal", table="signals", id=polled[0], symbol=symbol, evaluated_at=won
            )
            server.tail.add("signal", symbol=symbol, note="no row")
            await asyncio.to_thread(switch, True)
            await until(lambda: stream.status.state is State.LIVE)
            await until(lambda: len(found) == 6)
            assert found[5].data["note"] == "no row"
            assert stream.status.messages == 6
            await stream.close()
            await collecting

    def switch(has_stream: bool) -> None:
        """The same server, with a stream or with the API alone."""
        server.stop()
        server.has_stream = has_stream
        server.start()

    with serving(db) as server:
        run(scenario)


def test_rows_from_before_a_client_came_are_no_events(desk: Desk, db: Database) -> None:
    symbol = "OLD/USDT"
    insert(desk, symbol, 0.1)

    async def scenario() -> None:
        async with client(server, symbols=symbol, poll_every=0.1) as stream:
            await until(lambda: stream.status.state is State.POLLING)
            new = insert(desk, symbol, 0.2)
            event = await anext(stream.__aiter__())
            assert event.data["id"] == new
            assert stream.status.messages == 1

    with serving(db) as server:
        server.stop()
        server.has_stream = False
        server.start()
        run(scenario)


def test_polling_with_wrong_credentials_is_an_error(db: Database) -> None:
    async def scenario() -> None:
        # The stream's own server is gone; the API's wants a token.
        url = f"http://127.0.0.1:{gone}/"
        stream = StreamClient(url, api=server.url, backoff=AT_ONCE, poll_every=0.05)
        async with stream:
            with pytest.raises(StreamRefused):
                await seqs(stream, 1)

    with serving(db) as other:
        gone = other.port
    with serving(db, rules=Rules(key=KEY, token=TOKEN)) as server:
        run(scenario)


def test_silence_is_a_dead_connection(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "HEARTBEAT_SECONDS", 0.1)
    monkeypatch.setattr("alphapulse_nb.server.stream.socket.HEARTBEAT_SECONDS", 0.2)

    async def scenario(cable: Cable) -> None:
        async with StreamClient(cable.url, backoff=AT_ONCE, poll_every=0) as stream:
            server.add()
            await seqs(stream, 1)
            await asyncio.to_thread(cable.cut)
            await until(lambda: "said nothing" in stream.status.last_error)
            await asyncio.to_thread(server.add)
            await asyncio.to_thread(cable.mend)
            assert await seqs(stream, 1) == [server.tail.newest]

    with serving(db) as server, Cable(server.url) as cable:
        run(lambda: scenario(cable))


def test_a_task_that_is_cancelled_while_it_iterates_leaves_nothing(db: Database) -> None:
    async def scenario() -> None:
        async def follow() -> None:
            async with client(server) as stream:
                async for _ in stream:
                    began.set()

        began = asyncio.Event()
        task = asyncio.create_task(follow())
        async with asyncio.timeout(30):
            while not began.is_set():
                await asyncio.to_thread(server.add)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await until(lambda: server.stream_count() == 0)

    with serving(db) as server:
        run(scenario)


@asynccontextmanager
async def hostile(
    say: Callable[[ServerConnection], Awaitable[None]],
) -> AsyncIterator[tuple[str, list[int]]]:
    """A websocket server of bad manners; its address, and a number for each connection."""
    came: list[int] = []

    async def take(link: ServerConnection) -> None:
        came.append(len(came))
        await say(link)

    async with serve(take, "127.0.0.1", 0, max_size=None, close_timeout=0.2) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"ws://127.0.0.1:{port}/stream", came


WELCOME_DATA = {"log": "a", "seq": 0, "types": ["signal"], "heartbeat": 15}
WELCOME = {"type": "welcome", "data": WELCOME_DATA, "timestamp": stamp(ago()), "seq": 0}


def about(**changed: Any) -> str:
    return json.dumps(WELCOME | {"data": WELCOME_DATA | changed})


RUBBISH: dict[str, str | bytes] = {
    "no JSON": "nonsense",
    "binary": b"\x00" * 100,
    "a list": "[1]",
    "deep": "[" * 100_000,
    "too large": "x" * (2 << 20),
    "no type": "{}",
    "no welcome": json.dumps({"type": "signal", "data": {}, "timestamp": stamp(ago()), "seq": 1}),
    "no log": about(log=None),
    "a heartbeat that is none": about(heartbeat="often"),
    "no heartbeat": about(heartbeat=0),
    "an endless heartbeat": about(heartbeat=1e99),
    "a number that is none": about(seq=-1),
    "types that are none": about(types="signal"),
}
RUBBISH_LATER = ("nonsense", "{}", '{"type": "signal", "data": 5, "seq": 8}', "x" * (2 << 20))


@pytest.mark.parametrize("name", RUBBISH)
def test_a_server_that_sends_rubbish_is_left_and_tried_again(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "OPEN_SECONDS", 1.0)
    monkeypatch.setattr("alphapulse_nb.stream_client.line.OPEN_SECONDS", 0.2)

    async def say(link: ServerConnection) -> None:
        with contextlib.suppress(Exception):
            await link.send(RUBBISH[name])
            await link.wait_closed()

    async def scenario() -> None:
        async with (
            hostile(say) as (url, came),
            StreamClient(url, backoff=AT_ONCE, poll_every=0) as stream,
        ):
            await until(lambda: len(came) >= 3)
            assert stream.status.state is State.CONNECTING
            assert stream.status.attempts >= 2
            assert 0 < len(stream.status.last_error) < 300
            assert stream.status.messages == 0

    run(scenario)


def test_rubbish_after_a_welcome_ends_one_connection_and_loses_nothing() -> None:
    asked: list[int] = []

    async def say(link: ServerConnection) -> None:
        await link.send(json.dumps(WELCOME | {"seq": 9, "data": WELCOME_DATA | {"seq": 9}}))
        said = json.loads(await link.recv())
        after = said["data"]["after"]
        asked.append(after)
        told = {"types": None, "symbols": None, "seq": after}
        await link.send(told_as("subscribed", told, id=said["id"]))
        await link.send(told_as("signal", {}, seq=after + 1))
        await link.send(RUBBISH_LATER[after % len(RUBBISH_LATER)])
        await link.wait_closed()

    async def scenario() -> None:
        async with (
            hostile(say) as (url, _),
            StreamClient(url, backoff=AT_ONCE, poll_every=0, after=0, log="a") as stream,
        ):
            assert await seqs(stream, 5) == [1, 2, 3, 4, 5]
            assert asked[:5] == [0, 1, 2, 3, 4]
            assert stream.status.gaps == 0

    run(scenario)


def told_as(kind: str, data: dict[str, Any], seq: int | None = None, **more: Any) -> str:
    return json.dumps({"type": kind, "data": data, "timestamp": stamp(ago()), "seq": seq} | more)


def test_a_server_that_closes_at_once_is_asked_ever_less_often() -> None:
    async def say(link: ServerConnection) -> None:
        await link.send(json.dumps(WELCOME))
        asked = json.loads(await link.recv())
        told = {"types": None, "symbols": None, "seq": 0}
        await link.send(told_as("subscribed", told, id=asked["id"]))

    async def scenario() -> None:
        slow = Backoff(first=0.05, most=30, chance=lambda: 1.0)
        async with (
            hostile(say) as (url, came),
            StreamClient(url, backoff=slow, poll_every=0),
        ):
            await until(lambda: len(came) >= 4)
            began, before = time.monotonic(), len(came)
            await until(lambda: len(came) > before)
            assert time.monotonic() - began > 0.2

    run(scenario)


def test_a_server_that_never_answers_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "OPEN_SECONDS", 0.2)
    came: list[asyncio.StreamWriter] = []

    async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(writer)

    async def scenario() -> None:
        server = await asyncio.start_server(take, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with StreamClient(
            f"http://127.0.0.1:{port}", backoff=AT_ONCE, poll_every=0
        ) as stream:
            await until(lambda: len(came) >= 2)
            assert "does not answer" in stream.status.last_error
        for writer in came:
            writer.transport.abort()
        server.close()

    run(scenario)


@pytest.mark.parametrize(
    ("status", "said", "error"),
    [
        (302, "has moved", None),
        (401, "", StreamRefused),
        (403, "a proxy or another server answers", None),
        (404, "a proxy or another server answers", None),
        (503, "a proxy or another server answers", None),
    ],
)
def test_what_a_proxy_answers_is_put_in_words(
    status: int, said: str, error: type[Exception] | None
) -> None:
    asked: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
        except asyncio.IncompleteReadError:
            return writer.close()  # the client left before it had asked
        head = f"HTTP/1.1 {status} Ah\r\nContent-Length: 5\r\nLocation: http://127.0.0.1:1/\r\n"
        writer.write(head.encode() + b"Retry-After: 0\r\n\r\n<html")
        await writer.drain()
        writer.close()

    async def scenario() -> None:
        server = await asyncio.start_server(take, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        stream = StreamClient(
            f"http://127.0.0.1:{port}/desk/", token=TOKEN, backoff=AT_ONCE, poll_every=0
        )
        if error is not None:
            with pytest.raises(error):
                await stream.start()
        else:
            async with stream:
                assert f"answers {status}" in stream.status.last_error or status == 302
                assert said in stream.status.last_error
                assert "/desk/stream" in stream.status.last_error
        assert asked[0].startswith(b"GET /desk/stream HTTP/1.1")
        assert f"Authorization: Bearer {TOKEN}".encode() in asked[0]
        server.close()
        await server.wait_closed()

    run(scenario)


def test_a_server_that_cannot_prove_who_it_is_gets_no_token(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    subprocess.run(
        [needed("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
         "-nodes", "-keyout", key, "-out", certificate, "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True,
        capture_output=True,
    )  # fmt: skip
    ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.load_cert_chain(certificate, key)
    tokens: list[str | None] = []

    async def take(link: ServerConnection) -> None:
        assert link.request is not None
        tokens.append(link.request.headers.get("Authorization"))
        await link.send(json.dumps(WELCOME))
        asked = json.loads(await link.recv())
        await link.send(told_as("subscribed", {"seq": 0}, id=asked["id"]))
        await link.wait_closed()

    async def scenario() -> None:
        async with serve(take, "127.0.0.1", 0, ssl=ours, close_timeout=0.2) as server:
            url = f"https://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
            with pytest.raises(StreamRefused, match="cannot prove who it is"):
                await StreamClient(url, token=TOKEN).start()
            assert tokens == []
            trusting = ssl.create_default_context(cafile=str(certificate))
            async with StreamClient(url, token=TOKEN, tls=trusting) as stream:
                assert stream.status.state is State.LIVE
            assert tokens == [f"Bearer {TOKEN}"]

    run(scenario)


@pytest.mark.parametrize(
    ("url", "api", "stream", "rest"),
    [
        ("http://desk:8050", None, "ws://desk:8050/stream", "http://desk:8050/api/"),
        ("https://desk/a/b/", None, "wss://desk/a/b/stream", "https://desk/a/b/api/"),
        ("wss://desk/a/stream", None, "wss://desk/a/stream", "https://desk/a/api/"),
        ("ws://d:8765", "https://d/x", "ws://d:8765/stream", "https://d/x/api/"),
        ("ws://[::1]:8765/", None, "ws://[::1]:8765/stream", "http://[::1]:8765/api/"),
    ],
)
def test_any_address_of_a_server_will_do(url: str, api: str | None, stream: str, rest: str) -> None:
    made = StreamClient(url, api=api)
    assert repr(made) == f"StreamClient({stream!r}, types=None, symbols=None)"
    assert made._way.address.api == rest


@pytest.mark.parametrize(
    "url",
    ["", "desk", "ftp://desk", "wss://", "http://desk:x", "https://me:s3cret@desk",
     "https://desk/?token=s3cret", "https://desk/#s3cret"],
)  # fmt: skip
def test_an_address_that_is_none_or_holds_a_secret_is_refused(url: str) -> None:
    with pytest.raises(InputError) as caught:
        StreamClient(url)
    assert "s3cret" not in str(caught.value)


def test_arguments_that_are_wrong_are_refused() -> None:
    for wrong in ({"types": []}, {"symbols": ()}, {"token": "a\r\nX: b"}, {"buffer": 0}):
        with pytest.raises(InputError):
            StreamClient("http://desk", **wrong)  # type: ignore[arg-type]


def test_waits_double_up_to_a_bound_and_are_spread_by_chance() -> None:
    longest = Backoff(first=0.5, most=30, chance=lambda: 1.0)
    assert [longest.delay(n) for n in (1, 2, 3, 7, 8, 10_000)] == [0.5, 1, 2, 30, 30, 30]
    assert Backoff(chance=lambda: 0.0).delay(9) == 0


def row(seq: int, number: int, evaluated: str | None = None) -> Event:
    data = {"table": "signals", "id": number, "evaluated_at": evaluated}
    return Event(seq, "signal", data, ago())


def test_a_row_is_known_by_its_id_whichever_way_it_comes() -> None:
    place = Place()
    seen = [
        (row(1, 1), True),  # the stream
        (row(1, 1), False),  # again
        (row(0, 1), False),  # polled, too
        (row(0, 2), True),  # polled
        (row(0, 2), False),
        (row(2, 2), False),  # the stream has caught up
        (row(0, 2, "2026-01-01T00:00:00.000000Z"), True),  # its outcome, polled
        (row(3, 2, "2026-01-01T00:00:00Z"), False),  # the same, written another way
        (row(0, 3, "2026-01-01T00:00:00Z"), True),  # only its outcome was polled
        (row(4, 3), False),  # so it is not told of without it
        (Event(5, "fill", {}, ago()), True),
        (Event(4, "fill", {}, ago()), False),
    ]
    assert [place.is_new(event) for event, _ in seen] == [new for _, new in seen]


def test_it_is_a_public_name_that_costs_nothing_until_it_is_used() -> None:
    assert alphapulse_nb.StreamClient is StreamClient
