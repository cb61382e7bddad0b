"""Clients of the stream that watch the five charts of one symbol, as `/live` does: what each costs
the server, how late its refreshes come, and how many queries they cost the database together.

`CLIENTS` are how many at a time, `HOLD` the seconds for which they watch. A desk writes rows
beside them. The clients live in this process, the server (`alphapulse stream`) in one of its own.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alphapulse_nb.catalog import OURS
from benchmarks import processes, report
from benchmarks.wire import Wire
from benchmarks.writer import writing
from tests.conftest import Served, new_desk, serve
from tests.visitor import Visitor

CLIENTS = [int(part) for part in os.environ.get("CLIENTS", "1,100,1000").split(",")]
HOLD = float(os.environ.get("HOLD", "60"))
RATE = 100.0
"""Clients that arrive in a second."""
SYMBOL = "BTC/USDT"


class Watcher(Wire):
    """Watches every chart; notes when each message came and when its refresh began."""

    def __init__(self, port: int) -> None:
        super().__init__(port)
        self.opened_at = time.time()
        self.whole = 0.0
        """Seconds until every chart was there."""
        self.came: list[tuple[str, int, float, float]] = []
        """Feed, number, when its refresh began, when it came."""
        self.faults: list[str] = []
        self._seqs: dict[str, int] = {}

    def opened(self) -> None:
        for spec in OURS:
            asked = {"feed": spec.name, "symbol": SYMBOL, "range": "24h"}
            self.say({"type": "watch", "data": asked})

    def told(self, message: dict[str, Any], now: float) -> None:  # noqa: ARG002 - nothing is timed
        if message["type"] == "error" or message["data"].get("kind") == "fault":
            self.faults.append(message["data"]["message"])

    def fed(self, header: dict[str, Any], now: float) -> None:
        name = header["feed"][0]
        if header["kind"] == "patch" and header["base"] != self._seqs.get(name):
            self.faults.append(f"{name}: a gap")
        self._seqs[name] = header["seq"]
        self.came.append((name, header["seq"], header["at"] / 1e3, now))
        if not self.whole and len(self._seqs) == len(OURS):
            self.whole = now - self.opened_at


def queries(served: Served) -> float:
    """Reads from the database so far."""
    told = json.loads(Visitor(served.url).get("api/metrics", Accept="application/json").body)
    return float(sum(series["value"] for series in told["figures"]["queries"]["series"]))


async def crowd(served: Served, count: int) -> dict[str, float | None]:
    """So many clients for a while, and what they cost."""
    loop, pid = asyncio.get_running_loop(), served.process.pid
    port = int(served.url.rsplit(":", 1)[1].strip("/"))
    before = processes.memory(pid)[0]
    watchers: list[Watcher] = []
    for _ in range(count):
        _, watcher = await loop.create_connection(lambda: Watcher(port), "127.0.0.1", port)
        watchers.append(watcher)
        await asyncio.sleep(1 / RATE)
    while not all(watcher.whole for watcher in watchers):
        await asyncio.sleep(0.05)
    received = sum(watcher.received for watcher in watchers)
    asked = await asyncio.to_thread(queries, served)
    spent, since = processes.cost(pid).cpu, time.time()
    await asyncio.sleep(HOLD)
    lasted = time.time() - since
    cost = processes.cost(pid)
    asked = await asyncio.to_thread(queries, served) - asked
    found = measured(watchers, since)
    found["own memory of each"] = (cost.own - before) / count * 1e3
    found["CPU"] = 100 * (cost.cpu - spent) / lasted
    found["queries in a second"] = asked / lasted
    now = sum(watcher.received for watcher in watchers)
    found["bytes in a second for each"] = (now - received) / count / lasted / 1e3
    for watcher in watchers:
        watcher.transport.close()
    return found


def measured(watchers: Sequence[Watcher], since: float) -> dict[str, float | None]:
    """How late the refreshes came, and whether each client got each of them."""
    late: list[float] = []
    spread: dict[tuple[str, int], list[float]] = defaultdict(list)
    for watcher in watchers:
        for name, seq, at, now in watcher.came:
            if at > since:
                late.append(now - at)
                spread[name, seq].append(now)
    cuts = statistics.quantiles(late, n=100)
    gaps = sum(len(watcher.faults) for watcher in watchers)
    return {
        "five charts, median": statistics.median(watcher.whole for watcher in watchers),
        "refreshes": float(len(spread)),
        "late, p50": cuts[49] * 1e3,
        "late, p99": cuts[98] * 1e3,
        "first to last client, p99": statistics.quantiles(
            [max(times) - min(times) for times in spread.values()], n=100
        )[98]
        * 1e3,
        "faults and gaps": float(gaps),
        "lost connections": float(sum(watcher.lost for watcher in watchers)),
    }


UNITS = {
    "five charts, median": ("s", ""),
    "refreshes": ("", ""),
    "late, p50": ("ms", ""),
    "late, p99": ("ms", "1000"),
    "first to last client, p99": ("ms", ""),
    "faults and gaps": ("", "0"),
    "lost connections": ("", "0"),
    "own memory of each": ("kB", "100"),
    "CPU": ("% of a processor", ""),
    "queries in a second": ("", ""),
    "bytes in a second for each": ("kB", ""),
}


def main() -> None:
    report.header(f"clients that watch five feeds for {HOLD:g} s")
    print(f"load of the machine before: {os.getloadavg()[0]:.1f}", flush=True)
    columns = []
    with (
        tempfile.TemporaryDirectory() as name,
        new_desk(Path(name)) as desk,
        writing(desk.server.url),
    ):
        for count in CLIENTS:
            # A server of its own for each: what the ones before took is not given back whole.
            with serve(Path(name), desk.server.url, command="stream") as served:
                columns.append(asyncio.run(crowd(served, count)))
    rows = [
        (what, unit, budget, [column[what] for column in columns])
        for what, (unit, budget) in UNITS.items()
    ]
    report.table([str(count) for count in CLIENTS], rows)


if __name__ == "__main__":
    main()
