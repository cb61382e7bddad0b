"""Viewers of the dashboard, with real websockets and refreshes every ten seconds: how fast a page
is, what a viewer costs, and how late refreshes come; beside plain Voila with the same notebook.

`VIEWERS` are how many at a time by the stream, `KERNELS` without it, `PLAIN` with plain Voila;
`RATE` is how many arrive in a second, `HOLD` the seconds that they stay. All of them live in this
process, which the servers do not share.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
from tornado.httpclient import AsyncHTTPClient

from benchmarks import processes, report
from benchmarks.page import plain_voila
from benchmarks.viewer import Viewer, ViewerError, client, lateness
from benchmarks.writer import writing
from tests.conftest import Desk, new_desk, serve

VIEWERS = [int(part) for part in os.environ.get("VIEWERS", "1,10,50,100").split(",")]
KERNELS = [int(part) for part in os.environ.get("KERNELS", "1,100").split(",") if part]
PLAIN = [int(part) for part in os.environ.get("PLAIN", "1,10").split(",") if part]
RATE = float(os.environ.get("RATE", "1"))
HOLD = float(os.environ.get("HOLD", "65"))
EVERY = 10.0
SETTLE = 5.0
"""Seconds from the last arrival until figures are taken."""
ALONE = 5
"""Pages that are measured, one after another, where there is one viewer at a time."""

NOTEBOOK = "from alphapulse_nb import Dashboard\n\nDashboard()"


@dataclass(frozen=True)
class Site:
    """A server to visit: its page, its process, whether its pages load scripts by comm, and whether
    they have a stream.
    """

    name: str
    url: str
    pid: int
    plain: bool = False
    streamed: bool = False

    def kernels(self) -> list[int]:
        return processes.kernels(self.pid)

    def viewer(self, http: AsyncHTTPClient) -> Viewer:
        return Viewer(http, self.url, by_comm=self.plain, streamed=self.streamed)


@dataclass(frozen=True)
class Usage:
    """CPU seconds so far of the server, of its kernels, of this process and of the machine."""

    server: float
    kernels: float
    here: float
    busy: float
    at: float

    @classmethod
    def of(cls, site: Site, older: Collection[int]) -> Usage:
        times = psutil.cpu_times()
        return cls(
            processes.cost(site.pid).cpu,
            sum(processes.cost(pid).cpu for pid in site.kernels() if pid not in older),
            processes.cost(os.getpid()).cpu,
            sum(times) - times.idle - times.iowait - times.guest - times.guest_nice,
            time.monotonic(),
        )


class Crowd:
    """So many viewers of a site at a time, and what they and the server have seen."""

    def __init__(self, http: AsyncHTTPClient, site: Site, count: int) -> None:
        self.site = site
        self.count = count
        self.viewers: list[Viewer] = []
        self.came: list[Viewer] = []
        self.failures: list[str] = []
        self._http = http
        self._older: set[int] = set()
        """Kernels of pages that are closed, which plain Voila never ends."""

    async def measure(self) -> dict[str, float | None]:
        """Arrive, stay, look and leave; the figures by the names in `ROWS`."""
        before = processes.cost(self.site.pid)
        self._older = set(self.site.kernels())
        if self.count == 1 and not self.site.plain:
            await self._come_and_go(ALONE - 1)
        started = Usage.of(self.site, self._older)
        await self._arrive()
        await asyncio.sleep(SETTLE)
        begun, since = Usage.of(self.site, self._older), time.time()
        received = sum(viewer.seen.received for viewer in self.viewers)
        await asyncio.sleep(HOLD)
        ended = Usage.of(self.site, self._older)
        received = sum(viewer.seen.received for viewer in self.viewers) - received
        figures = self._pages() | self._refreshes(since) | self._memory(before)
        figures |= self._spent(started, begun, ended)
        refreshes = len(self.viewers) * HOLD / EVERY
        figures["refresh bytes"] = received / 1e3 / max(refreshes, 1)
        faults = [fault for viewer in self.came for fault in viewer.seen.faults]
        figures["errors"] = len(faults) + len(self.failures)
        for what in sorted({*faults, *self.failures}):
            print(f"{self.site.name}, {self.count} viewers: {what}", flush=True)
        await asyncio.gather(
            *(viewer.leave("close" if self.site.plain else "farewell") for viewer in self.viewers)
        )
        return figures

    async def _come_and_go(self, times: int) -> None:
        for _ in range(times):
            viewer = self.site.viewer(self._http)
            await viewer.arrive()
            await viewer.leave()
            self.came.append(viewer)

    async def _arrive(self) -> None:
        began = time.monotonic()
        tasks = []
        for place in range(self.count):
            await asyncio.sleep(max(began + place / RATE - time.monotonic(), 0))
            tasks.append(asyncio.create_task(self._one()))
        await asyncio.gather(*tasks)

    async def _one(self) -> None:
        viewer = self.site.viewer(self._http)
        try:
            await viewer.arrive()
        except ViewerError as error:
            self.failures.append(str(error))
        else:
            self.viewers.append(viewer)
            self.came.append(viewer)

    def _pages(self) -> dict[str, float | None]:
        seen = [viewer.seen for viewer in self.came]
        figures: dict[str, float | None] = {}
        for name, values in {
            "first byte": [one.first_byte for one in seen],
            "last byte": [one.last_byte for one in seen],
            "first chart": [one.first_chart for one in seen],
            "five charts": [one.all_charts for one in seen],
        }.items():
            figures[name] = share(values, 0.5)
            figures[f"{name}, p95"] = share(values, 0.95)
        figures["load bytes"] = share([one.load / 1e6 for one in seen], 0.5)
        figures["html"] = share([one.html / 1e3 for one in seen], 0.5)
        return figures

    def _refreshes(self, since: float) -> dict[str, float | None]:
        late: list[float] = []
        missed = 0
        if self.site.streamed:
            took = [
                news.came - news.at
                for viewer in self.viewers
                for news in viewer.seen.news
                if news.at > since
            ]
            gaps = sum(viewer.seen.counts["gap"] for viewer in self.viewers)
            return {
                "update p50": share(took, 0.5),
                "update p99": share(took, 0.99),
                "updates": len(took),
                "gaps": gaps,
            }
        for viewer in self.viewers:
            found, lost = lateness(viewer.seen.news, len(viewer.charts), EVERY, since)
            late += found
            missed += lost
        return {
            "late p50": share(late, 0.5),
            "late p95": share(late, 0.95),
            "late p99": share(late, 0.99),
            "refreshes": len(late),
            "missed": missed,
            "gaps": sum(viewer.seen.counts["gap"] for viewer in self.viewers),
        }

    def _memory(self, before: processes.Cost) -> dict[str, float | None]:
        kernels = [processes.cost(pid) for pid in self.site.kernels() if pid not in self._older]
        server = processes.cost(self.site.pid)
        count = len(self.viewers) or 1
        return {
            "own": share([kernel.own for kernel in kernels], 0.5),
            "share": share([kernel.share for kernel in kernels], 0.5),
            "threads": share([kernel.threads for kernel in kernels], 0.5),
            "server memory": (server.own - before.own) / count,
            "descriptors": (server.descriptors - before.descriptors) / count,
        }

    def _spent(self, started: Usage, begun: Usage, ended: Usage) -> dict[str, float | None]:
        seconds = ended.at - begun.at
        refreshes = (len(self.viewers) or 1) * seconds / EVERY
        return {
            "page server": (begun.server - started.server) * 1e3 / (len(self.viewers) or 1),
            "server": (ended.server - begun.server) * 1e3 / refreshes,
            "kernel": (ended.kernels - begun.kernels) * 1e3 / refreshes,
            "here": (ended.here - begun.here) / seconds * 100,
            "busy": (ended.busy - begun.busy) / seconds * 100,
        }


def share(values: Sequence[float], part: float) -> float | None:
    """The value below which that part of all lie; None for none."""
    if not values:
        return None
    if part == 0.5:
        return statistics.median(values)
    ordered = sorted(values)
    return ordered[min(int(part * len(ordered)), len(ordered) - 1)]


ROWS = (
    ("first byte", "first byte, median", "s", ""),
    ("first byte, p95", "  p95", "s", ""),
    ("last byte", "last byte, median", "s", ""),
    ("last byte, p95", "  p95", "s", ""),
    ("first chart", "first chart's data, median", "s", ""),
    ("first chart, p95", "  p95", "s", ""),
    ("five charts", "five charts' data, median", "s", "1.5"),
    ("five charts, p95", "  p95", "s", ""),
    ("html", "page", "kB", ""),
    ("load bytes", "websocket at load", "MB", "0.2"),
    ("refresh bytes", "websocket per refresh", "kB", "12"),
    ("page server", "server's CPU per page", "ms", ""),
    ("server", "server's CPU per refresh", "ms", ""),
    ("kernel", "kernel's CPU per refresh", "ms", "15"),
    ("update p50", "an update after its query began, p50", "s", ""),
    ("update p99", "  p99", "s", "1"),
    ("updates", "updates seen", "", ""),
    ("late p50", "refresh complete after it was due, p50", "s", ""),
    ("late p95", "  p95", "s", ""),
    ("late p99", "  p99", "s", ""),
    ("refreshes", "refreshes seen", "", ""),
    ("missed", "refreshes that never came", "", "0"),
    ("gaps", "gaps in the numbers of patches", "", "0"),
    ("errors", "errors", "", "0"),
    ("own", "own memory of a kernel", "MB", "30"),
    ("share", "share of all memory of a kernel", "MB", ""),
    ("threads", "threads of a kernel", "", ""),
    ("server memory", "growth of the server per viewer", "MB", ""),
    ("descriptors", "descriptors of the server per viewer", "", ""),
    ("here", "CPU of the load generator", "% of a core", ""),
    ("busy", "CPU of the whole machine", "% of a core", ""),
)

RATIOS = ("five charts", "own", "kernel", "server", "page server")


async def ours(desk: Desk, folder: Path) -> dict[str, dict[str, float | None]]:
    """As pages are fed by the stream, and, where that is blocked, by their kernels."""
    figures: dict[str, dict[str, float | None]] = {}
    for name, counts in (("ours", VIEWERS), ("kernels", KERNELS)):
        with serve(folder, desk.server.url, ALPHAPULSE_REFRESH_INTERVAL=str(EVERY)) as served:
            site = Site(name, served.url, served.process.pid, streamed=name == "ours")
            await _warm(site)
            figures |= {f"{name} {count}": await _measured(site, count) for count in counts}
    return figures


async def theirs(desk: Desk, folder: Path) -> dict[str, dict[str, float | None]]:
    """Each time a new server: a viewer who has left still costs a plain one a kernel."""
    figures = {}
    for count in PLAIN:
        with plain_voila(folder, desk.server.url, NOTEBOOK) as (url, pid):
            site = Site("Voila", url, pid, plain=True)
            await _warm(site)
            figures[f"Voila {count}"] = await _measured(site, count)
    return figures


async def _warm(site: Site) -> None:
    viewer = site.viewer(client())
    await viewer.arrive()
    await viewer.leave("close" if site.plain else "farewell")
    await asyncio.sleep(SETTLE)
    for pid in site.kernels():
        # It would go on refreshing for nobody, at the cost of those that are measured.
        psutil.Process(pid).suspend()


async def _measured(site: Site, count: int) -> dict[str, float | None]:
    figures = await Crowd(client(), site, count).measure()
    await asyncio.sleep(SETTLE)
    print(f"# {site.name}, {count} viewers: load average {os.getloadavg()[0]:.1f}", flush=True)
    return figures


async def measure(desk: Desk, folder: Path) -> None:
    figures = await theirs(desk, folder) | await ours(desk, folder)
    report.header(f"viewers: {RATE:g} arrive in a second, refreshes every {EVERY:g} s")
    names = sorted(figures, key=lambda name: (name.split()[0] != "ours", int(name.split()[1])))
    report.table(
        names,
        [
            (what, unit, budget, [figures[name].get(key) for name in names])
            for key, what, unit, budget in ROWS
        ],
    )
    for count in sorted({*VIEWERS} & {*PLAIN}):
        for key in RATIOS:
            our, their = figures[f"ours {count}"][key], figures[f"Voila {count}"][key]
            if our and their:
                report.ratio(f"{key}, {count} viewers, Voila", their, our)


def main() -> None:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        desk = stack.enter_context(new_desk(folder))
        stack.enter_context(writing(desk.server.url))
        asyncio.run(measure(desk, folder))


if __name__ == "__main__":
    main()
