"""`/live`: without a kernel it shows what the dashboard shows, and comes back by itself."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import psutil
import pytest

from tests.cable import Cable
from tests.conftest import Desk, Served, free_port, serve, shot, wait_until
from tests.pages.conftest import TITLES, badge, drawn, open_dashboard, wait_drawn
from tests.visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

ON_BTC = "?symbol=BTC/USDT&range=24h"
SHOWN = {"live", "quiet"}
"""What the badge says while the stream is open: the data of the tests grows old."""


@pytest.fixture(scope="module")
def site(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("live")
    with serve(
        folder, desk.server.url, ALPHAPULSE_REFRESH_INTERVAL="2", DASHBOARD_ALERTS="true"
    ) as made:
        yield made


def cards(page: Page) -> dict[str, str]:
    wait_until(lambda: page.locator(".ap-card[data-value]:not(.ap-busy)").count() == 7)
    found = page.locator(".ap-card").all()
    return {one.get_attribute("data-key") or "": one.inner_text() for one in found}


def test_it_shows_the_same_numbers_as_the_dashboard_and_starts_no_kernel(
    page: Page, site: Served
) -> None:
    # A window that ends with the data, so that no row leaves it between the two looks.
    seen = {}
    for path in ("", "live"):
        open_dashboard(page, f"{site.url}{path}", "?symbol=BTC/USDT&range=30d")
        seen[path] = (cards(page), {title: drawn(page, title) for title in TITLES})
        if path:
            asked = [url for url in page.asked if not url.startswith(("data:", "blob:"))]  # type: ignore[attr-defined]
            assert {urlsplit(url).netloc for url in asked} == {urlsplit(site.url).netloc}
        page.goto("about:blank")
    assert seen["live"][0] == seen[""][0]
    for title in TITLES:
        old, new = seen[""][1][title], seen["live"][1][title]
        assert [trace["y"] for trace in old] == [trace["y"] for trace in new], title
    names = [child.name() for child in psutil.Process(site.process.pid).children(recursive=True)]
    wait_until(lambda: "ap-kernel" not in names or not _kernels(site))


def _kernels(site: Served) -> list[str]:
    children = psutil.Process(site.process.pid).children(recursive=True)
    return [child.name() for child in children if child.name() == "ap-kernel"]


def test_a_symbol_that_there_is_not_is_said_in_every_panel_of_it(page: Page, site: Served) -> None:
    said: list[str] = []
    page.on("websocket", lambda socket: socket.on("framesent", lambda data: said.append(str(data))))
    page.goto(f"{site.url}live?symbol=BTC/USD&range=1h")
    wait_until(lambda: page.locator(".ap-panel.ap-faulty").count() == 4)
    wait_until(lambda: page.locator(".ap-card.ap-busy").count() == 0)
    assert {card.inner_text() for card in page.locator(".ap-card strong").all()} == {"–"}
    note = page.locator(".ap-note").first.inner_text()
    assert "There is no symbol 'BTC/USD'. Did you mean BTC/USDT?" in note
    wait_until(lambda: "4 panels have no new data" in page.locator(".ap-alerts").inner_text())
    # It is not asked for again and again, for which the server would end the connection.
    asked = len([text for text in said if '"watch"' in text])
    assert asked
    page.wait_for_timeout(12_000)
    assert len([text for text in said if '"watch"' in text]) == asked
    page.get_by_label("Symbol").select_option("BTC/USDT")
    wait_drawn(page)


def test_a_new_row_reaches_the_pixels(page: Page, site: Served, desk: Desk) -> None:
    insert = (
        "INSERT INTO funding_rates (timestamp, symbol, exchange, funding_rate) "
        "VALUES (now(), 'LIV/USDT', 'binance', :rate)"
    )
    desk.run(insert, rate=0.0001)
    open_dashboard(page, f"{site.url}live", "?symbol=LIV/USDT&range=1h")
    desk.run(insert, rate=0.0007)
    wait_until(lambda: _rates(page)[-1:] == [pytest.approx(0.07)])
    assert len(_rates(page)) == 2


def _rates(page: Page) -> list[float]:
    return [y for trace in drawn(page, "Funding rates") for y in trace["y"] if y]


def test_the_address_chooses_and_keys_change_it(page: Page, site: Served) -> None:
    open_dashboard(page, f"{site.url}live", "?symbol=ETH/USDT&range=6h&tz=Asia/Tokyo")
    wait_until(lambda: badge(page) in SHOWN)
    assert page.locator(".ap-select").first.input_value() == "ETH/USDT"
    assert page.get_by_label("Time zone").input_value() == "Asia/Tokyo"
    page.keyboard.press("1")
    wait_until(lambda: "range=1h" in page.url)
    # The list of symbols comes beside the charts, and may come after them.
    wait_until(lambda: page.locator(".ap-select").first.locator("option").count() > 1)
    page.keyboard.press("[")
    wait_until(lambda: "symbol=BTC/USDT" in page.url)
    wait_drawn(page)
    page.keyboard.press("?")
    assert page.get_by_role("dialog").is_visible()
    shot(page, "live-shortcuts")
    page.keyboard.press("?")
    assert not page.get_by_role("dialog").is_visible()
    page.keyboard.press("p")
    wait_until(lambda: badge(page) == "paused")
    page.keyboard.press("p")
    wait_until(lambda: badge(page) in SHOWN)
    assert page.faults == []  # type: ignore[attr-defined]


def test_a_page_for_a_wall_has_no_controls(page: Page, site: Served) -> None:
    open_dashboard(page, f"{site.url}live", f"{ON_BTC}&kiosk")
    assert not page.get_by_label("Time zone").is_visible()
    assert page.locator(".ap-now").inner_text() == "BTC/USDT · 24h"
    wait_until(lambda: "ap-idle" in (page.locator("body").get_attribute("class") or ""))
    shot(page, "live-kiosk")


def test_without_a_symbol_it_shows_the_first(page: Page, site: Served) -> None:
    open_dashboard(page, f"{site.url}live")
    first = json.loads(Visitor(site.url).get("api/symbols").body)["symbols"][0]
    name = first if isinstance(first, str) else first["symbol"]
    assert page.locator(".ap-select").first.input_value() == name


def test_a_connection_that_is_cut_is_said_and_comes_back(page: Page, site: Served) -> None:
    with Cable(site.url) as cable:
        open_dashboard(page, f"{cable.url}live", ON_BTC)
        wait_until(lambda: badge(page) in SHOWN)
        page.evaluate("window.__same = true")
        cable.cut()
        began = time.monotonic()
        wait_until(lambda: badge(page) == "offline", 10)
        assert "no connection to the server" in page.locator(".ap-badge-text").inner_text()
        assert time.monotonic() - began < 8
        cable.mend()
        wait_until(lambda: badge(page) in SHOWN, 30)
        assert page.evaluate("window.__same") is True


def test_a_page_outlives_its_server_and_misses_nothing(
    page: Page, desk: Desk, tmp_path: Path
) -> None:
    insert = (
        "INSERT INTO funding_rates (timestamp, symbol, exchange, funding_rate) "
        "VALUES (now(), 'LIVE/USDT', 'binance', :rate)"
    )
    desk.run(insert, rate=0.0001)
    given = {"ALPHAPULSE_REFRESH_INTERVAL": "2", "DASHBOARD_PORT": str(free_port())}
    with serve(tmp_path, desk.server.url, **given) as before:
        open_dashboard(page, f"{before.url}live", "?symbol=LIVE/USDT&range=1h")
        page.evaluate("window.__same = true")
        before.process.kill()
        before.process.wait()
        wait_until(lambda: badge(page) == "offline", 10)
        desk.run(insert, rate=0.0002)
    with serve(tmp_path, desk.server.url, **given):
        wait_until(lambda: _rates(page) == [pytest.approx(0.01), pytest.approx(0.02)], 40)
        wait_until(lambda: badge(page) in SHOWN)
        desk.run(insert, rate=0.0003)
        wait_until(lambda: _rates(page)[2:] == [pytest.approx(0.03)], 20)
        assert page.evaluate("window.__same") is True
    desk.run("DELETE FROM funding_rates WHERE symbol = 'LIVE/USDT'")


def test_a_symbol_that_gets_its_first_row_heals_its_panels(
    page: Page, site: Served, desk: Desk
) -> None:
    page.goto(f"{site.url}live?symbol=LATE/USDT&range=1h")
    wait_until(lambda: page.locator(".ap-panel.ap-faulty").count() == 4)
    desk.run(
        "INSERT INTO funding_rates (timestamp, symbol, exchange, funding_rate) "
        "VALUES (now(), 'LATE/USDT', 'binance', 0.0001)"
    )
    wait_drawn(page)
    assert _rates(page) == [pytest.approx(0.01)]
    desk.run("DELETE FROM funding_rates WHERE symbol = 'LATE/USDT'")


def test_a_stranger_signs_in_first(
    desk: Desk, page: Page, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("guarded-live")
    settings = {"DASHBOARD_TOKEN": "correct-horse-battery", "DASHBOARD_BASE_URL": "/desk/one"}
    with serve(folder, desk.server.url, **settings) as served:
        base = f"{served.url}desk/one/"
        page.goto(f"{base}live{ON_BTC}")
        assert page.url.startswith(f"{base}login?next=")
        page.goto(f"{base}live{ON_BTC}&token=correct-horse-battery")
        wait_drawn(page)
        assert page.url == f"{base}live{ON_BTC}"
        assert "correct-horse-battery" not in served.output()
