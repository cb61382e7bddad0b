"""A kernel of the dashboard: forked beside ordinary, in turn, in one run.

Seconds and CPU until it answers, and its own memory then and with the dashboard's notebook run.
"""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
from jupyter_client.kernelspec import KernelSpecManager

from alphapulse_nb.server.kernels.nursery import Nursery
from alphapulse_nb.server.kernels.provisioner import ForkProvisioner
from alphapulse_nb.server.kernels.spec import OneKernel
from benchmarks import report
from tests.conftest import free_port, new_desk, serve, wait_until
from tests.kernels import kernel

ROUNDS = int(os.environ.get("ROUNDS", "5"))
NOTEBOOK = "from alphapulse_nb import Dashboard\n\nDashboard()"
WITHOUT_ZYGOTE = """
import sys
from alphapulse_nb.cli import main
from alphapulse_nb.server.kernels.nursery import Nursery, State

Nursery.start = lambda nursery: nursery._set(State.DOWN, "it is not wanted")
sys.argv = ["alphapulse", "serve"]
main()
"""
SETTLED = 3.0
"""Seconds after which the first refresh is over."""


def own(pid: int) -> tuple[float, float]:
    """The memory of a process that nobody shares, and its share of all it uses; in MB."""
    sizes = dict.fromkeys(("Private_Clean", "Private_Dirty", "Pss"), 0.0)
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value = line.split()[:2]
        if name[:-1] in sizes:
            sizes[name[:-1]] = int(value) / 1024
    return sizes["Private_Clean"] + sizes["Private_Dirty"], sizes["Pss"]


def spent(pid: int) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


@contextmanager
def ordinary(folder: Path, database_url: str) -> Iterator[str]:
    """`alphapulse serve` as where nothing can be forked; its address."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", WITHOUT_ZYGOTE],
        env=os.environ | {"DATABASE_URL": database_url, "DASHBOARD_PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
    )
    try:
        wait_until(lambda: reachable(port), 60)
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(30)


def reachable(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def page(url: str) -> float:
    """Seconds until a visitor with cookies has the whole page, its notebook run."""
    visitor = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    begun = time.perf_counter()
    with visitor.open(url, timeout=60) as answer:
        body = answer.read()
    assert b"application/vnd.jupyter.widget-view+json" in body
    return time.perf_counter() - begun


def pages(folder: Path, database_url: str) -> None:
    with serve(folder, database_url) as served, ordinary(folder, database_url) as plain:
        urls = {"forked": served.url, "ordinary": plain}
        for url in urls.values():
            page(url)
        seconds: dict[str, list[float]] = {name: [] for name in urls}
        for _ in range(ROUNDS):
            for name, url in urls.items():
                seconds[name].append(page(url))
    middle = {name: report.line(f"the page, {name}", row, "s") for name, row in seconds.items()}
    report.ratio("the page, ordinary", middle["ordinary"], middle["forked"])


async def one(specs: KernelSpecManager, folder: Path) -> list[float]:
    begun = time.perf_counter()
    async with kernel(folder, specs) as started:
        figures = [time.perf_counter() - begun, spent(started.pid), *own(started.pid)]
        begun = time.perf_counter()
        await started.run(NOTEBOOK)
        figures.append(time.perf_counter() - begun)
        await asyncio.sleep(SETTLED)
        return [*figures, spent(started.pid), *own(started.pid)]


async def measure(folder: Path) -> None:
    nursery = ForkProvisioner.nursery = Nursery()
    nursery.start()
    kinds = {"forked": OneKernel(), "ordinary": KernelSpecManager()}
    for specs in kinds.values():
        await one(specs, folder)
    figures: dict[str, list[list[float]]] = {name: [] for name in kinds}
    for _ in range(ROUNDS):
        for name, specs in kinds.items():
            figures[name].append(await one(specs, folder))
    await nursery.close()
    report.header("a kernel, forked and ordinary")
    for place, (what, unit, budget) in enumerate(ROWS):
        middle = {
            name: report.line(
                f"{what}, {name}", [row[place] for row in rows], unit, budget * (name == "forked")
            )
            for name, rows in figures.items()
        }
        report.ratio(f"{what}, ordinary", middle["ordinary"], middle["forked"])


ROWS = (
    ("start to first answer", "s", ""),
    ("CPU to first answer", "s", "0.11 s"),
    ("own memory, idle", "MB", ""),
    ("proportional memory, idle", "MB", ""),
    ("the notebook's cell", "s", ""),
    ("CPU with the first refresh", "s", ""),
    ("own memory with the dashboard", "MB", "30 MB"),
    ("proportional memory with the dashboard", "MB", ""),
)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, new_desk(Path(folder)) as desk:
        os.environ["DATABASE_URL"] = desk.server.url
        asyncio.run(measure(Path(folder)))
        pages(Path(folder), desk.server.url)


if __name__ == "__main__":
    main()
