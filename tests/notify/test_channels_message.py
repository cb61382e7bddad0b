"""Messages: what leaves the house is one line and plain text; and when one is tried again."""

from __future__ import annotations

import json
import math
import unicodedata
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapulse_nb.errors import InputError
from alphapulse_nb.notify.channels import MOST_ATTEMPTS, delay
from alphapulse_nb.notify.channels.message import LONGEST_HEADING, LONGEST_TEXT
from tests.notify.receivers import message


@pytest.mark.parametrize(
    ("changes", "heading"),
    [
        ({"title": "BTC up"}, "BTC up"),
        ({"title": "BTC up", "test": True}, "TEST: BTC up"),
        ({"title": "BTC up", "repeat": True}, "BTC up (repeated)"),
        ({"title": "BTC up", "test": True, "repeat": True}, "TEST: BTC up (repeated)"),
        ({"title": "up\r\nBcc: x@y.example"}, "up Bcc: x@y.example"),
        ({"title": "a\x00b\u202ec\u2028d\ud800e\x85f"}, "a b c d?e f"),
        ({"title": "", "type": "backtest"}, "backtest"),
        ({"title": "\u202e\n", "type": "backtest"}, "backtest"),
        ({"title": "👩‍💻 ready"}, "👩‍💻 ready"),
    ],
)
def test_a_heading_is_one_line_with_its_marks(changes: dict[str, Any], heading: str) -> None:
    assert message(**changes).heading == heading


def test_the_marks_of_a_long_title_stay() -> None:
    heading = message(title="x" * 10_000, test=True, repeat=True).heading
    assert len(heading) == LONGEST_HEADING
    assert heading.startswith("TEST: xxx")
    assert heading.endswith("xxx… (repeated)")


@settings(deadline=None)
@given(st.text(), st.booleans(), st.booleans())
def test_whatever_the_title_a_heading_is_short_visible_and_can_be_written(
    title: str, test: bool, repeat: bool
) -> None:
    heading = message(title=title, test=test, repeat=repeat).heading
    assert heading.encode()
    assert len(heading) <= LONGEST_HEADING
    assert heading.splitlines() == [heading]
    assert not {unicodedata.category(char) for char in heading} & {"Cc", "Cs", "Zl", "Zp"}
    assert not set(heading) & set("\u202a\u202b\u202d\u202e\u2066\u2067\u2068\u200f")


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ("one\r\ntwo\n\tthree", "one\ntwo\n\tthree"),
        ("\x1b[31mred\x07", "[31mred"),
        ("a\u2066b\ud800", "a b?"),
        ("", "BTC above 100,000"),
        ("\n \r", "BTC above 100,000"),
    ],
)
def test_a_text_keeps_its_lines_and_nothing_that_controls(body: str, text: str) -> None:
    assert message(body=body).text == text


def test_a_long_text_is_cut() -> None:
    text = message(body="x" * 10_000).text
    assert (len(text), text[-2:]) == (LONGEST_TEXT, "x…")


@pytest.mark.parametrize("key", ["", "rule 7", "rule\r\nBcc: x", "régle", "\ud800", "x" * 129])
def test_a_key_that_no_header_can_hold_becomes_its_hash(key: str) -> None:
    token = message(key=key).token
    assert len(token) == 64
    assert token == message(key=key).token != message(key=key + "'").token


def test_a_key_that_a_header_can_hold_stays() -> None:
    assert message(key="rule-7/BTC/1").token == "rule-7/BTC/1"


def test_a_message_is_json_with_its_marks_whatever_its_data() -> None:
    plain = message(test=True, attempt=3, repeat=True, data={"x": math.nan, "y": "\ud800"}).plain()
    assert json.loads(json.dumps(plain, allow_nan=False)) == {
        "version": 1,
        "key": "rule-7/BTC/1",
        "title": "TEST: BTC above 100,000 (repeated)",
        "body": "value 100,250\nthreshold 100,000",
        "type": "signal",
        "priority": "high",
        "at": "2026-01-31T12:00:00Z",
        "test": True,
        "attempt": 3,
        "repeat": True,
        "data": {"x": None, "y": "\ud800"},
    }


@pytest.mark.parametrize(
    ("attempt", "spread", "after", "seconds"),
    [
        (1, 0, None, 5),
        (2, 0, None, 10),
        (8, 0, None, 640),
        (9, 0, None, 900),
        (16, 0, None, 900),
        (10**6, 0, None, 900),
        (1, 1, None, 6),
        (1, -1, None, 4),
        (16, 1, None, 1080),
        (1, 0, 60.0, 60),
        (9, 0, 60.0, 900),
        (1, 0, 0.0, 5),
    ],
)
def test_delays_double_up_to_a_quarter_of_an_hour(
    attempt: int, spread: float, after: float | None, seconds: float
) -> None:
    assert delay(attempt, spread, after) == pytest.approx(seconds)


def test_the_last_attempt_is_about_two_hours_after_the_first() -> None:
    waits = [delay(attempt, 0) for attempt in range(1, MOST_ATTEMPTS)]
    assert sum(waits) == 7_575


@settings(deadline=None)
@given(st.integers(1, 100), st.floats(-1, 1))
def test_chance_moves_a_delay_by_a_fifth_at_most(attempt: int, spread: float) -> None:
    steady = delay(attempt, 0)
    assert steady * 0.799 <= delay(attempt, spread) <= steady * 1.201


@pytest.mark.parametrize(("attempt", "spread"), [(0, 0), (-1, 0), (1, 1.1), (1, -2), (1, math.nan)])
def test_an_attempt_or_a_spread_that_is_none_is_refused(attempt: int, spread: float) -> None:
    with pytest.raises(InputError, match="attempts count from 1"):
        delay(attempt, spread)
