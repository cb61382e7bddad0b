"""What a client of the stream says and is told; pure.

Everything is a JSON object with `type` and `data`. A client may add an `id` of its own, which the
answer repeats:

    {"type": "subscribe", "data": {"types": ["signal"], "symbols": ["BTC/USDT"], "after": 4711,
     "log": "…"}, "id": 1}

`subscribe` adds types and symbols to what is sent; without `types` or without `symbols` all of
them. `after` and `log`, as `welcome` and the last event gave them, bring first what came since.
`unsubscribe` takes types and symbols away, or without any of them ends it. `watch` and `unwatch`
are for the feeds of charts; `ping` is answered with `pong`. What cannot be taken is answered with
`error`, whose data is the body of every other error of the server.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from alphapulse_nb.errors import InputError
from alphapulse_nb.events import Event, Kinds, Wanted, stamp
from alphapulse_nb.server.answers import Fault, shortened, unknown

LARGEST: Final = 16 << 10
"""Bytes of a client's message."""
MOST_NAMES: Final = 200
"""Types or symbols in one message, and of one client."""
_LONGEST_NAME: Final = 40
_LONGEST_SYMBOL: Final = 100
_LONGEST_ID: Final = 64
_DEEPEST_SEQ: Final = 2**53

Ref = str | int | None


@dataclass(frozen=True)
class Subscribe:
    """Send events of these types and symbols (None for all), first those after `after`."""

    types: frozenset[str] | None
    symbols: frozenset[str] | None
    after: int | None = None
    log: str | None = None


@dataclass(frozen=True)
class Unsubscribe:
    """Send no more events of these types and symbols; with neither, none at all."""

    types: frozenset[str] = frozenset()
    symbols: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Watch:
    """Send a feed: its snapshot, then its patches. `every` is in seconds, 0 for the usual."""

    feed: str
    symbol: str
    span: str
    every: float = 0.0


@dataclass(frozen=True)
class Unwatch:
    """Send a feed no more."""

    feed: str
    symbol: str
    span: str


@dataclass(frozen=True)
class Ping:
    """Answer with the same data."""

    data: Mapping[str, Any]


Command = Subscribe | Unsubscribe | Watch | Unwatch | Ping


@dataclass(frozen=True)
class Said:
    """What a client said, and by which name it wants to be answered."""

    command: Command
    ref: Ref = None


def read(message: str | bytes, kinds: Kinds) -> Said:
    """What a message says. Raises `Refusal`."""
    if isinstance(message, bytes):
        raise Refusal(Fault("bad_request", "Messages are text that holds a JSON object."))
    if len(message) > LARGEST or len(message.encode("utf-8", "surrogatepass")) > LARGEST:
        raise Refusal(Fault("too_large", f"A message has at most {LARGEST} bytes."))
    try:
        said = json.loads(message, parse_constant=_no_number)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise Refusal(Fault("bad_request", "The message is no JSON object."))
    ref = said.get("id")
    if not (ref is None or type(ref) is int or (isinstance(ref, str) and len(ref) <= _LONGEST_ID)):
        raise Refusal(_wrong("id", ref, {"type": ["string", "integer"], "maxLength": _LONGEST_ID}))
    try:
        return Said(_command(said, kinds), ref)
    except Fault as fault:
        raise Refusal(fault, ref) from None


class Refusal(Exception):  # noqa: N818 - it is an answer
    """A message that cannot be taken: what its sender is told."""

    def __init__(self, fault: Fault, ref: Ref = None) -> None:
        super().__init__(str(fault))
        self.fault = fault
        self.ref = ref


def told(kind: str, data: Mapping[str, Any], ref: Ref = None, seq: int | None = None) -> str:
    """What a client is told that is no event."""
    said: dict[str, Any] = {
        "type": kind,
        "data": data,
        "timestamp": stamp(datetime.now(UTC)),
        "seq": seq,
    }
    if ref is not None:
        said["id"] = ref
    return json.dumps(said, separators=(",", ":"), allow_nan=False)


def error(fault: Fault, ref: Ref = None) -> str:
    """What a client is told of what went wrong."""
    return told("error", fault.body()["error"], ref)


class Interest:
    """Which events one client wants. Nothing at first."""

    def __init__(self) -> None:
        self._wanted: Wanted | None = None

    def __contains__(self, event: Event) -> bool:
        return self._wanted is not None and event in self._wanted

    def __bool__(self) -> bool:
        return self._wanted is not None

    @property
    def data(self) -> dict[str, Any]:
        """What is sent, as the client is told: null stands for all, empty for none."""
        if self._wanted is None:
            return {"types": [], "symbols": []}
        return {"types": _listed(self._wanted.types), "symbols": _listed(self._wanted.symbols)}

    def add(self, asked: Subscribe) -> None:
        """Want these, too. Raises `Fault` for more names than one client may have."""
        held = self._wanted or Wanted(frozenset(), frozenset())
        types, symbols = _joined(held.types, asked.types), _joined(held.symbols, asked.symbols)
        for names in (types, symbols):
            if names is not None and len(names) > MOST_NAMES:
                raise Fault("bad_parameter", f"At most {MOST_NAMES} types or symbols at a time.")
        self._wanted = Wanted(types, symbols)

    def remove(self, asked: Unsubscribe, kinds: Iterable[str]) -> None:
        """Want these no more. Raises `Fault` where symbols are taken from "all symbols"."""
        if self._wanted is None:
            return
        if not asked.types and not asked.symbols:
            self._wanted = None
            return
        types, symbols = self._wanted.types, self._wanted.symbols
        if asked.symbols and symbols is None:
            raise Fault(
                "bad_parameter",
                "All symbols are subscribed to; end that first, then name those that you want.",
                field="symbols",
            )
        if asked.types:
            types = (frozenset(kinds) if types is None else types) - asked.types
        if symbols is not None:
            symbols -= asked.symbols
        gone = types == frozenset() or (asked.symbols and symbols == frozenset())
        self._wanted = None if gone else Wanted(types, symbols)


def _command(said: Mapping[str, Any], kinds: Kinds) -> Command:
    kind, data = said.get("type"), said.get("data", {})
    reader = _READERS.get(kind) if isinstance(kind, str) else None
    if reader is None:
        given = kind if isinstance(kind, str) else json.dumps(kind)
        raise unknown("type", given, _READERS, what="message type")
    if not isinstance(data, dict):
        raise _wrong("data", data, {"type": "object"})
    allowed, read_data = reader
    for name in data:
        if name not in allowed and kind != "ping":
            raise Fault(
                "bad_parameter",
                f"{kind} has no field {shortened(name)!r}.",
                field=name,
                allowed={"enum": sorted(allowed)},
            )
    command: Command = read_data(data, kinds)
    return command


def _subscribe(data: Mapping[str, Any], kinds: Kinds) -> Subscribe:
    after, log = data.get("after"), data.get("log")
    if after is not None and (type(after) is not int or not 0 <= after <= _DEEPEST_SEQ):
        raise _wrong("after", after, {"type": "integer", "minimum": 0})
    if log is not None and not isinstance(log, str):
        raise _wrong("log", log, {"type": "string"})
    return Subscribe(_types(data, kinds), _symbols(data), after, log)


def _unsubscribe(data: Mapping[str, Any], kinds: Kinds) -> Unsubscribe:
    return Unsubscribe(_types(data, kinds) or frozenset(), _symbols(data) or frozenset())


def _watch(data: Mapping[str, Any], _kinds: Kinds) -> Watch:
    every = data.get("every", 0)
    if isinstance(every, bool) or not isinstance(every, int | float) or not 0 <= every <= 3_600:
        raise _wrong("every", every, {"type": "number", "minimum": 0, "maximum": 3_600})
    return Watch(*_feed(data), float(every))


def _unwatch(data: Mapping[str, Any], _kinds: Kinds) -> Unwatch:
    return Unwatch(*_feed(data))


def _feed(data: Mapping[str, Any]) -> tuple[str, str, str]:
    return (
        _text(data, "feed", 80, True),
        _text(data, "symbol", _LONGEST_SYMBOL),
        _text(data, "range", 10),
    )


def _ping(data: Mapping[str, Any], _kinds: Kinds) -> Ping:
    for value in data.values():
        if isinstance(value, dict | list) or (
            isinstance(value, float) and not math.isfinite(value)
        ):
            raise Fault("bad_parameter", "A ping holds plain values only.", field="data")
    return Ping(data)


_READERS: Final[dict[str, tuple[frozenset[str], Any]]] = {
    "subscribe": (frozenset({"types", "symbols", "after", "log"}), _subscribe),
    "unsubscribe": (frozenset({"types", "symbols"}), _unsubscribe),
    "watch": (frozenset({"feed", "symbol", "range", "every"}), _watch),
    "unwatch": (frozenset({"feed", "symbol", "range"}), _unwatch),
    "ping": (frozenset(), _ping),
}


def _types(data: Mapping[str, Any], kinds: Kinds) -> frozenset[str] | None:
    names = _names(data, "types")
    for name in names or ():
        try:
            kinds.checked(name)
        except InputError:
            raise unknown("types", name, kinds, what="type of events") from None
    return names


def _symbols(data: Mapping[str, Any]) -> frozenset[str] | None:
    return _names(data, "symbols")


def _names(data: Mapping[str, Any], field: str) -> frozenset[str] | None:
    given = data.get(field)
    if given is None:
        return None
    fits = isinstance(given, list) and 0 < len(given) <= MOST_NAMES
    if not fits or not all(isinstance(one, str) and 0 < len(one) <= _LONGEST_NAME for one in given):
        item = {"type": "string", "minLength": 1, "maxLength": _LONGEST_NAME}
        allowed = {"type": "array", "minItems": 1, "maxItems": MOST_NAMES, "items": item}
        raise _wrong(field, given, allowed)
    return frozenset(given)


def _text(data: Mapping[str, Any], field: str, longest: int, needed: bool = False) -> str:
    given = data.get(field, None if needed else "")
    if not isinstance(given, str) or len(given) > longest or (needed and not given):
        raise _wrong(field, given, {"type": "string", "maxLength": longest})
    return given


def _wrong(field: str, given: Any, allowed: Mapping[str, Any]) -> Fault:
    shown = given if isinstance(given, str) else json.dumps(given, default=str)
    return Fault(
        "bad_parameter",
        f"{field} is missing or not what it may be.",
        field=field,
        value=shown,
        allowed=allowed,
    )


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no JSON")


def _joined(held: frozenset[str] | None, more: frozenset[str] | None) -> frozenset[str] | None:
    return None if held is None or more is None else held | more


def _listed(names: frozenset[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)
