"""Exchange: notifications as a file that can be read back.

The file is one JSON object in UTF-8 with one notification on each line:

    {"notifications":[
    {"alert":null,"at":"2026-01-31T12:00:00Z",…},
    {"alert":null,"at":"2026-01-31T12:05:00Z",…}
    ],"version":1}

There is one way to write a given list: fields and labels by name, no spaces, nothing escaped that
JSON lets stand, a newline at the end. So what was read and is written again is the same, byte for
byte. A file may have been written otherwise by somebody else: spaces, order and escapes are free.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from alphapulse_nb.errors import InputError
from alphapulse_nb.notify.bulk import excess
from alphapulse_nb.notify.fields import known_fields, shown, wrong
from alphapulse_nb.notify.notification import MOST_LABELS, Notification, of_plain

VERSION: Final = 1
MOST: Final = 10_000
"""Notifications in a file."""
LARGEST: Final = 20_000_000
"""Bytes of a file."""

_FIELDS: Final = ("notifications", "version")
_MOST_DIGITS: Final = 400
_MOST_VALUES: Final = MOST * (30 + MOST_LABELS)
_MOST_LEVELS: Final = 10


def dumps(notifications: Sequence[Notification]) -> bytes:
    """The file that holds these, in their order.

    Raises `InputError` for more than 10,000, or more than 20 MB.
    """
    _check_count(len(notifications))
    items = ",\n".join(_written(one.plain()) for one in notifications)
    data = f'{{"notifications":[\n{items}\n],"version":{VERSION}}}\n'.encode()
    _check_size(len(data))
    return data


def loads(data: bytes) -> list[Notification]:
    """The notifications of a file, in its order.

    Raises `InputError` for whatever is no such file, with the line, or the number of the item
    (from 1) and its field; and for more than 10,000 notifications or 20 MB.
    """
    _check_size(len(data))
    document = _parsed(data)
    _check_once(document)
    document = known_fields(document, _FIELDS, "the file")
    missing = next((name for name in _FIELDS if name not in document), None)
    if missing is not None:
        raise InputError(f"the file has no field {missing!r}")
    if type(document["version"]) is not int or document["version"] != VERSION:
        raise wrong("version", document["version"], str(VERSION))
    items = document["notifications"]
    if not isinstance(items, list):
        raise wrong("notifications", items, "a list")
    _check_count(len(items))
    return [_item(place, item) for place, item in enumerate(items, 1)]


class _Doubled(dict[str, Any]):
    """An object that had a field twice, with nothing but that field."""


def _item(place: int, plain: object) -> Notification:
    try:
        _check_once(plain)
        return of_plain(plain)
    except InputError as error:
        raise InputError(f"item {place}: {error}") from None


def _written(plain: dict[str, Any]) -> str:
    return json.dumps(
        plain, sort_keys=True, ensure_ascii=False, allow_nan=False, separators=(",", ":")
    )


def _parsed(data: bytes) -> object:
    much = excess(data, _MOST_VALUES, _MOST_LEVELS)
    if much:
        raise InputError(f"the file is no list of notifications: {much}")
    try:
        return json.loads(
            data.decode("utf-8"),
            object_pairs_hook=_fields,
            parse_constant=_no_constant,
            parse_int=_whole,
        )
    except UnicodeDecodeError as error:
        raise InputError(f"the file is not UTF-8: byte {error.start + 1:,} is wrong") from None
    except json.JSONDecodeError as error:
        place = f"line {error.lineno:,}, column {error.colno:,}"
        raise InputError(f"the file is not JSON: {place}: {error.msg}") from None


def _fields(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) == len(pairs):
        return found
    [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
    return _Doubled({name: found[name]})


def _check_once(plain: object) -> None:
    parts = [plain, plain.get("labels")] if isinstance(plain, dict) else []
    for part in parts:
        if isinstance(part, _Doubled):
            raise InputError(f"{shown(next(iter(part)))} is given twice")


def _no_constant(name: str) -> object:
    raise InputError(f"the file is not JSON: {name} is no number")


def _whole(text: str) -> int:
    # Python refuses those of more than 4,300 digits with an error of its own.
    if len(text) > _MOST_DIGITS:
        raise InputError(f"the file has a number of {len(text):,} digits")
    return int(text)


def _check_count(count: int) -> None:
    if count > MOST:
        raise InputError(f"{count:,} notifications are more than the {MOST:,} that a file may hold")


def _check_size(size: int) -> None:
    if size > LARGEST:
        raise InputError(f"{size:,} bytes are more than the {LARGEST:,} that a file may have")
