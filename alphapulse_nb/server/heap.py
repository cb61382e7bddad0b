"""Memory that is free inside the process goes back to the system.

Pages come and go, and what they leave behind in the C library's heap is free, but between what is
still used: left alone the process only grows, by 60 kB a page. glibc gives such memory back when it
is told to, which takes some milliseconds; other C libraries do so by themselves, or not at all.
"""

from __future__ import annotations

import asyncio
import ctypes
import functools
from collections.abc import Callable
from typing import Any, Final

EVERY: Final = 60.0
"""Seconds between two times."""


@functools.cache
def _trim() -> Callable[[int], Any] | None:
    try:
        return ctypes.CDLL("libc.so.6").malloc_trim
    except (OSError, AttributeError):
        return None


def trim() -> bool:
    """Give back what is free. False where the C library has no such call. Any thread may call."""
    call = _trim()
    return call is not None and bool(call(0))


class Trimmer:
    """Trims the heap now and then, in a thread."""

    def __init__(self) -> None:
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin on the running loop."""
        if _trim() is not None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="heap")

    def stop(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            await asyncio.to_thread(trim)
