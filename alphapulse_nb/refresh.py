"""The clock of a kernel's charts: jobs run in worker threads at a fixed rate.

A tick that comes while a job still runs is skipped for that job: never two of one in flight. A new
turn (another symbol or range) discards what older turns bring. A load that hangs is reported after
30 s and holds up no other. A browser holds a lease of 150 s, as
a hidden tab's timers run about once a minute; without it nothing runs, so that a kernel whose pages
are gone goes idle.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Final

from alphapulse_nb import reports

LEASE: Final = 150.0
"""Seconds that a browser's last sign of life keeps the refreshes going."""

PATIENCE: Final = 30.0
"""Seconds after which a load that does not answer counts as failed."""

_REST: Final = 0.25
"""Seconds from one tick to the next that somebody asks for."""

_AT_ONCE: Final = 2
"""Loads of one refresher that run at the same time."""

log = logging.getLogger(__name__)


@dataclass
class Job:
    """Something to load again and again.

    `load` runs in a worker thread; `done` takes what it returns and `failed` what it raises, both
    on the scheduler's loop.
    """

    name: str
    load: Callable[[], Any]
    done: Callable[[Any], None]
    failed: Callable[[Exception], None]
    turn: int = field(default=-1, init=False, repr=False)
    """The turn of the newest load that waits or runs."""
    task: asyncio.Task[None] | None = field(default=None, init=False, repr=False)
    flight: Future[Any] | None = field(default=None, init=False, repr=False)
    """The load that a thread runs, which may outlive everybody's patience."""
    seconds: float = field(default=0.0, init=False, repr=False)
    """How long the newest load took; `query` of it in the database, for so many `rows`."""
    query: float = field(default=0.0, init=False, repr=False)
    rows: int = field(default=0, init=False, repr=False)
    error: Exception | None = field(default=None, init=False, repr=False)
    """What the newest load raised."""

    def told(self) -> reports.Load:
        """The newest load as a part of a report."""
        ended = reports.outcome(self.error)
        return reports.Load(self.name, self.seconds, self.query, self.rows, ended)


class Refresher:
    """Runs jobs every `interval` seconds on the running asyncio loop.

    Parameters
    ----------
    interval: seconds between ticks.
    around: entered while any job of a tick runs, to share connections.
    after: called on the loop when all jobs of a tick have ended.
    report: takes what each tick cost, on the loop; must not raise.
    asleep: wait until some browser asks for it.
    monotonic: the clock, in seconds.
    """

    def __init__(
        self,
        interval: float = 10.0,
        *,
        around: Callable[[], AbstractContextManager[Any]] = nullcontext,
        after: Callable[[], None] = lambda: None,
        report: Callable[[reports.Refresh], None] = lambda _: None,
        asleep: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.interval = interval
        self.paused = False
        self.patience = PATIENCE
        self.turn = 0
        self.ticks = 0
        self._around = around
        self._after = after
        self._tell = report
        self._monotonic = monotonic
        self._jobs: list[Job] = []
        self._leased_until = monotonic() + (0 if asleep else LEASE)
        self._due = monotonic()
        self._begun = float("-inf")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake: asyncio.Event | None = None
        self._task: asyncio.Task[None] | None = None
        self._places = asyncio.Semaphore(_AT_ONCE)
        self._running: set[asyncio.Task[None]] = set()

    def add(self, job: Job) -> None:
        """Take in a job; it runs from the next tick on."""
        self._jobs.append(job)

    @property
    def active(self) -> bool:
        """Whether ticks happen: not paused, and some browser has shown itself lately."""
        return not self.paused and self._leased

    @property
    def _leased(self) -> bool:
        return self._monotonic() < self._leased_until

    def start(self) -> bool:
        """Begin on the running loop. False where there is none: call `run_once` there."""
        try:
            self._loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        self._wake = asyncio.Event()
        self._task = self._loop.create_task(self._run(), name="alphapulse-refresh")
        return True

    def stop(self) -> None:
        """End the ticks. Loads in flight end by themselves; nobody takes their result."""
        self.turn += 1
        self._stopped = True
        if self._task is not None and self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._task.cancel)

    def renew(self) -> None:
        """A browser is there. Safe from any thread."""
        lapsed = not self._leased
        self._leased_until = self._monotonic() + LEASE
        if lapsed:
            self.nudge()

    def nudge(self) -> None:
        """Tick now, even when paused, if somebody looks. Safe from any thread.

        A page may ask for it as often as it likes, and gets a few ticks a second.
        """
        self._due = max(self._monotonic(), self._begun + _REST)
        self._signal(forced=True)

    def next_turn(self) -> int:
        """Discard all that is in flight and tick now for a new choice. Safe from any thread."""
        self.turn += 1
        self.nudge()
        return self.turn

    def set_interval(self, seconds: float) -> None:
        """Change the rate; the next tick comes that long from now."""
        self.interval = seconds
        if not self._forced:
            self._due = self._monotonic() + seconds
        self._signal()

    def set_paused(self, paused: bool) -> None:
        """Stop or resume the ticks; resuming ticks at once."""
        self.paused = paused
        if not paused:
            self.nudge()

    def run_once(self) -> None:
        """Run every job in this thread and wait: for scripts, tests and the first cell."""
        with self._around():
            for job in self._jobs:
                try:
                    result = job.load()
                except Exception as error:  # noqa: BLE001 - shown in the job's own panel
                    _report(job, error)
                    job.failed(error)
                else:
                    job.done(result)
        self.ticks += 1
        self._after()

    _forced = False
    _stopped = False

    @property
    def _wanted(self) -> bool:
        return self._leased and (self._forced or not self.paused)

    def _signal(self, *, forced: bool = False) -> None:
        self._forced = self._forced or forced
        if self._loop is not None and self._wake is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._wake.set)

    async def _run(self) -> None:
        if self._wake is None or self._loop is None:
            return
        while not self._stopped:
            if self._wanted and self._monotonic() >= self._due:
                self._forced = False
                self._begun = self._monotonic()
                late = max(self._monotonic() - self._due, 0.0)
                self._due += self.interval
                if self._due <= self._monotonic():
                    self._due = self._monotonic() + self.interval
                self._begin(late)
            self._wake.clear()
            delay = self._due - self._monotonic() if self._wanted else None
            # Not `wait_for`: before Python 3.12 it may swallow the cancellation that ends us.
            timer = None if delay is None else self._loop.call_later(delay, self._wake.set)
            try:
                await self._wake.wait()
            finally:
                if timer is not None:
                    timer.cancel()

    def _begin(self, late: float) -> None:
        """Start every job that does not run or wait for this turn already."""
        jobs = [job for job in self._jobs if job.turn != self.turn or job.task is None]
        if jobs:
            task = asyncio.ensure_future(self._refresh(jobs, self.turn, late))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _refresh(self, jobs: list[Job], turn: int, late: float) -> None:
        began = self._monotonic()
        with self._around():
            tasks = [self._succeed(job, turn) for job in jobs]
            await asyncio.gather(*tasks)
        if turn == self.turn:
            self.ticks += 1
            self._after()
            took = self._monotonic() - began
            self._tell(reports.Refresh(took, late, tuple(job.told() for job in jobs)))

    def _succeed(self, job: Job, turn: int) -> asyncio.Task[None]:
        """Load a job for this turn, after what it does for an older one."""
        before = job.task
        job.turn = turn
        job.task = task = asyncio.ensure_future(self._load(job, turn, before))

        def ended(_: object) -> None:
            if job.task is task:
                job.task = None

        task.add_done_callback(ended)
        return task

    async def _load(self, job: Job, turn: int, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        if turn != self.turn:
            return
        job.error = None
        # What is told of a load that never answers.
        job.seconds, job.query, job.rows = self.patience, 0.0, 0
        try:
            result = await self._answer(job, turn)
        except Exception as error:  # noqa: BLE001 - shown in the job's own panel
            job.error = error
            if turn == self.turn:
                _report(job, error)
                job.failed(error)
        else:
            if turn == self.turn and result is not _OUTDATED:
                job.done(result)

    async def _answer(self, job: Job, turn: int) -> Any:
        """What the job loads. A load that hangs gives up its place, and is never run twice."""
        if job.flight is not None and not job.flight.done():
            await asyncio.wait({asyncio.wrap_future(job.flight)}, timeout=self.patience)
            if not job.flight.done():
                raise TimeoutError(f"{job.name} has not answered for {self.patience:g} s")
        async with self._places:
            job.flight = _in_thread(job.name, lambda: self._unless_outdated(job, turn))
            await asyncio.wait({asyncio.wrap_future(job.flight)}, timeout=self.patience)
        if not job.flight.done():
            raise TimeoutError(f"{job.name} has not answered for {self.patience:g} s")
        return job.flight.result()

    def _unless_outdated(self, job: Job, turn: int) -> Any:
        if turn != self.turn:
            return _OUTDATED
        began = time.perf_counter()
        try:
            return job.load()
        finally:
            job.seconds = time.perf_counter() - began


_OUTDATED: Final = object()


def _in_thread(name: str, call: Callable[[], Any]) -> Future[Any]:
    """Run a call in a thread of its own, which ends with the process whatever the call does."""
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()

    def run() -> None:
        try:
            result = call()
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            future.set_exception(error)
        else:
            future.set_result(result)

    threading.Thread(target=run, name=f"alphapulse-{name}", daemon=True).start()
    return future


def _report(job: Job, error: Exception) -> None:
    log.warning("%s could not be refreshed: %s: %s", job.name, type(error).__name__, error)
