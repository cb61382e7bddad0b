"""How many requests a client may still make, counted in windows of a minute."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter


@dataclass(frozen=True)
class Allowance:
    """What is left of a client's minute; `reset` is the seconds until the next one."""

    limit: int
    remaining: int
    reset: int
    granted: bool

    def headers(self) -> dict[str, str]:
        return {
            "RateLimit-Limit": str(self.limit),
            "RateLimit-Remaining": str(self.remaining),
            "RateLimit-Reset": str(self.reset),
        }


class Allowances:
    """Counts the requests of each client; forgets a client after a minute of silence."""

    def __init__(self) -> None:
        self._window = FixedWindowRateLimiter(MemoryStorage())

    def take(self, client: str, per_minute: int) -> Allowance:
        """Count a request, if there is one left."""
        item = RateLimitItemPerMinute(per_minute)
        granted = self._window.hit(item, client)
        stats = self._window.get_window_stats(item, client)
        reset = max(math.ceil(stats.reset_time - time.time()), 1)
        return Allowance(per_minute, max(stats.remaining, 0), reset, granted)
