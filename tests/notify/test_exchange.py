"""Exchange: what was written is read back, and is written again byte for byte."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapulse_nb.errors import InputError
from alphapulse_nb.notify.exchange import LARGEST, MOST, dumps, loads
from alphapulse_nb.notify.notification import Notification
from tests.notify.notifications import any_notification, notification

ONE = notification().plain()


def document(*items: Any, **others: Any) -> bytes:
    return json.dumps({"notifications": items, "version": 1, **others}).encode()


def test_a_file_has_one_notification_on_each_line() -> None:
    written = dumps([notification(), notification(title="Größe ≥ 5 σ", labels={}, symbol=None)])
    head, first, second, tail, rest = written.decode().split("\n")
    assert (head, tail, rest) == ('{"notifications":[', '],"version":1}', "")
    assert json.loads(first.removesuffix(",")) == ONE
    assert second == (
        '{"alert":"strong signals:BTC/USDT","at":"2026-01-31T12:00:00Z","confidence":0.9,'
        '"key":"signals:7","labels":{},"late":false,"message":"confidence 90 %, entry at 64,000",'
        '"priority":"high","resolved":false,"risk_reward_ratio":2.5,"rule":"strong signals",'
        '"symbol":null,"title":"Größe ≥ 5 σ","type":"signal"}'
    )


@settings(deadline=None)
@given(st.lists(any_notification, max_size=5))
def test_what_was_written_is_read_and_written_again_byte_for_byte(
    there: list[Notification],
) -> None:
    written = dumps(there)
    assert loads(written) == there
    assert dumps(loads(written)) == written


@settings(deadline=None)
@given(st.lists(any_notification, max_size=3))
def test_a_file_that_somebody_else_wrote_says_the_same(there: list[Notification]) -> None:
    plain = [dict(reversed(one.plain().items())) for one in there]
    assert loads(json.dumps({"version": 1, "notifications": plain}, indent=4).encode()) == there


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "not JSON: line 1, column 1: Expecting value"),
        (b'{"notifications": [\n{"key": }', "not JSON: line 2, column 9"),
        (b'\xef\xbb\xbf{"version": 1}', "not JSON: line 1, column 1: Unexpected UTF-8 BOM"),
        (b"\xff\xfe", "not UTF-8: byte 1 is wrong"),
        (b'{"version": "\xed\xa0\x80"}', "not UTF-8: byte 14 is wrong"),
        (b"[" * 100_000, "nests too deep"),
        (b'{"version":' * 100_000, "nests too deep"),
        (b"[]", "the file is an object with fields, not a value of the type list"),
        (b"null", "the file is an object with fields, not None"),
        (b'{"version": 1}', "the file has no field 'notifications'"),
        (b'{"notifications": []}', "the file has no field 'version'"),
        (document(), "is fine"),
        (document(versoin=1), "the file has no field 'versoin'; did you mean version?"),
        (document(version=2), "version is 2; it must be 1"),
        (document(version=True), "version is True; it must be 1"),
        (document(version=1.0), "version is 1.0; it must be 1"),
        (document(notifications={}), "notifications is a value of the type dict; it must be a li"),
        (b'{"version": 1, "notifications": [], "version": 1}', "'version' is given twice"),
        (document(ONE, None), "item 2: a notification is an object with fields, not None"),
        (document(ONE, {**ONE, "titel": ""}), "item 2: a notification has no field 'titel'; did"),
        (document({}, ONE), "item 1: key is missing"),
        (document(ONE, ONE, {**ONE, "type": "alarm"}), "item 3: type is 'alarm' (allowed are"),
        (document({**ONE, "at": "now"}), "item 1: at is 'now'; it must be a moment such as"),
        (document({**ONE, "title": "\ud83d"}), "item 1: title has U+D83D at character 1"),
        (document({**ONE, "key": "a\0"}), "item 1: key has U+0000 at character 2"),
        (document({**ONE, "labels": {"\udc00": ""}}), "item 1: labels has U+DC00 at character 1"),
        (document({**ONE, "\udc00": ""}), "item 1: a notification has no field '\\udc00'"),
        (document({**ONE, "confidence": float("nan")}), "not JSON: NaN is no number"),
        (document({**ONE, "confidence": float("inf")}), "not JSON: Infinity is no number"),
        (document().replace(b"[]", b'[{"confidence": 1e999}]'), "item 1: key is missing"),
        (document({**ONE, "confidence": 10**399}), "item 1: confidence is a huge number"),
        (b'{"version": ' + b"1" * 5_000 + b"}", "a number of 5,000 digits"),
    ],
)
def test_what_is_no_such_file_is_refused_and_the_place_is_named(data: bytes, words: str) -> None:
    if words == "is fine":
        assert loads(data) == []
        return
    with pytest.raises(InputError) as error:
        loads(data)
    assert words in str(error.value)
    str(error.value).encode()


def test_a_number_that_no_float_can_hold_is_refused() -> None:
    data = document(ONE).replace(b'"confidence": 0.9', b'"confidence": 1e999')
    with pytest.raises(InputError, match="item 1: confidence is inf; it must be a finite number"):
        loads(data)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b'"late"', b'"late": true, "late"', "item 1: 'late' is given twice"),
        (b'"exchange"', b'"exchange": "kraken", "exchange"', "item 1: 'exchange' is given twice"),
    ],
)
def test_a_field_that_is_given_twice_is_refused(old: bytes, new: bytes, words: str) -> None:
    with pytest.raises(InputError, match=words):
        loads(document(ONE).replace(old, new))


def test_a_file_holds_ten_thousand_notifications_and_not_one_more() -> None:
    most = [notification(key=str(number)) for number in range(MOST)]
    assert loads(dumps(most)) == most
    with pytest.raises(InputError, match="10,001 notifications are more than the 10,000"):
        dumps([*most, notification()])
    with pytest.raises(InputError, match="10,001 notifications are more than the 10,000"):
        loads(document(*[None] * 10_001))


def test_a_file_has_twenty_megabytes_at_most() -> None:
    filled = document()
    assert loads(filled + b" " * (LARGEST - len(filled))) == []
    with pytest.raises(InputError, match="20,000,001 bytes are more than the 20,000,000"):
        loads(filled + b" " * (LARGEST - len(filled) + 1))
    long = notification(message="ä" * 10_000)
    with pytest.raises(InputError, match="bytes are more than the 20,000,000"):
        dumps([long] * 1_000)


@settings(deadline=None)
@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda text: text.encode("utf-8")))
def test_bytes_that_are_anything_are_refused_in_words(data: bytes) -> None:
    with pytest.raises(InputError):
        loads(data)
