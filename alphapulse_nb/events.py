"""Events: what happened on the desk, in the form in which everybody is told of it.

An event has a *type* and data. The types that come from the trading tables are fixed; others are
registered with a JSON Schema and are then carried, filtered and kept like ours. `seq` numbers the
events of one log: whoever remembers the last one it saw goes on from there, on any server. On its
way an event is one JSON object:

    {"type": "prediction", "data": {"symbol": "BTC/USDT", …}, "timestamp": "2026-01-31T12:00:00Z",
     "seq": 4711}
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, cast

from alphapulse_nb.errors import InputError
from alphapulse_nb.spelling import nearest

if TYPE_CHECKING:
    from jsonschema import Draft202012Validator

BUILT_IN: Final[Mapping[str, str]] = {
    "prediction": "A prediction of a model, a row of `signal_predictions`.",
    "signal": "A trading signal, a row of `signals`; again when its outcome is known.",
    "backtest": "A finished backtest, a row of `backtests`.",
    "data_update": "A new row of another table; `table` says which.",
    "system_status": "A part of the dashboard's server has come up, gone down or is in between.",
    "notification": "A notification for one person or for all.",
}
"""The types that are always there, and what each means."""

NOTIFICATION: Final = "notification"
TO: Final = "to"
"""The field of a notification's data that names the persons it is for."""

RESERVED: Final = frozenset(
    {
        *("welcome", "subscribe", "subscribed", "unsubscribe", "unsubscribed", "ping", "pong"),
        *("watch", "watching", "unwatch", "unwatched", "feed", "heartbeat", "error"),
    }
)
"""What the stream itself says."""

LARGEST: Final = 64 << 10
"""Bytes of an event's data as JSON; longer ones lose their largest fields."""

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,39}(\.[a-z][a-z0-9_]{0,39})?")
_MOST_KINDS: Final = 200


@dataclass(frozen=True)
class Event:
    """One event of a log. `data` is JSON-able; `at` is when it happened, in UTC."""

    seq: int
    type: str
    data: Mapping[str, Any]
    at: datetime

    @property
    def symbol(self) -> str | None:
        """What it is about; None where it concerns the whole desk."""
        found = self.data.get("symbol")
        return found if isinstance(found, str) else None

    @property
    def recipients(self) -> frozenset[str] | None:
        """The persons that a notification is for; None where that is everybody."""
        found = self.data.get(TO) if self.type == NOTIFICATION else None
        return frozenset(found) if isinstance(found, list) else None

    @cached_property
    def encoded(self) -> bytes:
        """The same in UTF-8."""
        return self.text.encode()

    @cached_property
    def text(self) -> str:
        """The event as it is sent, written once for all who get it, without who that is."""
        told = {name: value for name, value in self.data.items() if name != TO}
        return json.dumps(
            {
                "type": self.type,
                "data": told if self.type == NOTIFICATION else self.data,
                "timestamp": stamp(self.at),
                "seq": self.seq,
            },
            separators=(",", ":"),
            allow_nan=False,
        )


@dataclass(frozen=True)
class Wanted:
    """Which events somebody wants; None for all. An event without a symbol is for everybody."""

    types: frozenset[str] | None = None
    symbols: frozenset[str] | None = None

    def __contains__(self, event: Event) -> bool:
        if self.types is not None and event.type not in self.types:
            return False
        return self.symbols is None or event.symbol is None or event.symbol in self.symbols


class Kinds:
    """The types of events that there are. Not for registering from two threads at a time.

    `version` grows with each type that is registered.
    """

    def __init__(self, known: Mapping[str, Mapping[str, Any] | None] | None = None) -> None:
        self.version = 0
        self._schemas: dict[str, Draft202012Validator | None] = dict.fromkeys(BUILT_IN)
        for name, schema in (known or {}).items():
            self.register(name, schema)

    def __contains__(self, name: object) -> bool:
        return name in self._schemas

    def __iter__(self) -> Any:
        # A copy: others may register a type meanwhile.
        return iter(list(self._schemas))

    def register(self, name: str, schema: Mapping[str, Any] | None = None) -> None:
        """Make a type known.

        Parameters
        ----------
        name: lower case, such as `fill` or `risk.limit_hit`.
        schema: a JSON Schema (draft 2020-12) that the data of each event must meet; None for any.

        Raises `InputError` for a name that is none or taken, a schema that is none, one that refers
        to other addresses, and for more than 200 types.
        """
        if not _NAME.fullmatch(name):
            raise InputError(
                f"{name[:60]!r} is no name for a type of events: use lower-case letters, digits "
                "and _, 40 at most, such as fill or risk.limit_hit"
            )
        if name in BUILT_IN or name in RESERVED:
            raise InputError(f"the type {name} is built in")
        if len(self._schemas) >= _MOST_KINDS and name not in self._schemas:
            raise InputError(f"there are {_MOST_KINDS} types of events already")
        self._schemas[name] = None if schema is None else _validator(name, schema)
        self.version += 1

    def schema(self, name: str) -> Mapping[str, Any] | None:
        """The schema of a type; None where any data will do."""
        found = self._schemas[self.checked(name)]
        return None if found is None else cast("Mapping[str, Any]", found.schema)

    def checked(self, name: str) -> str:
        """The name. Raises `InputError` that suggests the nearest for an unknown one."""
        if name in self._schemas:
            return name
        near = nearest(name, self._schemas)
        hint = f" Did you mean {near}?" if near else f" Known: {', '.join(self._schemas)}."
        raise InputError(f"there is no type of events {name[:60]!r}.{hint}")

    def check(self, name: str, data: Mapping[str, Any]) -> None:
        """Raise `InputError` that names the field where the data is not what the type demands."""
        validator = self._schemas[self.checked(name)]
        if validator is None:
            return
        from jsonschema.exceptions import best_match

        error = best_match(validator.iter_errors(data))
        if error is not None:
            place = ".".join(str(part) for part in error.absolute_path) or "data"
            raise InputError(f"{name}: {place}: {error.message[:200]}")


def plain(value: Any) -> Any:
    """A value of a row as JSON holds it: times as text in UTC, numbers that JSON lacks as null."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, datetime):
        return stamp(value)
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    number = float(value)  # float, Decimal
    return number if math.isfinite(number) else None


def fitting(data: Mapping[str, Any]) -> dict[str, Any]:
    """The data without its largest fields, if it is more than an event may carry.

    What was left out is named in `omitted`.
    """
    sizes = {name: len(json.dumps(value)) for name, value in data.items()}
    kept, omitted = dict(data), []
    for name in sorted(sizes, key=sizes.__getitem__, reverse=True):
        if sum(sizes.values()) <= LARGEST:
            break
        del kept[name]
        sizes.pop(name)
        omitted.append(name)
    return {**kept, "omitted": omitted} if omitted else kept


def stamp(at: datetime) -> str:
    """A moment as text: ISO 8601 in UTC with `Z`."""
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def moment(text: str) -> datetime:
    """The moment that `stamp` wrote. Raises `InputError` for anything else."""
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (TypeError, ValueError, OverflowError):
        raise InputError(f"{str(text)[:60]!r} is no moment in ISO 8601") from None


def parsed(text: str | bytes) -> Event:
    """The event that `Event.text` wrote. Raises `InputError` for anything else."""
    try:
        said = json.loads(text)
        seq, kind, data = said["seq"], said["type"], said["data"]
        at = moment(said["timestamp"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise InputError("this is no event") from None
    if not (isinstance(seq, int) and isinstance(kind, str) and isinstance(data, dict)):
        raise InputError("this is no event")
    return Event(seq, kind, data, at)


def _validator(name: str, schema: Mapping[str, Any]) -> Draft202012Validator:
    # Its import takes two seconds, and most have no use for it.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import SchemaError

    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as error:
        raise InputError(f"the schema of {name} is none: {error.message[:200]}") from None
    if any(not reference.startswith("#") for reference in _references(schema)):
        raise InputError(f"the schema of {name} refers to another address; write it out")
    return Draft202012Validator(schema)


def _references(part: Any) -> Iterable[str]:
    if isinstance(part, Mapping):
        for name, value in part.items():
            if name in {"$ref", "$dynamicRef"} and isinstance(value, str):
                yield value
            yield from _references(value)
    elif isinstance(part, list):
        for value in part:
            yield from _references(value)
