"""How the server's own process fares: memory, CPU, descriptors, and the lag of its event loop."""

from __future__ import annotations

import asyncio
import time
from typing import Final

import psutil

from alphapulse_nb.server.figures import Figures

_BEAT: Final = 0.5
"""Seconds between two looks at the event loop."""


def watch(figures: Figures) -> None:
    """Let the figures ask this process about itself, whenever somebody looks."""
    process = psutil.Process()
    began = time.monotonic()
    started = process.create_time()
    figures.ask("uptime_seconds", lambda: time.monotonic() - began)
    figures.ask("process_start_time_seconds", lambda: started)
    figures.ask("process_resident_memory_bytes", lambda: float(process.memory_info().rss))
    figures.ask("process_cpu_seconds", lambda: _cpu(process))
    figures.ask("process_open_fds", lambda: _descriptors(process))
    figures.ask("process_max_fds", _descriptor_limit)


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _descriptors(process: psutil.Process) -> float | None:
    count = getattr(process, "num_fds", None)
    return None if count is None else float(count())


def _descriptor_limit() -> float | None:
    try:
        import resource
    except ModuleNotFoundError:  # Windows
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return float("inf") if soft == resource.RLIM_INFINITY else float(soft)


class Pulse:
    """Measures the lag of the running loop: how late it comes back to what is due."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures
        self._loop: asyncio.AbstractEventLoop | None = None
        self._next: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._plan()

    def stop(self) -> None:
        """End it."""
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _plan(self) -> None:
        if self._loop is None:
            return
        due = self._loop.time() + _BEAT
        self._next = self._loop.call_at(due, self._beat, due)

    def _beat(self, due: float) -> None:
        if self._loop is not None:
            self._figures.observe("loop_lag_seconds", self._loop.time() - due)
            self._plan()
