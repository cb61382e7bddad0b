"""Forked kernels: through the server's page, and each way in which they, the zygote or the server
may end.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Coroutine, Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any

import psutil
import pytest

from alphapulse_nb.server.kernels import nursery as nursery_module
from alphapulse_nb.server.kernels import process
from alphapulse_nb.server.kernels.nursery import NotForkedError, Nursery, State
from alphapulse_nb.server.kernels.provisioner import ForkProvisioner
from alphapulse_nb.server.kernels.spec import OneKernel
from tests.conftest import Desk, Served, serve, wait_until
from tests.kernels import kernel

pytestmark = pytest.mark.skipif(process.obstacle() is not None, reason="no pidfd here")

SECRET = "correct-horse-battery"
RANDOM = "import random, uuid, numpy; print(random.random(), numpy.random.random(), uuid.uuid4())"
OPEN = """
import os
for name in os.listdir("/proc/self/fd"):
    if int(name) > 2 and os.path.exists(f"/proc/self/fd/{name}"):
        print(os.readlink(f"/proc/self/fd/{name}"))
"""


@pytest.fixture(scope="module", autouse=True)
def _orphans() -> Iterator[None]:
    """This process adopts orphans, as a server does, only while these tests run."""
    yield
    process.adopt_orphans(False)


def _up(nursery: Nursery) -> bool:
    return nursery.state[0] is State.UP


@pytest.fixture(scope="module")
def shared() -> Iterator[Nursery]:
    made = Nursery()
    made.start()
    wait_until(lambda: _up(made), 60)
    yield made
    asyncio.run(made.close())


@pytest.fixture
def nursery(shared: Nursery, monkeypatch: pytest.MonkeyPatch) -> Nursery:
    monkeypatch.setattr(ForkProvisioner, "nursery", shared)
    wait_until(lambda: _up(shared), 60)
    return shared


@pytest.fixture
def fresh(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nursery]:
    """A nursery of the test's own, which has nothing of ours to import."""
    made = Nursery(*getattr(request, "param", (["json"],)))
    monkeypatch.setattr(ForkProvisioner, "nursery", made)
    made.start()
    yield made
    asyncio.run(made.close())


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 120))


def forked(parent: int) -> list[psutil.Process]:
    """The kernels among the children of a process, and nobody else's."""
    return _called(process.KERNEL, parent)


def _called(name: str, parent: int) -> list[psutil.Process]:
    found = []
    for child in psutil.Process(parent).children():
        try:
            if child.name() == name and child.status() != psutil.STATUS_ZOMBIE:
                found.append(child)
        except psutil.NoSuchProcess:
            continue
    return found


def page(served: Served, query: str = "") -> str:
    """The page as a visitor with cookies gets it."""
    visitor = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
    with visitor.open(served.url + query, timeout=60) as answer:
        return str(answer.read().decode())


def test_a_page_comes_up_with_a_fork_that_is_the_servers_own_child(
    desk: Desk, tmp_path: Path
) -> None:
    with serve(tmp_path, desk.server.url, DASHBOARD_TOKEN=SECRET) as served:
        server = served.process.pid
        (zygote,) = wait_until(lambda: _called(process.ZYGOTE, server))
        body = page(served, f"?token={SECRET}")
        assert "application/vnd.jupyter.widget-view+json" in body
        (kernel,) = forked(server)
        assert kernel.ppid() == server
        # An exec would have given it a command line of its own.
        assert kernel.cmdline() == zygote.cmdline()
        assert os.getsid(kernel.pid) == os.getpgid(kernel.pid) == kernel.pid
        for made in (zygote, kernel):
            environment = str(made.environ())
            assert SECRET not in environment
            assert desk.server.url not in environment
        assert "ordinary processes" not in served.output()


def test_nothing_is_left_of_a_server_that_was_killed_and_the_next_one_starts(
    desk: Desk, tmp_path: Path
) -> None:
    with serve(tmp_path, desk.server.url) as served:
        page(served)
        left = psutil.Process(served.process.pid).children(recursive=True)
        assert {process.KERNEL, process.ZYGOTE} <= {child.name() for child in left}
        served.process.kill()
        wait_until(lambda: not any(_runs(child) for child in left), 15)
    with serve(tmp_path, desk.server.url) as served:
        assert "application/vnd.jupyter.widget-view+json" in page(served)


def _runs(child: psutil.Process) -> bool:
    try:
        return child.is_running() and child.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_an_interrupt_ends_a_cell_and_not_the_kernel(nursery: Nursery, tmp_path: Path) -> None:
    async def test() -> None:
        async with kernel(tmp_path, OneKernel()) as started:
            begun = tmp_path / "begun"
            code = f"import pathlib, time; pathlib.Path({str(begun)!r}).touch(); time.sleep(60)"
            cell = asyncio.create_task(started.run(code))
            await asyncio.to_thread(wait_until, begun.exists)
            await started.manager.interrupt_kernel()
            assert await cell == "KeyboardInterrupt"
            assert await started.run("print(6 * 7)") == "42"

    run(test())


def test_a_restart_is_a_new_fork(nursery: Nursery, tmp_path: Path) -> None:
    async def test() -> None:
        async with kernel(tmp_path, OneKernel()) as started:
            first = started.pid
            await started.run("kept = 1")
            await started.manager.restart_kernel(now=True)
            await started.client.wait_for_ready(timeout=30)
            assert started.pid != first
            assert not psutil.pid_exists(first)
            assert await started.run("print(kept)") == "NameError"
            assert started.pid in [child.pid for child in forked(os.getpid())]

    run(test())


def test_a_kernel_that_is_asked_to_shut_down_leaves_with_code_0_and_cleans_up(
    nursery: Nursery, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        async with kernel(tmp_path, OneKernel()) as started:
            left = tmp_path / "left"
            await started.run(
                f"import atexit, pathlib; atexit.register(pathlib.Path({str(left)!r}).touch)"
            )
            pid, process = started.pid, started.provisioner.process
            await started.manager.shutdown_kernel()
            assert process is not None
            assert process.returncode == 0
            assert not psutil.pid_exists(pid)
            assert left.exists()
        assert list(tmp_path.glob("*.json*")) == []

    run(test())
    assert "ended by itself" not in caplog.text


@pytest.mark.parametrize(
    ("code", "number", "name"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", -9, "signal 9 (SIGKILL)"),
        ("import ctypes; ctypes.string_at(0)", -11, "signal 11 (SIGSEGV)"),
        ("import os; os._exit(3)", 3, "exit code 3"),
    ],
)
def test_how_a_kernel_ended_is_told(
    nursery: Nursery,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    code: str,
    number: int,
    name: str,
) -> None:
    async def test() -> None:
        async with kernel(tmp_path, OneKernel()) as started:
            started.client.execute(code)
            assert await asyncio.wait_for(started.provisioner.process.ended(), 20) == number  # type: ignore[union-attr]
            assert await started.provisioner.poll() == number
            assert not await started.manager.is_alive()
            assert f"ended by itself: {name}" in caplog.text
            assert await started.provisioner.wait() == number
            assert not started.provisioner.has_process

    run(test())


def test_running_kernels_survive_the_zygote_and_the_next_ones_come_from_another(
    nursery: Nursery, tmp_path: Path
) -> None:
    async def test() -> None:
        async with kernel(tmp_path, OneKernel()) as before:
            first = nursery.pid
            assert first is not None
            os.kill(first, signal.SIGKILL)
            assert await before.run("print(6 * 7)") == "42"
            async with kernel(tmp_path, OneKernel()) as meanwhile:
                assert await meanwhile.run("print(6 * 7)") == "42"
            await asyncio.to_thread(wait_until, lambda: _up(nursery), 30)
            assert nursery.pid != first
            async with kernel(tmp_path, OneKernel()) as after:
                assert after.pid in [child.pid for child in forked(os.getpid())]
                assert await before.run("print(6 * 7)") == "42"

    run(test())


@pytest.mark.parametrize("fresh", [(["no_such_module"],)], indirect=True)
def test_without_a_zygote_kernels_start_as_ordinary_processes_and_the_log_says_so_once(
    fresh: Nursery, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def test() -> None:
        for _ in range(2):
            async with kernel(tmp_path, OneKernel()) as started:
                assert isinstance(started.provisioner.process, subprocess.Popen)
                assert await started.run("print(6 * 7)") == "42"

    run(test())
    assert fresh.state == (State.DOWN, "ModuleNotFoundError: No module named 'no_such_module'")
    assert caplog.text.count("ordinary processes, slower: ModuleNotFoundError") == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (
            "import threading as t; t.Thread(target=t.Event().wait, daemon=True).start()",
            "2 threads run before the fork",
        ),
        ("import socket; kept = socket.socket()", "open before the fork: socket:["),
        ("import zmq; kept = zmq.Context().socket(zmq.PUB)", "threads run before the fork"),
        ("import asyncio; kept = asyncio.new_event_loop()", "anon_inode:[eventpoll]"),
    ],
)
def test_a_zygote_that_could_not_be_forked_safely_is_none(
    tmp_path: Path, body: str, reason: str
) -> None:
    (tmp_path / "careless.py").write_text(body)
    made = Nursery(["careless"], {**os.environ, "PYTHONPATH": str(tmp_path)})
    made.start()
    wait_until(lambda: made.state[0] is State.DOWN, 30)
    assert reason in made.state[1]
    asyncio.run(made.close())


def test_a_zygote_has_one_thread_and_knows_no_secret(tmp_path: Path) -> None:
    named = ("DASHBOARD_TOKEN", "DATABASE_URL", "DB_PASSWORD", "PGPASSWORD", "AWS_SECRET_KEY")
    made = Nursery(environment={**os.environ, **dict.fromkeys(named, SECRET)})
    made.start()
    wait_until(lambda: _up(made), 60)
    zygote = psutil.Process(made.pid)
    assert zygote.num_threads() == 1
    assert SECRET not in str(zygote.environ())
    asyncio.run(made.close())
    assert not zygote.is_running()


def test_a_kernel_has_the_environment_that_it_was_given_and_no_other(
    nursery: Nursery, tmp_path: Path
) -> None:
    given = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "TZ": "Asia/Tokyo",
        "DATABASE_URL": "postgresql://ä@host/\udcff",
    }
    code = """
import os, time
print(sorted(os.environ))
print(ascii(os.environ["DATABASE_URL"]), time.tzname[0], os.getcwd())
"""

    async def test() -> None:
        async with kernel(tmp_path, OneKernel(), given) as started:
            names, rest = (await started.run(code)).splitlines()
            added = set(eval(names)) - set(given)  # noqa: S307
            assert added <= {
                "JPY_PARENT_PID",
                "MPLBACKEND",
                "CLICOLOR",
                "FORCE_COLOR",
                "CLICOLOR_FORCE",
                "TERM",
                "PAGER",
                "GIT_PAGER",
                "LC_CTYPE",
            }
            assert rest == rf"'postgresql://\xe4@host/\udcff' JST {tmp_path}"
            assert await started.run("import os; print(os.environ['JPY_PARENT_PID'])") == str(
                os.getpid()
            )

    run(test())


def test_no_two_kernels_draw_the_same_random_numbers(nursery: Nursery, tmp_path: Path) -> None:
    async def test() -> None:
        drawn = []
        for _ in range(2):
            async with kernel(tmp_path, OneKernel()) as started:
                drawn.append((await started.run(RANDOM)).split())
        assert all(one != other for one, other in zip(*drawn, strict=True))

    run(test())


def test_a_kernel_inherits_nothing_open_and_has_no_standard_input(
    nursery: Nursery, tmp_path: Path
) -> None:
    async def test() -> None:
        async with kernel(tmp_path, OneKernel()) as one, kernel(tmp_path, OneKernel()) as other:
            theirs = [set((await each.run(OPEN)).split()) for each in (one, other)]
            zygote = Path(f"/proc/{nursery.pid}/fd")
            inherited = {str(entry.readlink()) for entry in zygote.iterdir() if int(entry.name) > 2}
            assert len(inherited) == 1
            unique = [{name for name in names if "[event" not in name} for names in theirs]
            assert not inherited & (unique[0] | unique[1])
            assert not unique[0] & unique[1]
            assert await one.run("import os; print(os.read(0, 1))") == "b''"

    run(test())


def test_twenty_kernels_start_at_once(nursery: Nursery, tmp_path: Path) -> None:
    async def answer(_: int) -> tuple[int, str]:
        async with kernel(tmp_path, OneKernel()) as started:
            text = await started.run("import os; print(os.getpid())")
            assert isinstance(started.provisioner.process, process.Forked)
            await everybody.wait()
            return started.pid, text

    everybody: asyncio.Barrier = asyncio.Barrier(20)

    async def test() -> None:
        answers = await asyncio.gather(*(answer(number) for number in range(20)))
        assert all(str(pid) == text for pid, text in answers)
        assert len({pid for pid, _ in answers}) == 20

    run(test())
    assert forked(os.getpid()) == []


def test_a_kernel_that_its_server_gave_up_ends_by_itself(
    fresh: Nursery, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    seen: list[int] = []

    def refuse(pid: int) -> process.Forked:
        seen.append(pid)
        raise OSError("no")

    wait_until(lambda: _up(fresh), 30)
    monkeypatch.setattr(nursery_module, "Forked", refuse)
    with pytest.raises(NotForkedError, match="gave no kernel: no"):
        asyncio.run(fresh.fork(str(tmp_path), os.environ, str(tmp_path / "none.json")))
    (pid,) = seen
    wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    assert os.waitpid(pid, 0) == (pid, 0)


def test_a_kernel_that_nobody_waits_for_any_more_ends(nursery: Nursery, tmp_path: Path) -> None:
    async def test() -> None:
        asked = asyncio.create_task(
            nursery.fork(str(tmp_path), dict(os.environ), str(tmp_path / "none.json"))
        )
        await asyncio.sleep(0)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        # Kernels are born one after the other: the next is there, so this one was.
        async with kernel(tmp_path, OneKernel()) as after:
            await asyncio.to_thread(
                wait_until, lambda: [each.pid for each in forked(os.getpid())] == [after.pid]
            )

    run(test())


def test_what_a_kernel_leaves_behind_stays_no_zombie(
    fresh: Nursery, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(nursery_module, "_BURY_SECONDS", 0.2)
    leave = (
        "import subprocess; print(subprocess.getoutput('setsid sleep 0.5 >/dev/null & echo $!'))"
    )

    async def test() -> None:
        async with kernel(tmp_path, OneKernel()) as started:
            orphan = int(await started.run(leave))
            assert psutil.Process(orphan).ppid() == os.getpid()
            await asyncio.to_thread(wait_until, lambda: not psutil.pid_exists(orphan))

    wait_until(lambda: _up(fresh), 30)
    run(test())


def test_every_name_of_a_kernel_gives_ours() -> None:
    specs = OneKernel()
    ours = specs.get_kernel_spec("python3")
    assert specs.get_kernel_spec("conda-env-desk-py").argv == ours.argv
    assert ours.argv[0] == sys.executable
    assert list(specs.get_all_specs()) == ["python3"]


def test_warming_up_fills_every_panel_and_says_nothing() -> None:
    code = "import logging; logging.basicConfig(); from alphapulse_nb.warmup import warm; warm()"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
