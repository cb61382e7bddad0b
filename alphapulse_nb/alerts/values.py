"""Values of fields: whatever a row, a frame or an event holds, as a number, a text or a flag.

A number is a float, however it was stored: the arithmetic of conditions is that of doubles. A flag
is no number.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, Final

from alphapulse_nb.alerts.fields import Kind

KINDS: Final[dict[type, Kind]] = {float: Kind.NUMBER, str: Kind.TEXT, bool: Kind.FLAG}
"""The kinds of plain values, by their exact type."""

_SHOWN: Final = 40
_NOT_FINITE: Final = {"nan": "NaN", "inf": "infinity", "-inf": "-infinity"}


def plain(value: Any) -> Any:
    """A value as exactly a float, a str, a bool or None; any other type is returned as it is.

    Scalars of numpy and Decimals are unwrapped; a whole number beyond doubles is infinite. NaN
    stays NaN.
    """
    kind = type(value)
    if kind is float or kind is str or kind is bool or value is None:
        return value
    if isinstance(value, int):
        return _double(value)
    if isinstance(value, Decimal):
        return math.nan if value.is_nan() else float(value)
    if getattr(value, "ndim", None) == 0:
        found = value.item()
        return found if type(found) is kind else plain(found)
    return str.__str__(value) if isinstance(value, str) else value


def shown(value: Any) -> str:
    """A plain value for a message."""
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _NOT_FINITE.get(f"{value:g}") or f"{value:.12g}"
    return quoted(value) if isinstance(value, str) else f"a {type(value).__name__}"


def quoted(text: str) -> str:
    """A text in quotes, its end cut off where it is long."""
    return repr(text if len(text) <= _SHOWN else text[: _SHOWN - 1] + "…")


def _double(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf
