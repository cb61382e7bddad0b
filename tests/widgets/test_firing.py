"""When alerts fired, on a chart: which bands, which marks, which words, and when it is drawn."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

DAY = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
MINUTE, HOUR = 60_000, 3_600_000
DRAWN = {"xaxis.type": "date", "xaxis.range": [DAY, DAY + 24 * HOUR], "uirevision": "a"}

FIGURE = """async ([layout, traces, periods, zoom]) => {
    const { Plot } = await import("/plot.js");
    document.head.innerHTML = '<link rel="stylesheet" href="/page.css">';
    await new Promise((done) => { document.head.firstChild.onload = done; });
    const place = document.body.appendChild(document.createElement("div"));
    Object.assign(place.style, { width: "600px", height: "200px" });
    const plot = new Plot(place, { swaps: {}, plotly: async () => null, zone: () => "UTC",
        periods: () => periods });
    const state = { layout, traces: traces.map(([from, to]) => ({
        attrs: { type: "scatter", name: "a" }, columns: { x: {
            type: "time", values: Float64Array.from([from, to]), labels: [] } } })) };
    plot.figure(state);
    if (zoom) plot.zoom.xaxis = zoom;
    const { layout: shown } = plot.figure(state);
    return { shapes: shown.shapes ?? [], notes: shown.annotations ?? [], x: shown.xaxis.range };
}"""


def period(start: float, end: float | None, rule: str = "rule", **more: Any) -> dict[str, Any]:
    """A period from and to so many hours after midnight."""
    return {
        "key": f"{rule} {start}",
        "charts": ["one"],
        "symbol": None,
        "rule": rule,
        "title": f"Title {start}",
        "reason": "Reason",
        "priority": "high",
        "from": DAY + start * HOUR,
        "to": None if end is None else DAY + end * HOUR,
        "by": None,
        **more,
    }


def figure(
    scripts: Page,
    periods: list[dict[str, Any]],
    layout: dict[str, Any] = DRAWN,
    zoom: list[float] | None = None,
    traces: list[list[float]] | None = None,
) -> dict[str, Any]:
    found: dict[str, Any] = scripts.evaluate(FIGURE, [layout, traces or [], periods, zoom])
    return found


def rects(found: dict[str, Any]) -> list[tuple[float, float]]:
    """The bands, in hours after midnight."""
    return [
        ((shape["x0"] - DAY) / HOUR, (shape["x1"] - DAY) / HOUR)
        for shape in found["shapes"]
        if shape["type"] == "rect"
    ]


def test_a_period_is_a_band_with_a_line_and_a_mark_and_the_chart_keeps_its_own(
    scripts: Page,
) -> None:
    own = {"type": "line", "y0": 3, "y1": 3, "layer": "between"}
    note = {"text": "own"}
    found = figure(
        scripts, [period(2, 3, by="ann")], DRAWN | {"shapes": [own], "annotations": [note]}
    )
    band, line, kept = found["shapes"]
    assert kept == own
    assert (band["xref"], band["yref"], band["y0"], band["y1"]) == ("x", "paper", 0, 1)
    assert (band["layer"], band["fillcolor"]) == ("below", "#c22f3d")
    assert rects(found) == [(2, 3)]
    assert line["x0"] == line["x1"] == DAY + 2 * HOUR
    first, mark = found["notes"]
    assert first == note
    assert (mark["x"], mark["text"], mark["y"]) == (DAY + 2 * HOUR, "▲", 1)
    assert mark["hovertext"].split("<br>") == [
        "<b>Rule</b>",
        "Title 2",
        "Reason",
        "01 Jan 2026 02:00:00 – 03:00:00 UTC",
        "Acknowledged by ann",
        "Priority: high",
    ]


def test_without_periods_nothing_is_added(scripts: Page) -> None:
    found = figure(scripts, [])
    assert (found["shapes"], found["notes"]) == ([], [])


def test_an_open_period_ends_at_the_newest_moment_wherever_one_looks(scripts: Page) -> None:
    assert rects(figure(scripts, [period(20, None)])) == [(20, 24)]
    before = figure(scripts, [period(20, None)], zoom=[DAY + HOUR, DAY + 2 * HOUR])
    assert (rects(before), before["notes"]) == ([], [])
    beyond = figure(scripts, [period(20, None)], zoom=[DAY + 21 * HOUR, DAY + 27 * HOUR])
    assert rects(beyond) == [(20, 24)]
    assert beyond["notes"][0]["x"] == DAY + 21 * HOUR
    assert "Since 01 Jan 2026 20:00:00 UTC" in beyond["notes"][0]["hovertext"]


def test_an_open_period_grows_with_the_axis(scripts: Page) -> None:
    later = DRAWN | {"xaxis.range": [DAY + HOUR, DAY + 25 * HOUR]}
    assert rects(figure(scripts, [period(20, None)], later)) == [(20, 25)]


def test_an_axis_without_a_range_of_its_own_does_not_grow_by_a_band(scripts: Page) -> None:
    free = {"xaxis.type": "date"}
    found = figure(
        scripts, [period(1, 5), period(8, None, "other")], free, None, [[DAY, DAY + 9 * HOUR]]
    )
    assert rects(found) == [(1, 5), (8, 9)]
    wide = figure(scripts, [period(1, 20)], free, None, [[DAY + 2 * HOUR, DAY + 9 * HOUR]])
    assert rects(wide) == [(2, 9)]
    assert wide["x"] is None


@pytest.mark.parametrize(
    "layout", [{"xaxis.visible": False}, {"xaxis.type": "linear"}, {"yaxis.type": "date"}]
)
def test_where_there_is_no_time_axis_nothing_is_shaded(
    scripts: Page, layout: dict[str, Any]
) -> None:
    found = figure(scripts, [period(2, 3)], {"xaxis.range": [0, 1]} | layout)
    assert found["shapes"] == []


def test_panels_above_one_another_share_a_band_and_those_side_by_side_do_not(
    scripts: Page,
) -> None:
    second = {"xaxis2.type": "date", "xaxis2.range": DRAWN["xaxis.range"]}
    assert len(rects(figure(scripts, [period(2, 3)], DRAWN | second))) == 1
    apart = DRAWN | second | {"xaxis.domain": [0, 0.4], "xaxis2.domain": [0.6, 1]}
    found = figure(scripts, [period(2, 3)], apart)
    assert [shape["xref"] for shape in found["shapes"]] == ["x", "x", "x2", "x2"]


@pytest.mark.parametrize(
    ("given", "bands"),
    [
        ([period(1, 2), period(2, 3)], [(1, 3)]),
        ([period(1, 4), period(2, 3)], [(1, 4)]),
        ([period(2, 3), period(1, 2.5)], [(1, 3)]),
        ([period(1, None), period(2, 3)], [(1, 24)]),
        ([period(1, 2), period(1.5, None)], [(1, 24)]),
        ([period(1, 2), period(3, 4)], [(1, 2), (3, 4)]),
        ([period(1, 2), period(2, 3, "other")], [(1, 2), (2, 3)]),
        ([period(1, 2), period(2.03, 3)], [(1, 3)]),
    ],
)
def test_periods_of_one_rule_that_touch_are_one_band(
    scripts: Page, given: list[dict[str, Any]], bands: list[tuple[float, float]]
) -> None:
    """The last one is less than a pixel away."""
    found = figure(scripts, given)
    assert rects(found) == bands
    assert len(found["notes"]) == len(bands)


def test_a_band_of_several_tells_of_each_and_has_the_highest_priority(scripts: Page) -> None:
    given = [
        period(n, n + 1, priority="urgent" if n == 2 else "low", reason=f"Reason {n}")
        for n in range(6)
    ]
    (mark,) = figure(scripts, given)["notes"]
    said = mark["hovertext"].split("<br>")
    assert said[1:3] == ["Title 5", "Reason 5"]
    assert "Title 4" in said
    assert "Reason 4" not in said
    assert said[-2:] == ["and 3 more", "Priority: urgent"]
    assert mark["text"] == "‼"


def test_marks_do_not_cover_each_other(scripts: Page) -> None:
    given = [period(-2, 1, "a"), period(-1, 2, "b"), period(3, 4, "c"), period(3.1, 4, "d")]
    marks = figure(scripts, given)["notes"]
    assert [mark["x"] for mark in marks[:2]] == [DAY, DAY]
    assert [mark["xanchor"] for mark in marks] == ["left", "left", "center", "center"]
    assert [-mark["yshift"] for mark in marks] == [0, 14, 0, 14]


def test_more_than_twenty_marks_are_a_count_until_one_zooms_in(scripts: Page) -> None:
    given = [period(n / 2, n / 2 + 0.1, "odd" if n % 2 else "even") for n in range(42)]
    (count,) = figure(scripts, given)["notes"]
    assert count["text"] == "42 alerts"
    assert count["hovertext"].split("<br>") == [
        "21 × Even, last 01 Jan 20:00",
        "21 × Odd, last 01 Jan 20:30",
        "Zoom in to see each",
    ]
    near = figure(scripts, given, zoom=[DAY + 0.9 * HOUR, DAY + 10.7 * HOUR])
    assert len(near["notes"]) == 20
    wider = figure(scripts, given, zoom=[DAY + 0.9 * HOUR, DAY + 11.2 * HOUR])
    assert [mark["text"] for mark in wider["notes"]] == ["21 alerts"]


def test_what_a_title_says_is_shown_as_it_stands(scripts: Page) -> None:
    nasty = '<b>bold</b> <a href="x">y</a> & &lt; $x^2$ a\u202eb\nc'
    hover = figure(scripts, [period(2, 3, nasty, title=nasty, reason=nasty, by=nasty)])["notes"][0]
    text = hover["hovertext"]
    for line in text.split("<br>")[1:]:
        assert "<" not in line
    assert text.count("<") == text.count("<br>") + 2
    assert "&lt;b&gt;bold&lt;/b&gt;" in text
    assert "&amp; &amp;lt; &#36;x^2&#36; a b c" in text.replace("<br>", " ")
    assert "$" not in text


def test_a_long_reason_is_wrapped_and_ends(scripts: Page) -> None:
    long = period(12, 13, title="x" * 200, reason="many words " * 60)
    lines = figure(scripts, [long])["notes"][0]["hovertext"].split("<br>")
    assert len(lines) == 1 + 4 + 4 + 1 + 1
    assert max(map(len, lines)) <= 58
    assert sum(line.endswith(" …") for line in lines) == 2


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ([], ""),
        ([period(14, 14.25, "funding rate extreme")], "Funding rate extreme, 14:00–14:15"),
        ([period(14, None)], "Rule, since 14:00"),
        ([period(14, 14)], "Rule, 14:00"),
        ([period(-2, -1)], "Rule, 31 Dec 22:00–23:00"),
        ([period(-2, 1)], "Rule, 31 Dec 22:00–01 Jan 01:00"),
        ([period(1, 2), period(3, 4, "other")], "Other, 03:00–04:00; Rule, 01:00–02:00"),
        ([period(1, 2), period(2, 4)], "Rule, 01:00–04:00"),
        (
            [period(n, n + 0.5) for n in range(7)],
            "".join(f"Rule, 0{n}:00–0{n}:30; " for n in range(6, 1, -1)) + "and 2 more",
        ),
    ],
)
def test_a_screen_reader_is_told_when(
    scripts: Page, given: list[dict[str, Any]], words: str
) -> None:
    said = scripts.evaluate(
        """async ([periods, now]) => {
            const [{ bandsOf }, { spokenBands }] =
                [await import("/shading.js"), await import("/shading_words.js")];
            return spokenBands(bandsOf(periods), "UTC", now);
        }""",
        [given, DAY + 20 * HOUR],
    )
    assert said == (f"Shaded: {words}" if words else "")


FOLLOW = """async ([steps, names]) => {
    const { streamShades } = await import("/firing.js");
    let take, ended = 0, followed = 0;
    const desk = { carrier: "stream", view: { symbol: "BTC", span: "24h" }, watchers: new Set(),
        follow: (feed, call) => {
            followed += 1;
            take = call;
            return { close: () => { ended += 1; } };
        } };
    let kernelList = [], kernelCall = () => {};
    const kernel = { list: () => kernelList,
        watch: (call) => { kernelCall = call; return () => { kernelCall = () => {}; }; } };
    const told = Object.fromEntries(names.map((name) => [name, 0]));
    const shades = names.map((name) => streamShades(desk, name, kernel));
    const stops = shades.map((one, n) => one.watch(() => { told[names[n]] += 1; }));
    const seen = [];
    for (const step of steps) {
        if (step.message) take(step.message);
        if (step.view) desk.view = step.view;
        if (step.kernel) { kernelList = step.kernel; kernelCall(); }
        if (step.carrier) {
            desk.carrier = step.carrier;
            for (const call of desk.watchers) call();
        }
        seen.push([shades.map((one) => one.list().map(({ key }) => key)), { ...told }]);
    }
    for (const stop of stops) stop();
    return { seen, followed, ended, left: desk.watchers.size };
}"""


def value(*periods: dict[str, Any]) -> dict[str, Any]:
    feed = ["firing", "BTC", "24h"]
    return {"message": {"kind": "value", "feed": feed, "value": list(periods)}}


def test_a_page_follows_once_and_tells_the_charts_that_have_something_new(scripts: Page) -> None:
    one = period(1, 2) | {"key": "k1", "charts": ["one"]}
    both = period(2, None) | {"key": "k2", "charts": ["one", "two"]}
    steps = [
        value(),
        value(one),
        {"message": {"kind": "beat"}},
        {"message": {"kind": "fault", "message": "away"}},
        value(one),
        value(one, both),
        value(one, both | {"to": DAY + 3 * HOUR}),
    ]
    found = scripts.evaluate(FOLLOW, [steps, ["one", "two"]])
    assert [lists for lists, _ in found["seen"]] == [
        [[], []],
        *([[["k1"], []]] * 4),
        *([[["k1", "k2"], ["k2"]]] * 2),
    ]
    assert [(told["one"], told["two"]) for _, told in found["seen"]] == [
        *[(0, 0), (1, 0), (1, 0), (1, 0), (1, 0), (2, 1), (3, 2)]
    ]
    assert (found["followed"], found["ended"], found["left"]) == (1, 1, 0)


def test_the_kernel_brings_them_while_it_carries_and_no_view_shows_those_of_another(
    scripts: Page,
) -> None:
    one = period(1, 2) | {"key": "stream"}
    own = period(1, 2) | {"key": "kernel"}
    steps = [
        value(one),
        {"kernel": [own]},
        {"carrier": "kernel"},
        {"view": {"symbol": "ETH", "span": "24h"}, "kernel": []},
        {"carrier": "stream"},
    ]
    found = scripts.evaluate(FOLLOW, [steps, ["one"]])
    assert [lists[0] for lists, _ in found["seen"]] == [
        *[["stream"], ["stream"], ["kernel"], [], []]
    ]
    assert [told["one"] for _, told in found["seen"]] == [1, 1, 2, 3, 3]
