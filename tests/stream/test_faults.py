"""Real servers and a real database that break under those who listen."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from alphapulse_nb.db import triggers
from alphapulse_nb.db.connection import connect
from alphapulse_nb.relay.log import Entry, EventLog
from alphapulse_nb.server import announcer
from alphapulse_nb.server.parts import PATIENCE
from alphapulse_nb.state import State, prepare
from alphapulse_nb.stream_client import StreamClient
from tests.conftest import Desk, Served, free_port, new_desk, serve, wait_until
from tests.stream.served import listening
from tests.visitor import Visitor

BTC = "BTC/USDT"
CLIENTS = 100


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[Desk]:
    with new_desk(tmp_path, hours=1) as made:
        yield made


def insert(desk: Desk, number: int) -> None:
    desk.run(
        "INSERT INTO funding_rates (timestamp, symbol, exchange, funding_rate) "
        "VALUES (now(), 'BTC/USDT', 'binance', :rate)",
        rate=number / 1e6,
    )


def events_are_ready(served: Served) -> bool:
    told = json.loads(Visitor(served.url).get("api/health/ready").body)
    return any(part["name"] == "events" and part["state"] == "ok" for part in told["parts"])


class Listener:
    """Follows events and one feed on one connection, which must last."""

    def __init__(self) -> None:
        self.seqs: list[int] = []
        self.statuses: list[str] = []
        self.kinds: Counter[str] = Counter()

    async def follow(self, url: str, ready: asyncio.Semaphore) -> None:
        async with listening(url) as link:
            await link.send('{"type": "subscribe", "data": {"types": ["signal", "system_status"]}}')
            asked = {"feed": "funding_rates", "symbol": BTC, "range": "1h"}
            await link.send(json.dumps({"type": "watch", "data": asked}))
            async for message in link:
                if isinstance(message, bytes):
                    if not self.kinds["chart"]:
                        ready.release()
                    self.kinds["chart"] += 1
                    continue
                said: dict[str, Any] = json.loads(message)
                if said["type"] == "signal":
                    self.seqs.append(said["seq"])
                elif said["type"] == "system_status" and said["data"]["part"] == "database":
                    self.statuses.append(said["data"]["status"])
                elif said["type"] == "feed":
                    self.kinds[said["data"]["kind"]] += 1
        self.kinds["ended"] += 1


def test_a_hundred_clients_outlive_their_database(mortal: Desk, tmp_path: Path) -> None:
    url = mortal.server.url

    def post(count: int) -> None:
        with connect(url) as db, State(db) as state:
            entry = Entry("signal", {"symbol": BTC}, datetime.now(UTC), BTC)
            EventLog(state).append([entry] * count)

    async def scenario(served: Served) -> None:
        ready = asyncio.Semaphore(0)
        ends = [Listener() for _ in range(CLIENTS)]
        tasks = [asyncio.create_task(end.follow(served.url, ready)) for end in ends]
        async with asyncio.timeout(150):
            for _ in ends:
                await ready.acquire()
            await asyncio.to_thread(post, 5)
            await _until(lambda: all(len(end.seqs) == 5 for end in ends))
            pid = mortal.server.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            await _until(lambda: all(end.kinds["fault"] for end in ends))
            before = [end.kinds["chart"] + end.kinds["beat"] for end in ends]
            await asyncio.sleep(2 * (announcer.EVERY + PATIENCE))
            await asyncio.to_thread(mortal.server.ensure_running)
            await asyncio.to_thread(post, 7)
            await _until(lambda: all(len(end.seqs) == 12 for end in ends))
            await _until(lambda: all(end.statuses == ["error", "ok"] for end in ends))
            await _until(
                lambda: all(
                    end.kinds["chart"] + end.kinds["beat"] > held
                    for end, held in zip(ends, before, strict=True)
                )
            )
        assert {tuple(end.seqs) for end in ends} == {tuple(sorted(set(ends[0].seqs)))}
        assert not any(end.kinds["ended"] for end in ends), "a connection was lost"
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    with connect(url) as db, State(db) as state:
        prepare(state)
    with serve(tmp_path, url, command="stream") as served:
        wait_until(lambda: events_are_ready(served))
        asyncio.run(scenario(served))
    mortal.engine.dispose()


def test_two_servers_that_are_killed_in_turn_bring_each_row_once_to_each_client(
    mortal: Desk, tmp_path: Path
) -> None:
    """The one in office is among them each time, since both are."""
    url = mortal.server.url
    ports = [free_port(), free_port()]
    rows = 60

    async def follow(port: int, found: list[int]) -> None:
        stream = StreamClient(
            f"http://127.0.0.1:{port}/", types="data_update", symbols=[BTC], poll_every=0
        )
        async with stream:
            async for event in stream:
                number = round(float(event.data["funding_rate"]) * 1e6)
                found.append(number)

    async def scenario(servers: list[contextlib.ExitStack]) -> list[list[int]]:
        found: list[list[int]] = [[] for _ in ports]
        tasks = [
            asyncio.create_task(follow(port, into)) for port, into in zip(ports, found, strict=True)
        ]
        async with asyncio.timeout(150):
            # From the first row that both have seen on nothing may be missing.
            number = 0
            while not all(found):
                number += 1
                await asyncio.to_thread(insert, mortal, number)
                await asyncio.sleep(0.3)
            for place in (0, 1):
                for step in range(rows // 2):
                    number += 1
                    await asyncio.to_thread(insert, mortal, number)
                    if step == 5:
                        served = running[place]
                        served.process.kill()
                        served.process.wait()
                    if step == 15:
                        await asyncio.to_thread(start, servers, place)
                    await asyncio.sleep(0.05)
            await _until(lambda: all(into and into[-1] == number for into in found))
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return found

    running: dict[int, Served] = {}

    def start(servers: list[contextlib.ExitStack], place: int) -> None:
        running[place] = servers[place].enter_context(
            serve(tmp_path, url, command="stream", STREAM_PORT=str(ports[place]))
        )

    with connect(url) as db:
        triggers.install(db)
    with contextlib.ExitStack() as one, contextlib.ExitStack() as other:
        for place in (0, 1):
            start([one, other], place)
        wait_until(lambda: all(events_are_ready(served) for served in running.values()))
        found = asyncio.run(scenario([one, other]))
    for into in found:
        assert into == list(range(into[0], into[-1] + 1))
    assert found[0][-1] == found[1][-1] >= rows
    mortal.engine.dispose()


async def _until(met: Any, seconds: float = 90) -> None:
    async with asyncio.timeout(seconds):
        while not met():
            await asyncio.sleep(0.05)
