"""How much a page may ask of its kernel: a sum that is spent by messages and grows back.

A page sends choices and acknowledgements, a few kilobytes a second at most. Without a bound its
messages would pile up in our memory before a kernel that is busy, each comm that it opens stays in
the kernel's, and each connection in ours for a while.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from alphapulse_nb.server.messages import UnwelcomeError

MOST: Final = 4 << 20
"""Bytes that may be spent at once."""
EACH_SECOND: Final = 128 << 10
"""Bytes that grow back in a second."""
_MESSAGE: Final = 1 << 10
_OPENING: Final = 32 << 10
"""What a message costs beside its size, and what a new comm or connection costs."""
_OPENED: Final = frozenset({"comm_open", "connect"})


class Budget:
    """The sum of one page."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._left = float(MOST)
        self._at = clock()

    def spend(self, kind: str, size: int = 0) -> None:
        """Pay for a message of that type and size in bytes, or to `connect`.

        Raises `UnwelcomeError`.
        """
        now = self._clock()
        self._left = min(MOST, self._left + EACH_SECOND * (now - self._at))
        self._at = now
        cost = size + (_OPENING if kind in _OPENED else _MESSAGE)
        if cost > self._left:
            raise UnwelcomeError("rate", "the page sends too much")
        self._left -= cost
