"""The API's page: everything is on it, it needs nothing else, and it can be looked at."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from alphapulse_nb.charts import theme
from alphapulse_nb.server.answers import CODES
from alphapulse_nb.server.api import ENDPOINTS
from alphapulse_nb.server.api.docs import marked
from tests.api import Api
from tests.conftest import shot, watched

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


def section(page: Page, name: str) -> str:
    return page.locator(f"section#{name}").inner_text()


@pytest.fixture
def docs(api: Api, page: Page) -> Page:
    page.goto(f"{api.url}/api/docs")
    return page


def test_every_endpoint_and_parameter_is_on_the_page(docs: Page) -> None:
    shown = docs.locator("section[id]:has(h2 .method) h2").all_inner_texts()
    assert shown == [f"{endpoint.method} {endpoint.path}" for endpoint in ENDPOINTS]
    for endpoint in ENDPOINTS:
        shown = section(docs, endpoint.name)
        assert endpoint.summary in shown
        for parameter in endpoint.parameters:
            assert re.search(rf"^{parameter.name} {parameter.place}\s", shown, re.MULTILINE)
        for field in endpoint.body.schema["properties"] if endpoint.body else ():
            assert re.search(rf"^{field}\s", shown.partition("Body")[2], re.MULTILINE), field
    assert "number, 0.1 to 8760" in section(docs, "chart")
    assert re.search(
        r"limit query\s+rows of a table\s+whole number, 1 to 1000\s+100", section(docs, "data")
    )


def test_every_code_and_every_shape_is_on_the_page(docs: Page, api: Api) -> None:
    for code, about in CODES.items():
        assert re.search(rf"{code}\s+{about.status}\s", section(docs, "errors"))
    shapes = docs.locator("summary").all_inner_texts()
    assert shapes == list(api.means.document["components"]["schemas"])
    targets = docs.locator("main a[href^='#']").evaluate_all(
        "links => links.map(link => document.querySelector(link.hash) !== null)"
    )
    assert targets
    assert all(targets)


def test_every_example_on_the_page_works(docs: Page, api: Api) -> None:
    examples = docs.locator(".try a").evaluate_all("links => links.map(link => link.href)")
    assert len(examples) == len([one for one in ENDPOINTS if one.method == "GET"])
    for address in examples:
        answered = api.get(address.removeprefix(api.url))
        assert answered.status == 200, address


def test_the_page_asks_nobody_else_and_breaks_no_policy(browser: Browser, api: Api) -> None:
    context = browser.new_context()
    page = watched(context.new_page())
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(f"{api.url}/api/docs")
    page.locator("summary", has_text="SignalsRow").click()
    assert {address.split("?")[0] for address in page.asked} == {  # type: ignore[attr-defined]
        f"{api.url}/api/docs"
    }
    assert (said, page.faults) == ([], [])  # type: ignore[attr-defined]
    assert page.locator("script").count() == 0
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(("device", "width"), [("desktop", 1440), ("phone", 390)])
def test_it_is_readable_in_light_and_dark_wide_and_narrow(
    browser: Browser, api: Api, scheme: str, device: str, width: int
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    page = context.new_page()
    page.goto(f"{api.url}/api/docs#data")
    shot(page, f"api-docs-{device}-{scheme}")
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    shade = theme.PALETTE["ground"]
    wanted = bytes.fromhex((shade.dark if scheme == "dark" else shade.light)[1:])
    assert ground == f"rgb({', '.join(str(part) for part in wanted)})"
    # Nothing sticks out at the side.
    assert page.evaluate("document.documentElement.scrollWidth") == width
    context.close()


def test_text_of_the_document_is_escaped() -> None:
    assert marked("`a<b` & <script>") == "<code>a&lt;b</code> &amp; &lt;script&gt;"
