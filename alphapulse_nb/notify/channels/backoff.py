"""When a message that could not be delivered is tried again.

After 5 s, then after twice as long each time, up to 15 minutes. Sixteen attempts reach from the
first to two hours (2 h 6 min) after it: long enough for a chat server's update, short enough that
a trader is not told of the night's prices in the morning.
"""

from __future__ import annotations

from typing import Final

from alphapulse_nb.errors import InputError

MOST_ATTEMPTS: Final = 16
FIRST: Final = 5.0
LONGEST: Final = 900.0
_SPREAD: Final = 0.2


def delay(attempt: int, spread: float, after: float | None = None) -> float:
    """Seconds from a failed attempt to the next one.

    Parameters
    ----------
    attempt: the number of the one that failed, from 1.
    spread: from −1 to 1, by chance: up to a fifth less or more, so that channels that failed
        together do not come back together.
    after: what the other side asked for (`ChannelError.after`); wins where it is longer.

    Raises `InputError` for an attempt or a spread that is none.
    """
    if attempt < 1 or not -1 <= spread <= 1:
        raise InputError(
            f"attempt {attempt} with a spread of {spread}: attempts count from 1, and a spread is "
            "from -1 to 1"
        )
    # The exponent is held down, as a large one makes a number that no float holds.
    steady = min(FIRST * 2.0 ** min(attempt - 1, 30), LONGEST)
    return max(steady * (1 + _SPREAD * spread), after or 0.0)
