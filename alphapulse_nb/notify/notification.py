"""A notification: one thing that a person is told, in the form in which it is kept and sent.

Postgres keeps notifications and JSON carries them. Neither holds every text and number that Python
has, so a notification refuses when it is made what could not come back as it was: the character
NUL, half of a surrogate pair, a number that is not finite.
"""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from alphapulse_nb.errors import InputError
from alphapulse_nb.events import moment, stamp
from alphapulse_nb.notify.fields import known_fields, member, number, shown, text, truth, wrong

MOST_LABELS: Final = 100


class Type(enum.StrEnum):
    """What a notification is."""

    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    ERROR = "error"
    PREDICTION = "prediction"
    SIGNAL = "signal"
    BACKTEST = "backtest"
    SYSTEM = "system"


class Priority(enum.StrEnum):
    """How much it matters, least first. Compare by `rank` or `at_least`: `<` compares the names."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    URGENT = "urgent"

    @property
    def rank(self) -> int:
        """The place in the order, 0 for low to 3 for urgent."""
        return list(Priority).index(self)

    def at_least(self, other: Priority) -> bool:
        """Whether this matters as much as `other`, or more."""
        return self.rank >= other.rank


@dataclass(frozen=True)
class Notification:
    """What somebody may be told. Raises `InputError` that names the field for what it cannot hold.

    Parameters
    ----------
    key: makes it the same one: a person is told once of each.
    at: when it happened; becomes UTC.
    symbol, rule: what it is about, and the name of the rule that found it; None without one.
    labels: what tells it from others of its rule, such as {"symbol": "BTC/USDT"}; 100 at most.
    confidence: a fraction, 0.8 is 80 %; None where it carries none.
    risk_reward_ratio: expected gain for each unit at risk; None where it carries none.
    late: told long after it happened.
    alert: the key of the alert that it belongs to.
    resolved: says that the alert is over.

    `key`, `title`, `symbol`, `rule` and `alert` are never empty. A text has at most 10,000
    characters.
    """

    key: str
    type: Type
    priority: Priority
    title: str
    message: str
    at: datetime
    symbol: str | None = None
    rule: str | None = None
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict, hash=False)
    confidence: float | None = None
    risk_reward_ratio: float | None = None
    late: bool = False
    alert: str | None = None
    resolved: bool = False

    def __post_init__(self) -> None:
        for name, checked in _CHECKS.items():
            object.__setattr__(self, name, checked(name, getattr(self, name)))

    def plain(self) -> dict[str, Any]:
        """All fields as JSON has them, always in the same order; labels by name."""
        return {name: getattr(self, name) for name in _CHECKS} | {
            "type": self.type.value,
            "priority": self.priority.value,
            "at": stamp(self.at),
            "labels": dict(self.labels),
        }


def of_plain(plain: object) -> Notification:
    """The notification that `Notification.plain` wrote.

    Raises `InputError` that names the field for anything else: one that is missing, unknown or of
    another kind.
    """
    given = known_fields(plain, _CHECKS, "a notification")
    missing = next((name for name in _CHECKS if name not in given), None)
    if missing is not None:
        raise InputError(f"{missing} is missing")
    return Notification(**{**given, "at": _read_moment("at", given["at"])})


def _filled(name: str, given: object) -> str:
    if given == "":
        raise InputError(f"{name} is empty")
    return text(name, given)


def _labels(name: str, given: object) -> dict[str, str]:
    if not isinstance(given, Mapping):
        raise wrong(name, given, "an object of texts")
    if len(given) > MOST_LABELS:
        raise InputError(f"{name} has {len(given):,} entries; it may have {MOST_LABELS}")
    read = {text(name, key): text(f"{name}[{shown(key)}]", given[key]) for key in given}
    return dict(sorted(read.items()))


def _utc(name: str, given: object) -> datetime:
    if not isinstance(given, datetime) or given.tzinfo is None:
        raise wrong(name, given, "a moment with its time zone")
    try:
        return given.astimezone(UTC)
    except OverflowError:
        raise InputError(f"{name} is beyond the calendar in UTC") from None


def _read_moment(name: str, given: object) -> datetime:
    if not isinstance(given, str):
        raise wrong(name, given, "a moment such as 2026-01-31T12:00:00Z")
    try:
        return moment(given)
    except (InputError, OverflowError):
        raise wrong(name, given, "a moment such as 2026-01-31T12:00:00Z") from None


def _or_none(check: Callable[[str, Any], Any]) -> Callable[[str, Any], Any]:
    return lambda name, given: None if given is None else check(name, given)


# In the order of the fields.
_CHECKS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    "key": _filled,
    "type": partial(member, Type),
    "priority": partial(member, Priority),
    "title": _filled,
    "message": text,
    "at": _utc,
    "symbol": _or_none(_filled),
    "rule": _or_none(_filled),
    "labels": _labels,
    "confidence": _or_none(number),
    "risk_reward_ratio": _or_none(number),
    "late": truth,
    "alert": _or_none(_filled),
    "resolved": truth,
}
