"""The parts of our scripts that know no server, run in a real browser."""

from __future__ import annotations

import base64
import random
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest

from alphapulse_nb.feeds import Feed, Message

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

ZONES = [
    "UTC", "Europe/Berlin", "Europe/London", "America/New_York", "America/St_Johns", "Asia/Kolkata",
    "Asia/Kathmandu", "Asia/Tokyo", "Australia/Lord_Howe", "Pacific/Chatham", "America/Sao_Paulo",
]  # fmt: skip


def millis(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp() * 1000)  # type: ignore[misc,arg-type]


def test_offsets_are_those_of_the_time_zone_database(scripts: Page) -> None:
    rng = random.Random(5)  # noqa: S311
    moments = [millis(2026, 1, 1) + rng.randrange(0, 365 * 86_400_000) for _ in range(150)]
    got = scripts.evaluate(
        """async ([zones, moments]) => {
            const { offset } = await import("/zone.js");
            return zones.map((zone) => moments.map((ms) => offset(zone, ms)));
        }""",
        [ZONES, moments],
    )
    for zone, offsets in zip(ZONES, got, strict=True):
        wanted = [
            ZoneInfo(zone).utcoffset(datetime.fromtimestamp(ms / 1000, ZoneInfo(zone)))
            for ms in moments
        ]
        assert [timedelta(milliseconds=value) for value in offsets] == wanted, zone


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("clocks go forward", millis(2026, 3, 28, 12)),
        ("clocks go back", millis(2026, 10, 24, 12)),
        ("an ordinary day", millis(2026, 6, 1, 12)),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata"])
@pytest.mark.parametrize("hours", [1, 6, 24, 168, 720])
def test_ticks_stand_on_round_local_times(
    scripts: Page, name: str, start: int, zone: str, hours: int
) -> None:
    end = start + hours * 3_600_000
    ticks = scripts.evaluate(
        """async ([zone, a, b]) => (await import("/zone.js")).ticks(zone, a, b, 8)""",
        [zone, start, end],
    )
    moments, texts = ticks["tickvals"], ticks["ticktext"]
    assert 2 <= len(moments) <= 9
    assert moments == sorted(set(moments))
    assert start <= moments[0]
    assert moments[-1] <= end
    for ms, text in zip(moments, texts, strict=True):
        local = datetime.fromtimestamp(ms / 1000, ZoneInfo(zone))
        if ":" in text:
            assert text.split("<br>")[0] == local.strftime("%H:%M")
        else:
            assert text == f"{local.day} {local.strftime('%b')}"
            assert (local.hour, local.minute) == (0, 0)


def test_a_time_that_the_clocks_skip_does_not_exist_and_a_repeated_one_comes_first(
    scripts: Page,
) -> None:
    got = scripts.evaluate(
        """async (times) => {
            const { moment } = await import("/zone.js");
            return times.map((local) => moment("Europe/Berlin", local));
        }""",
        [millis(2026, 3, 29, 2, 30), millis(2026, 10, 25, 2, 30), millis(2026, 7, 1, 12)],
    )
    assert got == [None, millis(2026, 10, 25, 0, 30), millis(2026, 7, 1, 10)]


def packed(message: Message) -> list[Any]:
    return [message.header, base64.b64encode(message.buffer).decode()]


READ = """async (messages) => {
    const { FeedState, plain } = await import("/feed.js");
    const state = new FeedState();
    const taken = messages.map(([header, text]) => {
        const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
        return state.apply(header, new DataView(bytes.buffer));
    });
    const columns = state.traces.map((trace) => Object.fromEntries(
        Object.entries(trace.columns).map(([path, column]) =>
            [path, Array.from(plain(column, null), (v) => Number.isNaN(v) ? "NaN" : v)])));
    return { taken, columns, layout: state.layout, seq: state.seq };
}"""


def test_the_browser_reads_what_the_feed_writes(scripts: Page) -> None:
    feed = Feed()
    messages = []
    for start in (0, 10, 30, 30, 31):
        size = 60
        values = np.sin(np.arange(start, start + size))
        values[::7] = np.nan
        figure = go.Figure(
            {
                "data": [
                    {
                        "type": "scatter",
                        "x": pd.date_range("2026-01-01", periods=start + size, freq="min")[start:],
                        "y": values,
                        "text": np.array([f"t{n % 5}<b>" for n in range(start, start + size)]),
                        "marker": {"size": np.arange(float(size))},
                    }
                ],
                "layout": {"xaxis": {"range": [start, start + size]}},
            }
        )
        message = feed.update(figure)
        if message is not None:
            messages.append(packed(message))
    got = scripts.evaluate(READ, messages)
    assert all(got["taken"])
    assert got["seq"] == feed.seq == 4
    column = got["columns"][0]
    assert column["y"] == ["NaN" if np.isnan(v) else v for v in values]
    assert column["text"] == [f"t{n % 5}<b>" for n in range(31, 91)]
    assert column["x"][0] == pd.Timestamp("2026-01-01 00:31").timestamp() * 1e3
    assert got["layout"]["xaxis.range"] == [31, 91]


def test_a_gap_in_the_numbers_is_noticed(scripts: Page) -> None:
    feed = Feed()
    sent = [feed.update(go.Figure({"data": [{"y": np.arange(float(n))}]})) for n in (3, 4, 5)]
    messages = [packed(message) for message in sent if message is not None]
    got = scripts.evaluate(READ, [messages[0], messages[2]])
    assert got["taken"] == [True, False]
    assert got["columns"][0]["y"] == [0, 1, 2]


def test_a_path_cannot_reach_a_prototype(scripts: Page) -> None:
    polluted = scripts.evaluate(
        """async () => {
            const { nested } = await import("/feed.js");
            nested({"__proto__.polluted": 1, "constructor.prototype.polluted": 1});
            return {}.polluted ?? null;
        }"""
    )
    assert polluted is None


def test_decimation_keeps_every_peak_and_every_break(scripts: Page) -> None:
    got = scripts.evaluate(
        """async () => {
            const { Plot } = await import("/plot.js");
            const place = document.body.appendChild(document.createElement("div"));
            Object.assign(place.style, { width: "400px", height: "200px" });
            const plot = new Plot(
                place, { swaps: {}, plotly: async () => null, zone: () => "UTC" });
            const n = 20000;
            const x = Float64Array.from({ length: n }, (_, i) => 1.7e12 + i * 1000);
            const y = Float64Array.from({ length: n }, (_, i) => Math.sin(i / 900));
            y[7777] = 50; y[12345] = -60; y[15000] = NaN;
            const state = { layout: { "xaxis.type": "date", "xaxis.range": [x[0], x[n - 1]],
                                      uirevision: "a" },
                traces: [{ attrs: { type: "scatter", mode: "lines", name: "a" }, columns: {
                    x: { type: "time", values: x, labels: [] },
                    y: { type: "number", values: y, labels: [] } } }] };
            const line = plot.figure(state).data[0];
            plot.zoom.xaxis = [x[7000], x[8000]];
            const near = plot.figure(state).data[0];
            return { count: line.y.length, most: Math.max(...line.y.filter((v) => !isNaN(v))),
                least: Math.min(...line.y.filter((v) => !isNaN(v))),
                broken: line.y.some((v) => isNaN(v)), near: near.y.length,
                ordered: line.x.every((v, i) => !i || v >= line.x[i - 1]) };
        }"""
    )
    assert got["most"] == 50
    assert got["least"] == -60
    assert got["broken"]
    assert got["ordered"]
    assert got["count"] <= 4 * 400 + 8
    assert got["near"] >= 1000


@pytest.mark.parametrize(
    ("status", "silence", "state", "text"),
    [
        (None, 0, "starting", "Starting"),
        ({"newest": -5}, 1, "live", "Live"),
        ({"newest": -600}, 1, "polling", "nothing new for 10 min"),
        ({"newest": None}, 1, "polling", "no data yet"),
        ({"newest": -5, "paused": True}, 1, "paused", "Paused"),
        ({"newest": -5, "paused": True}, 900, "paused", "Paused"),
        ({"newest": -5, "fault": "the database cannot be reached"}, 1, "offline", "database"),
        ({"newest": -5}, 60, "offline", "no answer for 60 s"),
    ],
)
def test_the_badge_says_what_is_so(
    scripts: Page, status: dict[str, Any] | None, silence: float, state: str, text: str
) -> None:
    """A status ten seconds apart, heard `silence` seconds ago."""
    at = millis(2026, 1, 1)
    full = None
    if status is not None:
        newest = status["newest"]
        full = {"at": at, "every": 10, "paused": False, "fault": ""} | status
        full["newest"] = None if newest is None else at + newest * 1000
    said = scripts.evaluate(
        """async ([status, silence]) =>
            (await import("/badge.js")).judge(status, 1e12, 1e12 + silence * 1000)""",
        [full, silence],
    )
    assert said["state"] == state
    assert text in said["text"]


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("rate", 0.0001, "+0.0100 %"),
        ("rate", -0.00025, "−0.0250 %"),
        ("percent", 0.5, "50.0 %"),
        ("money", -1234.5, "−1,235 USDT"),
        ("money", 12.345, "+12.35 USDT"),
        ("count", 12345, "12,345"),
        ("count", None, "–"),
    ],
)
def test_cards_write_fractions_in_per_cent_and_signs_in_full(
    scripts: Page, kind: str, value: float | None, text: str
) -> None:
    card = {"key": "k", "label": "l", "value": value, "kind": kind, "tone": "", "hint": ""}
    said = scripts.evaluate("""async (card) => (await import("/cards.js")).written(card)""", card)
    assert said == text


DRAW = """async ([layout, traces]) => {
    const { Plot } = await import("/plot.js");
    const place = document.body.appendChild(document.createElement("div"));
    Object.assign(place.style, { width: "400px", height: "200px" });
    const plot = new Plot(place, { swaps: {}, plotly: async () => null, zone: () => "UTC" });
    const figure = plot.figure({ layout, traces });
    return { xaxis: figure.layout.xaxis, uids: figure.data.map((trace) => trace.uid) };
}"""


@pytest.mark.parametrize(
    "ends",
    [
        ["2026-01-01T00:00:00", "2026-01-02T00:00:00"],
        ["2026-01-01 00:00", "2026-01-02 00:00"],
        ["2026-01-01T01:00:00+01:00", "2026-01-02T00:00:00Z"],
        [millis(2026, 1, 1), millis(2026, 1, 2)],
    ],
)
def test_a_range_written_as_dates_gets_its_ticks(scripts: Page, ends: list[Any]) -> None:
    axis = scripts.evaluate(DRAW, [{"xaxis.type": "date", "xaxis.range": ends}, []])["xaxis"]
    assert axis["range"] == [millis(2026, 1, 1), millis(2026, 1, 2)]
    assert axis["ticktext"][0] == "00:00<br>1 Jan"


def test_a_range_that_is_no_time_is_left_to_plotly(scripts: Page) -> None:
    axis = scripts.evaluate(DRAW, [{"xaxis.type": "date", "xaxis.range": ["a", "b"]}, []])["xaxis"]
    assert "range" not in axis


def test_a_trace_keeps_its_identity_when_another_comes_before_it(scripts: Page) -> None:
    def trace(name: str) -> dict[str, Any]:
        return {"attrs": {"type": "scatter", "name": name}, "columns": {}}

    before = scripts.evaluate(DRAW, [{}, [trace("bybit"), trace("bybit")]])["uids"]
    after = scripts.evaluate(DRAW, [{}, [trace("binance"), trace("bybit"), trace("bybit")]])["uids"]
    assert after[1:] == before
    assert len(set(after)) == 3


@pytest.mark.parametrize("name", ["a|b", "one two", ".x #y", "<b>'\"&", "größer 🚀", "a_3g_b"])
def test_a_trace_of_any_name_can_go_again(scripts: Page, name: str) -> None:
    """Plotly makes a CSS selector of a trace's identity when it takes the trace away."""
    traces = [
        {"attrs": {"type": "scatter", "name": given}, "columns": {}} for given in (name, "a|b ")
    ]
    uids = scripts.evaluate(DRAW, [{}, traces])["uids"]
    assert len(set(uids)) == 2
    for uid in uids:
        assert scripts.evaluate("(uid) => document.querySelector(`.cb${uid}`)", uid) is None


TAKE = """async (messages) => {
    const { Source } = await import("/panel.js");
    let take;
    const sent = [];
    const source = new Source({
        send: (message) => sent.push(message.kind),
        listen: (call) => { take = call; return () => {}; },
    });
    for (const message of messages) take(message, new DataView(new ArrayBuffer(8)));
    source.close();
    return { sent, age: (source.at + Date.now() - source.beatAt - source.state.newest) / 1000,
        seq: source.state.seq, symbol: source.view.symbol, fault: source.fault };
}"""


def snapshot(symbol: str, turn: int, **more: Any) -> dict[str, Any]:
    view = {"symbol": symbol, "span": "last 1 h", "turn": turn}
    parts = {"seq": 1, "traces": [], "layout": {}, "newest": 1000.0, "at": 5000.0}
    return {"kind": "snapshot", "view": view, **parts, **more}


def test_the_age_of_a_figure_that_is_sent_again_goes_on(scripts: Page) -> None:
    """Whatever the browser's own clock says: here the data's clock stands in 1970."""
    fresh = scripts.evaluate(TAKE, [snapshot("BTC", 0, waited=0)])
    assert fresh["age"] == pytest.approx(4, abs=1)
    resent = scripts.evaluate(TAKE, [snapshot("BTC", 0, waited=3_600_000)])
    assert resent["age"] == pytest.approx(3604, abs=1)


def test_a_failure_of_a_new_view_does_not_uncover_the_old_one(scripts: Page) -> None:
    fault = {"kind": "fault", "component": "c", "message": "m", "at": 6000.0}
    view = {"symbol": "ETH", "span": "last 1 h", "turn": 1}
    busy = {"kind": "busy", "view": view}
    got = scripts.evaluate(TAKE, [snapshot("BTC", 0), busy, {**fault, "view": view}])
    assert (got["symbol"], got["seq"]) == ("ETH", 0)
    assert got["fault"]["message"] == "m"


def test_what_an_older_turn_brings_is_dropped(scripts: Page) -> None:
    busy = {"kind": "busy", "view": {"symbol": "ETH", "span": "last 1 h", "turn": 1}}
    got = scripts.evaluate(TAKE, [busy, snapshot("BTC", 0)])
    assert got["seq"] == 0
    assert got["sent"] == ["ready"]
