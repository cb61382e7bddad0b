"""Wrong passwords and tokens, counted per address and per name, so that nobody can try them all."""

from __future__ import annotations

import time
from typing import Final

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from alphapulse_nb.addresses import client
from alphapulse_nb.state.users import compared

LIMIT: Final = RateLimitItemPerMinute(10, 5)
"""Wrong attempts of one address, or for one name, after which it has to wait."""


class Attempts:
    """Remembers the wrong attempts of the last five minutes."""

    def __init__(self) -> None:
        self._window = MovingWindowRateLimiter(MemoryStorage())

    def wait(self, address: str, name: str) -> float:
        """Seconds until this address may try this name again; 0 for now."""
        spent = (key for key in _keys(address, name) if not self._window.test(LIMIT, key))
        ends = (self._window.get_window_stats(LIMIT, key).reset_time for key in spent)
        return max((end - time.time() for end in ends), default=0.0)

    def failed(self, address: str, name: str) -> None:
        for key in _keys(address, name):
            self._window.hit(LIMIT, key)

    def succeeded(self, name: str) -> None:
        """A right password ends the count for its name; that of the address stays."""
        for key in _keys("", name)[1:]:
            self._window.clear(LIMIT, key)


def _keys(address: str, name: str) -> list[str]:
    # As the users' table compares names, or each spelling of one would have its own attempts.
    known = compared(name).strip()[:64]
    return [f"address {client(address)}", *([f"name {known}"] if name else [])]
