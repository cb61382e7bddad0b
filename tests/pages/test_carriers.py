"""Who brings the dashboard its data: the stream, and the page's kernel where the stream cannot."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.cable import Cable
from tests.conftest import Desk, Served, new_desk, serve, shot, wait_until
from tests.kernel import ask
from tests.pages.conftest import badge, drawn, kernel_of, open_dashboard, wait_drawn
from tests.visitor import Visitor

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

SHOWN = {"live", "quiet"}
"""What the badge says while the stream is open: the data of the tests grows old."""
STREAM, KERNEL = "/stream", "/api/kernels"


@pytest.fixture(scope="module")
def site(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("carriers")
    with serve(folder, desk.server.url, ALPHAPULSE_REFRESH_INTERVAL="2") as made:
        yield made
    desk.run("DELETE FROM funding_rates WHERE symbol LIKE 'Z%'")


def insert(desk: Desk, symbol: str, rate: float) -> None:
    desk.run(
        "INSERT INTO funding_rates (timestamp, symbol, exchange, funding_rate) "
        "VALUES (now(), :symbol, 'binance', :rate)",
        symbol=symbol,
        rate=rate,
    )


def last_rate(page: Page) -> float | None:
    """The newest rate on the page, in per cent."""
    found = [y for trace in drawn(page, "Funding rates") for y in trace["y"] if y is not None]
    return found[-1] if found else None


def badge_text(page: Page) -> str:
    return page.locator(".ap-badge-text").inner_text()


def reports(site: Served) -> float:
    """Refreshes that kernels have told of."""
    told = Visitor(site.url).get("api/metrics", Accept="text/plain").body.decode()
    lines = [line for line in told.splitlines() if line.startswith("alphapulse_reports_total ")]
    (line,) = lines
    return float(line.split()[-1])


def test_the_kernel_of_a_page_that_the_stream_feeds_does_nothing(
    page: Page, site: Served, desk: Desk
) -> None:
    insert(desk, "ZIDL/USDT", 0.0001)
    before = reports(site)
    open_dashboard(page, site.url, "?symbol=ZIDL/USDT&range=1h")
    wait_until(lambda: badge(page) in SHOWN)
    insert(desk, "ZIDL/USDT", 0.0003)
    wait_until(lambda: last_rate(page) == pytest.approx(0.03))
    page.get_by_label("Symbol").select_option("BTC/USDT")
    wait_drawn(page)
    assert reports(site) == before
    assert page.faults == []  # type: ignore[attr-defined]


def test_with_the_stream_blocked_the_kernel_goes_on_and_the_stream_returns_by_itself(
    page: Page, site: Served, desk: Desk
) -> None:
    insert(desk, "ZBLK/USDT", 0.0001)
    before = reports(site)
    with Cable(site.url) as cable:
        open_dashboard(page, cable.url, "?symbol=ZBLK/USDT&range=1h")
        wait_until(lambda: badge(page) in SHOWN)
        page.evaluate("window.__same = true")
        cable.refuse(STREAM)
        wait_until(lambda: badge(page) == "polling", 6)
        assert badge_text(page) == "Polling: the stream is interrupted"
        insert(desk, "ZBLK/USDT", 0.0004)
        wait_until(lambda: last_rate(page) == pytest.approx(0.04))
        wait_until(lambda: reports(site) > before)
        shot(page, "stream-blocked")
        page.get_by_label("Symbol").select_option("BTC/USDT")
        wait_drawn(page)
        page.get_by_label("Symbol").select_option("ZBLK/USDT")
        wait_drawn(page)
        cable.allow(STREAM)
        wait_until(lambda: badge(page) in SHOWN, 20)
        insert(desk, "ZBLK/USDT", 0.0005)
        wait_until(lambda: last_rate(page) == pytest.approx(0.05))
        assert page.evaluate("window.__same") is True


def test_where_the_stream_never_gets_through_the_kernel_makes_the_page(
    page: Page, site: Served
) -> None:
    with Cable(site.url) as cable:
        cable.refuse(STREAM)
        open_dashboard(page, cable.url)
        wait_until(lambda: badge(page) == "polling")
        assert page.locator(".ap-card[data-value]:not(.ap-busy)").count() == 7
        assert len(page.locator(".ap-select").first.locator("option").all()) > 1


def test_a_kernel_that_stands_in_and_hangs_is_named(page: Page, site: Served) -> None:
    with Cable(site.url) as cable:
        cable.refuse(STREAM)
        open_dashboard(page, cable.url, "?symbol=BTC/USDT&range=1h")
        wait_until(lambda: badge(page) == "polling")
        kernel = ask(kernel_of(page), "__import__('os').getpid()")
        os.kill(kernel, signal.SIGSTOP)
        try:
            wait_until(lambda: badge(page) == "offline", 8)
            assert badge_text(page) == "Offline: the kernel does not answer"
        finally:
            os.kill(kernel, signal.SIGCONT)
        wait_until(lambda: badge(page) == "polling", 15)


def test_a_killed_database_is_said_at_once_however_seldom_the_page_looks(
    page: Page, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with new_desk(tmp_path_factory.mktemp("mortal"), hours=1) as mortal:
        folder = tmp_path_factory.mktemp("seldom")
        with serve(folder, mortal.server.url, ALPHAPULSE_REFRESH_INTERVAL="60") as served:
            open_dashboard(page, served.url, "?symbol=BTC/USDT&range=1h")
            wait_until(lambda: badge(page) in SHOWN)
            pid = mortal.server.pid
            assert pid is not None
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda: badge(page) == "offline", 8)
            assert badge_text(page) == "Offline: the database cannot be reached"
            mortal.server.ensure_running()
            wait_until(lambda: badge(page) in SHOWN, 40)
            mortal.engine.dispose()


def test_without_its_kernel_the_page_goes_on_by_the_stream(
    page: Page, site: Served, desk: Desk
) -> None:
    insert(desk, "ZKER/USDT", 0.0001)
    with Cable(site.url) as cable:
        open_dashboard(page, cable.url, "?symbol=ZKER/USDT&range=1h")
        wait_until(lambda: badge(page) in SHOWN)
        cable.refuse(KERNEL)
        insert(desk, "ZKER/USDT", 0.0006)
        wait_until(lambda: last_rate(page) == pytest.approx(0.06))
        assert badge(page) in SHOWN
        # With both gone there is nobody left.
        cable.refuse(STREAM)
        wait_until(lambda: badge(page) == "offline", 8)
        assert badge_text(page) == "Offline: no connection to the server"
        cable.allow(KERNEL)
        cable.allow(STREAM)
        wait_until(lambda: badge(page) in SHOWN, 40)


def test_a_server_that_hangs_is_said_to_be_away_and_comes_back(page: Page, site: Served) -> None:
    open_dashboard(page, site.url, "?symbol=BTC/USDT&range=1h")
    wait_until(lambda: badge(page) in SHOWN)
    os.kill(site.process.pid, signal.SIGSTOP)
    try:
        wait_until(lambda: badge(page) == "offline", 8)
        assert badge_text(page) == "Offline: no connection to the server"
    finally:
        os.kill(site.process.pid, signal.SIGCONT)
    wait_until(lambda: badge(page) in SHOWN, 20)


def test_paused_a_new_view_comes_once(page: Page, site: Served, desk: Desk) -> None:
    insert(desk, "ZPAU/USDT", 0.0001)
    open_dashboard(page, site.url, "?symbol=BTC/USDT&range=1h")
    page.get_by_role("button", name="Pause").click()
    wait_until(lambda: badge(page) == "paused")
    page.get_by_label("Symbol").select_option("ZPAU/USDT")
    wait_drawn(page)
    assert last_rate(page) == pytest.approx(0.01)
    insert(desk, "ZPAU/USDT", 0.0002)
    page.wait_for_timeout(5_000)
    assert last_rate(page) == pytest.approx(0.01)
    page.get_by_role("button", name="Resume").click()
    wait_until(lambda: last_rate(page) == pytest.approx(0.02))
