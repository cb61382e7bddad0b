"""What a slip of the pen most likely meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

_LOOKED_AT = 100
"""Characters of what was given that are compared: the comparison is slow for long texts."""


def nearest(given: str, known: Iterable[str], cutoff: float = 0.5) -> str | None:
    """The known name that is nearest; None when none is near. Case does not count."""
    names = {name.casefold(): name for name in known}
    found = difflib.get_close_matches(given[:_LOOKED_AT].casefold(), names, 1, cutoff)
    return names[found[0]] if found else None


def hint(given: str, known: Iterable[str]) -> str:
    """The same as the end of a message; empty when none is near."""
    found = nearest(given, known)
    return f"; did you mean {found}?" if found else ""
