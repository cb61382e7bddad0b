"""What a client of the stream may say, and the answer to all else."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse_nb.events import BUILT_IN, Event, Kinds
from alphapulse_nb.server.answers import Fault
from alphapulse_nb.server.stream import protocol
from alphapulse_nb.server.stream.protocol import (
    LARGEST,
    Interest,
    Ping,
    Refusal,
    Subscribe,
    Unsubscribe,
    Unwatch,
    Watch,
)

KINDS = Kinds({"fill": None})
BTC, ETH = "BTC/USDT", "ETH/USDT"


def said(kind: Any, data: Any = None, **more: Any) -> protocol.Said:
    message = {"type": kind} | ({} if data is None else {"data": data}) | more
    return protocol.read(json.dumps(message), KINDS)


@pytest.mark.parametrize(
    ("kind", "data", "command"),
    [
        ("subscribe", None, Subscribe(None, None)),
        (
            "subscribe",
            {"types": ["signal", "fill"], "symbols": [BTC], "after": 7, "log": "x"},
            Subscribe(frozenset({"signal", "fill"}), frozenset({BTC}), 7, "x"),
        ),
        ("unsubscribe", {}, Unsubscribe()),
        ("unsubscribe", {"symbols": [BTC]}, Unsubscribe(symbols=frozenset({BTC}))),
        (
            "watch",
            {"feed": "anomalies", "symbol": BTC, "range": "24h", "every": 5},
            Watch("anomalies", BTC, "24h", 5.0),
        ),
        ("unwatch", {"feed": "system", "range": "1h"}, Unwatch("system", "", "1h")),
        ("ping", {"at": 5, "who": "me"}, Ping({"at": 5, "who": "me"})),
    ],
)
def test_a_command_is_read(kind: str, data: Any, command: protocol.Command) -> None:
    assert said(kind, data, id="a").command == command
    assert said(kind, data, id="a").ref == "a"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"{}", "bad_request"),
        ("", "bad_request"),
        ("nonsense", "bad_request"),
        ("[]", "bad_request"),
        ("[" * 10_000, "bad_request"),
        ('{"type": "ping", "data": {"at": NaN}}', "bad_request"),
        ("x" * (LARGEST + 1), "too_large"),
        ("ü" * (LARGEST // 2 + 1), "too_large"),
    ],
)
def test_what_is_no_message_is_refused(message: str | bytes, code: str) -> None:
    with pytest.raises(Refusal) as refused:
        protocol.read(message, KINDS)
    assert refused.value.fault.code == code


@pytest.mark.parametrize(
    ("kind", "data", "field"),
    [
        ("subscribe", [], "data"),
        ("subscribe", {"type": ["signal"]}, "type"),
        ("subscribe", {"types": "signal"}, "types"),
        ("subscribe", {"types": []}, "types"),
        ("subscribe", {"types": [1]}, "types"),
        ("subscribe", {"symbols": ["x" * 41]}, "symbols"),
        ("subscribe", {"symbols": ["x"] * 201}, "symbols"),
        ("subscribe", {"after": -1}, "after"),
        ("subscribe", {"after": True}, "after"),
        ("subscribe", {"after": 1.5}, "after"),
        ("subscribe", {"after": 2**60}, "after"),
        ("subscribe", {"log": 5}, "log"),
        ("watch", {}, "feed"),
        ("watch", {"feed": "anomalies", "symbol": 5}, "symbol"),
        ("watch", {"feed": "anomalies", "every": -1}, "every"),
        ("watch", {"feed": "anomalies", "every": True}, "every"),
        ("watch", {"feed": "anomalies", "every": "5"}, "every"),
        ("ping", {"deep": {}}, "data"),
    ],
)
def test_a_field_that_is_wrong_is_named(kind: str, data: Any, field: str) -> None:
    with pytest.raises(Refusal) as refused:
        said(kind, data, id=9)
    assert refused.value.ref == 9
    assert refused.value.fault.code == "bad_parameter"
    assert refused.value.fault.more["field"] == field


def test_an_id_that_is_none_is_refused() -> None:
    for wrong in (1.5, True, [], "x" * 65):
        with pytest.raises(Refusal) as refused:
            said("ping", id=wrong)
        assert refused.value.fault.more["field"] == "id"


@pytest.mark.parametrize(
    ("kind", "data", "nearest"),
    [("subscribbe", None, "subscribe"), ("subscribe", {"types": ["signals"]}, "signal")],
)
def test_a_slip_of_the_pen_is_answered_with_the_nearest(kind: str, data: Any, nearest: str) -> None:
    with pytest.raises(Refusal) as refused:
        said(kind, data)
    assert refused.value.fault.code == "unknown_name"
    assert refused.value.fault.more["nearest"] == nearest


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=50),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=10,
)
names = st.sampled_from(["subscribe", "unsubscribe", "watch", "unwatch", "ping", "welcome"])
fields = st.sampled_from(["types", "symbols", "after", "log", "feed", "symbol", "range", "every"])


@given(st.dictionaries(st.sampled_from(["type", "data", "id"]), anything))
def test_any_object_is_taken_or_refused(message: dict[str, Any]) -> None:
    taken_or_refused(json.dumps(message))


@given(names, st.dictionaries(fields, anything, max_size=4))
def test_any_data_is_taken_or_refused(kind: str, data: dict[str, Any]) -> None:
    taken_or_refused(json.dumps({"type": kind, "data": data}))


@given(st.text() | st.binary())
def test_any_text_is_taken_or_refused(message: str | bytes) -> None:
    taken_or_refused(message)


def taken_or_refused(message: str | bytes) -> None:
    """Nothing but a command or a refusal comes of it, and the refusal can be sent."""
    try:
        protocol.read(message, KINDS)
    except Refusal as refused:
        body = json.loads(protocol.error(refused.fault, refused.ref))
        assert body["type"] == "error"
        assert len(body["data"]["message"]) < 500


def event(kind: str, symbol: str | None) -> Event:
    data = {} if symbol is None else {"symbol": symbol}
    return Event(1, kind, data, datetime(2026, 1, 1, tzinfo=UTC))


def test_interest_grows_and_shrinks() -> None:
    interest = Interest()
    assert event("signal", BTC) not in interest
    interest.add(Subscribe(frozenset({"signal"}), frozenset({BTC})))
    assert event("signal", BTC) in interest
    assert event("signal", ETH) not in interest
    interest.add(Subscribe(frozenset({"fill"}), frozenset({ETH})))
    assert interest.data == {"types": ["fill", "signal"], "symbols": [BTC, ETH]}
    interest.remove(Unsubscribe(frozenset({"signal"})), KINDS)
    assert event("signal", BTC) not in interest
    assert event("fill", BTC) in interest
    interest.remove(Unsubscribe(symbols=frozenset({BTC, ETH})), KINDS)
    assert not interest
    assert interest.data == {"types": [], "symbols": []}


def test_all_types_but_one() -> None:
    interest = Interest()
    interest.add(Subscribe(None, None))
    interest.remove(Unsubscribe(frozenset({"data_update"})), KINDS)
    assert interest.data["types"] == sorted({*BUILT_IN, "fill"} - {"data_update"})
    assert event("signal", ETH) in interest
    with pytest.raises(Fault, match="All symbols"):
        interest.remove(Unsubscribe(symbols=frozenset({BTC})), KINDS)


def test_one_client_has_so_many_names() -> None:
    interest = Interest()
    for start in (0, 100):
        symbols = frozenset(f"S{number}" for number in range(start, start + 100))
        interest.add(Subscribe(None, symbols))
    with pytest.raises(Fault, match="At most 200"):
        interest.add(Subscribe(None, frozenset({"one more"})))
    assert len(interest.data["symbols"]) == 200
