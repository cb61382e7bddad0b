"""Events: their form on the way, which of them somebody wants, and types with a schema."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse_nb import events
from alphapulse_nb.errors import InputError
from alphapulse_nb.events import BUILT_IN, LARGEST, Event, Kinds, Wanted

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
FILL = {
    "type": "object",
    "properties": {"symbol": {"type": "string"}, "price": {"type": "number", "minimum": 0}},
    "required": ["price"],
}


def event(kind: str = "signal", symbol: str | None = "BTC/USDT", seq: int = 7) -> Event:
    data: dict[str, Any] = {"confidence": 0.9}
    return Event(seq, kind, data if symbol is None else data | {"symbol": symbol}, AT)


def test_an_event_is_one_json_object_and_can_be_read_back() -> None:
    said = json.loads(event().text)
    assert said == {
        "type": "signal",
        "data": {"confidence": 0.9, "symbol": "BTC/USDT"},
        "timestamp": "2026-01-31T12:00:00Z",
        "seq": 7,
    }
    assert events.parsed(event().text) == event()


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)


@given(st.dictionaries(st.text(max_size=10), json_values, max_size=5), st.integers(0, 2**53))
def test_whatever_json_holds_comes_back_as_it_was(data: dict[str, Any], seq: int) -> None:
    there = Event(seq, "fill", data, AT)
    assert events.parsed(there.text) == there


@pytest.mark.parametrize(
    "text",
    [
        *("", "null", "[]", "{}", "[" * 100_000, "\x00", '{"seq": 1}'),
        '{"type": "signal", "data": [], "timestamp": "2026-01-31T12:00:00Z", "seq": 1}',
        '{"type": "signal", "data": {}, "timestamp": "yesterday", "seq": 1}',
        '{"type": "signal", "data": {}, "timestamp": 5, "seq": 1}',
        '{"type": 1, "data": {}, "timestamp": "2026-01-31T12:00:00Z", "seq": 1}',
    ],
)
def test_what_is_no_event_is_said_to_be_none(text: str) -> None:
    with pytest.raises(InputError):
        events.parsed(text)


@pytest.mark.parametrize(
    ("wanted", "kind", "symbol", "is_wanted"),
    [
        (Wanted(), "signal", "BTC/USDT", True),
        (Wanted(types=frozenset({"signal"})), "signal", "BTC/USDT", True),
        (Wanted(types=frozenset({"signal"})), "backtest", "BTC/USDT", False),
        (Wanted(types=frozenset()), "signal", None, False),
        (Wanted(symbols=frozenset({"BTC/USDT"})), "signal", "BTC/USDT", True),
        (Wanted(symbols=frozenset({"BTC/USDT"})), "signal", "ETH/USDT", False),
        (Wanted(symbols=frozenset({"BTC/USDT"})), "system_status", None, True),
        (Wanted(frozenset({"signal"}), frozenset({"ETH/USDT"})), "signal", "BTC/USDT", False),
    ],
)
def test_somebody_gets_what_they_want(
    wanted: Wanted, kind: str, symbol: str | None, is_wanted: bool
) -> None:
    assert (event(kind, symbol) in wanted) is is_wanted


def test_a_symbol_that_is_no_text_is_none() -> None:
    assert Event(1, "fill", {"symbol": ["BTC/USDT"]}, AT).symbol is None


def test_a_type_of_ones_own_is_checked_against_its_schema() -> None:
    kinds = Kinds({"fill": FILL, "risk.limit_hit": None})
    assert set(kinds) == {*BUILT_IN, "fill", "risk.limit_hit"}
    kinds.check("fill", {"price": 1.5, "note": "more is fine"})
    kinds.check("risk.limit_hit", {"anything": True})
    with pytest.raises(InputError, match=r"fill: price: .*minimum"):
        kinds.check("fill", {"price": -1})
    with pytest.raises(InputError, match=r"fill: data: 'price' is a required"):
        kinds.check("fill", {})
    assert kinds.schema("fill") == FILL
    assert kinds.schema("signal") is None


def test_an_unknown_type_is_answered_with_the_nearest() -> None:
    with pytest.raises(InputError, match="Did you mean prediction"):
        Kinds().checked("predictions")
    with pytest.raises(InputError, match="Known: prediction, signal"):
        Kinds().checked("zzz")


@pytest.mark.parametrize(
    ("name", "schema", "words"),
    [
        ("Fill", None, "is no name"),
        ("", None, "is no name"),
        ("a" * 41, None, "is no name"),
        ("fill\n", None, "is no name"),
        ("a.b.c", None, "is no name"),
        ("signal", None, "built in"),
        ("heartbeat", None, "built in"),
        ("fill", {"type": "nonsense"}, "is none"),
        ("fill", {"properties": {"x": {"$ref": "https://evil.example/x"}}}, "another address"),
        ("fill", {"allOf": [{"$ref": "file:///etc/passwd"}]}, "another address"),
    ],
)
def test_a_type_that_cannot_be_is_refused(name: str, schema: Any, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Kinds().register(name, schema)


def test_there_are_only_so_many_types() -> None:
    kinds = Kinds()
    for number in range(200 - len(BUILT_IN)):
        kinds.register(f"kind_{number}")
    with pytest.raises(InputError, match="200 types"):
        kinds.register("one_more")
    kinds.register("kind_0", FILL)  # known already: it is changed


def test_values_of_rows_become_values_of_json() -> None:
    row = {
        "at": AT.astimezone(timezone(timedelta(hours=9))),
        "price": Decimal("1.25"),
        "z": -math.inf,
        "nan": math.nan,
        "nested": {"list": (1, 2.5, None), "on": True},
    }
    assert events.plain(row) == {
        "at": "2026-01-31T12:00:00Z",
        "price": 1.25,
        "z": None,
        "nan": None,
        "nested": {"list": [1, 2.5, None], "on": True},
    }


def test_data_that_is_too_large_loses_its_largest_fields() -> None:
    small = {"symbol": "BTC/USDT", "confidence": 0.5}
    assert events.fitting(small) == small
    cut = events.fitting(small | {"features": ["x" * 100] * 2_000, "config": "y" * LARGEST})
    assert cut == small | {"omitted": ["features", "config"]}
    assert len(Event(1, "signal", cut, AT).text) < LARGEST


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2026-01-31T12:00:00Z", AT),
        ("2026-01-31T13:00:00+01:00", AT),
        ("2026-01-31T12:00:00", AT),
        ("2026-01-31T12:00:00.250000Z", AT + timedelta(milliseconds=250)),
    ],
)
def test_moments_are_in_utc(text: str, at: datetime) -> None:
    assert events.moment(text) == at
    assert events.moment(events.stamp(at)) == at
