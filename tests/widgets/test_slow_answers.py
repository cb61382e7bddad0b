"""The tabs of the drawer while an answer is on its way: nothing is offered or said too early."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from alphapulse_nb.notify.preferences import Preferences
from tests.conftest import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

TAB = """async ([file, name]) => {
    const made = (await import(`/${file}.js`))[name];
    globalThis.asked = [];
    const api = { ask: (name, values, body) => new Promise((resolve, reject) => {
        globalThis.asked.push({ name, values, body, resolve, reject });
    }) };
    made(document.body, { api, zone: () => "UTC",
        person: { person: "ann", shared: false, role: "operator" } });
}"""


def asked(scripts: Page) -> list[str]:
    found: list[str] = scripts.evaluate("globalThis.asked.map(({ name }) => name)")
    return found


def answer(scripts: Page, place: int, body: Any) -> None:
    scripts.evaluate("([place, body]) => globalThis.asked[place].resolve(body)", [place, body])


def test_a_channel_is_added_once_its_kinds_are_known(scripts: Page) -> None:
    scripts.evaluate(TAB, ["channels_tab", "channelsTab"])
    adding = scripts.get_by_role("button", name="Add a channel")
    assert adding.is_disabled()
    answer(scripts, 0, {"channels": [], "kinds": ["slack", "email"]})
    adding.click()
    kinds = scripts.get_by_label("Kind").locator("option").all_inner_texts()
    assert kinds == ["Slack", "E-mail", "Signed webhook"]


def test_settings_are_saved_when_the_last_of_them_is(scripts: Page) -> None:
    scripts.evaluate(TAB, ["preferences", "preferencesTab"])
    answer(scripts, 0, Preferences().plain())
    least = scripts.get_by_label("Least confidence")
    wait_until(lambda: least.input_value() == "80")
    said = scripts.locator(".ap-editor-status")
    least.fill("70")
    least.press("Tab")
    least.fill("60")
    least.press("Tab")
    assert asked(scripts) == ["preferences", "prefer"]
    assert said.inner_text() == "Saving…"
    answer(scripts, 1, Preferences().plain() | {"min_confidence": 0.7})
    wait_until(lambda: len(asked(scripts)) == 3)
    assert said.inner_text() == "Saving…"
    assert least.input_value() == "60"
    answer(scripts, 2, Preferences().plain() | {"min_confidence": 0.6})
    wait_until(lambda: said.inner_text() == "Saved.")
    assert scripts.evaluate("globalThis.asked[2].body.min_confidence") == 0.6
