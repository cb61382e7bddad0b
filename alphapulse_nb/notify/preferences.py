"""Preferences: what one person wants to be told, and how.

Their names are those of the systems whose settings people bring along.
"""

from __future__ import annotations

import dataclasses
import enum
import re
import zoneinfo
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import time
from functools import cache
from typing import Any, Final

from alphapulse_nb.errors import InputError
from alphapulse_nb.notify.fields import known_fields, member, number, shown, truth, wrong
from alphapulse_nb.notify.notification import Priority, Type
from alphapulse_nb.notify.quiet import Hours
from alphapulse_nb.spelling import hint

_TIME: Final = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")


RANGES: Final[Mapping[str, tuple[int, int]]] = {
    "min_confidence": (0, 1),
    "min_rr_ratio": (0, 100),
    "max_on_screen": (1, 1_000),
    "auto_dismiss_seconds": (0, 3_600),
}
"""The least and the greatest that each number may be."""


class Sound(enum.StrEnum):
    """What a page plays."""

    NONE = "none"
    SOFT = "soft"
    CHIME = "chime"
    ALARM = "alarm"


_SOUNDS: Final = dict(zip(Priority, Sound, strict=True))
_NIGHT: Final = Hours(time(22), time(8))


@dataclass(frozen=True)
class Preferences:
    """What one person wants.

    Parameters
    ----------
    enabled: whether they are told anything.
    types: whether they are told of each type; those left out are on.
    min_confidence: a fraction; predictions and signals with less are not told.
    min_rr_ratio: signals with a lower risk-reward ratio are not told.
    quiet_hours: when only what is urgent is told; the rest is kept until their end.
    max_on_screen: notifications that a page shows at a time, 1 to 1000.
    auto_dismiss_seconds: after which one of low priority leaves the screen; 0 for never.
    sounds: what each priority plays; those left out play the default.
    browser, sound: whether pages may use the browser's notifications, and play sounds.
    zone: the IANA zone of their quiet hours; empty for that of their account or browser.
    """

    enabled: bool = True
    types: Mapping[Type, bool] = dataclasses.field(default_factory=dict, hash=False)
    min_confidence: float = 0.8
    min_rr_ratio: float = 1.5
    quiet_hours: Hours = _NIGHT
    max_on_screen: int = 100
    auto_dismiss_seconds: int = 5
    sounds: Mapping[Priority, Sound] = dataclasses.field(default_factory=dict, hash=False)
    browser: bool = False
    sound: bool = False
    zone: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "types", dict.fromkeys(Type, True) | dict(self.types))
        object.__setattr__(self, "sounds", _SOUNDS | dict(self.sounds))

    def plain(self) -> dict[str, Any]:
        """All of them as JSON has them, always in the same order; `read` is the inverse."""
        return {name: getattr(self, name) for name in _READERS} | {
            "types": {kind.value: self.types[kind] for kind in Type},
            "sounds": {level.value: self.sounds[level].value for level in Priority},
            "quiet_hours": {
                "enabled": self.quiet_hours.enabled,
                "start": f"{self.quiet_hours.start:%H:%M}",
                "end": f"{self.quiet_hours.end:%H:%M}",
            },
        }


def read(plain: Mapping[str, Any]) -> Preferences:
    """The preferences that JSON gives; what it leaves out is as by default.

    Raises `InputError` that names the field, what was given and what is allowed.
    """
    given = known_fields(plain, _READERS, "preferences")
    return Preferences(**{name: _READERS[name](name, given[name]) for name in given})


def _number(name: str, given: object) -> float:
    least, most = RANGES[name]
    return number(name, given, least=least, most=most)


def _whole(name: str, given: object) -> int:
    least, most = RANGES[name]
    if not isinstance(given, int) or isinstance(given, bool) or not least <= given <= most:
        raise wrong(name, given, f"a whole number from {least} to {most}")
    return given


def _time(name: str, given: object) -> time:
    if not isinstance(given, str) or not _TIME.fullmatch(given):
        raise wrong(name, given, "a time such as 08:00, from 00:00 to 23:59")
    return time.fromisoformat(given)


def _hours(name: str, given: object) -> Hours:
    plain = known_fields(given, _HOURS, name)
    return Hours(**{part: _HOURS[part](f"{name}.{part}", plain[part]) for part in plain})


def _types(name: str, given: object) -> dict[Type, bool]:
    plain = known_fields(given, Type, name)
    return {Type(kind): truth(f"{name}.{kind}", plain[kind]) for kind in plain}


def _sounds(name: str, given: object) -> dict[Priority, Sound]:
    plain = known_fields(given, Priority, name)
    return {Priority(part): member(Sound, f"{name}.{part}", plain[part]) for part in plain}


def _zone(name: str, given: object) -> str:
    if not isinstance(given, str):
        raise wrong(name, given, "an IANA time zone such as Europe/Berlin, or empty")
    if given and given not in _zones():
        raise InputError(f"{name} {shown(given)} is no IANA time zone{hint(given, _zones())}")
    return given


@cache  # Finding them opens 600 files.
def _zones() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())


_HOURS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    "enabled": truth,
    "start": _time,
    "end": _time,
}
# In the order of the fields.
_READERS: Final[Mapping[str, Callable[[str, Any], Any]]] = {
    "enabled": truth,
    "types": _types,
    "min_confidence": _number,
    "min_rr_ratio": _number,
    "quiet_hours": _hours,
    "max_on_screen": _whole,
    "auto_dismiss_seconds": _whole,
    "sounds": _sounds,
    "browser": truth,
    "sound": truth,
    "zone": _zone,
}
