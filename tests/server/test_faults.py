"""Faults under open pages: the database, the zygote, clients that do not read and that vanish."""

from __future__ import annotations

import asyncio
import base64
import os
import signal
import socket
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import psutil
import pytest
from jupyter_core.utils import ensure_event_loop

from alphapulse_nb.server.messages import PROTOCOL
from benchmarks.viewer import Viewer, client
from tests.cable import Cable
from tests.conftest import ROOT, Desk, Served, new_desk, serve
from tests.kernel import ask
from tests.visitor import Visitor

EVERY = 4.0
PAGES = 20


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk that these tests may break."""
    with new_desk(tmp_path_factory.mktemp("fragile"), hours=6) as made:
        yield made


@pytest.fixture(scope="module")
def hardened(fragile: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with little patience and a limit on its memory: see `tests.impatient`."""
    with serve(
        tmp_path_factory.mktemp("hardened"),
        fragile.server.url,
        "tests.impatient",
        PYTHONPATH=str(ROOT),
        ALPHAPULSE_REFRESH_INTERVAL=str(EVERY),
    ) as running:
        yield running


@asynccontextmanager
async def viewers(served: Served, count: int) -> AsyncIterator[list[Viewer]]:
    """So many pages that show all their charts."""
    http = client()
    came = [Viewer(http, served.url) for _ in range(count)]
    for first in range(0, count, 4):
        await asyncio.gather(*(viewer.arrive() for viewer in came[first : first + 4]))
    try:
        yield came
    finally:
        await asyncio.gather(*(viewer.leave() for viewer in came))
        http.close()


async def until(met: Callable[[], bool], seconds: float) -> None:
    """Wait, while the pages go on, until `met()`."""
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        await asyncio.sleep(0.1)


def fresh_since(viewer: Viewer, moment: float) -> bool:
    """Whether each chart has news that was read after that moment."""
    return len({one.chart for one in viewer.seen.news if one.at > moment}) == len(viewer.charts)


def state(served: Served) -> tuple[int, int]:
    """Memory (bytes) and descriptors of the server."""
    process = psutil.Process(served.process.pid)
    return process.memory_info().rss, process.num_fds()


def connections(desk: Desk) -> int:
    """How many hold a connection to the desk's database under our name."""
    sql = "select count(*) from pg_stat_activity where application_name = 'alphapulse-nb'"
    return int(desk.run(sql))


def test_twenty_pages_outlive_their_database(hardened: Served, fragile: Desk) -> None:
    async def test() -> None:
        async with viewers(hardened, PAGES) as pages:
            memory, descriptors = state(hardened)
            assert fragile.server.pid is not None
            os.kill(fragile.server.pid, signal.SIGKILL)
            await until(lambda: all(len(page.seen.faults) >= 5 for page in pages), 3 * EVERY)
            await asyncio.to_thread(fragile.server.ensure_running)
            fragile.engine.dispose()
            back = time.time()
            await until(lambda: all(fresh_since(page, back) for page in pages), 2 * EVERY + 3)
            held = []
            for _ in range(20):
                held.append(await asyncio.to_thread(connections, fragile))
                await asyncio.sleep(EVERY / 10)
            assert max(held) <= 2 * PAGES + 2
            assert min(held) <= PAGES / 2, "kernels that do not read hold connections"
            after = state(hardened)
            assert after[0] - memory < 20_000_000
            assert after[1] - descriptors <= 5
            said = {fault for page in pages for fault in page.seen.faults}
            assert [fault for fault in said if "cannot be reached" not in fault] == []

    asyncio.run(test())


def test_pages_do_not_notice_the_end_of_the_zygote_and_the_next_one_comes(
    hardened: Served,
) -> None:
    async def test() -> None:
        async with viewers(hardened, 2) as pages:
            kernels = {await pid_of(page.kernel_id) for page in pages}
            children = psutil.Process(hardened.process.pid).children()
            others = [child for child in children if child.pid not in kernels]
            assert len(others) == 1, others
            others[0].kill()
            gone = time.time()
            await until(lambda: all(fresh_since(page, gone) for page in pages), 2 * EVERY + 2)
            async with viewers(hardened, 1) as later:
                assert len(later[0].charts) == 5
            assert [page.seen.faults for page in pages] == [[], []]

    asyncio.run(test())


async def pid_of(kernel_id: str) -> int:
    """The process of a kernel."""
    found = await asyncio.to_thread(asked, kernel_id, "__import__('os').getpid()")
    assert isinstance(found, int)
    return found


def asked(kernel_id: str, expression: str) -> object:
    """As `ask`, in a thread: closes the loop that Jupyter's client leaves there."""
    try:
        return ask(kernel_id, expression)
    finally:
        ensure_event_loop().close()


FLOOD = (
    "[next(iter(__import__('IPython').get_ipython().kernel.comm_manager.comms.values()))"
    ".send({'x': 'y' * 1_000_000}) for _ in range(100)] and 1"
)


def test_a_client_that_stops_reading_is_cut_off_and_nobody_else_waits(hardened: Served) -> None:
    async def test() -> None:
        async with viewers(hardened, 3) as pages:
            visitor = Visitor(hardened.url)
            kernel_id = (await asyncio.to_thread(visitor.get)).kernel_id
            deaf = await asyncio.to_thread(deaf_socket, visitor, kernel_id)
            before, began = state(hardened)[0], time.time()
            flood = asyncio.create_task(asyncio.to_thread(asked, kernel_id, FLOOD))
            most = before
            cut = False
            while not (cut and flood.done()):
                assert time.time() - began < 40, "it was not cut off"
                most = max(most, state(hardened)[0])
                cut = "page does not read" in hardened.output()
                await asyncio.sleep(0.05)
            deaf.close()
            # Of a hundred million; what waits in the socket, in parts and copies, is far less.
            assert most - before < 70_000_000
            await until(lambda: all(fresh_since(page, began) for page in pages), EVERY + 3)
            assert [page.seen.faults for page in pages] == [[], [], []]

    asyncio.run(test())


def deaf_socket(visitor: Visitor, kernel_id: str) -> socket.socket:
    """A page's websocket of a client that reads the server's agreement and then no more."""
    address = urlsplit(visitor.base)
    link = socket.socket()
    link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    link.connect((address.hostname, address.port))
    lines = [
        f"GET /api/kernels/{kernel_id}/channels HTTP/1.1",
        f"Host: {address.netloc}",
        f"Cookie: {visitor.cookies()}",
        "Connection: Upgrade",
        "Upgrade: websocket",
        f"Sec-WebSocket-Key: {base64.b64encode(uuid.uuid4().bytes).decode()}",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Protocol: {PROTOCOL}",
    ]
    link.sendall("\r\n".join([*lines, "", ""]).encode())
    assert link.recv(12) == b"HTTP/1.1 101"
    return link


def test_a_client_that_vanishes_without_a_word_loses_its_kernel(hardened: Served) -> None:
    """Its socket is given up when a ping finds no answer, its kernel ends a while later."""

    async def test() -> None:
        with Cable(hardened.url) as cable:
            http = client()
            way = urlsplit(cable.url)
            viewer = Viewer(http, hardened.url, through=(str(way.hostname), int(way.port or 0)))
            await viewer.arrive()
            kernel = psutil.Process(await pid_of(viewer.kernel_id))
            viewer.vanish()
            before = hardened.output().count("ping timeout")
            cable.cut()
            await until(lambda: not kernel.is_running(), 30)
            assert hardened.output().count("ping timeout") == before + 1
            await viewer.leave("close")
            http.close()

    asyncio.run(test())


def test_what_a_hostile_client_sends_is_met_under_a_limit_of_memory(hardened: Served) -> None:
    limit = psutil.Process(hardened.process.pid).rlimit(psutil.RLIMIT_AS)
    assert limit == (3 << 30, 3 << 30)
