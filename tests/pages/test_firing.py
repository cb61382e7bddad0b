"""Alerts on the charts: what fires is shaded where it belongs, says why, and ends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from alphapulse_nb.alerts import rule as rules
from alphapulse_nb.alerts.store import Store
from alphapulse_nb.db.connection import connect
from alphapulse_nb.state import State
from tests.cable import Cable
from tests.conftest import Desk, Served, serve, shot, wait_until
from tests.pages.conftest import TITLES, badge, open_dashboard

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

SYMBOL, FUNDING = "FIR/USDT", "Funding rates"
TITLE = '<b>bold</b> <a href="https://example.com">link</a> & 5 < 6'
RULE = {
    "name": "rate too high",
    "source": "funding_rates",
    "where": f'symbol == "{SYMBOL}"',
    "aggregate": "last",
    "field": "funding_rate",
    "window": "1h",
    "threshold": "0.05 %",
    "by": ["symbol"],
    "priority": "urgent",
    "title": "Rate {value}",
    "message": "The limit is {threshold}.",
}


@pytest.fixture
def site(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(
        tmp_path_factory.mktemp("firing"),
        desk.server.url,
        ALPHAPULSE_REFRESH_INTERVAL="2",
        DASHBOARD_ALERTS="true",
    ) as made:
        wait_until(lambda: desk.run("SELECT to_regclass('alphapulse.rules')"), 40)
        yield made
    with connect(desk.server.url) as db, State(db) as state:
        Store(state).remove(str(RULE["name"]))
    desk.run("DELETE FROM alphapulse.alerts WHERE symbol = :symbol", symbol=SYMBOL)
    desk.run("DELETE FROM funding_rates WHERE symbol = :symbol", symbol=SYMBOL)


def fund(desk: Desk, rate: float, minutes: float = 0) -> None:
    desk.run(
        "INSERT INTO funding_rates (timestamp, symbol, exchange, funding_rate) "
        "VALUES (now() - :minutes * interval '1 minute', :symbol, 'binance', :rate)",
        minutes=minutes,
        symbol=SYMBOL,
        rate=rate,
    )


def bands(page: Page) -> dict[str, list[dict[str, Any]]]:
    """What is shaded, by panel: the ends, whether it is drawn, and the newest end of the axis."""
    found: dict[str, list[dict[str, Any]]] = page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll(".ap-panel[data-title]")]
            .map((panel) => {
                const graph = panel.querySelector(".js-plotly-plot");
                const rects = (graph?.layout.shapes ?? []).filter((one) => one.type === "rect");
                const drawn = panel.querySelectorAll(".layer-below .shapelayer path").length;
                return [panel.dataset.title, rects.map(({ x0, x1, fillcolor }) => ({
                    x0, x1, fillcolor, drawn, edge: graph.layout.xaxis.range[1] }))];
            }).filter(([, rects]) => rects.length))"""
    )
    return {title: rects for title, rects in found.items() if title in TITLES}


def hover(page: Page, place: int) -> str:
    """What the mark of a band says, without the spaces, of which the ends of lines have none."""
    panel = page.locator(f'.ap-panel[data-title="{FUNDING}"]')
    box = panel.locator(".annotation-text-g").nth(place).bounding_box()
    if box is None:  # it is being drawn anew
        return ""
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 + 40)
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    return "".join(str(panel.locator(".hoverlayer").text_content()).split())


def described(page: Page) -> str:
    plot = page.locator(f'.ap-panel[data-title="{FUNDING}"] .ap-plot')
    return str(page.locator(f"#{plot.get_attribute('aria-describedby')}").text_content())


def put_closed(desk: Desk) -> None:
    """One that is over, of a rule that is gone, and one of another symbol."""
    for key, symbol in (("old", SYMBOL), ("foreign", "FAR/USDT")):
        desk.run(
            "INSERT INTO alphapulse.alerts (key, rule, labels, symbol, type, priority, title, "
            "message, opened_at, closed_at, acknowledged_by) VALUES (:key, 'gone', '{}', :symbol, "
            "'warning', 'low', :title, 'Because.', now() - interval '40 minutes', "
            "now() - interval '30 minutes', 'ann')",
            key=f"{key}\nfunding_rates 4711",
            symbol=symbol,
            title=TITLE,
        )


def test_what_fires_is_shaded_on_its_charts_says_why_and_ends(
    page: Page, site: Served, desk: Desk
) -> None:
    put_closed(desk)
    with connect(desk.server.url) as db, State(db) as state:
        Store(state).save(rules.read(RULE))
    for minutes in (50, 20):
        fund(desk, 0.0001, minutes)
    open_dashboard(page, f"{site.url}live", f"?symbol={SYMBOL}&range=1h")
    wait_until(lambda: len(bands(page).get(FUNDING, [])) == 1)
    (old,) = bands(page)[FUNDING]
    assert old["x1"] - old["x0"] == 600_000
    assert old["drawn"] == 2

    fund(desk, 0.0008)
    wait_until(lambda: len(bands(page).get(FUNDING, [])) == 2, 30)
    # It may have begun after the last look at the data, at which the axis ends.
    wait_until(lambda: bands(page)[FUNDING][1]["edge"] > bands(page)[FUNDING][1]["x0"])
    open_ = bands(page)[FUNDING][1]
    assert open_["x1"] == open_["edge"]
    wait_until(lambda: bands(page)[FUNDING][1]["x1"] > open_["x1"])
    grown = bands(page)[FUNDING][1]
    assert (grown["x0"], grown["x1"]) == (open_["x0"], grown["edge"])
    others = [rect for title, rects in bands(page).items() if title != FUNDING for rect in rects]
    assert {rect["x0"] for rect in others}.isdisjoint({old["x0"], open_["x0"]})

    wait_until(lambda: TITLE.replace(" ", "") in hover(page, 0))
    for said in ("Because.", "Acknowledgedbyann", "Priority:low"):
        wait_until(lambda said=said: said in hover(page, 0))
    assert page.locator(".hoverlayer a").count() == 0
    wait_until(lambda: "Thelimitis0.05%." in hover(page, 1))
    shot(page, "firing-light")
    dark = page.get_by_role("button", name="Dark")
    light = grown["fillcolor"]
    dark.click()
    wait_until(lambda: bands(page)[FUNDING][1]["fillcolor"] != light)
    shot(page, "firing-dark")
    wait_until(lambda: described(page).startswith("Shaded: Rate too high, since "))
    assert "; Gone, " in described(page)

    fund(desk, 0.0001)
    wait_until(lambda: bands(page)[FUNDING][1]["x1"] < bands(page)[FUNDING][1]["edge"], 30)
    wait_until(lambda: "since" not in described(page))
    ended = [(rect["x0"], rect["x1"]) for rect in bands(page)[FUNDING]]
    assert page.faults == []  # type: ignore[attr-defined]

    with Cable(site.url) as cable:
        cable.refuse("/stream")
        open_dashboard(page, cable.url, f"?symbol={SYMBOL}&range=1h")
        wait_until(lambda: len(bands(page).get(FUNDING, [])) == 2)
        wait_until(lambda: badge(page) == "polling")
        assert [(rect["x0"], rect["x1"]) for rect in bands(page)[FUNDING]] == ended
