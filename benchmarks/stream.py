"""The event stream with many clients: is anything lost or doubled, how late is it, what it costs.

`CLIENTS` clients follow `RATE` events a second for `SECONDS`; the events come to the log in
portions, one each `TICK` seconds, as the relay brings them. The clients live in this process, the
server in one of its own, with a log in memory: what is measured is the way from the log to the
clients. `PROFILE=1` prints where the server's time goes.
"""

from __future__ import annotations

import asyncio
import cProfile
import multiprocessing
import os
import pstats
import statistics
import tempfile
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks import processes, report
from benchmarks.wire import Wire
from tests.conftest import new_desk

CLIENTS = int(os.environ.get("CLIENTS", "100"))
RATE = float(os.environ.get("RATE", "100"))
SECONDS = float(os.environ.get("SECONDS", "60"))
TICK = float(os.environ.get("TICK", "0.1"))
PROFILE = bool(os.environ.get("PROFILE"))
QUIET = 2.0
"""Seconds without anything after which no more will come."""


class Client(Wire):
    """Notes its events' numbers and delays; as little work as can be."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.seqs: list[int] = []
        self.delays: list[float] = []
        self.firsts: list[float] = []
        self.subscribed = asyncio.get_running_loop().create_future()
        self.last = time.monotonic()

    def opened(self) -> None:
        self.say({"type": "subscribe", "data": {"types": ["signal"]}})

    def told(self, message: dict[str, Any], now: float) -> None:
        if message["type"] == "signal":
            self.seqs.append(message["seq"])
            delay = now - message["data"]["sent"]
            self.delays.append(delay)
            if message["data"]["first"]:
                self.firsts.append(delay)
            self.last = time.monotonic()
        elif message["type"] == "subscribed":
            self.subscribed.set_result(None)


def serve(database_url: str, link: Connection) -> None:
    """In a process of its own: a server, and the events when it is told to begin."""
    from alphapulse_nb.db.connection import connect
    from tests.stream.served import serving

    with connect(database_url) as db, serving(db) as server:
        link.send(server.port)
        link.recv()
        profile = cProfile.Profile() if PROFILE else None
        if profile is not None:
            server.call(profile.enable)
        link.send([event.seq for event in events(server)])
        link.recv()
        if profile is not None:
            server.call(profile.disable)
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)


def events(server: Any) -> list[Any]:
    """Portions of events at a fixed rate; those that fall due later are not sent earlier."""
    begun, sent = time.monotonic(), 0
    while (past := time.monotonic() - begun) < SECONDS:
        due = int((past + TICK) * RATE) - sent
        server.call(lambda due=due: portion(server.tail, due))
        sent += due
        time.sleep(max(0.0, begun + sent / RATE - time.monotonic()))
    found: list[Any] = server.tail.events
    return found


def portion(tail: Any, count: int) -> None:
    note = "x" * 150  # with it an event is as large as that of a signal
    for number in range(count):
        # Heard of once, when the last one is there.
        calls, tail._calls = tail._calls, [] if number < count - 1 else tail._calls
        tail.add("signal", sent=time.time(), first=number == 0, note=note)
        tail._calls = calls


async def follow(port: int, link: Connection, pid: int) -> None:
    loop = asyncio.get_running_loop()
    before = processes.memory(pid)[0]
    clients = []
    for _ in range(CLIENTS):
        _, client = await loop.create_connection(lambda: Client(port), "127.0.0.1", port)
        await client.subscribed
        clients.append(client)
    idle, spent, began = processes.memory(pid)[0], processes.cost(pid).cpu, time.monotonic()
    link.send("begin")
    sent = await asyncio.to_thread(link.recv)
    cost, lasted = processes.cost(pid), time.monotonic() - began
    while any(len(client.seqs) < len(sent) for client in clients):
        if time.monotonic() - max(client.last for client in clients) > QUIET:
            break
        await asyncio.sleep(0.1)
    tell(clients, sent)
    report.line("server CPU", [100 * (cost.cpu - spent) / lasted], "%")
    each = (cost.cpu - spent) / (len(sent) * CLIENTS) * 1e6
    report.line("server CPU for each event and client", [each], "µs")
    report.line("server memory, each idle client", [(idle - before) / CLIENTS * 1e3], "kB")
    report.line("server memory, at the end", [cost.own], "MB")
    link.send("end")
    for client in clients:
        client.transport.close()


def tell(clients: Sequence[Client], sent: Sequence[int]) -> None:
    lost = sum(len(set(sent) - set(client.seqs)) for client in clients)
    doubled = sum(len(client.seqs) - len(set(client.seqs)) for client in clients)
    disordered = sum(client.seqs != sorted(client.seqs) for client in clients)
    print(
        f"events: {len(sent)}; deliveries: {sum(len(client.seqs) for client in clients)}; "
        f"lost: {lost}; doubled: {doubled}; clients with another order: {disordered}",
        flush=True,
    )
    delays = [delay for client in clients for delay in client.delays]
    firsts = [delay for client in clients for delay in client.firsts]
    for what, values, budget in (
        ("delay", delays, ""),
        ("delay of the first event of a portion", firsts, "p99 100 ms"),
    ):
        cuts = statistics.quantiles(values, n=100)
        report.line(f"{what}, p50", [cuts[49] * 1e3], "ms")
        report.line(f"{what}, p99", [cuts[98] * 1e3], "ms", budget)


def main() -> None:
    report.header(f"{CLIENTS} clients, {RATE:g} events a second for {SECONDS:g} s")
    load = os.getloadavg()[0]
    print(f"load of the machine before: {load:.1f}", flush=True)
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as folder, new_desk(Path(folder), hours=1) as desk:
        ours, theirs = context.Pipe()
        server = context.Process(target=serve, args=(desk.server.url, theirs))
        server.start()
        try:
            asyncio.run(follow(ours.recv(), ours, server.pid or 0))
            server.join(30)
        finally:
            server.kill()


if __name__ == "__main__":
    main()
