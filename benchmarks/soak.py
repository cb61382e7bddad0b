"""Viewers who come and go for a while; then everything must be back to where it was.

`MINUTES` is how long, `VIEWERS` how many at a time. They leave with their page's good-bye, or only
close the socket, or vanish behind a connection that goes dead. Afterwards kernels, processes,
sockets, descriptors, threads, temporary files and the server's memory are compared with what they
were after a first crowd had left, and the server's own figures with what the viewers saw. The exit
code is 1 where they differ.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from benchmarks import processes, report
from benchmarks.relay import Relay
from benchmarks.viewer import Viewer, ViewerError, client
from benchmarks.writer import writing
from tests.conftest import Served, new_desk, serve

WAYS = {"farewell": 0.6, "close": 0.2, "vanish": 0.2}
PATIENCE = 240.0
"""Seconds after the last viewer until all must be over: a connection that went dead is found out
within 65, and its kernel waits for another 90.
"""
_EVERY = 0.5


@dataclass(frozen=True)
class Plan:
    """How long the soak is, with how many viewers at a time, who stay how many seconds, how they
    leave, and how many arrive in a second at first.
    """

    seconds: float
    viewers: int
    stay: tuple[float, float] = (30.0, 170.0)
    ways: Sequence[str] = tuple(WAYS)
    rate: float = 1.0
    patience: float = PATIENCE


@dataclass(frozen=True)
class State:
    """What a server holds, in numbers; memory in MB."""

    kernels: int
    processes: int
    zombies: int
    sockets: int
    descriptors: int
    threads: int
    files: int
    memory: float

    @classmethod
    def of(cls, pid: int, folder: Path) -> State:
        cost = processes.cost(pid)
        return cls(
            len(processes.kernels(pid)),
            len(processes.below(pid)),
            processes.zombies(pid),
            sum(
                link.status != psutil.CONN_LISTEN
                for link in psutil.Process(pid).net_connections("inet")
            ),
            cost.descriptors,
            cost.threads,
            sum(1 for _ in folder.rglob("*")),
            cost.own,
        )


TOLERANCE = State(0, 0, 0, 2, 8, 4, 0, 20.0)
"""By how much each may be higher in the end: the server keeps a few connections to its database and
idle threads, and a heap is never given back whole.
"""


@dataclass
class Tally:
    """What the viewers saw."""

    arrived: int = 0
    refreshes: int = 0
    streamed: int = 0
    left: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)


STREAMED = 0.7
"""The part of the viewers whose stream gets through; the others' kernels bring their charts."""


class Soak:
    """A crowd on a server. `rng` decides who stays how long, leaves how, and has a stream."""

    def __init__(self, served: Served, folder: Path, plan: Plan, rng: random.Random) -> None:
        self.served = served
        self.folder = folder
        self.plan = plan
        self.tally = Tally()
        self._rng = rng
        self._http = client()
        self._gone = AsyncExitStack()

    def state(self) -> State:
        return State.of(self.served.process.pid, self.folder)

    async def run(self) -> list[str]:
        """What is not as it should be in the end."""
        async with self._gone:
            await self._warm()
            before = self.state()
            counted = await asyncio.to_thread(figures, self.served.url)
            self.tally = Tally()
            end = time.monotonic() + self.plan.seconds
            await asyncio.gather(*(self._seat(n, end) for n in range(self.plan.viewers)))
            after = await self._settled(before)
        _print(before, after, self.tally)
        now = await asyncio.to_thread(figures, self.served.url)
        return [
            *exceeded(before, after),
            *disagreeing({name: now[name] - counted[name] for name in now}, self.tally),
            *(f"{fault} ({times} times)" for fault, times in self.tally.faults.items()),
        ]

    async def _warm(self) -> None:
        """A first crowd of the same size, which leaves as it should."""
        viewers = [self._viewer() for _ in range(self.plan.viewers)]
        tasks = []
        for viewer in viewers:
            tasks.append(asyncio.create_task(viewer.arrive()))
            await asyncio.sleep(1 / self.plan.rate)
        await asyncio.gather(*tasks)
        await asyncio.gather(*(viewer.leave() for viewer in viewers))
        await self._until(lambda state: state.kernels + state.zombies + state.sockets == 0)

    async def _seat(self, place: int, end: float) -> None:
        """One viewer after another, until the end."""
        await asyncio.sleep(place / self.plan.rate)
        while time.monotonic() < end:
            way = self._rng.choices(self.plan.ways, [WAYS[way] for way in self.plan.ways])[0]
            stay = min(self._rng.uniform(*self.plan.stay), max(end - time.monotonic(), 1.0))
            try:
                await self._visit(way, stay)
            except ViewerError as error:
                self.tally.faults[str(error)] += 1
                await asyncio.sleep(1)

    async def _visit(self, way: str, seconds: float) -> None:
        relay = None
        if way == "vanish":
            address = urlsplit(self.served.url)
            relay = Relay(str(address.hostname), int(address.port or 80))
            await self._gone.enter_async_context(relay)
        streamed = self._rng.random() < STREAMED
        viewer = self._viewer(relay, streamed=streamed)
        await viewer.arrive()
        self.tally.arrived += 1
        self.tally.streamed += streamed
        await asyncio.sleep(seconds)
        if relay is not None:
            relay.stop()
            viewer.vanish()
        else:
            await viewer.leave("farewell" if way == "farewell" else "close")
        self.tally.left[way] += 1
        if not streamed:
            self.tally.refreshes += refreshes(viewer)
        self.tally.faults.update(viewer.seen.faults)

    def _viewer(self, relay: Relay | None = None, *, streamed: bool = True) -> Viewer:
        through = None if relay is None else relay.address
        return Viewer(self._http, self.served.url, through=through, streamed=streamed)

    async def _settled(self, before: State) -> State:
        """The state, once it is as before, or as it is when patience ends."""
        return await self._until(lambda state: not exceeded(before, state))

    async def _until(self, met: Any) -> State:
        deadline = time.monotonic() + self.plan.patience
        while not met(state := self.state()) and time.monotonic() < deadline:
            await asyncio.sleep(_EVERY)
        return state


def refreshes(viewer: Viewer) -> int:
    """How often all charts of a page have come."""
    seen = Counter(news.chart for news in viewer.seen.news)
    return min((seen[name] for name in viewer.charts), default=0)


def exceeded(before: State, after: State) -> list[str]:
    """What is higher than it was by more than the tolerance, in words."""
    return [
        f"{one.name}: {getattr(before, one.name):g} before, {getattr(after, one.name):g} after"
        for one in fields(State)
        if getattr(after, one.name) - getattr(before, one.name) > getattr(TOLERANCE, one.name)
    ]


def figures(url: str) -> Counter[str]:
    """The server's own figures; a counter with a label under `name.value` too."""
    with urllib.request.urlopen(url + "api/metrics", timeout=30) as answer:  # noqa: S310
        listed = json.load(answer)["figures"]
    found: Counter[str] = Counter()
    for name, figure in listed.items():
        for series in figure["series"]:
            value = series.get("value", 0) or 0
            found[name] += value
            for label in series["labels"].values():
                found[f"{name}.{label}"] += value
    return found


def disagreeing(counted: dict[str, float], tally: Tally) -> list[str]:
    """Where the server counted something else than the viewers saw, in words."""
    away = tally.left["close"] + tally.left["vanish"]
    expected = {
        "kernels_started": tally.arrived,
        "sockets_opened": tally.arrived,
        "sockets_closed": tally.arrived,
        "kernels_ended": tally.arrived,
        "kernels_ended.closed": tally.left["farewell"],
        "kernels_ended.abandoned": away,
        "kernels_refused": 0,
        "kernels_failed": 0,
        "viewers": 0,
        "kernels": 0,
        "streams_opened": tally.streamed,
        "streams_closed": tally.streamed,
        "streams": 0,
        "feed_readers": 0,
        "messages_refused": 0,
        "reports_refused": 0,
    }
    wrong = [
        f"{name}: the server counted {counted.get(name, 0):g}, the viewers saw {number}"
        for name, number in expected.items()
        if counted.get(name, 0) != number
    ]
    if counted.get("reports", 0) < tally.refreshes - tally.arrived:
        wrong.append(f"refreshes: {counted.get('reports', 0):g}, of {tally.refreshes} seen")
    return wrong


def _print(before: State, after: State, tally: Tally) -> None:
    rows = [
        (one.name, "", f"+{getattr(TOLERANCE, one.name):g}", [getattr(before, one.name)])
        for one in fields(State)
    ]
    report.table(
        ["before", "after"],
        [
            (name, unit, allowed, [*first, getattr(after, name)])
            for name, unit, allowed, first in rows
        ],
    )
    left = ", ".join(f"{way} {times}" for way, times in sorted(tally.left.items()))
    fed = f"{tally.streamed} by the stream, {tally.refreshes} refreshes by kernels"
    print(f"{tally.arrived} visits ({left}), {fed}", flush=True)


def main() -> None:
    plan = Plan(60 * float(os.environ.get("MINUTES", "10")), int(os.environ.get("VIEWERS", "100")))
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        desk = stack.enter_context(new_desk(folder))
        stack.enter_context(writing(desk.server.url))
        own = folder / "t"
        own.mkdir()
        served = stack.enter_context(
            serve(
                folder,
                desk.server.url,
                TMPDIR=str(own),
                DASHBOARD_MAX_KERNELS=str(3 * plan.viewers),
            )
        )
        report.header(f"soak: {plan.viewers} viewers come and go for {plan.seconds:g} s")
        wrong = asyncio.run(Soak(served, own, plan, random.Random(11)).run())  # noqa: S311
    for line in wrong:
        print(f"not as it was: {line}", flush=True)
    if wrong:
        sys.exit(1)
    print("everything is back to where it was", flush=True)


if __name__ == "__main__":
    main()
