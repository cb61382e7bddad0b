"""Notifications on the pages of a server: toasts, the unread count, the history."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from alphapulse_nb.db.connection import connect
from alphapulse_nb.events import NOTIFICATION, TO
from alphapulse_nb.notify import telling
from alphapulse_nb.notify.inbox import Inbox
from alphapulse_nb.notify.notification import Notification, Priority, Type
from alphapulse_nb.notify.preferences import Preferences
from alphapulse_nb.notify.quiet import Hours
from alphapulse_nb.notify.telling import EVERYBODY
from alphapulse_nb.relay import log as logs
from alphapulse_nb.relay.sources import Entry
from alphapulse_nb.state import State
from alphapulse_nb.state.alert_tables import alerts
from tests.cable import Cable
from tests.conftest import Served, new_desk, serve, shot, wait_until, watched
from tests.pages.conftest import wait_drawn

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Locator, Page

pytestmark = pytest.mark.browser

ON_BTC = "?symbol=BTC/USDT&range=1h"
EVIL = "<img src=x onerror=window.__evil=1><script>window.__evil=2</script>"
ALWAYS = Hours(time(22), time(8), enabled=False)
SPIES = """
window.__knocks = [];
window.__tones = 0;
window.Notification = class {
    static permission = "granted";
    constructor(title, { body, tag }) { window.__knocks.push([title, body, tag]); this.close = () => {}; }
};
const start = OscillatorNode.prototype.start;
OscillatorNode.prototype.start = function (...given) { window.__tones += 1; return start.apply(this, given); };
window.__hide = (hidden) => {
    Object.defineProperty(document, "hidden", { value: hidden, configurable: true });
    document.dispatchEvent(new Event("visibilitychange"));
};
"""  # noqa: E501
_names = itertools.count()


@dataclass
class Teller:
    """Writes notifications as the evaluator does, to everybody who has no name of their own."""

    state: State
    ids: list[int] = field(default_factory=list)

    def tell(self, count: int = 1, **given: Any) -> None:
        """So many of one kind, in one transaction, with the events of them."""
        found = [self._notification(n, **given) for n in range(count)]
        with self.state.writing() as link:
            told = telling.keep(link, found, datetime.now(UTC))
            logs.append(link, [self._event(one) for one in told])
        self.ids += [one.id for one in told]

    def open(self, alert: str, title: str) -> None:
        """An alert that somebody may acknowledge."""
        row = {"rule": "r", "labels": {}, "type": "warning", "priority": "high", "message": ""}
        opened = {"key": alert, "title": title, "opened_at": datetime.now(UTC)}
        with self.state.writing() as link:
            link.execute(sa.insert(alerts).values(**row, **opened))

    def _notification(self, n: int, **given: Any) -> Notification:
        title = str(given.pop("title", "told")) + (f" {n}" if n else "")
        kind, priority = given.pop("type", Type.INFO), given.pop("priority", Priority.LOW)
        message = given.pop("message", "as it was said")
        key = f"test {next(_names)}"
        return Notification(key, kind, priority, title, message, datetime.now(UTC), **given)

    def _event(self, one: telling.Told) -> Entry:
        data = {"id": one.id, **one.notification.plain(), TO: list(one.persons)}
        at, symbol = one.notification.at, one.notification.symbol
        return Entry(NOTIFICATION, data, at, symbol, "notifications", one.id)

    def prefer(self, **wanted: Any) -> None:
        Inbox(self.state).prefer(EVERYBODY, Preferences(quiet_hours=ALWAYS, **wanted))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Teller]]:
    """A server of its own: what is told here would stand on every other test's pages."""
    folder = tmp_path_factory.mktemp("notices")
    settings = {"ALPHAPULSE_REFRESH_INTERVAL": "2", "DASHBOARD_BASE_URL": "/desk/one"}
    with (
        new_desk(folder, hours=2) as desk,
        serve(folder, desk.server.url, **settings) as served,
        connect(desk.server.url) as db,
    ):
        state = State(db)
        teller = Teller(state)
        wait_until(lambda: prepared(teller))
        yield served, teller
        state.close()


def prepared(teller: Teller) -> bool:
    """Whether the server has made our tables, as it does soon after it started."""
    try:
        teller.prefer(auto_dismiss_seconds=0)
    except Exception:  # noqa: BLE001 - there are no tables yet
        return False
    return True


def toasts(page: Page) -> list[str]:
    return page.locator(".ap-toast strong").all_inner_texts()


def figures(page: Page) -> str:
    return page.locator(".ap-alert-figures").inner_text()


def entry(page: Page, title: str) -> Locator:
    return page.locator(".ap-entry").filter(has=page.get_by_text(title, exact=True))


def close_all(page: Page) -> None:
    while page.locator(".ap-toast-close").count():
        page.locator(".ap-toast-close").first.click()


def asked(page: Page, what: str) -> int:
    """How often the page has asked for an address with this in it."""
    page.evaluate("0")  # Lets in what the browser has to say.
    return sum(what in url for url in page.asked)  # type: ignore[attr-defined]


def test_what_is_told_stands_on_the_page_and_in_its_history(
    context: BrowserContext, page: Page, site: tuple[Served, Teller]
) -> None:
    served, teller = site
    teller.tell(title="before the page")
    page.add_init_script(SPIES)
    with Cable(f"{served.url}desk/one/") as cable:
        page.goto(f"{cable.url}live{ON_BTC}")
        wait_until(lambda: figures(page) == "1 unread · 1 last hour · 1 total")
        assert page.title() == "(1) BTC/USDT · AlphaPulse"
        assert "before the page" in page.locator(".ap-unread").inner_text()
        assert toasts(page) == []
        see_that_nothing_is_taken_for_html(page, teller)
        see_a_burst(page, teller)
        see_the_history(page, teller)
        see_a_lost_connection(page, cable, teller)
        see_two_tabs(context, page, teller)
        see_a_page_in_the_background(page, teller)
        see_a_phone_and_a_wall(page, teller)
    assert page.evaluate("window.__evil ?? null") is None
    assert page.faults == []  # type: ignore[attr-defined]


def see_that_nothing_is_taken_for_html(page: Page, teller: Teller) -> None:
    teller.open("evil", "t")
    teller.tell(
        title=f"T{EVIL}",
        message=f"M{EVIL}",
        symbol=f"S{EVIL}",
        rule=f"R{EVIL}",
        labels={f"n{EVIL}": f"v{EVIL}"},
        alert="evil",
        type=Type.WARNING,
        priority=Priority.HIGH,
    )
    wait_until(lambda: toasts(page) == [f"T{EVIL}"])
    toast = page.locator(".ap-toast")
    assert toast.get_by_role("alert").count() == 1
    assert f"High priority · warning · S{EVIL}" in toast.inner_text()
    Inbox(teller.state).acknowledge("evil", f"P{EVIL}")
    toast.get_by_role("button", name="Acknowledge").click()
    toast.get_by_text(f"Acknowledged by P{EVIL}").wait_for()
    shot(page, "toast-hostile")
    toast.get_by_role("button", name="Open").click()
    found = entry(page, f"T{EVIL}")
    found.get_by_text(f"v{EVIL}", exact=True).wait_for()
    text = found.inner_text()
    for part in (f"M{EVIL}", f"S{EVIL}", f"R{EVIL}", f"n{EVIL}", f"Acknowledged by P{EVIL}"):
        assert part in text
    assert toasts(page) == []
    wait_until(lambda: found.get_attribute("data-unread") == "false")
    found.get_by_role("button", name="Snooze").click()
    found.get_by_role("button", name="8 h").click()
    page.locator(".ap-snoozed summary").click()
    snoozed = page.locator(".ap-snoozed li")
    assert f"R{EVIL}" in snoozed.inner_text()
    snoozed.get_by_role("button").click()
    wait_until(lambda: page.locator(".ap-snoozed").is_hidden())
    page.keyboard.press("Escape")
    wait_until(lambda: page.locator(".ap-drawer").is_hidden())


def see_a_burst(page: Page, teller: Teller) -> None:
    wait_until(lambda: figures(page).startswith("1 unread"))
    before = asked(page, "/summary")
    teller.tell(200, title="burst")
    page.get_by_role("button", name="and 195 more").wait_for()
    assert toasts(page) == [f"burst {n}" for n in range(199, 194, -1)]
    wait_until(lambda: page.title() == "(201) BTC/USDT · AlphaPulse")
    assert page.get_by_role("button", name="Notifications, 201 unread").inner_text() == "99+"
    wait_until(lambda: asked(page, "/summary") > before)
    shot(page, "toasts-burst")
    page.get_by_role("button", name="and 195 more").click()
    page.locator(".ap-entry").first.wait_for()
    wait_until(lambda: figures(page) == "201 unread · 202 last hour · 202 total")
    assert asked(page, "/summary") == before + 1
    assert toasts(page) == []


def see_the_history(page: Page, teller: Teller) -> None:
    """It is open, and shows the burst."""
    rows = page.locator(".ap-entry")
    assert rows.count() == 100
    page.get_by_role("button", name="Older").click()
    wait_until(lambda: rows.count() == 200)
    page.get_by_role("button", name="Older").click()
    page.get_by_text("That is all.").wait_for()
    assert rows.count() == 202
    page.get_by_role("searchbox").fill("burst 17")
    wait_until(lambda: rows.count() == 11)
    page.get_by_role("button", name="Remove these").click()
    page.get_by_text("11 notifications removed.").wait_for()
    page.get_by_text("Nothing matches these filters.").wait_for()
    wait_until(lambda: figures(page).endswith("191 total"))
    page.get_by_role("button", name="Undo").click()
    wait_until(lambda: rows.count() == 11)
    page.locator(".ap-filter summary").click()
    page.get_by_label("priorities").select_option("high")
    page.get_by_role("searchbox").fill("")
    wait_until(lambda: rows.count() == 1)
    page.get_by_role("button", name="Clear filters").click()
    wait_until(lambda: rows.count() == 100)
    first = rows.first
    first.get_by_role("button", name=re.compile("^Mark read")).click()
    wait_until(lambda: figures(page).startswith("200 unread"))
    with page.expect_download() as saved:
        page.get_by_role("button", name="Export").click()
    assert saved.value.suggested_filename == "alphapulse-notifications.json"
    text = Path(saved.value.path()).read_bytes()
    assert len(json.loads(text)["notifications"]) == 202
    file = {"name": "h.json", "mimeType": "application/json", "buffer": text}
    page.locator("input[type=file]").set_input_files(file)  # type: ignore[arg-type]
    page.get_by_text("0 notifications imported, 202 were here already.").wait_for()
    page.get_by_role("button", name="Mark all read").last.click()
    wait_until(lambda: page.title() == "BTC/USDT · AlphaPulse")
    shot(page, "history")
    teller.tell(title="while it is open")
    wait_until(lambda: "while it is open" in rows.first.inner_text())
    wait_until(lambda: toasts(page) == ["while it is open"])
    page.get_by_role("button", name="Clear all").click()
    page.get_by_text("203 notifications removed.").wait_for()
    page.get_by_text("No notifications.").wait_for()
    close_all(page)


def see_a_lost_connection(page: Page, cable: Cable, teller: Teller) -> None:
    cable.cut()
    wait_until(lambda: page.locator(".ap-badge").get_attribute("data-state") == "offline")
    teller.tell(2, title="while away", priority=Priority.URGENT)
    cable.mend()
    wait_until(lambda: toasts(page) == ["while away 1", "while away"], 60)
    wait_until(lambda: figures(page).startswith("2 unread"))
    area = page.locator(".ap-unread")
    assert area.get_by_role("button", name="Mark read").count() == 2
    page.keyboard.press("Escape")
    close_all(page)
    area.get_by_role("button", name="Mark read").first.click()
    wait_until(lambda: figures(page).startswith("1 unread"))
    cable.refuse("/desk/one/api/")
    area.get_by_role("button", name="Mark all read").click()
    area.get_by_text("Not marked as read: The server answered with 502.").wait_for()
    cable.allow("/desk/one/api/")
    area.get_by_role("button", name="Mark all read").click()
    wait_until(area.is_hidden)


def see_two_tabs(context: BrowserContext, page: Page, teller: Teller) -> None:
    other = watched(context.new_page())
    other.goto(page.url)
    wait_until(lambda: figures(other).startswith("0 unread"))
    teller.tell(title="once", priority=Priority.HIGH)
    both = (page, other)
    wait_until(lambda: all(one.title().startswith("(1)") for one in both))
    wait_until(lambda: all(asked(one, "/show") for one in both))
    wait_until(lambda: [*toasts(page), *toasts(other)] == ["once"])
    mine = next(one for one in both if toasts(one))
    close_all(mine)
    mine.locator(".ap-unread").get_by_role("button", name="Mark read").click()
    wait_until(lambda: all(one.title().startswith("BTC") for one in both))
    assert other.faults == []  # type: ignore[attr-defined]
    other.close()


def see_a_page_in_the_background(page: Page, teller: Teller) -> None:
    teller.prefer(auto_dismiss_seconds=0, browser=True, sound=True)
    page.reload()
    wait_until(lambda: figures(page).startswith("0 unread"))
    wait_until(lambda: asked(page, "/api/preferences"))
    page.mouse.click(5, 5)
    page.evaluate("window.__hide(true)")
    teller.tell(3, title="knock", message="in words", priority=Priority.URGENT)
    wait_until(lambda: len(toasts(page)) == 3)
    knocks = page.evaluate("window.__knocks")
    assert sorted(title for title, _, _ in knocks) == ["knock", "knock 1", "knock 2"]
    assert {body for _, body, _ in knocks} == {"in words"}
    assert len({tag for _, _, tag in knocks}) == 3
    wait_until(lambda: page.evaluate("window.__tones") == 6)
    page.evaluate("window.__hide(false)")
    close_all(page)
    teller.prefer(auto_dismiss_seconds=1)


def see_a_phone_and_a_wall(page: Page, teller: Teller) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.reload()
    wait_until(lambda: figures(page).startswith("3 unread"))
    teller.tell(9, title="on a phone", priority=Priority.URGENT, message="words " * 60)
    page.get_by_role("button", name="and 4 more").wait_for()
    head, shown = (page.locator(name).bounding_box() for name in (".ap-head", ".ap-toasts"))
    assert head is not None
    assert shown is not None
    assert head["y"] + head["height"] <= shown["y"]
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    shot(page, "toasts-phone")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(f"{page.url}&kiosk=1")
    wait_until(lambda: figures(page).startswith("12 unread"))
    teller.tell(title="on a wall")
    wait_until(lambda: toasts(page) == ["on a wall"])
    assert page.locator(".ap-bell").is_hidden()
    assert page.get_by_role("button", name="Snooze").count() == 0
    page.keyboard.press("n")
    # It leaves after a second: time enough for a drawer, which there is none of.
    wait_until(lambda: toasts(page) == [])
    assert page.locator(".ap-drawer").count() == 0


def test_the_dashboard_with_a_kernel_shows_the_same(
    page: Page, site: tuple[Served, Teller]
) -> None:
    served, teller = site
    teller.prefer(auto_dismiss_seconds=0)
    page.goto(f"{served.url}desk/one/{ON_BTC}")
    wait_drawn(page)
    wait_until(lambda: " total" in figures(page))
    teller.tell(title="to the dashboard", rule="r", type=Type.SIGNAL, confidence=0.9)
    wait_until(lambda: toasts(page) == ["to the dashboard"])
    unread = figures(page).partition(" ")[0]
    assert page.title() == f"({unread}) BTC/USDT · AlphaPulse"
    page.keyboard.press("n")
    first = page.locator(".ap-entry").first
    first.locator(".ap-entry-head").click()
    first.get_by_text("90 %", exact=True).wait_for()
    wait_until(lambda: figures(page).startswith(f"{int(unread) - 1} unread"))
    page.get_by_role("tab", name="Settings").click()
    page.get_by_text("Quiet hours").first.wait_for()
    shot(page, "dashboard-drawer")
    page.get_by_role("button", name="Close notifications").click()
    wait_until(lambda: page.locator(".ap-drawer").is_hidden())
    assert page.faults == []  # type: ignore[attr-defined]
