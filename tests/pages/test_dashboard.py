"""The dashboard as a viewer sees it: Voila, a real Postgres, a real browser."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from alphapulse_nb import charts, queries
from alphapulse_nb.catalog import OURS
from alphapulse_nb.charts import View
from alphapulse_nb.db.connection import Database
from alphapulse_nb.queries import Window
from tests.conftest import Desk, Served, shot, wait_until, watched
from tests.pages.conftest import TITLES, badge, drawn, layout, open_dashboard, wait_drawn

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

FUNDING = "Funding rates"
ON_BTC = "?symbol=BTC/USDT&range=24h"


def test_five_charts_are_painted_and_nothing_comes_from_another_host(
    page: Page, served: Served
) -> None:
    open_dashboard(page, served.url, ON_BTC)
    assert len(TITLES) == 5
    for title in TITLES:
        assert drawn(page, title), f"{title} has no traces"
    wait_until(lambda: badge(page) in {"live", "quiet", "polling"})
    shot(page, "dashboard-light")
    hosts = {urlsplit(url).netloc for url in page.asked if not url.startswith(("blob:", "data:"))}  # type: ignore[attr-defined]
    assert hosts == {urlsplit(served.url).netloc}
    assert page.faults == []  # type: ignore[attr-defined]


def test_the_numbers_on_the_page_are_those_of_the_database(
    page: Page, served: Served, desk: Desk
) -> None:
    open_dashboard(page, served.url, ON_BTC)
    lines = {trace["name"]: trace for trace in drawn(page, FUNDING)}
    newest = page.evaluate(
        """() => Object.fromEntries(document.querySelector(
            '.ap-panel[data-title="Funding rates"] .js-plotly-plot')
            .data.map((t) => [t.name, [t.x.at(-1), t.y.at(-1)]]))"""
    )
    assert set(lines) == {"binance", "bybit"}
    for exchange, (at, value) in newest.items():
        wanted = desk.run(
            "select funding_rate::float8 * 100 from funding_rates where symbol = 'BTC/USDT' "
            "and exchange = :exchange order by timestamp desc limit 1",
            exchange=exchange,
        )
        assert value == wanted
        assert at == desk.run(
            "select extract(epoch from max(timestamp))::float8 * 1000 from funding_rates "
            "where symbol = 'BTC/USDT' and exchange = :exchange",
            exchange=exchange,
        )


def test_the_headline_cards_are_those_of_the_query(
    page: Page, served: Served, db: Database, desk: Desk
) -> None:
    open_dashboard(page, served.url, ON_BTC)
    page.wait_for_selector('.ap-card[data-key="pnl"]:not(.ap-busy)')
    shown = page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll(".ap-card")]
            .map((card) => [card.dataset.key, card.dataset.value]))"""
    )
    last = Window.last("24h", datetime.now(UTC))
    row = queries.headline(db, "BTC/USDT", last).iloc[0]
    for key in ("pnl", "win_rate", "drawdown", "funding_rate"):
        assert float(shown[key]) == pytest.approx(float(row[key]), rel=1e-9), key
    hints = page.locator(".ap-card-hint").all_inner_texts()
    cards = charts.headline(queries.headline(db, "BTC/USDT", last), View(span=last.label))
    assert hints == [card.hint for card in cards]


def test_a_row_inserted_while_the_page_is_open_appears(
    page: Page, served: Served, desk: Desk
) -> None:
    open_dashboard(page, served.url, ON_BTC)
    desk.run(
        "insert into funding_rates (timestamp, symbol, exchange, funding_rate) "
        "values (now(), 'BTC/USDT', 'bybit', 0.00123)"
    )
    wait_until(
        lambda: any(
            trace["name"] == "bybit" and round(trace["y"][-1], 6) == 0.123
            for trace in drawn(page, FUNDING)
        ),
        10,
    )
    desk.run("delete from funding_rates where funding_rate = 0.00123")


def test_a_zoom_and_a_hidden_line_survive_refreshes_and_a_double_click_goes_home(
    page: Page, served: Served, desk: Desk
) -> None:
    open_dashboard(page, served.url, ON_BTC)
    panel = page.locator(f'.ap-panel[data-title="{FUNDING}"]')
    panel.locator(".legendtoggle").first.click()
    wait_until(lambda: drawn(page, FUNDING)[0]["visible"] == "legendonly")
    box = panel.locator(".nsewdrag").first.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.3, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, middle, steps=5)
    page.mouse.up()
    before = layout(page, FUNDING)["x"]
    assert before[1] - before[0] < 8 * 3_600_000
    for _ in range(2):
        seq = panel.get_attribute("data-seq")
        desk.run(
            "insert into funding_rates (timestamp, symbol, exchange, funding_rate) "
            "values (now(), 'BTC/USDT', 'bybit', 0.0001)"
        )
        wait_until(lambda seq=seq: panel.get_attribute("data-seq") != seq)
    assert layout(page, FUNDING)["x"] == pytest.approx(before, abs=1)
    assert drawn(page, FUNDING)[0]["visible"] == "legendonly"
    page.mouse.dblclick(box["x"] + box["width"] * 0.5, middle)
    wait_until(lambda: layout(page, FUNDING)["x"][1] - layout(page, FUNDING)["x"][0] > 8e7)


def test_a_zoom_at_the_right_edge_follows_the_newest_data(page: Page, served: Served) -> None:
    open_dashboard(page, served.url, ON_BTC)
    box = page.locator(f'.ap-panel[data-title="{FUNDING}"] .nsewdrag').first.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.7, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] + 30, middle, steps=5)
    page.mouse.up()
    first = layout(page, FUNDING)["x"]
    wait_until(lambda: layout(page, FUNDING)["x"][1] > first[1] + 1000, 15)
    later = layout(page, FUNDING)["x"]
    assert later[1] - later[0] == pytest.approx(first[1] - first[0], abs=1)


def test_the_address_gives_the_view_and_takes_it(page: Page, served: Served) -> None:
    open_dashboard(page, served.url, "?symbol=ETH/USDT&range=6h&tz=Asia/Tokyo")
    assert page.locator(".ap-select").first.input_value() == "ETH/USDT"
    assert page.locator(".ap-range input:checked").input_value() == "6h"
    about = page.locator(f'.ap-panel[data-title="{FUNDING}"] .ap-about').inner_text()
    assert about == "ETH/USDT · last 6 h"
    page.locator('.ap-range input[value="1h"]').check(force=True)
    page.locator(".ap-select").first.select_option("SOL/USDT")
    wait_until(lambda: "SOL/USDT" in page.url)
    assert "range=1h" in page.url
    assert "tz=Asia" in page.url
    wait_drawn(page)
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    wait_drawn(page)
    assert page.locator(f'.ap-panel[data-title="{FUNDING}"] .ap-about').inner_text() == (
        "SOL/USDT · last 1 h"
    )


def test_a_time_zone_moves_the_labels_and_not_the_data(page: Page, served: Served) -> None:
    open_dashboard(page, served.url, f"{ON_BTC}&tz=UTC")
    before = [trace["x"][-1] for trace in drawn(page, FUNDING)]
    utc = layout(page, FUNDING)["ticks"]
    page.get_by_label("Time zone").select_option("Australia/Darwin")
    wait_until(lambda: layout(page, FUNDING)["ticks"] != utc)
    ticks = layout(page, FUNDING)["ticks"]
    assert all(re.match(r"\d\d:00", text) for text in ticks)
    after = drawn(page, FUNDING)
    assert [trace["x"][-1] for trace in after] == pytest.approx(before, abs=60_000)
    local = datetime.fromtimestamp(after[0]["x"][-1] / 1000, UTC) + timedelta(hours=9, minutes=30)
    assert after[0]["text"][-1] == local.strftime("%d %b %Y %H:%M:%S")


def test_a_zone_by_a_name_that_the_browser_does_not_list_is_kept(
    page: Page, served: Served
) -> None:
    open_dashboard(page, served.url, f"{ON_BTC}&tz=Asia/Kolkata")
    assert page.get_by_label("Time zone").input_value() == "Asia/Kolkata"
    page.goto(f"{served.url}{ON_BTC}&tz=Mars/Olympus")
    wait_drawn(page)
    assert page.get_by_label("Time zone").input_value() == "UTC"


def test_paused_nothing_changes_until_it_resumes(page: Page, served: Served, desk: Desk) -> None:
    open_dashboard(page, served.url, ON_BTC)
    page.get_by_role("button", name="Pause").click()
    wait_until(lambda: badge(page) == "paused")
    page.wait_for_timeout(2500)
    seq = page.locator(f'.ap-panel[data-title="{FUNDING}"]').get_attribute("data-seq")
    page.wait_for_timeout(4500)
    assert page.locator(f'.ap-panel[data-title="{FUNDING}"]').get_attribute("data-seq") == seq
    page.get_by_role("button", name="Resume").click()
    wait_until(
        lambda: page.locator(f'.ap-panel[data-title="{FUNDING}"]').get_attribute("data-seq") != seq
    )


def test_a_phone_has_no_horizontal_scroll(browser: Browser, served: Served) -> None:
    context = browser.new_context(
        viewport={"width": 390, "height": 844},
        has_touch=True,
        is_mobile=True,
        device_scale_factor=2,
    )
    page = watched(context.new_page())
    open_dashboard(page, served.url, ON_BTC)
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    shot(page, "dashboard-phone", whole=True)
    context.close()


def test_dark_follows_the_system_and_the_button(browser: Browser, served: Served) -> None:
    context = browser.new_context(viewport={"width": 1440, "height": 900}, color_scheme="dark")
    page = watched(context.new_page())
    open_dashboard(page, served.url, ON_BTC)
    assert page.evaluate("document.body.dataset.jpThemeLight") == "false"
    colour = "getComputedStyle(document.querySelector('.ap-panel')).backgroundColor"
    dark = page.evaluate(colour)
    graph = f".ap-panel[data-title='{FUNDING}'] .js-plotly-plot"
    line = f'document.querySelector("{graph}").data[0].line.color'
    assert page.evaluate(line) == "#4db3f0"
    wait_until(lambda: badge(page) in {"live", "quiet", "polling"})
    shot(page, "dashboard-dark")
    page.get_by_role("button", name="Light").click()
    wait_until(lambda: page.evaluate(colour) != dark)
    wait_until(lambda: page.evaluate(line) == "#0072b2")
    context.close()


def test_a_slow_machine_still_updates_all_five(page: Page, served: Served, desk: Desk) -> None:
    page.context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 4})
    open_dashboard(page, served.url, ON_BTC)
    first = {title: _seq(page, title) for title in TITLES}
    wait_until(lambda: all(_seq(page, title) > first[title] for title in TITLES), 40)


def _seq(page: Page, title: str) -> int:
    return int(page.locator(f'.ap-panel[data-title="{title}"]').get_attribute("data-seq") or 0)


def test_the_table_shows_the_newest_values(page: Page, served: Served) -> None:
    open_dashboard(page, served.url, ON_BTC)
    panel = page.locator(f'.ap-panel[data-title="{FUNDING}"]')
    panel.get_by_role("button", name="Table").click()
    rows = panel.locator("table tr")
    wait_until(lambda: rows.count() > 10)
    assert "binance" in panel.locator("table").inner_text()
    panel.get_by_role("button", name="Chart").click()
    wait_until(lambda: panel.locator(".js-plotly-plot").is_visible())


def test_every_panel_says_what_it_shows(page: Page, served: Served) -> None:
    open_dashboard(page, served.url, ON_BTC)
    said = page.locator(f'.ap-panel[data-title="{FUNDING}"] .ap-plot').get_attribute("aria-label")
    assert said is not None
    assert said.startswith("Funding rates for BTC/USDT, last 24 h: latest binance")
    assert page.locator(".ap-plot[role=img]").count() == len(OURS)


def test_an_unknown_symbol_is_a_quiet_message_in_each_panel(page: Page, served: Served) -> None:
    page.goto(f"{served.url}?symbol=NOPE/USDT")
    wait_drawn(page, ["System"])
    wait_until(lambda: page.locator(".ap-panel.ap-faulty").count() == len(TITLES) - 1)
    body = page.locator(f'.ap-panel[data-title="{FUNDING}"]').inner_text()
    assert "There is no symbol 'NOPE/USDT'" in body
    assert "NOPE/USDT (unknown)" in page.locator(".ap-select").first.inner_text()
    shot(page, "unknown-symbol")
    assert page.faults == []  # type: ignore[attr-defined]


EVIL = '<img src=x onerror="window.__evil=1">\'"</script><script>window.__evil=2</script>'


def test_html_in_a_symbol_is_text_and_never_runs(page: Page, served: Served, desk: Desk) -> None:
    name = "<b onclick=x>'\"&"
    desk.run(
        "insert into funding_rates (timestamp, symbol, exchange, funding_rate) "
        "values (now(), :symbol, '<i>x</i>', 0.0001)",
        symbol=name,
    )
    desk.run(
        "insert into anomalies (timestamp, symbol, data_type, value, z_score) "
        "values (now(), :symbol, :kind, 1, 99)",
        symbol=name,
        kind="<img src=x onerror=alert(1)>",
    )
    try:
        page.goto(f"{served.url}?symbol={EVIL}&range={EVIL}&tz={EVIL}")
        wait_until(lambda: page.locator(".ap-panel.ap-faulty").count() == len(TITLES) - 1)
        page.goto(served.url + "?symbol=%3Cb%20onclick%3Dx%3E'%22%26")
        wait_drawn(page)
        assert page.locator(f'.ap-panel[data-title="{FUNDING}"] .ap-about').inner_text() == (
            f"{name} · last 24 h"
        )
        page.wait_for_selector(".ap-alert")
        assert "<img src=x onerror=alert(1)>" in page.locator(".ap-alerts").inner_text()
        assert page.evaluate("document.querySelectorAll('.ap-page img, .ap-page b').length") == 0
        assert page.evaluate("window.__evil ?? null") is None
        assert page.faults == []  # type: ignore[attr-defined]
    finally:
        desk.run("delete from funding_rates where symbol = :symbol", symbol=name)
        desk.run("delete from anomalies where symbol = :symbol", symbol=name)


HIDE = """(hidden) => {
    Object.defineProperty(document, "hidden", { configurable: true, get: () => hidden });
    document.dispatchEvent(new Event("visibilitychange"));
}"""


def test_a_hidden_page_draws_nothing_and_on_return_once(
    page: Page, served: Served, desk: Desk
) -> None:
    open_dashboard(page, served.url, ON_BTC)
    page.evaluate(HIDE, True)
    page.wait_for_timeout(300)
    seq = _seq(page, FUNDING)
    page.evaluate(
        """(title) => {
            window.__drawn = 0;
            document.querySelector(`.ap-panel[data-title="${title}"] .js-plotly-plot`)
                .on("plotly_afterplot", () => { window.__drawn += 1; });
        }""",
        FUNDING,
    )
    page.wait_for_timeout(5000)
    assert page.evaluate("window.__drawn") == 0
    page.evaluate(HIDE, False)
    wait_until(lambda: _seq(page, FUNDING) > seq, 5)
    assert page.evaluate("window.__drawn") <= 2
