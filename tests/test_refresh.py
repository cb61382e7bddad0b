"""The clock of a kernel's charts."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from alphapulse_nb.refresh import LEASE, Job, Refresher


class Seen:
    """A job that counts its loads, and may be held back."""

    def __init__(self, name: str = "job") -> None:
        self.loads = 0
        self.most_at_once = 0
        self.results: list[Any] = []
        self.errors: list[Exception] = []
        self.free = threading.Event()
        self.free.set()
        self._inside = 0
        self.error: Exception | None = None
        self.job = Job(name, self._load, self.results.append, self.errors.append)

    def _load(self) -> int:
        self.loads += 1
        number = self.loads
        self._inside += 1
        self.most_at_once = max(self.most_at_once, self._inside)
        self.free.wait(5)
        self._inside -= 1
        if self.error is not None:
            raise self.error
        return number


async def until(met: Callable[[], Any], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < deadline, "not in time"
        await asyncio.sleep(0.005)


def test_it_ticks_at_once_and_then_at_its_rate() -> None:
    async def run() -> None:
        seen, refresher = Seen(), Refresher(0.05)
        refresher.add(seen.job)
        assert refresher.start()
        await until(lambda: len(seen.results) >= 4)
        refresher.stop()
        await asyncio.sleep(0.1)
        loads = seen.loads
        await asyncio.sleep(0.15)
        assert seen.loads == loads

    asyncio.run(run())


def test_a_slow_job_is_never_in_flight_twice_and_delays_no_other() -> None:
    async def run() -> None:
        slow, quick = Seen("slow"), Seen("quick")
        slow.free.clear()
        refresher = Refresher(0.02)
        refresher.add(slow.job)
        refresher.add(quick.job)
        refresher.start()
        await until(lambda: len(quick.results) >= 4)
        assert slow.loads == 1
        slow.free.set()
        await until(lambda: len(slow.results) >= 2)
        assert slow.most_at_once == 1
        refresher.stop()

    asyncio.run(run())


def test_a_new_turn_discards_what_is_in_flight() -> None:
    async def run() -> None:
        seen, refresher = Seen(), Refresher(60)
        seen.free.clear()
        refresher.add(seen.job)
        refresher.start()
        await until(lambda: seen.loads == 1)
        refresher.next_turn()
        await asyncio.sleep(0.05)
        seen.free.set()
        await until(lambda: seen.results)
        assert seen.results == [2]
        refresher.stop()

    asyncio.run(run())


def test_without_a_browser_it_pauses_and_a_sign_of_life_resumes_at_once() -> None:
    async def run() -> None:
        now = [1000.0]
        seen, refresher = Seen(), Refresher(0.01, monotonic=lambda: now[0])
        refresher.add(seen.job)
        refresher.start()
        await until(lambda: seen.results)
        now[0] += LEASE + 1
        await asyncio.sleep(0.05)
        assert not refresher.active
        loads = seen.loads
        await asyncio.sleep(0.1)
        assert seen.loads <= loads + 1
        loads = seen.loads
        refresher.renew()
        await until(lambda: seen.loads > loads)
        refresher.stop()

    asyncio.run(run())


def test_missed_ticks_are_skipped_not_made_up_for() -> None:
    async def run() -> None:
        now = [0.0]
        seen, refresher = Seen(), Refresher(10, monotonic=lambda: now[0])
        refresher.add(seen.job)
        refresher.start()
        await until(lambda: seen.loads == 1)
        now[0] = 95.0
        refresher._signal()
        await until(lambda: seen.loads == 2)
        await asyncio.sleep(0.1)
        assert seen.loads == 2
        refresher.stop()

    asyncio.run(run())


def test_paused_it_loads_only_when_asked() -> None:
    async def run() -> None:
        seen, refresher = Seen(), Refresher(0.01)
        refresher.add(seen.job)
        refresher.set_paused(True)
        refresher.start()
        await asyncio.sleep(0.05)
        loads = seen.loads
        await asyncio.sleep(0.1)
        assert seen.loads == loads
        refresher.next_turn()
        await until(lambda: seen.loads == loads + 1)
        await asyncio.sleep(0.1)
        assert seen.loads == loads + 1
        refresher.set_paused(False)
        await until(lambda: seen.loads > loads + 3)
        refresher.stop()

    asyncio.run(run())


def test_whoever_asks_without_end_gets_a_few_ticks_a_second_and_the_last_one_counts() -> None:
    async def run() -> None:
        seen, refresher = Seen(), Refresher(60)
        refresher.add(seen.job)
        refresher.start()
        await until(lambda: refresher.ticks == 1)
        began = time.monotonic()
        for _ in range(50):
            refresher.next_turn()
            refresher.set_interval(60)
            await asyncio.sleep(0.01)
        assert seen.loads <= 2 + 4 * (time.monotonic() - began)
        await until(lambda: seen.job.turn == refresher.turn and seen.job.task is None)
        refresher.stop()

    asyncio.run(run())


def test_an_error_goes_to_its_own_job_and_the_tick_still_ends() -> None:
    async def run() -> None:
        ended: list[int] = []
        bad, good = Seen("bad"), Seen("good")
        bad.error = ValueError("no")
        refresher = Refresher(60, after=lambda: ended.append(1))
        refresher.add(bad.job)
        refresher.add(good.job)
        refresher.start()
        await until(lambda: ended)
        assert [str(error) for error in bad.errors] == ["no"]
        assert good.results == [1]
        refresher.stop()

    asyncio.run(run())


def test_a_load_that_hangs_is_reported_and_holds_up_no_other_even_after_a_new_turn() -> None:
    async def run() -> None:
        hung, quick = Seen("hung"), Seen("quick")
        hung.free.clear()
        refresher = Refresher(0.03)
        refresher.patience = 0.2
        refresher.add(hung.job)
        refresher.add(quick.job)
        refresher.start()
        await until(lambda: quick.results)
        for _ in range(3):
            refresher.next_turn()
            await asyncio.sleep(0.02)
        count = len(quick.results)
        await until(lambda: len(quick.results) > count + 3)
        await until(lambda: hung.errors)
        assert "hung has not answered for 0.2 s" in str(hung.errors[0])
        assert hung.most_at_once == 1
        hung.free.set()
        await until(lambda: hung.results)
        refresher.stop()

    asyncio.run(run())


def test_it_can_be_driven_from_other_threads() -> None:
    async def run() -> None:
        seen, refresher = Seen(), Refresher(60)
        refresher.add(seen.job)
        refresher.start()
        await until(lambda: seen.loads == 1)
        for _ in range(20):
            await asyncio.to_thread(refresher.next_turn)
        await until(lambda: seen.results and seen.results[-1] == seen.loads)
        refresher.stop()

    asyncio.run(run())


def test_without_a_loop_it_runs_once_in_this_thread() -> None:
    seen, refresher = Seen(), Refresher(60)
    refresher.add(seen.job)
    assert refresher.start() is False
    refresher.run_once()
    assert seen.results == [1]


@pytest.mark.parametrize("jobs", [1, 5])
def test_every_tick_ends_once(jobs: int) -> None:
    async def run() -> None:
        ended: list[int] = []
        refresher = Refresher(60, after=lambda: ended.append(1))
        for number in range(jobs):
            refresher.add(Seen(str(number)).job)
        refresher.start()
        await until(lambda: ended)
        await asyncio.sleep(0.05)
        assert len(ended) == 1
        refresher.stop()

    asyncio.run(run())
