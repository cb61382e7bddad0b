"""The scripts as a browser loads them, without a server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from alphapulse_nb.widgets import assets

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page, Route

SITE = "http://widgets.test/"


@pytest.fixture
def scripts(context: BrowserContext) -> Iterator[Page]:
    """A blank page on which `import("/zone.js")` and the others work."""

    def answer(route: Route) -> None:
        name = Path(urlsplit(route.request.url).path).name
        if name.endswith(".js"):
            route.fulfill(path=assets.FOLDER / name, content_type="text/javascript")
        elif name.endswith(".css"):
            route.fulfill(body=assets.style(), content_type="text/css")
        else:
            route.fulfill(body="<!doctype html><title>t</title>", content_type="text/html")

    page = context.new_page()
    page.route(f"{SITE}**", answer)
    page.goto(SITE)
    yield page
    page.close()
