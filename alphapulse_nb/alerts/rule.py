"""A rule of alerts: a record, and the plain form in which it is kept and written into files.

A rule without an aggregate looks at each new row of its source by itself: `where` says which of
them matter. One with an aggregate takes a value from the rows of a window, for each set of labels
(`by`), and compares it with a threshold:

    count, sum, mean, min, max, last   of `field` (count: of rows) over `window`
    change                             the mean over `window` against that over the window before
                                       it, as a fraction: 0.1 is 10 % more
    silence                            seconds since the newest row, looking back over `window`

Inside, fractions are fractions: a threshold of 0.15 is written `15 %` wherever people see it.
"""

from __future__ import annotations

import dataclasses
import enum
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from typing import Any, Final

from alphapulse_nb.alerts import duration
from alphapulse_nb.alerts.fields import holds_per_cent
from alphapulse_nb.alerts.states import Operator
from alphapulse_nb.errors import InputError, RuleError
from alphapulse_nb.notify.notification import Priority, Type
from alphapulse_nb.spelling import hint

LONGEST_NAME: Final = 80
LONGEST_TEXT: Final = 2_000
MOST_NAMES: Final = 20
"""Labels, channels or fields in one rule."""
_ZERO: Final = timedelta(0)
_SHARE: Final = re.compile(r"\s*(-?\d{1,15}(?:\.\d{1,15})?)\s*%\s*", re.ASCII)
_SEEN: Final = re.compile(r"[^\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]*")


class Aggregate(enum.StrEnum):
    """What is taken from the rows of a window; see the top of this file."""

    COUNT = "count"
    SUM = "sum"
    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    LAST = "last"
    CHANGE = "change"
    SILENCE = "silence"

    @property
    def needs_field(self) -> bool:
        """Whether it is taken of a field rather than of rows."""
        return self not in {Aggregate.COUNT, Aggregate.SILENCE}


@dataclass(frozen=True)
class Rule:
    """One rule.

    `source` is a table of the desk or a type of events. `by` names the fields whose values tell
    its alerts apart; None is the symbol, where the source has one. `recovery` is the threshold that
    an alert must leave behind to end; None is `threshold`. `unit` is only shown; empty is that of
    the field. `labels` are passed on with each notification.
    """

    name: str
    source: str
    about: str = ""
    where: str = ""
    aggregate: Aggregate | None = None
    field: str = ""
    window: timedelta = _ZERO
    operator: Operator = Operator.GREATER
    threshold: float = 0.0
    recovery: float | None = None
    unit: str = ""
    by: tuple[str, ...] | None = None
    pending_for: timedelta = _ZERO
    keep_firing_for: timedelta = _ZERO
    cooldown: timedelta = _ZERO
    type: Type = Type.WARNING
    priority: Priority = Priority.MEDIUM
    title: str = ""
    message: str = ""
    labels: Mapping[str, str] = dataclasses.field(default_factory=dict)
    channels: tuple[str, ...] = ()
    enabled: bool = True

    def plain(self) -> dict[str, Any]:
        """What JSON and YAML hold of it, always in the same order, without what is as usual."""
        usual = Rule("", "")
        found: dict[str, Any] = {}
        for name, part in _PARTS.items():
            value = getattr(self, part.name or name)
            shown = name in _ALWAYS or (name in _COMPARED and self.aggregate is not None)
            if shown or value != getattr(usual, part.name or name):
                found[name] = part.write(value, self)
        return found


def read(plain: object) -> Rule:
    """The rule that `Rule.plain` wrote. Raises `RuleError` that names each wrong place."""
    if not isinstance(plain, Mapping):
        raise RuleError([("rule", "it is no mapping of names to values")])
    problems: list[tuple[str, str]] = []
    values: dict[str, Any] = {}
    for name, given in plain.items():
        part = _PARTS.get(name) if isinstance(name, str) else None
        if part is None:
            shown = str(name)[:40]
            problems.append((shown, f"there is no such part{hint(shown, _PARTS)}"))
            continue
        try:
            values[part.name or name] = part.read(given)
        except InputError as error:
            problems.append((name, str(error)))
    problems += [(name, "it is missing") for name in _ALWAYS if name not in plain]
    problems += _misplaced(plain, values.get("aggregate") is Aggregate.SILENCE)
    if problems:
        raise RuleError(problems, _name(plain))
    return Rule(**values)


def _misplaced(plain: Mapping[Any, Any], silence: bool) -> list[tuple[str, str]]:
    """Lengths of time where there is no time, and shares where there are."""
    problems = []
    for name in ("threshold", "recovery"):
        given = plain.get(name)
        if isinstance(given, str) and ("%" in given) is silence:
            wanted = "a length of time" if silence else "a number, or a text such as 15 %"
            problems.append((name, f"{given[:40]!r} is not {wanted}"))
        elif isinstance(given, str) and "%" in given and _is_in_per_cent(plain):
            words = (
                f"{plain['field']} holds per cent itself: write {given.replace('%', '').strip()!r}"
            )
            problems.append((name, words[:200]))
    return problems


def _is_in_per_cent(plain: Mapping[Any, Any]) -> bool:
    """Whether the value is in per cent, so that a share of it would be a hundredth."""
    field = plain.get("field")
    shares = plain.get("aggregate") in {Aggregate.CHANGE, Aggregate.COUNT}
    return isinstance(field, str) and holds_per_cent(field) and not shares


def _name(plain: Mapping[Any, Any]) -> str:
    name = plain.get("name")
    return name[:LONGEST_NAME] if isinstance(name, str) else ""


@dataclass(frozen=True)
class _Part:
    """How one part of a rule is read and written. `name` is its attribute, where that differs."""

    read: Callable[[object], Any]
    write: Callable[[Any, Rule], Any]
    name: str = ""


def _text(longest: int, *, least: int = 0, lines: bool = False) -> _Part:
    def read(given: object) -> str:
        if not isinstance(given, str):
            raise InputError(f"{str(given)[:40]!r} is no text")
        if not least <= len(given) <= longest:
            raise InputError(f"it has {len(given):,} characters, not {least} to {longest:,}")
        if not _SEEN.fullmatch(given.replace("\n", "") if lines else given):
            raise InputError("it holds an invisible character")
        return given.strip()

    return _Part(read, lambda value, _: value)


def _choice(of: type[enum.StrEnum]) -> _Part:
    def read(given: object) -> enum.StrEnum:
        try:
            return of(str(given))
        except ValueError:
            known = ", ".join(of)
            shown = str(given)[:40]
            raise InputError(f"{shown!r} is none of {known}{hint(shown, list(of))}") from None

    return _Part(read, lambda value, _: None if value is None else value.value)


def _length(name: str = "") -> _Part:
    return _Part(duration.read, lambda value, _: duration.written(value), name)


def _number() -> _Part:
    return _Part(_read_number, _write_number)


def _read_number(given: object) -> float:
    if isinstance(given, str):
        return _of_text(given)
    try:
        if isinstance(given, int | float) and not isinstance(given, bool) and math.isfinite(given):
            return float(given)
    except OverflowError:
        raise InputError("it is a huge number") from None
    raise InputError(f"{str(given)[:40]!r} is neither a number, nor a text such as 15 % or 15m")


def _of_text(given: str) -> float:
    share = _SHARE.fullmatch(given)
    if share is not None:
        return float(Decimal(share[1]) / 100)
    try:
        return duration.read(given).total_seconds()
    except InputError:
        raise InputError(
            f"{given[:40]!r} is neither a number, nor a text such as 15 % or 15m"
        ) from None


def _write_number(value: float | None, rule: Rule) -> Any:
    if value is None:
        return None
    if rule.aggregate is Aggregate.SILENCE and value >= 0 and value == int(value):
        return duration.written(timedelta(seconds=value))
    if rule.unit == "%" or rule.aggregate is Aggregate.CHANGE:
        return per_cent(value)
    return int(value) if value == int(value) and abs(value) < 1e15 else value


def per_cent(value: float) -> str:
    """A fraction as per cent, with all its digits: 0.15 is `15 %`."""
    share = (Decimal(repr(value)) * 100).normalize()
    return f"{share:f} %"


def _names(longest: int) -> _Part:
    def read(given: object) -> tuple[str, ...]:
        if not isinstance(given, list | tuple) or len(given) > MOST_NAMES:
            raise InputError(f"it is no list of at most {MOST_NAMES} names")
        names = tuple(one.read(name) for name in given)
        if len(set(names)) < len(names):
            raise InputError("a name is there twice")
        return names

    one = _text(longest, least=1)
    return _Part(read, lambda value, _: list(value))


def _labels() -> _Part:
    def read(given: object) -> dict[str, str]:
        if not isinstance(given, Mapping) or len(given) > MOST_NAMES:
            raise InputError(f"it is no mapping of at most {MOST_NAMES} names to texts")
        found = {name.read(key): value.read(text) for key, text in given.items()}
        if bad := [key for key in found if not re.fullmatch(r"[a-z][a-z0-9_]*", key)]:
            raise InputError(f"{bad[0]!r} is no name: use lower-case letters, digits and _")
        return found

    name, value = _text(40, least=1), _text(200)
    return _Part(read, lambda value, _: dict(sorted(value.items())))


def _flag(given: object) -> bool:
    if not isinstance(given, bool):
        raise InputError(f"{str(given)[:40]!r} is neither true nor false")
    return given


_ALWAYS: Final = ("name", "source")
_COMPARED: Final = ("operator", "threshold")
_PARTS: Final[Mapping[str, _Part]] = {
    "name": _text(LONGEST_NAME, least=1),
    "about": _text(LONGEST_TEXT, lines=True),
    "enabled": _Part(_flag, lambda value, _: value),
    "source": _text(LONGEST_NAME, least=1),
    # Its own limits are those of the language, which says where.
    "where": _Part(_text(100_000, lines=True).read, lambda value, _: value),
    "aggregate": _choice(Aggregate),
    "field": _text(LONGEST_NAME),
    "window": _length(),
    "operator": _choice(Operator),
    "threshold": _number(),
    "recovery": _number(),
    "unit": _text(20),
    "by": _names(LONGEST_NAME),
    "for": _length("pending_for"),
    "keep_firing_for": _length(),
    "cooldown": _length(),
    "type": _choice(Type),
    "priority": _choice(Priority),
    "title": _Part(_text(100_000).read, lambda value, _: value),
    "message": _Part(_text(100_000, lines=True).read, lambda value, _: value),
    "labels": _labels(),
    "channels": _names(LONGEST_NAME),
}
"""The parts of the plain form, in its order."""
