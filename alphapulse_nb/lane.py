"""One call at a time, in a thread of its own that nobody waits for when the process ends.

The pools of the standard library are waited for at exit, so that a database that keeps silent would
keep the server from stopping.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

_T = TypeVar("_T")


class Lane:
    """Runs calls in the order in which they come. The thread begins with the first."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._calls: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = (
            queue.SimpleQueue()
        )
        self._thread: threading.Thread | None = None

    async def run(self, call: Callable[[], _T]) -> _T:
        """What the call returns or raises. Cancelled, a call that has not begun is left out."""
        return await asyncio.wrap_future(self.submit(call))

    def submit(self, call: Callable[[], _T]) -> Future[_T]:
        """Have it run."""
        done: Future[_T] = Future()
        self._calls.put((done, call))
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name=self._name, daemon=True)
            self._thread.start()
        return done

    def close(self) -> None:
        """End the thread after what was submitted before."""
        self._calls.put(None)

    async def end(self, call: Callable[[], Any] = lambda: None, seconds: float = 1.0) -> None:
        """Have a last call run and end the thread; waits for that, but no longer than so long.

        Who closes what the calls use does so after it: what a call that still runs gives back to a
        pool that was closed stays open.
        """
        last = asyncio.wrap_future(self.submit(call))
        self.close()
        done, _ = await asyncio.wait([last], timeout=seconds)
        for one in done:
            one.result()

    def _work(self) -> None:
        while (given := self._calls.get()) is not None:
            done, call = given
            if not done.set_running_or_notify_cancel():
                continue
            try:
                result = call()
            except BaseException as error:  # noqa: BLE001 - raised where it is awaited
                done.set_exception(error)
            else:
                done.set_result(result)
            # Nothing of the last call is kept alive while the next is waited for.
            del given, done, call
