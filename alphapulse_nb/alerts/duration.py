"""Lengths of time as people write them: `90s`, `15m`, `2h`, `1d12h`."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Final

from alphapulse_nb.errors import InputError

LONGEST: Final = timedelta(days=366)

_UNITS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_PARTS: Final = re.compile("".join(rf"(?:(\d{{1,8}}){unit})?" for unit in _UNITS), re.ASCII)
_WORDS: Final = "a length of time such as 90s, 15m, 2h or 1d12h"


def read(text: object) -> timedelta:
    """The length; zero is `0s`. Raises `InputError`."""
    found = _PARTS.fullmatch(text.replace(" ", "")) if isinstance(text, str) else None
    if found is None or not any(found.groups()):
        raise InputError(f"{str(text)[:40]!r} is not {_WORDS}")
    parts = zip(found.groups(), _UNITS.values(), strict=True)
    length = timedelta(seconds=sum(int(count or 0) * unit for count, unit in parts))
    if length > LONGEST:
        raise InputError(f"{str(text)[:40]!r} is longer than {LONGEST.days} days")
    return length


def written(length: timedelta) -> str:
    """The text that `read` reads; parts of a second are left out."""
    rest, text = int(length.total_seconds()), ""
    for name, unit in _UNITS.items():
        count, rest = divmod(rest, unit)
        text += f"{count}{name}" if count else ""
    return text or "0s"
