"""One client: what it gets, in which order, and what becomes of one that is slow or rude."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from alphapulse_nb.events import Kinds
from alphapulse_nb.server.answers import Fault
from alphapulse_nb.server.stream import session as session_module
from alphapulse_nb.server.stream.session import Session, Why
from tests.stream.tails import MemoryTail


class Client:
    """The other end: takes what is sent, if it reads at all."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.sizes: list[int] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self.dropped: tuple[Why, int] | None = None

    async def send(self, data: bytes) -> None:
        await self.reads.wait()
        self.sizes.append(len(data))
        self.messages += [json.loads(part) for part in unframed(data)]

    def drop(self, why: Why, code: int, reason: str) -> None:
        assert reason
        self.dropped = self.dropped or (why, code)

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == kind]

    @property
    def seqs(self) -> list[int]:
        return [message["seq"] for message in self.of("signal")]


def unframed(data: bytes) -> list[bytes]:
    """The payloads of a server's frames of text."""
    found, at = [], 0
    while at < len(data):
        assert data[at] == 0x81
        size, at = data[at + 1], at + 2
        wide = {126: 2, 127: 8}.get(size, 0)
        if wide:
            size, at = int.from_bytes(data[at : at + wide], "big"), at + wide
        found.append(data[at : at + size])
        at += size
    return found


@asynccontextmanager
async def client(
    tail: MemoryTail, hub: Any = None, person: str = ""
) -> AsyncIterator[tuple[Client, Session]]:
    end = Client()
    session = Session(tail, Kinds({"fill": None}), end, hub, person)
    stop = tail.subscribe(lambda _: session.wake())
    task = asyncio.create_task(session.run())
    try:
        yield end, session
    finally:
        stop()
        task.cancel()
        session.close()


async def until(met: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not met():
            await asyncio.sleep(0.002)


def say(kind: str, **data: Any) -> str:
    return json.dumps({"type": kind, "data": data, "id": kind})


def run(scenario: Callable[[], Any]) -> None:
    asyncio.run(scenario())


def test_a_client_is_greeted_and_gets_nothing_unasked() -> None:
    async def scenario() -> None:
        tail = MemoryTail()
        tail.add(count=3)
        async with client(tail) as (end, session):
            session.greet({"types": ["signal"]})
            tail.add()
            await until(lambda: end.messages)
            (welcome,) = end.messages
            assert welcome["data"]["log"] == tail.identity
            assert welcome["data"]["seq"] == 3
            assert welcome["data"]["types"] == ["signal"]

    run(scenario)


def test_what_is_subscribed_to_comes_once_and_in_order() -> None:
    async def scenario() -> None:
        tail = MemoryTail()
        tail.add(count=5)
        async with client(tail) as (end, session):
            await session.take(say("subscribe", types=["signal"], symbols=["BTC/USDT"]))
            for _ in range(50):
                tail.add(count=3)
                tail.add(symbol="ETH/USDT")
                tail.add("backtest")
                await asyncio.sleep(0)
            wanted = [
                event.seq
                for event in tail.events[5:]
                if event.type == "signal" and event.symbol == "BTC/USDT"
            ]
            await until(lambda: len(end.seqs) >= len(wanted))
            assert end.seqs == wanted
            assert end.messages[0]["type"] == "subscribed"
            assert end.messages[0]["id"] == "subscribe"

    run(scenario)


@pytest.mark.parametrize("kept", [10_000, 40])
def test_who_comes_back_gets_what_was_missed_and_goes_on(kept: int) -> None:
    """Also what memory no longer has and the log still does; while more keeps coming."""

    async def scenario() -> None:
        tail = MemoryTail(kept)
        tail.add(count=3_000)
        after = tail.events[99].seq
        async with client(tail) as (end, session):
            asked = say("subscribe", types=["signal"], after=after, log=tail.identity)
            await session.take(asked)
            for _ in range(30):
                tail.add(count=5)
                await asyncio.sleep(0)
            wanted = [event.seq for event in tail.events if event.seq > after]
            await until(lambda: len(end.seqs) >= len(wanted))
            assert end.seqs == wanted
            assert bool(tail.reads) is (kept == 40)

    run(scenario)


def test_a_slow_client_costs_nothing_and_misses_nothing() -> None:
    async def scenario() -> None:
        tail = MemoryTail(kept=500)
        async with client(tail) as (end, session):
            await session.take(say("subscribe"))
            end.reads.clear()
            for _ in range(100):
                tail.add(count=50, note="x" * 500)
                await asyncio.sleep(0)
            assert len(end.messages) < 2
            end.reads.set()
            wanted = [event.seq for event in tail.events]
            await until(lambda: len(end.seqs) >= len(wanted))
            assert end.seqs == wanted
            assert max(end.sizes) < 2 * session_module._PORTION

    run(scenario)


def test_a_client_that_never_reads_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "STALL_SECONDS", 0.05)

    async def scenario() -> None:
        tail = MemoryTail()
        async with client(tail) as (end, session):
            end.reads.clear()
            await session.take(say("ping"))
            await until(lambda: end.dropped)
            assert end.dropped == ("slow", 1008)

    run(scenario)


def test_a_client_that_asks_and_does_not_read_the_answers_is_dropped() -> None:
    async def scenario() -> None:
        async with client(MemoryTail()) as (end, session):
            end.reads.clear()
            for _ in range(session_module._MOST_ANSWERS + 2):
                await session.take(say("ping"))
            assert end.dropped == ("slow", 1008)

    run(scenario)


def test_rubbish_is_answered_and_much_of_it_ends_the_connection() -> None:
    async def scenario() -> None:
        async with client(MemoryTail()) as (end, session):
            await session.take("nonsense")
            await session.take(say("subscribe", types=["nothing"]))
            await until(lambda: len(end.messages) == 2)
            assert [message["type"] for message in end.messages] == ["error", "error"]
            assert end.messages[0]["data"]["code"] == "bad_request"
            assert end.messages[1]["data"]["field"] == "types"
            assert end.messages[1]["id"] == "subscribe"
            assert end.dropped is None
            for _ in range(session_module._MOST_BAD):
                await session.take(b"\x00")
            assert end.dropped == ("refused", 1008)

    run(scenario)


def test_what_the_server_has_no_room_for_is_nothing_bad_of_the_client() -> None:
    class Full:
        async def watch(self, *_: Any) -> Any:
            raise Fault("busy", "Too many different feeds are watched just now.", after=10)

    async def scenario() -> None:
        async with client(MemoryTail(), Full()) as (end, session):
            for count in range(1, 2 * session_module._MOST_BAD):
                await session.take(say("watch", feed="anomalies", symbol="BTC/USDT", range="24h"))
                await until(lambda count=count: len(end.of("error")) == count)
            assert end.of("error")[0]["data"]["status"] == 503
            assert end.dropped is None

    run(scenario)


def test_a_notification_reaches_those_it_is_for_and_does_not_say_who_they_are() -> None:
    async def scenario() -> None:
        tail = MemoryTail()
        async with (
            client(tail, person="ann") as (ann, one),
            client(tail, person="bob") as (bob, two),
        ):
            for session in (one, two):
                await session.take(say("subscribe"))
            await until(lambda: ann.messages and bob.messages)
            tail.add("notification", title="for ann", to=["ann", "cyd"])
            tail.add("notification", title="for both", to=["ann", "bob"])
            tail.add("notification", title="for all")
            tail.add("fill", title="no notification", to=["cyd"])
            await until(lambda: len(ann.of("notification")) == 3 and ann.of("fill"))
            await until(lambda: bob.of("fill"))
            titles = [told["data"]["title"] for told in bob.of("notification")]
            assert titles == ["for both", "for all"]
            for told in (*ann.of("notification"), *bob.of("notification")):
                assert "to" not in told["data"]
            assert bob.of("fill")[0]["data"]["to"] == ["cyd"]

    run(scenario)


def test_a_number_of_the_future_or_of_another_log_is_refused() -> None:
    async def scenario() -> None:
        tail = MemoryTail()
        tail.add(count=3)
        async with client(tail) as (end, session):
            await session.take(say("subscribe", after=4))
            await session.take(say("subscribe", after=1, log="another"))
            await until(lambda: len(end.of("error")) == 2)
            future, other = (message["data"] for message in end.of("error"))
            assert future["code"] == "bad_parameter"
            assert future["allowed"]["maximum"] == 3
            assert other["code"] == "seq_gone"

    run(scenario)


def test_what_the_log_no_longer_has_is_said_and_the_rest_comes() -> None:
    async def scenario() -> None:
        tail = MemoryTail(kept=10)
        tail.add(count=100)
        tail.gone = tail.events[49].seq
        async with client(tail) as (end, session):
            await session.take(say("subscribe", after=1))
            await until(lambda: len(end.seqs) >= 50)
            assert end.seqs == [event.seq for event in tail.events[50:]]
            (lost,) = end.of("error")
            assert lost["data"]["code"] == "seq_gone"
            assert lost["data"]["value"] == "1"

    run(scenario)


def test_a_log_that_is_away_is_said_and_new_events_still_come() -> None:
    async def scenario() -> None:
        tail = MemoryTail(kept=10)
        tail.add(count=100)
        tail.is_away = True
        async with client(tail) as (end, session):
            await session.take(say("subscribe", after=1))
            await until(lambda: end.of("error"))
            assert end.of("error")[0]["data"]["code"] == "database_unavailable"
            tail.add()
            await until(lambda: end.seqs)
            assert end.seqs == [tail.newest]

    run(scenario)


def test_who_unsubscribes_gets_no_more() -> None:
    async def scenario() -> None:
        tail = MemoryTail()
        async with client(tail) as (end, session):
            await session.take(say("subscribe", types=["signal"]))
            tail.add()
            await until(lambda: end.seqs)
            await session.take(say("unsubscribe"))
            tail.add()
            await session.take(say("ping", n=1))
            await until(lambda: end.of("pong"))
            assert len(end.seqs) == 1
            assert end.of("pong")[0]["data"] == {"n": 1}
            assert end.of("pong")[0]["seq"] == tail.newest

    run(scenario)


def test_silence_is_broken_by_a_heartbeat(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session_module, "HEARTBEAT_SECONDS", 0.02)

    async def scenario() -> None:
        tail = MemoryTail()
        tail.add()
        async with client(tail) as (end, _):
            await until(lambda: len(end.of("heartbeat")) >= 2)
            assert end.of("heartbeat")[0]["seq"] == 1

    run(scenario)


def test_where_there_are_no_feeds_none_is_watched() -> None:
    async def scenario() -> None:
        async with client(MemoryTail()) as (end, session):
            await session.take(say("watch", feed="anomalies", symbol="BTC/USDT", range="24h"))
            await until(lambda: end.of("error"))
            assert end.of("error")[0]["data"]["code"] == "not_found"

    run(scenario)


def test_a_gap_is_told_before_what_comes_after_it() -> None:
    async def scenario() -> None:
        tail = MemoryTail(kept=10)
        tail.add(count=100)
        tail.gone = tail.events[49].seq
        async with client(tail) as (end, session):
            await session.take(say("subscribe", after=1))
            await until(lambda: end.seqs)
            kinds = [message["type"] for message in end.messages]
            assert kinds[:3] == ["subscribed", "error", "signal"]

    run(scenario)


def test_after_its_end_nothing_is_taken_from_a_client_nor_sent_to_it() -> None:
    async def scenario() -> None:
        tail = MemoryTail()
        async with client(tail) as (end, session):
            await session.take(say("subscribe"))
            await until(lambda: end.messages)
            session.end("stopped", 1001, "enough")
            for _ in range(1_000):
                await session.take(say("ping"))
                await session.take("nonsense")
            tail.add()
            for _ in range(20):
                await asyncio.sleep(0)
            assert len(end.messages) == 1
            assert not session._answers
            assert end.dropped == ("stopped", 1001)

    run(scenario)
