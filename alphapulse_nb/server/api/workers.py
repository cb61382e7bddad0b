"""A few threads for what must not hold up the event loop: queries, figures, their encoding.

The queue is bounded. A request that finds it full is told to come again at once, rather than after
everybody before it; one whose client has gone leaves the queue.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

from alphapulse_nb.server.answers import Fault

_T = TypeVar("_T")


class Workers:
    """`threads` calls at a time, and `waiting` more in the queue."""

    def __init__(self, threads: int = 4, waiting: int = 32, *, name: str = "api") -> None:
        self._room = threads + waiting
        self._under_way = 0
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(threads, name)

    @property
    def under_way(self) -> int:
        """Calls that run or wait."""
        return self._under_way

    async def run(self, call: Callable[[], _T]) -> _T:
        """What the call returns or raises; a `Fault` with 503 where there is no room.

        A cancelled call leaves the queue, or ends unheard if it has begun.
        """
        with self._lock:
            if self._under_way >= self._room:
                raise Fault("busy", after=1)
            self._under_way += 1
        future = self._pool.submit(call)
        future.add_done_callback(self._done)
        return await asyncio.wrap_future(future)

    def close(self) -> None:
        """Take no more calls and drop those that wait."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def _done(self, _future: Future[_T]) -> None:
        with self._lock:
            self._under_way -= 1
