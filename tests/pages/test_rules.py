"""Rules, channels and settings as people change them in the drawer of the page."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.conftest import Desk, Served, serve, shot, wait_until
from tests.notify.receivers import receiving
from tests.pages.conftest import kernel_of, open_dashboard

if TYPE_CHECKING:
    from playwright.sync_api import Dialog, Locator, Page

pytestmark = pytest.mark.browser

TOKEN = "correct-horse-battery"
HTML = "<img src=x onerror=\"window.hit='yes'\">"
NAME = f"mine {HTML}"
SECRET = "sixteen-characters-or-more"


@pytest.fixture
def site(desk: Desk, tmp_path: Any) -> Iterator[Served]:
    settings = {"DASHBOARD_ALERTS": "true", "DASHBOARD_LOCAL_CHANNELS": "true"}
    with serve(tmp_path, desk.server.url, **settings) as served:
        yield served


def open_tab(page: Page, name: str) -> Locator:
    page.locator(".ap-bell").click()
    page.get_by_role("tab", name=name).click()
    return page.locator(".ap-tab-content")


def said(tab: Locator, text: str) -> None:
    wait_until(lambda: text in tab.inner_text(), said=tab.inner_text)


def is_harmless(page: Page) -> None:
    """What people wrote is text: nothing of it became an element or ran."""
    assert page.locator(".ap-drawer img").count() == 0
    assert page.evaluate("window.hit") is None
    assert page.faults == []  # type: ignore[attr-defined]


def test_an_operator_makes_a_rule_a_channel_and_settings_of_their_own(
    page: Page, site: Served
) -> None:
    page.goto(f"{site.url}live?symbol=BTC/USDT")
    tab = open_tab(page, "Rules")
    said(tab, "Last drawdown in performance_metrics over 15 min > 20 %")
    _write_a_rule(page, tab)
    _find_disable_and_remove_it(page, tab)
    _connect_a_channel(page)
    _prefer(page)
    is_harmless(page)


def _write_a_rule(page: Page, tab: Locator) -> None:
    tab.get_by_role("button", name="New rule").click()
    said(tab, "things to fix")
    assert tab.locator(".ap-wrong").count() == 0  # nobody has typed anything yet
    for label, text in {
        "Name": NAME,
        "About": HTML,
        "Where": "confidnce > 0",
        "Title": f"{{symbol}} {HTML} {{outcome}}",
        "Message": f"{HTML} at {{entry_price}}",
        "Cooldown": "90m",
    }.items():
        tab.get_by_label(label, exact=True).fill(text)
    tab.get_by_label("Source").select_option("signals")
    tab.get_by_role("button", name="Add a label").click()
    tab.get_by_label("Name of the label").fill("team")
    tab.get_by_label("Text of the label").fill(HTML)
    said(tab, "there is no field 'confidnce'; did you mean confidence?")
    assert tab.locator("mark").inner_text() == "confidnce"
    assert tab.get_by_role("button", name="Save").get_attribute("aria-disabled") == "true"
    said(tab, "= 1 h 30 min")
    shot(page, "rule-wrong")
    tab.get_by_label("Where", exact=True).fill("confidence > 0 ")
    card = tab.locator(".ap-preview-card")
    wait_until(lambda: f"USDT {HTML}" in card.inner_text())
    assert "n/a" in card.inner_text()
    assert "Without a value now: outcome" in card.inner_text()
    said(tab, "It would tell of 20 of 20 now")
    shot(page, "rule-preview")
    is_harmless(page)
    tab.get_by_role("button", name="Save").click()
    said(tab, f"{NAME} is saved.")


def _find_disable_and_remove_it(page: Page, tab: Locator) -> None:
    tab.get_by_label("Search rules").fill("MINE confidence")
    row = tab.locator(".ap-rule")
    wait_until(lambda: row.count() == 1)
    assert "Each row of signals where confidence > 0" in row.inner_text()
    assert "Changed by local" in row.inner_text()
    row.locator("summary").click()
    assert f"team: {HTML}" in row.inner_text()
    row.get_by_role("switch").press(" ")
    said(tab, f"{NAME} is disabled.")
    page.reload()
    tab = open_tab(page, "Rules")
    row = tab.locator(".ap-rule").filter(has_text="mine")
    said(row, "disabled")
    is_harmless(page)
    row.get_by_role("button", name="Remove").click()
    asks = page.get_by_role("alertdialog")
    assert NAME in asks.inner_text()
    asks.get_by_role("button", name="Remove").click()
    said(tab, f"{NAME} is removed.")
    wait_until(lambda: row.count() == 0)


def _connect_a_channel(page: Page) -> None:
    page.get_by_role("tab", name="Channels").click()
    tab = page.locator(".ap-tab-content")
    tab.get_by_role("button", name="Add a channel").click()
    with receiving() as receiver:
        tab.get_by_label("Name").fill(f"desk {HTML}")
        tab.get_by_label("Kind").select_option("slack")
        said(tab, "Such as slack://TokenA/TokenB/TokenC/#channel")
        address = tab.get_by_label("Address", exact=True)
        address.fill("slak://A/B/C")
        tab.get_by_role("button", name="Add", exact=True).click()
        said(tab, "did you mean slack?")
        tab.get_by_label("Kind").select_option("webhook")
        tab.get_by_label("Secret", exact=True).fill(SECRET)
        address.fill(f"webhook+http://{receiver.place}/hook/hidden-part")
        assert address.get_attribute("type") == "password"
        tab.get_by_role("button", name="Add", exact=True).click()
        row = tab.locator(".ap-channel").filter(has_text=f"desk {HTML}")
        said(row, "Signed webhook")
        row.get_by_role("button", name="Test").click()
        said(row, "Sent: a message that is marked TEST.")
        assert "TEST" in receiver.requests[0].json["title"]
    row.get_by_role("button", name="Test").click()
    said(row, "Not sent: ")
    row.get_by_role("button", name="Change").click()
    assert row.get_by_label("Address", exact=True).input_value() == ""
    row.get_by_role("button", name="Save").click()
    wait_until(lambda: row.locator("form").count() == 0)
    shown = page.content()
    assert "hidden-part" not in shown
    assert SECRET not in shown
    shot(page, "channels")
    row.get_by_role("button", name="Remove").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Remove").click()
    wait_until(lambda: row.count() == 0)


def _prefer(page: Page) -> None:
    page.get_by_role("tab", name="Settings").click()
    tab = page.locator(".ap-tab-content")
    said(tab, "settings are those of everybody")
    least = tab.get_by_label("Least confidence")
    wait_until(lambda: least.input_value() == "80")
    least.fill("120")
    least.press("Tab")
    said(tab, "It must be a number from 0 to 100.")
    least.fill("62.5 %")
    tab.get_by_label("Time zone").select_option("Asia/Tokyo")
    tab.get_by_role("switch", name="Backtests").press(" ")
    said(tab, "Saved.")
    said(tab, "Asia/Tokyo; now ")
    tab.get_by_role("switch", name="Notifications of the browser").press(" ")
    said(tab, "This browser ")
    assert not tab.get_by_role("switch", name="Notifications of the browser").is_checked()
    shot(page, "settings")
    page.reload()
    tab = open_tab(page, "Settings")
    wait_until(lambda: tab.get_by_label("Least confidence").input_value() == "62.5")
    assert tab.get_by_label("Time zone").input_value() == "Asia/Tokyo"
    assert not tab.get_by_role("switch", name="Backtests").is_checked()
    tab.get_by_role("button", name="As by default").click()
    page.get_by_role("alertdialog").get_by_role("button", name="Set").click()
    wait_until(lambda: tab.get_by_label("Least confidence").input_value() == "80")
    assert tab.get_by_role("switch", name="Backtests").is_checked()


def test_whoever_stays_for_what_is_not_saved_finds_page_and_kernel_as_they_were(
    page: Page, site: Served
) -> None:
    open_dashboard(page, f"{site.url}?symbol=BTC/USDT")
    kernel = kernel_of(page)
    tab = open_tab(page, "Rules")
    tab.get_by_role("button", name="New rule").click()
    tab.get_by_label("Name", exact=True).fill("mine")
    asked: list[str] = []

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    page.on("dialog", stay)
    page.evaluate("() => { location.href = 'api/docs'; }")
    page.wait_for_timeout(1500)
    assert asked == ["beforeunload"]
    assert tab.get_by_label("Name", exact=True).input_value() == "mine"
    there = page.evaluate("async (id) => (await fetch(`api/kernels/${id}`)).status", kernel)
    assert there == 200
    tab.get_by_label("Name", exact=True).fill("")


def test_a_viewer_sees_all_rules_and_can_change_none(page: Page, desk: Desk, tmp_path: Any) -> None:
    settings = {"DASHBOARD_ALERTS": "true", "DASHBOARD_TOKEN": TOKEN}
    with serve(tmp_path, desk.server.url, **settings) as served:
        page.goto(f"{served.url}live?token={TOKEN}")
        tab = open_tab(page, "Rules")
        said(tab, "Last drawdown in performance_metrics over 15 min > 20 %")
        said(tab, "Operators and administrators may change rules.")
        row = tab.locator(".ap-rule").first
        row.locator("summary").click()
        assert "{strategy_id} on {symbol}: drawdown {value}" in row.inner_text()
        assert tab.get_by_role("button").count() == 0
        assert tab.get_by_role("switch").count() == 0
        assert page.get_by_role("tab", name="Channels").count() == 0
        answers = page.evaluate(REFUSED)
        assert answers == [403] * 4
        assert page.faults == []  # type: ignore[attr-defined]
        page.goto("about:blank")


REFUSED = """async () => {
    const mark = /_xsrf=([^;]*)/.exec(document.cookie)[1];
    const ask = async (method, path, body) => (await fetch(`api/${path}`, { method,
        headers: { "X-XSRFToken": decodeURIComponent(mark), "Content-Type": "application/json" },
        body: body && JSON.stringify(body) })).status;
    return [
        await ask("PUT", "rules/drawdown", { rule: { name: "drawdown" }, version: 1 }),
        await ask("DELETE", "rules/drawdown"),
        await ask("GET", "channels"),
        await ask("PUT", "channels/x", { address: "tgram://a/b" }),
    ];
}"""
