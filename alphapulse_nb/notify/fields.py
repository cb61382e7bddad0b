"""Fields of JSON: one that is not as it must be is refused with an error that names it.

Each check takes the name of a field and what was given, and returns it as Python has it.
"""

from __future__ import annotations

import enum
import re
import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final, TypeVar

from alphapulse_nb.errors import InputError
from alphapulse_nb.spelling import hint

LONGEST: Final = 10_000
"""Characters of a text."""

_UNKEEPABLE: Final = re.compile("[\0\ud800-\udfff]")
_E = TypeVar("_E", bound=enum.StrEnum)


def text(name: str, given: object) -> str:
    """A field that is text. Raises `InputError` for another, also for one that cannot be kept."""
    if not isinstance(given, str):
        raise wrong(name, given, "text")
    if len(given) > LONGEST:
        raise InputError(f"{name} has {len(given):,} characters; it may have {LONGEST:,}")
    found = _UNKEEPABLE.search(given)
    if found is not None:
        raise InputError(
            f"{name} has U+{ord(found[0]):04X} at character {found.start() + 1}; it cannot be kept"
        )
    return given


def known_fields(plain: object, known: Iterable[str], what: str) -> Mapping[str, Any]:
    """`plain` as a mapping of known fields. Raises `InputError` that suggests the nearest."""
    if not isinstance(plain, Mapping):
        raise InputError(f"{what} is an object with fields, not {shown(plain)}")
    names = list(known)
    for name in plain:
        if name not in names:
            near = (
                hint(name if isinstance(name, str) else "", names) or f"; known: {', '.join(names)}"
            )
            raise InputError(f"{what} has no field {shown(name)}{near}")
    return plain


def member(kinds: type[_E], name: str, given: object) -> _E:
    """The member of an enumeration by its value. Raises `InputError` that suggests the nearest."""
    if isinstance(given, str):
        for kind in kinds:
            if kind == given:
                return kind
    known = ", ".join(kinds)
    near = hint(given, kinds) if isinstance(given, str) else ""
    raise InputError(f"{name} is {shown(given)}{near} (allowed are {known})")


def truth(name: str, given: object) -> bool:
    """A field that is true or false. Raises `InputError` for another."""
    if not isinstance(given, bool):
        raise wrong(name, given, "true or false")
    return given


def number(
    name: str, given: object, least: float = -sys.float_info.max, most: float = sys.float_info.max
) -> float:
    """A field that is a finite number within bounds. Raises `InputError` for another."""
    # Compared as it is: a whole number may be too large to become a float.
    if isinstance(given, int | float) and not isinstance(given, bool) and least <= given <= most:
        return float(given)
    bounded = f" from {least:g} to {most:g}" if most < sys.float_info.max else ""
    raise wrong(name, given, f"a finite number{bounded}")


def wrong(name: str, given: object, expected: str) -> InputError:
    """The error of a field that is not what is expected of it."""
    return InputError(f"{name} is {shown(given)}; it must be {expected}")


def shown(given: object) -> str:
    """A value as a message shows it: texts cut at 60 characters, of a container only its kind."""
    if isinstance(given, str):
        return repr(str(given[:60])) + "…" * (len(given) > 60)
    if isinstance(given, int) and given.bit_length() > 64:
        return "a huge number"
    if given is None or isinstance(given, int | float):
        return repr(given)
    return f"a value of the type {type(given).__name__}"
