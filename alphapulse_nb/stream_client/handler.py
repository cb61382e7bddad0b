"""Somebody's function that is called with events, apart from all others.

Each has a row of its own in which events wait, and a task of its own; a plain function runs in a
thread of its own. So one that is slow, or raises, keeps nobody else waiting. Where too many wait,
the oldest is dropped, which the status counts.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from alphapulse_nb.events import Event
from alphapulse_nb.stream_client.status import Gap, HandlerStatus

MOST_WAITING: Final = 10_000
"""As many as one statement of a trading system may bring at once."""

_Call = Callable[[Event | Gap], Awaitable[BaseException | None]]

_log = logging.getLogger(__name__)


class Handler:
    """See the top of this file. `wanted` says which items it is called with."""

    def __init__(self, call: Callable[[Any], Any], wanted: Callable[[Event | Gap], bool]) -> None:
        self.call = call
        self.name = str(getattr(call, "__qualname__", None) or type(call).__name__)
        self._wanted = wanted
        self._waiting: deque[Event | Gap] = deque()
        self._filled = asyncio.Event()
        self._handled = self._failed = self._dropped = 0
        self._task: asyncio.Task[None] | None = None
        self._thread: ThreadPoolExecutor | None = None

    @property
    def status(self) -> HandlerStatus:
        waiting = len(self._waiting)
        return HandlerStatus(self.name, self._handled, self._failed, self._dropped, waiting)

    def offer(self, item: Event | Gap) -> None:
        """Have it called with this, soon, if it wants it."""
        if not self._wanted(item):
            return
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            self._dropped += 1
            if self._dropped == 1:
                _log.warning("handler %s is too slow: its oldest events are dropped", self.name)
        self._waiting.append(item)
        self._filled.set()

    def start(self) -> None:
        """Begin to call it, on the running loop."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"handler {self.name}")

    async def stop(self) -> None:
        """Call it no more. A plain function that is running comes to its end by itself."""
        task, self._task = self._task, None
        if task is not None and task is not asyncio.current_task():
            task.cancel()
            await asyncio.wait({task})
        if self._thread is not None:
            self._thread.shutdown(wait=False, cancel_futures=True)
            self._thread = None

    async def _run(self) -> None:
        call = self._called()
        while self._task is not None:  # None once it was stopped, also by itself
            while not self._waiting:
                self._filled.clear()
                await self._filled.wait()
            error = await call(self._waiting.popleft())
            if error is None:
                self._handled += 1
            else:
                self._failed += 1
                _log.error("handler %s failed", self.name, exc_info=error)

    def _called(self) -> _Call:
        call: Any = self.call
        if inspect.iscoroutinefunction(call) or inspect.iscoroutinefunction(type(call).__call__):
            return self._awaited
        self._thread = ThreadPoolExecutor(1, f"handler {self.name}")
        return self._threaded

    async def _awaited(self, item: Event | Gap) -> BaseException | None:
        try:
            await self.call(item)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            return error
        except Exception as error:  # noqa: BLE001 - somebody else's; the log and the status tell
            return error
        return None

    async def _threaded(self, item: Event | Gap) -> BaseException | None:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._guarded, item)

    def _guarded(self, item: Event | Gap) -> BaseException | None:
        # Returned, not raised: a future cannot hold every exception.
        try:
            self.call(item)
        except Exception as error:  # noqa: BLE001 - as above
            return error
        return None
