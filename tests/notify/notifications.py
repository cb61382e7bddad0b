"""Notifications and preferences for tests: one that is ordinary, and whatever there may be."""

from __future__ import annotations

import zoneinfo
from datetime import UTC, datetime, time
from typing import Any

from hypothesis import strategies as st

from alphapulse_nb.notify.notification import Notification, Priority, Type
from alphapulse_nb.notify.preferences import Preferences, Sound
from alphapulse_nb.notify.quiet import Hours

AT = datetime(2026, 1, 31, 12, tzinfo=UTC)
ZONES = sorted(zoneinfo.available_timezones())


def notification(**others: Any) -> Notification:
    """A signal of high priority with everything in it."""
    usual = {
        "key": "signals:7",
        "type": Type.SIGNAL,
        "priority": Priority.HIGH,
        "title": "LONG BTC/USDT",
        "message": "confidence 90 %, entry at 64,000",
        "at": AT,
        "symbol": "BTC/USDT",
        "rule": "strong signals",
        "labels": {"symbol": "BTC/USDT", "exchange": "binance"},
        "confidence": 0.9,
        "risk_reward_ratio": 2.5,
        "alert": "strong signals:BTC/USDT",
    }
    return Notification(**{**usual, **others})


kept_text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
filled_text = kept_text.filter(bool)
finite = st.floats(allow_nan=False, allow_infinity=False)
moments = st.datetimes(datetime(2000, 1, 1), datetime(2035, 12, 31), timezones=st.just(UTC))  # noqa: DTZ001
zones = st.sampled_from(ZONES)
times = st.builds(time, st.integers(0, 23), st.integers(0, 59))
hours = st.builds(Hours, times, times, st.booleans())

any_notification = st.builds(
    Notification,
    key=filled_text,
    type=st.sampled_from(Type),
    priority=st.sampled_from(Priority),
    title=filled_text,
    message=kept_text,
    at=st.datetimes(timezones=st.just(UTC)),
    symbol=st.none() | filled_text,
    rule=st.none() | filled_text,
    labels=st.dictionaries(kept_text, kept_text, max_size=4),
    confidence=st.none() | finite,
    risk_reward_ratio=st.none() | finite,
    late=st.booleans(),
    alert=st.none() | filled_text,
    resolved=st.booleans(),
)
any_preferences = st.builds(
    Preferences,
    enabled=st.booleans(),
    types=st.dictionaries(st.sampled_from(Type), st.booleans()),
    min_confidence=st.floats(0, 1),
    min_rr_ratio=st.floats(0, 100),
    quiet_hours=hours,
    max_on_screen=st.integers(1, 1000),
    auto_dismiss_seconds=st.integers(0, 3600),
    sounds=st.dictionaries(st.sampled_from(Priority), st.sampled_from(Sound)),
    browser=st.booleans(),
    sound=st.booleans(),
    zone=st.just("") | zones,
)
