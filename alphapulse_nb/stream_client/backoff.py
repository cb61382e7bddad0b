"""How long to wait before the next attempt."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Backoff:
    """Twice as long after each failure, and any time between nothing and that.

    The chance spreads those who lost the same server at the same moment. `first` and `most` are in
    seconds; `chance` gives numbers from 0 to 1.
    """

    first: float = 0.5
    most: float = 30.0
    chance: Callable[[], float] = random.random

    def delay(self, failures: int) -> float:
        """Seconds to wait after so many failures in a row, at least one."""
        doubled = min(max(failures, 1) - 1, 30)
        return float(min(self.most, self.first * 2**doubled) * self.chance())
