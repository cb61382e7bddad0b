"""What waits for whoever iterates: so much and no more."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """A bounded row of things. Who brings more asks for `room` first, and waits for it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._items: deque[T] = deque()
        self._filled = asyncio.Event()
        self._taken = asyncio.Event()
        self._error: Exception | None = None
        self._closed = False
        self._unbounded = 0

    async def room(self) -> None:
        """Wait until there is room for another one."""
        while len(self._items) >= self._most and not self._closed and not self._unbounded:
            self._taken.clear()
            await self._taken.wait()

    @contextmanager
    def unbounded(self) -> Iterator[None]:
        """For as long as whoever iterates waits for an answer that comes behind the events."""
        self._unbounded += 1
        self._taken.set()
        try:
            yield
        finally:
            self._unbounded -= 1

    def put(self, item: T) -> None:
        """Add one, which may be one too many where several had waited for room."""
        self._items.append(item)
        self._filled.set()

    async def get(self) -> T:
        """The next one. After the end, its error, or `StopAsyncIteration` where there is none."""
        while not self._items:
            if self._closed:
                raise self._error or StopAsyncIteration
            self._filled.clear()
            await self._filled.wait()
        self._taken.set()
        return self._items.popleft()

    def close(self, error: Exception | None = None) -> None:
        """No more will come; what is there can still be taken."""
        if not self._closed:
            self._closed, self._error = True, error
        self._filled.set()
        self._taken.set()
