"""`/stream` as its clients see it: the contract of every server that has one.

A test takes a `Site` only, so that the same tests hold for each kind of server.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol

import psutil
import pytest
import sqlalchemy as sa
from tornado.web import create_signed_value
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect as connect_now

from alphapulse_nb.db.connection import Database, connect
from alphapulse_nb.events import moment
from alphapulse_nb.people import Person
from alphapulse_nb.relay.log import Entry, EventLog
from alphapulse_nb.server import access as access_module
from alphapulse_nb.server import cookies
from alphapulse_nb.server.access import Access, Refused, Rules
from alphapulse_nb.server.stream import places as places_module
from alphapulse_nb.server.stream import protocol
from alphapulse_nb.server.stream import session as session_module
from alphapulse_nb.server.stream import socket as socket_module
from alphapulse_nb.server.stream.places import Places
from alphapulse_nb.state import State, Users, prepare
from tests.cable import Cable
from tests.conftest import Desk, new_desk, serve, wait_until
from tests.stream.served import KEY, Streaming, listening, serving

TOKEN = "correct-horse-battery"
BTC, ETH = "BTC/USDT", "ETH/USDT"
INSIDES = ("Traceback", "tornado", "sqlalchemy", "psycopg", "site-packages", "alphapulse_nb", ".py")


class Site(Protocol):
    """A server with a stream, and a way to let something happen there."""

    @property
    def url(self) -> str:
        """Ends with a slash; the stream is at `stream` below."""

    def add(self, kind: str = "signal", count: int = 1, **data: Any) -> None:
        """Let events of that type happen, about BTC/USDT unless said otherwise."""


@dataclass(frozen=True)
class Posted:
    """A server in a process of its own; what happens is put into its database's log."""

    url: str
    state: State

    def add(self, kind: str = "signal", count: int = 1, **data: Any) -> None:
        told = {"symbol": BTC, **data}
        entry = Entry(kind, told, datetime.now(UTC), str(told["symbol"]))
        EventLog(self.state).append([entry] * count)

    def is_up_to_date(self) -> bool:
        """Whether it knows every event that there is."""
        address = self.url.replace("http", "ws", 1) + "stream"
        with connect_now(address, proxy=None) as link:
            told = json.loads(link.recv())
        newest = EventLog(self.state).bounds().newest
        return bool(told["data"]["log"]) and told["seq"] == newest


@pytest.fixture(scope="module")
def watched_desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    with new_desk(tmp_path_factory.mktemp("watched"), hours=1) as made:
        yield made


@pytest.fixture(scope="module", params=["alone", "alphapulse serve", "alphapulse stream"])
def server_of_its_kind(
    request: pytest.FixtureRequest,
    db: Database,
    watched_desk: Desk,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Posted | None]:
    """A real server for all tests, or none, where each test makes one of its own."""
    if request.param == "alone":
        yield None
        return
    command = request.param.split()[1]
    url = watched_desk.server.url
    with (
        connect(url) as opened,
        State(opened) as state,
    ):
        prepare(state)
        with serve(tmp_path_factory.mktemp(command), url, command=command) as served:
            yield Posted(served.url, state)


@pytest.fixture
def site(server_of_its_kind: Posted | None, db: Database) -> Iterator[Site]:
    if server_of_its_kind is None:
        with serving(db) as server:
            yield server
    else:
        wait_until(server_of_its_kind.is_up_to_date)
        yield server_of_its_kind


class Client:
    """A plain client that remembers what it was told."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.seen: list[dict[str, Any]] = []

    async def say(self, kind: Any, ref: Any = None, **data: Any) -> None:
        said = {"type": kind, "data": data} | ({} if ref is None else {"id": ref})
        await self.connection.send(json.dumps(said))

    async def told(self) -> dict[str, Any]:
        """The next message, which must be an envelope."""
        async with asyncio.timeout(30):
            while isinstance(text := await self.connection.recv(), bytes):
                pass  # a chart's numbers
        message: dict[str, Any] = json.loads(text)
        assert {"type", "data", "timestamp", "seq"} <= set(message) <= {*ENVELOPE}
        moment(message["timestamp"])
        self.seen.append(message)
        return message

    async def until(self, *kinds: str) -> dict[str, Any]:
        """The next message of one of these types."""
        while (message := await self.told())["type"] not in kinds:
            pass
        return message

    async def ask(self, kind: Any, ref: Any = "q", **data: Any) -> dict[str, Any]:
        """Say something and get the answer."""
        await self.say(kind, ref, **data)
        while (message := await self.told()).get("id") != ref:
            pass
        return message

    async def refused(self, kind: Any, **data: Any) -> dict[str, Any]:
        """The error that answers something, after which the connection is still good."""
        answer = await self.ask(kind, **data)
        assert answer["type"] == "error"
        assert (await self.ask("ping", "still"))["type"] == "pong"
        return error_of(answer)

    @property
    def seqs(self) -> list[int]:
        return [message["seq"] for message in self.seen if message["type"] in protocol_events()]


ENVELOPE = ("type", "data", "timestamp", "seq", "id")


def protocol_events() -> set[str]:
    return {"prediction", "signal", "backtest", "data_update", "fill"}


def error_of(message: dict[str, Any]) -> dict[str, Any]:
    """What an error says; it holds nothing of the server's insides."""
    error: dict[str, Any] = message["data"]
    assert {"status", "code", "message"} <= set(error)
    assert set(error) <= {"status", "code", "message", "field", "value", "allowed", "nearest"}
    assert not [word for word in INSIDES if word.lower() in json.dumps(error).lower()]
    return error


@asynccontextmanager
async def client(site: Site, **more: Any) -> AsyncIterator[Client]:
    """A client that has been welcomed."""
    async with listening(site.url, **more) as connection:
        made = Client(connection)
        assert (await made.told())["type"] == "welcome"
        yield made


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def whole() -> None:
        async with asyncio.timeout(60):
            await scenario()

    asyncio.run(whole())


async def ended(client: Client) -> int:
    """The code with which the server ends a connection."""
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionClosed):
            while True:
                await client.connection.recv()
    return client.connection.close_code or 0


def add_later(site: Site, *args: Any, **data: Any) -> Awaitable[None]:
    """Let something happen while this loop goes on."""
    return asyncio.to_thread(site.add, *args, **data)


def test_who_comes_is_welcomed(site: Site) -> None:
    async def scenario() -> None:
        async with client(site) as end:
            (welcome,) = end.seen
            about = welcome["data"]
            assert about["person"] == "local"
            assert about["role"] == "admin"
            assert about["heartbeat"] == session_module.HEARTBEAT_SECONDS
            assert {"prediction", "signal", "backtest", "data_update"} <= set(about["types"])
            assert isinstance(about["log"], str)
            assert about["seq"] == welcome["seq"]

    run(scenario)


def test_events_come_by_type_and_symbol_as_they_were_asked_for(site: Site) -> None:
    async def scenario() -> None:
        async with client(site) as end:
            answer = await end.ask("subscribe", 7, types=["signal", "backtest"], symbols=[BTC])
            assert answer["type"] == "subscribed"
            assert answer["data"]["types"] == ["backtest", "signal"]
            assert answer["data"]["symbols"] == [BTC]
            await add_later(site, "signal", symbol=ETH)
            await add_later(site, "prediction")
            await add_later(site, "signal", side="LONG")
            event = await end.told()
            assert event["type"] == "signal"
            assert event["data"]["side"] == "LONG"
            assert event["seq"] > answer["data"]["seq"]
            more = await end.ask("subscribe", types=["prediction"], symbols=[ETH])
            assert more["data"]["types"] == ["backtest", "prediction", "signal"]
            assert more["data"]["symbols"] == [BTC, ETH]
            await add_later(site, "prediction", symbol=ETH)
            assert (await end.told())["type"] == "prediction"
            less = await end.ask("unsubscribe", types=["signal", "backtest"])
            assert less["data"] == {"types": ["prediction"], "symbols": [BTC, ETH]}
            await add_later(site, "signal")
            await add_later(site, "prediction")
            assert (await end.told())["type"] == "prediction"
            assert (await end.ask("unsubscribe"))["data"] == {"types": [], "symbols": []}

    run(scenario)


def test_a_ping_is_answered_with_its_data_and_id(site: Site) -> None:
    async def scenario() -> None:
        async with client(site) as end:
            for ref in (0, 12, "", "a name of mine"):
                pong = await end.ask("ping", ref, n=1, of="me")
                assert pong["type"] == "pong"
                assert pong["data"] == {"n": 1, "of": "me"}
            await end.say("ping")
            assert "id" not in await end.told()

    run(scenario)


def test_silence_is_broken_and_says_how_far_one_is(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "HEARTBEAT_SECONDS", 0.05)

    async def scenario(server: Streaming) -> None:
        async with client(server) as end:
            await end.ask("subscribe", types=["backtest"])
            await add_later(server, "signal", 3)
            async with asyncio.timeout(10):
                while (beat := await end.until("heartbeat"))["seq"] < end.seen[0]["seq"] + 3:
                    pass
            assert beat["data"] == {}

    with serving(db) as server:
        run(lambda: scenario(server))


def test_who_comes_back_gets_what_was_missed(site: Site) -> None:
    async def scenario() -> None:
        async with client(site) as end:
            log = end.seen[0]["data"]["log"]
            await end.ask("subscribe", types=["signal"])
            await add_later(site, count=3)
            last = [await end.told() for _ in range(3)][-1]["seq"]
        await add_later(site, count=200)
        async with client(site) as end:
            answer = await end.ask("subscribe", types=["signal"], after=last, log=log)
            assert answer["data"]["seq"] == last
            await add_later(site, count=5)
            while len(end.seqs) < 205:
                await end.told()
            assert end.seqs == sorted(set(end.seqs))
            assert min(end.seqs) > last

    run(scenario)


UNTAKABLE = {
    "no JSON": "nonsense",
    "nothing": "",
    "a list": "[]",
    "a number": "12",
    "half of it": '{"type": "ping"',
    "a deep one": "[" * 10_000,
    "numbers that JSON lacks": '{"type": "ping", "data": {"n": NaN}}',
    "a long number": '{"type": "ping", "id": ' + "9" * 5_000 + "}",
    "half a character": '{"type": "\ud800"}',
    "an infinite number": '{"type": "ping", "data": {"n": 1e999}}',
    "no type": "{}",
    "a type that is none": '{"type": ["ping"]}',
    "an id that is none": '{"type": "ping", "id": {"a": 1}}',
    "data that is none": '{"type": "subscribe", "data": [1]}',
    "too large": '{"type": "ping", "data": {"n": "' + "x" * protocol.LARGEST + '"}}',
}


@pytest.mark.parametrize("name", UNTAKABLE)
def test_what_cannot_be_taken_is_answered_and_the_connection_stays(site: Site, name: str) -> None:
    async def scenario() -> None:
        async with client(site) as end:
            raw = UNTAKABLE[name].encode("utf-8", "replace")
            await end.connection.send(raw, text=True)
            message = await end.told()
            assert message["type"] == "error"
            assert error_of(message)["status"] in {400, 404, 413, 422}
            assert (await end.ask("ping"))["type"] == "pong"

    run(scenario)


def test_a_binary_message_is_answered_too(site: Site) -> None:
    async def scenario() -> None:
        async with client(site) as end:
            for raw in (b"", b"\x00\xff" * 500):
                await end.connection.send(raw)
                assert error_of(await end.told())["code"] == "bad_request"
            assert (await end.ask("ping"))["type"] == "pong"

    run(scenario)


def test_an_unknown_name_is_answered_with_the_nearest(site: Site) -> None:
    async def scenario() -> None:
        async with client(site) as end:
            error = await end.refused("subscribe", types=["signals"])
            assert (error["status"], error["field"], error["nearest"]) == (404, "types", "signal")
            error = await end.refused("subscribed")
            assert (error["code"], error["nearest"]) == ("unknown_name", "subscribe")
            error = await end.refused("subscribe", type=["signal"])
            assert (error["code"], error["field"]) == ("bad_parameter", "type")
            error = await end.refused("subscribe", symbols=[])
            assert (error["code"], error["field"]) == ("bad_parameter", "symbols")
            error = await end.refused("subscribe", symbols=["x" * 200])
            assert error["field"] == "symbols"

    run(scenario)


def test_an_unknown_feed_symbol_or_range_is_refused(site: Site) -> None:
    async def scenario() -> None:
        async with client(site) as end:
            good = {"feed": "anomalies", "symbol": BTC, "range": "24h"}
            assert (await end.ask("watch", **good))["type"] == "watching"
            error = await end.refused("watch", **good | {"feed": "anomaly"})
            assert (error["status"], error["nearest"]) == (404, "anomalies")
            error = await end.refused("watch", **good | {"symbol": "BTC/USD"})
            assert (error["status"], error["field"]) == (404, "symbol")
            error = await end.refused("watch", **good | {"range": "25h"})
            assert (error["status"], error["field"]) == (404, "range")
            error = await end.refused("watch", **good | {"every": -1})
            assert (error["status"], error["field"]) == (422, "every")

    run(scenario)


def test_a_number_of_the_future_or_of_another_log_changes_nothing(site: Site) -> None:
    async def scenario() -> None:
        async with client(site) as end:
            newest, log = end.seen[0]["seq"], end.seen[0]["data"]["log"]
            error = await end.refused("subscribe", after=newest + 1, log=log)
            assert (error["code"], error["field"]) == ("bad_parameter", "after")
            assert error["allowed"]["maximum"] == newest
            error = await end.refused("subscribe", after=-1)
            assert error["field"] == "after"
            error = await end.refused("subscribe", after=0, log="another")
            assert error["code"] == "seq_gone"
            await add_later(site)
            await end.ask("ping")
            assert end.seqs == []

    run(scenario)


def test_what_the_log_no_longer_has_is_said(db: Database) -> None:
    async def scenario(server: Streaming) -> None:
        async with client(server) as end:
            await end.ask("subscribe", after=3)
            lost = error_of(await end.until("error"))
            assert lost["code"] == "seq_gone"
            assert (lost["value"], lost["allowed"]["minimum"]) == ("3", server.tail.gone)
            while len(end.seqs) < 50:
                await end.told()
            assert end.seqs == [event.seq for event in server.tail.events[50:]]

    with serving(db) as server:
        server.tail.kept = 10
        server.add(count=100)
        server.tail.gone = server.tail.events[49].seq
        run(lambda: scenario(server))


def test_ten_thousand_bad_messages_end_one_connection_and_hurt_no_other(site: Site) -> None:
    async def scenario() -> None:
        async with client(site) as good, client(site) as bad:
            await good.ask("subscribe", types=["signal"])
            with contextlib.suppress(ConnectionClosed):
                for number in range(10_000):
                    await bad.connection.send(f"nonsense {number}")
            began = time.monotonic()
            assert (await good.ask("ping"))["type"] == "pong"
            assert time.monotonic() - began < 2
            assert await ended(bad) == 1008
            assert len(bad.seen) < 100
            await add_later(site)
            assert (await good.told())["type"] == "signal"

    run(scenario)


def test_ten_thousand_pings_at_once_delay_nobody(site: Site) -> None:
    async def scenario() -> None:
        async with client(site) as good, client(site) as greedy:
            with contextlib.suppress(ConnectionClosed):
                for _ in range(10_000):
                    await greedy.say("ping")
            began = time.monotonic()
            assert (await good.ask("ping"))["type"] == "pong"
            assert time.monotonic() - began < 2

    run(scenario)


def test_a_message_of_fifty_megabytes_is_cut_off_before_it_is_read(site: Site) -> None:
    async def scenario() -> None:
        before = psutil.Process().memory_info().rss
        async with client(site) as end:
            with contextlib.suppress(ConnectionClosed, OSError):
                await end.connection.send(memoryview(bytes(1 << 10) * 50_000), text=True)
            assert await ended(end) in {1006, 1009}
        # The message itself, and what the client made of it, are in this process, too.
        assert psutil.Process().memory_info().rss - before < 180 << 20
        async with client(site) as other:
            assert (await other.ask("ping"))["type"] == "pong"

    run(scenario)


def test_a_hundred_clients_get_each_event_once_and_in_order(site: Site) -> None:
    async def one(ready: asyncio.Semaphore, count: int) -> list[int]:
        async with client(site) as end:
            await end.ask("subscribe", types=["signal"])
            ready.release()
            while len(end.seqs) < count:
                await end.told()
            return end.seqs

    async def scenario() -> None:
        ready = asyncio.Semaphore(0)
        ends = []
        for _ in range(100):
            ends.append(asyncio.create_task(one(ready, 100)))
            await ready.acquire()
        for _ in range(20):
            await add_later(site, count=5)
            await add_later(site, "backtest")
        got = await asyncio.gather(*ends)
        assert {len(seqs) for seqs in got} == {100}
        assert len({tuple(seqs) for seqs in got}) == 1
        assert got[0] == sorted(set(got[0]))

    run(scenario)


def test_frames_are_not_compressed_whatever_a_client_offers(site: Site) -> None:
    async def scenario() -> None:
        async with listening(site.url, compression="deflate") as connection:
            assert connection.response is not None
            assert "Sec-WebSocket-Extensions" not in connection.response.headers

    run(scenario)


@contextlib.contextmanager
def raw(server: Streaming, **options: int) -> Iterator[socket.socket]:
    """A connection that was upgraded, and whose client does nothing by itself."""
    with socket.socket() as link:
        for name, value in options.items():
            link.setsockopt(socket.SOL_SOCKET, getattr(socket, name), value)
        link.connect(("127.0.0.1", server.port))
        head = (
            f"GET /stream HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
        )
        link.sendall(head.encode())
        link.settimeout(20)
        assert link.recv(12) == b"HTTP/1.1 101"
        yield link


def say_raw(link: socket.socket, text: bytes) -> None:
    """A short masked frame of text; the mask is zero."""
    assert len(text) < 126
    link.sendall(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)


def test_who_never_reads_is_dropped_and_delays_nobody(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session_module, "STALL_SECONDS", 1.0)

    async def scenario(server: Streaming, before: int) -> None:
        async with client(server) as end:
            await end.ask("subscribe")
            waits = []
            start = time.monotonic()
            while server.stream_count() > 1:
                assert time.monotonic() - start < 60
                await asyncio.sleep(0.002)
                began = time.monotonic()
                await add_later(server, count=20, note="x" * 2_000)
                await end.until("signal")
                waits.append(time.monotonic() - began)
            assert sorted(waits)[len(waits) // 2] < 0.5
            grown = psutil.Process().memory_info().rss - before
            assert grown < 40 << 20
            assert reasons(server)["slow"] == 3

    with serving(db) as server, contextlib.ExitStack() as stack:
        server.tail.kept = 1_000
        for _ in range(3):
            link = stack.enter_context(raw(server, SO_RCVBUF=4_096))
            say_raw(link, b'{"type":"subscribe"}')
        before = psutil.Process().memory_info().rss
        run(lambda: scenario(server, before))


def reasons(server: Streaming) -> dict[str, float]:
    """How many connections ended, by why."""
    families = server.shared.figures.families()
    found = next(family for family in families if family.measure.name == "streams_closed")
    return {series.labels[0]: float(str(series.value)) for series in found.series}


def test_who_vanishes_without_a_word_is_noticed(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_module, "PING_SECONDS", 0.3)

    async def scenario(server: Streaming, cable: Cable) -> None:
        async with client(server) as stays, listening(cable.url) as lost:
            await lost.recv()
            await asyncio.to_thread(cable.cut)
            async with asyncio.timeout(20):
                while server.stream_count() > 1:
                    await asyncio.sleep(0.05)
            assert (await stays.ask("ping"))["type"] == "pong"
            lost.transport.abort()

    with serving(db) as server, Cable(server.url) as cable:
        run(lambda: scenario(server, cable))


def refusal(site: Site, method: str = "GET", **headers: str) -> tuple[int, dict[str, Any]]:
    """The status and error with which a request for the stream is refused."""
    given = {"Upgrade": "websocket"} | headers
    request = urllib.request.Request(site.url + "stream", headers=given, method=method)  # noqa: S310
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=10)  # noqa: S310
    with caught.value as answer:
        error = json.loads(answer.read())["error"]
    assert error["status"] == answer.code
    return answer.code, error_of({"data": error})


def test_a_stranger_is_refused_and_wrong_tokens_are_counted(db: Database) -> None:
    async def scenario(server: Streaming) -> None:
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with listening(server.url, headers) as connection:
            welcome = json.loads(await connection.recv())
            assert welcome["data"]["person"] == "viewer"
            assert TOKEN not in json.dumps(welcome)

    with serving(db, rules=Rules(key=KEY, token=TOKEN)) as server:
        assert refusal(server)[0] == 401
        run(lambda: scenario(server))
        statuses = [refusal(server, Authorization=f"Bearer wrong {n}")[0] for n in range(11)]
        assert statuses == [401] * 10 + [429]
        assert refusal(server, Authorization=f"Bearer {TOKEN}")[0] == 429


def test_another_site_and_another_name_of_ours_are_refused(site: Site) -> None:
    assert refusal(site, Origin="http://evil.example")[1]["code"] == "refused"
    assert refusal(site, Origin="null")[0] == 403
    assert refusal(site, Host="evil.example")[0] == 403
    own = site.url.rstrip("/")

    async def scenario() -> None:
        async with client(site, headers={"Origin": own}):
            pass

    run(scenario)


@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_what_is_no_websocket_gets_the_one_error(site: Site, method: str) -> None:
    assert 400 <= refusal(site, method, Upgrade="")[0] < 500


def test_who_may_not_see_the_dashboard_any_more_is_cut_off(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket_module, "ASK_SECONDS", (0.05, 0.1))
    answers = {"is_still": True}

    async def is_still(*_: Any) -> bool:
        return answers["is_still"]

    monkeypatch.setattr(Access, "is_still", is_still)

    async def scenario(server: Streaming) -> None:
        async with client(server) as end:
            for _ in range(3):
                await asyncio.sleep(0.1)
                assert (await end.ask("ping"))["type"] == "pong"
            answers["is_still"] = False
            assert await ended(end) == 4003
            assert reasons(server) == {"refused": 1}

    with serving(db) as server:
        run(lambda: scenario(server))


@pytest.fixture
def people(desk: Desk) -> Iterator[Database]:
    """A database of its own with the users ann and bob."""
    with desk.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as link:
        link.exec_driver_sql("CREATE DATABASE listeners")
    url = sa.make_url(desk.server.url).set(database="listeners").render_as_string(False)
    try:
        with connect(url) as db, State(db) as state:
            prepare(state)
            for name in ("ann", "bob"):
                Users(state).add(name, f"a password of {name}")
            yield db
    finally:
        with desk.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as link:
            link.exec_driver_sql("DROP DATABASE listeners WITH (FORCE)")


@pytest.mark.parametrize("change", ["removed", "password"])
def test_a_user_who_is_removed_or_has_a_new_password_is_cut_off_and_no_other(
    people: Database, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(socket_module, "ASK_SECONDS", (0.05, 0.1))
    monkeypatch.setattr(access_module, "_KEPT_SECONDS", 0.1)

    def signed_in(name: str) -> dict[str, str]:
        stamp = cookies.stamp(KEY, f"{name} {users.known(name).version}")
        session = json.dumps({"name": name, "way": "user", "stamp": stamp})
        cookie = f"alphapulse-{server.port}-session"
        return {"Cookie": f"{cookie}={create_signed_value(KEY, cookie, session).decode()}"}

    async def scenario() -> None:
        async with (
            client(server, headers=signed_in("ann")) as ann,
            client(server, headers=signed_in("bob")) as bob,
        ):
            assert [end.seen[0]["data"]["person"] for end in (ann, bob)] == ["ann", "bob"]
            if change == "removed":
                await asyncio.to_thread(users.remove, "ann")
            else:
                await asyncio.to_thread(users.set_password, "ann", "another of ann")
            assert await ended(ann) == 4003
            await asyncio.sleep(0.3)  # bob is asked about several times
            assert (await bob.ask("ping"))["type"] == "pong"

    with State(people) as state, serving(people) as server:
        users = Users(state)
        run(scenario)


def test_of_one_person_and_one_address_there_are_so_many(db: Database) -> None:
    places = Places(most=6, each=2, address=4)
    ann, shared = Person("ann"), Person("viewer")
    taken = [(ann, "10.0.0.1"), (ann, "10.0.0.2"), *[(shared, "10.0.0.3")] * 4]
    for person, address in taken:
        places.check(person, address)
        places.take(person, address)
    for person, address, status in (
        (ann, "10.0.0.9", 429),
        (shared, "10.0.0.3", 429),
        (shared, "10.0.0.9", 503),
    ):
        with pytest.raises(Refused) as caught:
            places.check(person, address)
        assert caught.value.status_code == status
    for person, address in taken:
        places.leave(person, address)
    assert len(places) == 0
    places.check(ann, "10.0.0.1")


def test_too_many_connections_are_told_so_and_places_are_given_back(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(server: Streaming) -> None:
        async with client(server), client(server):
            status, error = await asyncio.to_thread(refusal, server)
            assert (status, error["code"]) == (429, "too_many_requests")
        async with asyncio.timeout(10):
            while server.stream_count():
                await asyncio.sleep(0.02)
        async with client(server):
            assert len(server.stream.places) == 1

    with serving(db) as server:
        monkeypatch.setattr(server.stream.places, "address", 2)
        run(lambda: scenario(server))


def test_a_server_that_stops_says_so(db: Database) -> None:
    async def scenario(server: Streaming) -> None:
        async with client(server) as end:
            await asyncio.to_thread(server.stop)
            assert await ended(end) == 1001
            assert "stopping" in (end.connection.close_reason or "")

    with serving(db) as server:
        run(lambda: scenario(server))


def test_a_writer_that_fails_ends_its_connection(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(server: Streaming) -> None:
        async with client(server) as end:
            await end.ask("subscribe")
            monkeypatch.setattr(session_module.Session, "_chosen", broken)
            await add_later(server)
            assert await ended(end) == 1011

    def broken(*_: Any) -> Any:
        raise RuntimeError("no")

    with serving(db) as server:
        run(lambda: scenario(server))


def test_the_bounds_leave_room_for_a_thousand_viewers_behind_one_address() -> None:
    assert places_module.MOST_EACH < 1_000 < places_module.MOST_ADDRESS < places_module.MOST
