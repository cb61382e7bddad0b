"""Preferences: what a person gets who chose nothing, and what may be chosen."""

from __future__ import annotations

import json
import math
from datetime import time
from typing import Any

import pytest
from hypothesis import given, settings

from alphapulse_nb.errors import InputError
from alphapulse_nb.notify.notification import Priority, Type
from alphapulse_nb.notify.preferences import Preferences, Sound, read
from alphapulse_nb.notify.quiet import Hours
from tests.notify.notifications import any_preferences

DEFAULTS = {
    "enabled": True,
    "types": {
        "info": True,
        "success": True,
        "warning": True,
        "error": True,
        "prediction": True,
        "signal": True,
        "backtest": True,
        "system": True,
    },
    "min_confidence": 0.8,
    "min_rr_ratio": 1.5,
    "quiet_hours": {"enabled": True, "start": "22:00", "end": "08:00"},
    "max_on_screen": 100,
    "auto_dismiss_seconds": 5,
    "sounds": {"low": "none", "medium": "soft", "high": "chime", "urgent": "alarm"},
    "browser": False,
    "sound": False,
    "zone": "",
}


def test_who_chose_nothing_gets_the_defaults() -> None:
    assert read({}) == Preferences()
    assert json.dumps(Preferences().plain()) == json.dumps(DEFAULTS)
    assert read(DEFAULTS) == Preferences()


@settings(deadline=None)
@given(any_preferences)
def test_whatever_was_chosen_comes_back_by_way_of_json(chosen: Preferences) -> None:
    assert read(json.loads(json.dumps(chosen.plain()))) == chosen


@settings(deadline=None)
@given(any_preferences)
def test_the_order_of_the_names_is_always_the_same(chosen: Preferences) -> None:
    assert list(chosen.plain()) == list(DEFAULTS)
    assert list(chosen.plain()["types"]) == list(Type)
    assert list(chosen.plain()["sounds"]) == list(Priority)


def test_what_is_left_out_stays_as_by_default() -> None:
    chosen = read(
        {
            "types": {"backtest": False},
            "quiet_hours": {"start": "23:30"},
            "sounds": {"low": "chime"},
            "zone": "Europe/Berlin",
        }
    )
    assert [kind for kind in Type if not chosen.types[kind]] == [Type.BACKTEST]
    assert chosen.quiet_hours == Hours(time(23, 30), time(8), enabled=True)
    assert list(chosen.sounds.values()) == [Sound.CHIME, Sound.SOFT, Sound.CHIME, Sound.ALARM]
    assert chosen.zone == "Europe/Berlin"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("min_confidence", 0),
        ("min_confidence", 1),
        ("min_rr_ratio", 0.0),
        ("min_rr_ratio", 100),
        ("max_on_screen", 1),
        ("max_on_screen", 1000),
        ("auto_dismiss_seconds", 0),
        ("auto_dismiss_seconds", 3600),
        ("zone", "Australia/Lord_Howe"),
        ("zone", "UTC"),
    ],
)
def test_the_bounds_themselves_are_allowed(name: str, value: Any) -> None:
    assert read({name: value}).plain()[name] == value


TRUTH = "it must be true or false"
FRACTION = "it must be a finite number from 0 to 1"
TIME = "it must be a time such as 08:00, from 00:00 to 23:59"


@pytest.mark.parametrize(
    ("plain", "words"),
    [
        (None, "preferences is an object with fields, not None"),
        ([], "preferences is an object with fields, not a value of the type list"),
        ({"min_confidance": 1}, "no field 'min_confidance'; did you mean min_confidence?"),
        ({"xyz": 1}, "no field 'xyz'; known: enabled, types, min_confidence,"),
        ({"enabled": 1}, f"enabled is 1; {TRUTH}"),
        ({"types": []}, "types is an object with fields"),
        ({"types": {"signals": True}}, "types has no field 'signals'; did you mean signal?"),
        ({"types": {"signal": "yes"}}, f"types.signal is 'yes'; {TRUTH}"),
        ({"min_confidence": 80}, f"min_confidence is 80; {FRACTION}"),
        ({"min_confidence": -0.01}, f"min_confidence is -0.01; {FRACTION}"),
        ({"min_confidence": math.nan}, f"min_confidence is nan; {FRACTION}"),
        ({"min_confidence": "0.8"}, f"min_confidence is '0.8'; {FRACTION}"),
        ({"min_confidence": None}, f"min_confidence is None; {FRACTION}"),
        ({"min_confidence": True}, f"min_confidence is True; {FRACTION}"),
        ({"min_rr_ratio": 100.5}, "it must be a finite number from 0 to 100"),
        ({"min_rr_ratio": math.inf}, "min_rr_ratio is inf"),
        ({"min_rr_ratio": 10**400}, "min_rr_ratio is a huge number"),
        ({"quiet_hours": "22:00-08:00"}, "quiet_hours is an object with fields"),
        ({"quiet_hours": {"from": "22:00"}}, "quiet_hours has no field 'from'"),
        ({"quiet_hours": {"enabled": None}}, f"quiet_hours.enabled is None; {TRUTH}"),
        ({"quiet_hours": {"start": "24:00"}}, f"quiet_hours.start is '24:00'; {TIME}"),
        ({"quiet_hours": {"start": "22:60"}}, f"quiet_hours.start is '22:60'; {TIME}"),
        ({"quiet_hours": {"start": "8:00"}}, f"quiet_hours.start is '8:00'; {TIME}"),
        ({"quiet_hours": {"end": "08:00:00"}}, f"quiet_hours.end is '08:00:00'; {TIME}"),
        ({"quiet_hours": {"end": "08:00\n"}}, f"quiet_hours.end is '08:00\\n'; {TIME}"),
        ({"quiet_hours": {"end": "٠٨:٠٠"}}, f"quiet_hours.end is '٠٨:٠٠'; {TIME}"),
        ({"quiet_hours": {"end": 8}}, f"quiet_hours.end is 8; {TIME}"),
        ({"max_on_screen": 0}, "max_on_screen is 0; it must be a whole number from 1 to 1000"),
        ({"max_on_screen": 1001}, "max_on_screen is 1001"),
        ({"max_on_screen": 10.0}, "max_on_screen is 10.0"),
        ({"max_on_screen": True}, "max_on_screen is True"),
        ({"auto_dismiss_seconds": -1}, "it must be a whole number from 0 to 3600"),
        ({"auto_dismiss_seconds": 3601}, "auto_dismiss_seconds is 3601"),
        ({"sounds": {"critical": "none"}}, "sounds has no field 'critical'"),
        ({"sounds": {"low": "chimes"}}, "sounds.low is 'chimes'; did you mean chime?"),
        ({"sounds": {"low": False}}, "sounds.low is False (allowed are none, soft, chime, alarm)"),
        ({"browser": "on"}, f"browser is 'on'; {TRUTH}"),
        ({"sound": 0}, f"sound is 0; {TRUTH}"),
        ({"zone": "Europe/Berln"}, "'Europe/Berln' is no IANA time zone; did you mean Europe/Ber"),
        ({"zone": "EUROPE/BERLIN"}, "did you mean Europe/Berlin?"),
        ({"zone": "Europe"}, "'Europe' is no IANA time zone"),
        ({"zone": "../UTC"}, "'../UTC' is no IANA time zone"),
        ({"zone": "posix/UTC"}, "'posix/UTC' is no IANA time zone"),
        ({"zone": "\ud800"}, "zone '\\ud800' is no IANA time zone"),
        ({"zone": 2}, "zone is 2; it must be an IANA time zone such as Europe/Berlin, or empty"),
    ],
)
def test_what_cannot_be_chosen_is_refused_by_name(plain: Any, words: str) -> None:
    with pytest.raises(InputError) as error:
        read(plain)
    assert words in str(error.value)
