"""Widgets take what a page sends for a stranger's: a few good choices, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from alphapulse_nb.widgets.alerts import Alerts
from alphapulse_nb.widgets.base import Widget
from alphapulse_nb.widgets.cards import Cards
from alphapulse_nb.widgets.controls import Controls
from alphapulse_nb.widgets.live_chart import LiveChart

NESTED: Any = []
for _ in range(20):
    NESTED = [NESTED, {"a": NESTED}]
HOSTILE: list[Any] = [
    None,
    True,
    0,
    -1,
    0.999,
    10**400,
    1e308,
    float("nan"),
    float("inf"),
    "",
    "\t",
    "\x00",
    "\ud800",
    "a\nb",
    "\u202eabc",
    "x" * 1_000_000,
    "'; DROP TABLE users; --\n",
    [],
    ["IPY_MODEL_x"],
    {},
    {"__class__": "x"},
    "IPY_MODEL_none",
    NESTED,
]
CHOICES = [("paused", True), ("symbol", "IPY_MODEL_none")]
"""What a viewer may choose of these: whether there is such a symbol is the database's to say."""
MADE: list[Callable[[], Widget]] = [
    lambda: Controls(symbol="BTC/USDT", span="24h", spans=["1h", "24h"]),
    lambda: LiveChart(title="Spread"),
    Cards,
    Alerts,
]


def update(widget: Widget, **state: Any) -> None:
    """What ipywidgets does with the message of a page that sets traits."""
    data = {"method": "update", "state": state, "buffer_paths": []}
    widget._handle_msg({"content": {"data": data}, "buffers": []})


def synced(widget: Widget) -> str:
    return repr({name: getattr(widget, name) for name in sorted(widget.keys)})


@pytest.mark.parametrize("make", MADE, ids=["controls", "chart", "cards", "alerts"])
def test_no_hostile_value_of_any_trait_is_taken(make: Callable[[], Widget]) -> None:
    widget = make()
    before = synced(widget)
    for name in widget.keys:
        for value in HOSTILE:
            if (name, value) not in CHOICES:
                update(widget, **{name: value})
    assert synced(widget) == before


@pytest.mark.parametrize("make", MADE, ids=["controls", "chart", "cards", "alerts"])
def test_no_hostile_message_gets_more_than_silence(make: Callable[[], Widget]) -> None:
    widget = make()
    before = synced(widget)
    for kind in ("ready", "ack", "retry", "alive", "script", "bundle", "none", *HOSTILE):
        for value in HOSTILE:
            widget._take(widget, {"kind": kind, "seq": value, "view": value}, [])
            widget._take(widget, value, [b"x"])
    assert synced(widget) == before


def test_a_page_may_not_say_what_there_is_to_choose() -> None:
    controls = Controls(symbol="BTC/USDT", span="24h", spans=["1h", "24h"], symbols=["BTC/USDT"])
    update(controls, spans=["x"], symbols=["y"], notice="z", person="admin", span="x")
    assert (controls.spans, controls.symbols) == (["1h", "24h"], ["BTC/USDT"])
    assert (controls.notice, controls.person, controls.span) == ("", "", "24h")


def test_the_choices_of_a_viewer_are_taken_also_beside_a_bad_one() -> None:
    controls = Controls(symbol="BTC/USDT", span="24h", spans=["1h", "24h"])
    update(controls, symbol="ETH/USDT", span="1h", every=5, paused=True, title="x")
    assert (controls.symbol, controls.span) == ("ETH/USDT", "1h")
    assert (controls.every, controls.paused) == (5.0, True)
    update(controls, symbol="SOL/USDT", every=0.0)
    assert (controls.symbol, controls.every) == ("SOL/USDT", 5.0)


@pytest.mark.parametrize("every", [0, 0.0, -1, 0.5, 3_601, float("nan"), float("inf"), True])
def test_a_page_cannot_make_its_kernel_refresh_without_rest(every: Any) -> None:
    """ipywidgets holds validation back until the old value is gone: a validator is too late."""
    controls = Controls(every=10.0)
    told: list[float] = []
    controls.observe(lambda change: told.append(change.new), "every")
    update(controls, every=every)
    assert (controls.every, told) == (10.0, [])


def test_what_hostile_values_leave_behind_is_not_kept() -> None:
    controls = Controls(symbol="BTC/USDT", span="24h", spans=["24h"])
    update(controls, **{f"trait{n}": "x" * 1_000 for n in range(1_000)})
    assert len(json.dumps(controls.get_state(), default=str)) < 10_000
