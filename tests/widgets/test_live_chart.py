"""How a live chart talks to its browser: what it sends, when it waits, what it makes of rubbish."""

from __future__ import annotations

from typing import Any

import numpy as np
import plotly.graph_objects as go
import pytest

from alphapulse_nb.widgets import live_chart
from alphapulse_nb.widgets.live_chart import LiveChart, Shown


def figure(*values: float) -> go.Figure:
    return go.Figure({"data": [{"type": "scatter", "name": "a", "y": np.array(values)}]})


@pytest.fixture
def unseen(monkeypatch: pytest.MonkeyPatch) -> LiveChart:
    """A chart that no browser has asked for anything."""
    made = LiveChart(title="Spread")
    made.sent = []
    monkeypatch.setattr(made, "send", lambda content, buffers=None: made.sent.append(content))
    return made


@pytest.fixture
def chart(unseen: LiveChart) -> LiveChart:
    """A chart that a browser has mounted before its first figure."""
    ask(unseen, kind="ready")
    return unseen


def kinds(chart: Any) -> list[str]:
    return [message["kind"] for message in chart.sent]


def ask(chart: LiveChart, **message: Any) -> None:
    chart._take(chart, message, [])


def test_a_browser_that_is_ready_gets_the_snapshot(chart: Any) -> None:
    chart.show(figure(1, 2))
    ask(chart, kind="ready")
    assert kinds(chart) == ["snapshot", "snapshot"]
    assert chart.sent[-1]["seq"] == 1


def test_nothing_is_drawn_for_a_page_that_has_not_mounted_the_chart(unseen: Any) -> None:
    unseen.show(figure(1))
    unseen.show(figure(1, 2))
    assert unseen.sent == []
    ask(unseen, kind="ready")
    assert kinds(unseen) == ["snapshot"]
    assert unseen.sent[0]["traces"][0]["columns"]["y"]["size"] == 2
    ask(unseen, kind="ack", seq=2)
    unseen.show(figure(1, 2, 3))
    assert kinds(unseen) == ["snapshot", "patch"]


def test_a_browser_that_comes_before_the_first_figure_waits_for_it(chart: Any) -> None:
    ask(chart, kind="ready")
    assert kinds(chart) == []
    chart.show(figure(1))
    assert kinds(chart) == ["snapshot"]


def test_one_message_is_on_its_way_and_later_figures_replace_each_other(chart: Any) -> None:
    chart.show(figure(1))
    for value in range(2, 9):
        chart.show(figure(1, value))
    assert kinds(chart) == ["snapshot"]
    ask(chart, kind="ack", seq=1)
    assert kinds(chart) == ["snapshot", "patch"]
    assert chart.sent[-1]["traces"]["0"]["columns"]["y"]["size"] == 1


def test_an_old_acknowledgement_frees_nothing(chart: Any) -> None:
    chart.show(figure(1))
    chart.show(figure(1, 2))
    ask(chart, kind="ack", seq=0)
    assert kinds(chart) == ["snapshot"]


def test_a_lost_acknowledgement_ends_in_a_whole_snapshot(
    chart: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    chart.show(figure(1))
    monkeypatch.setattr(live_chart, "_ACK_PATIENCE", -1.0)
    chart.show(figure(1, 2))
    assert kinds(chart) == ["snapshot", "snapshot"]


def test_an_unchanged_figure_sends_a_beat_so_that_the_panel_knows_it_is_current(chart: Any) -> None:
    chart.show(figure(1))
    ask(chart, kind="ack", seq=1)
    chart.show(figure(1), at=5.0)
    assert chart.sent[-1]["kind"] == "beat"
    assert chart.sent[-1]["at"] == 5_000.0


def test_another_view_starts_with_a_snapshot_of_its_own_turn(chart: Any) -> None:
    chart.show(figure(1), Shown("ETH", "last 1 h", 0))
    ask(chart, kind="ack", seq=1)
    chart.await_view(Shown("BTC", "last 1 h", 1))
    chart.show(figure(1), Shown("BTC", "last 1 h", 1))
    assert kinds(chart) == ["snapshot", "busy", "snapshot"]
    assert chart.sent[-1]["view"] == {"symbol": "BTC", "span": "last 1 h", "turn": 1}


def test_a_browser_that_comes_while_a_view_loads_is_told_so(chart: Any) -> None:
    chart.show(figure(1), Shown("ETH", "", 0))
    chart.await_view(Shown("BTC", "", 1))
    ask(chart, kind="ready")
    assert chart.sent[-1]["kind"] == "busy"
    assert "snapshot" not in kinds(chart)[1:]


def test_another_view_does_not_wait_for_the_last_one_to_be_acknowledged(chart: Any) -> None:
    chart.show(figure(1), Shown("ETH", "", 0))
    chart.await_view(Shown("BTC", "", 1))
    chart.show(figure(2), Shown("BTC", "", 1))
    assert chart.sent[-1]["view"]["symbol"] == "BTC"
    assert chart.sent[-1]["kind"] == "snapshot"


def test_a_failure_is_told_with_its_component_and_again_to_a_new_browser(chart: Any) -> None:
    chart.show(figure(1))
    chart.fail("Spread", "no such column")
    ask(chart, kind="ready")
    assert kinds(chart) == ["snapshot", "fault", "snapshot", "fault"]
    assert chart.sent[-1]["component"] == "Spread"


def test_a_good_figure_clears_the_failure(chart: Any) -> None:
    chart.fail("Spread", "no")
    chart.show(figure(1))
    ask(chart, kind="ready")
    assert kinds(chart) == ["fault", "snapshot", "snapshot"]


def test_the_scripts_are_sent_on_request(chart: Any) -> None:
    ask(chart, kind="script")
    ask(chart, kind="bundle")
    assert kinds(chart) == ["script", "bundle"]


@pytest.mark.parametrize(
    "rubbish",
    [None, 1, "ready", [], {}, {"kind": None}, {"kind": []}, {"kind": "ack", "seq": {}}],
    ids=str,
)
def test_rubbish_is_left_alone(chart: Any, rubbish: Any) -> None:
    chart.show(figure(1))
    chart._take(chart, rubbish, [])
    assert kinds(chart) == ["snapshot"]


def test_retry_and_signs_of_life_reach_their_callbacks(chart: Any) -> None:
    heard: list[str] = []
    chart.on_retry = lambda: heard.append("retry")
    chart.on_alive = lambda: heard.append("alive")
    ask(chart, kind="retry")
    ask(chart, kind="alive")
    ask(chart, kind="ready")
    assert heard == ["retry", "alive", "alive"]


def test_its_repr_is_the_same_in_every_run(chart: Any) -> None:
    assert repr(chart) == "LiveChart('Spread')"


def test_a_browser_that_comes_after_a_failed_switch_gets_no_empty_chart(chart: Any) -> None:
    chart.show(figure(1), Shown("ETH", "", 0))
    chart.await_view(Shown("BTC", "", 1))
    chart.fail("Spread", "no")
    chart.sent.clear()
    ask(chart, kind="ready")
    assert kinds(chart) == ["fault"]


def test_a_failure_outlives_the_acknowledgement_of_an_older_figure(chart: Any) -> None:
    chart.show(figure(1))
    chart.show(figure(1, 2))
    chart.fail("Spread", "no")
    ask(chart, kind="ack", seq=1)
    assert kinds(chart) == ["snapshot", "fault", "patch", "fault"]


def test_no_two_charts_share_a_key() -> None:
    assert LiveChart()._key != LiveChart()._key
