"""The dashboard in a real browser, with nginx and TLS between."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.conftest import wait_until, watched
from tests.deploy.conftest import PASSWORD, Pair
from tests.pages.conftest import badge, wait_drawn

if TYPE_CHECKING:
    from playwright.sync_api import Browser

pytestmark = pytest.mark.browser


def test_the_dashboard_is_live_behind_nginx(browser: Browser, two: Pair) -> None:
    # Nobody has told this browser of our certificate.
    context = browser.new_context(ignore_https_errors=True)
    page = watched(context.new_page())
    page.goto(two.front.url)
    page.fill("input[name=password]", PASSWORD)
    page.click("button")
    wait_drawn(page)
    wait_until(lambda: badge(page) in {"live", "quiet"})
    protocol = "performance.getEntriesByType('navigation')[0].nextHopProtocol"
    assert page.evaluate(protocol) == "h2"
    sockets = [url for url in page.asked if url.startswith("ws")]  # type: ignore[attr-defined]
    assert sorted(url.rpartition("/")[2].partition("?")[0] for url in sockets) == [
        "channels",
        "stream",
    ]
    assert all(url.startswith("wss://") for url in sockets)
    assert page.faults == []  # type: ignore[attr-defined]
    page.goto("about:blank")
    context.close()
