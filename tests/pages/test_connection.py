"""What an open page does when its kernel, its server or the way to it goes, and comes back."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.browser import ARGUMENTS, chromium
from tests.cable import Cable
from tests.conftest import ROOT, Desk, Served, free_port, serve, shot, wait_until, watched
from tests.kernel import ask
from tests.pages.conftest import TITLES, badge, drawn, kernel_of, open_dashboard, wait_drawn

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

QUICK = {"ALPHAPULSE_REFRESH_INTERVAL": "2"}
ON_ETH = "?symbol=ETH/USDT&range=6h"
FUNDING = "Funding rates"
PASSWORD = "staple of the desk"


def wait_another(page: Page, before: str) -> None:
    """Until the page has loaded again, with another kernel."""
    page.wait_for_function(
        """(before) => {
            const config = document.getElementById("jupyter-config-data")?.textContent;
            // A page that is still arriving has none of it, or a part.
            return config?.trim().endsWith("}") && JSON.parse(config).kernelId !== before;
        }""",
        arg=before,
    )


def seq(page: Page) -> int:
    return int(page.locator(f'.ap-panel[data-title="{FUNDING}"]').get_attribute("data-seq") or 0)


def assert_live(page: Page) -> None:
    """All charts are there and the next refresh comes."""
    wait_drawn(page)
    for title in TITLES:
        assert drawn(page, title), title
    wait_until(lambda: badge(page) in {"live", "quiet", "polling"})
    before = seq(page)
    wait_until(lambda: seq(page) != before)


def assert_same_view(page: Page) -> None:
    assert page.locator(".ap-select").first.input_value() == "ETH/USDT"
    assert page.locator(".ap-range input:checked").input_value() == "6h"


def test_a_page_whose_kernel_was_killed_loads_again_by_itself(page: Page, served: Served) -> None:
    open_dashboard(page, served.url, ON_ETH)
    before = kernel_of(page)
    os.kill(ask(before, "__import__('os').getpid()"), signal.SIGKILL)
    wait_another(page, before)
    assert_live(page)
    assert_same_view(page)


def test_a_page_outlives_its_server_and_comes_back_as_it_was(
    page: Page, desk: Desk, tmp_path: Path
) -> None:
    given = QUICK | {"DASHBOARD_PORT": str(free_port())}
    with serve(tmp_path, desk.server.url, **given) as served:
        open_dashboard(page, served.url, ON_ETH)
        wait_until(lambda: badge(page) in {"live", "quiet", "polling"})
        before = kernel_of(page)
        served.process.kill()
        wait_until(lambda: badge(page) == "offline", 5)
        assert "no connection to the server" in page.locator(".ap-badge").inner_text()
        assert drawn(page, FUNDING), "the last figure stays"
        shot(page, "server-killed")
    with serve(tmp_path, desk.server.url, **given):
        wait_another(page, before)
        assert_live(page)
        assert_same_view(page)
        page.goto("about:blank")


def test_a_page_whose_session_has_ended_leads_to_signing_in(
    page: Page, desk: Desk, tmp_path: Path
) -> None:
    given = QUICK | {"DASHBOARD_PORT": str(free_port()), "DASHBOARD_COOKIE_SECRET": "k" * 40}
    with serve(tmp_path, desk.server.url, DASHBOARD_PASSWORD=PASSWORD, **given) as served:
        page.goto(served.url + ON_ETH)
        sign_in(page, PASSWORD)
        wait_drawn(page)
    with serve(tmp_path, desk.server.url, DASHBOARD_PASSWORD="another word", **given):
        page.get_by_label("Password").wait_for()
        sign_in(page, "another word")
        assert_live(page)
        assert_same_view(page)
        page.goto("about:blank")


def sign_in(page: Page, password: str) -> None:
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def test_a_network_that_stalls_costs_neither_the_kernel_nor_a_chart(
    page: Page, served: Served
) -> None:
    with Cable(served.url) as cable:
        open_dashboard(page, cable.url, ON_ETH)
        before = kernel_of(page)
        page.evaluate("window.__same = true")
        cable.hold()
        wait_until(lambda: badge(page) == "offline", 20)
        page.wait_for_timeout(8_000)
        cable.release()
        assert_live(page)
        assert kernel_of(page) == before
        assert page.evaluate("window.__same")
        page.goto("about:blank")


@pytest.fixture(scope="module")
def impatient(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serve(
        tmp_path_factory.mktemp("impatient"),
        desk.server.url,
        "tests.impatient",
        PYTHONPATH=str(ROOT),
        AWAY="60",
        **QUICK,
    ) as running:
        yield running


def test_a_connection_that_was_lost_without_a_word_is_made_anew(
    page: Page, impatient: Served
) -> None:
    """Patches that were on their way are lost; every chart goes on with the same kernel."""
    with Cable(impatient.url) as cable:
        open_dashboard(page, cable.url, ON_ETH)
        before = kernel_of(page)
        page.evaluate("window.__same = true")
        cable.cut()
        cable.mend()
        wait_until(lambda: badge(page) == "offline")
        wait_until(lambda: badge(page) != "offline", 40)
        assert_live(page)
        assert kernel_of(page) == before
        assert page.evaluate("window.__same")
        page.goto("about:blank")


def test_two_first_tabs_at_once_are_both_live(browser: Browser, served: Served) -> None:
    context = browser.new_context()
    tabs = [watched(context.new_page()) for _ in range(2)]
    for tab in tabs:
        tab.evaluate("(url) => { setTimeout(() => { location.href = url; }); }", served.url)
    for tab in tabs:
        tab.wait_for_url(served.url + "**")
        assert_live(tab)
    assert kernel_of(tabs[0]) != kernel_of(tabs[1])
    for tab in tabs:
        tab.goto("about:blank")
    context.close()


def test_a_page_that_is_left_slowly_gives_its_kernel_up_and_does_not_load_again(
    page: Page, served: Served
) -> None:
    open_dashboard(page, served.url, ON_ETH)
    kernel = kernel_of(page)
    slow = f"{served.url}api/slow"
    page.route(slow, lambda _: None)
    loads = served.output().count(" path=/?symbol=ETH/USDT&range=6h ")
    page.evaluate("(to) => { setTimeout(() => location.assign(to)); }", slow)
    # The page itself answers no questions while it is left.
    wait_until(lambda: f"voila/api/shutdown/{kernel} status=204" in served.output())
    time.sleep(1.5)
    assert served.output().count(" path=/?symbol=ETH/USDT&range=6h ") == loads


@contextmanager
def remembering(browser: Browser) -> Iterator[Page]:
    """A page of a browser that keeps the pages that were left, as people's browsers do."""
    started = browser.browser_type.launch(
        executable_path=str(chromium()),
        args=ARGUMENTS,
        ignore_default_args=["--disable-back-forward-cache"],
    )
    page = watched(started.new_page())
    page.add_init_script(
        "addEventListener('pageshow', (event) => { window.__kept = event.persisted; });"
    )
    yield page
    page.goto("about:blank")
    started.close()


def test_the_back_button_leads_to_a_live_page(browser: Browser, served: Served) -> None:
    with remembering(browser) as page:
        open_dashboard(page, served.url, ON_ETH)
        before = kernel_of(page)
        page.goto(f"{served.url}api/docs")
        page.locator("h1").wait_for()
        page.go_back(wait_until="commit")
        wait_another(page, before)
        assert_live(page)
        assert_same_view(page)
