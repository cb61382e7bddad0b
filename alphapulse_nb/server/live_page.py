"""`/live`: the dashboard without a kernel, made of the widgets' own scripts over the stream."""

from __future__ import annotations

import json
from dataclasses import asdict
from html import escape
from typing import Any, Final

from tornado.web import authenticated

from alphapulse_nb.catalog import catalog
from alphapulse_nb.charts import theme
from alphapulse_nb.charts.headline import blank
from alphapulse_nb.people import Person
from alphapulse_nb.queries import DEFAULT_RANGE, RANGES
from alphapulse_nb.server import cookies, headers, page
from alphapulse_nb.server.access import Refused
from alphapulse_nb.server.exchange import exchanged
from alphapulse_nb.server.handler import Handler, access
from alphapulse_nb.widgets import assets
from alphapulse_nb.widgets.live_chart import HEIGHT

_START: Final = """
import {{ live }} from {widgets};
const config = JSON.parse(document.getElementById("alphapulse-config").textContent);
live(document.getElementById("ap-live"), config);
"""


class LiveHandler(Handler):
    """The page. A stranger is sent to sign in."""

    def initialize(self, about: dict[str, Any]) -> None:
        self.about = about

    async def prepare(self) -> None:
        await super().prepare()
        if await exchanged(self, self.request.path):
            return
        self.person: Person | None = await access(self).person(self)
        self.current_user = self.person and self.person.name

    @authenticated
    async def get(self) -> None:
        if self.person is None:
            raise Refused(401, "Sign in first.", why="access")
        self.set_header("Content-Security-Policy", headers.page_policy(self.nonce))
        self.set_header("Cache-Control", "no-store")
        _ = self.xsrf_token  # sets the cookie that the page sends back with what it changes
        self.finish(self._document(self.person))

    head = get

    def _document(self, person: Person) -> str:
        config = self.about["config"] | {
            "person": person.name if cookies.session(self) else "",
            "zone": person.zone or "local",
        }
        start = _START.format(widgets=json.dumps(self.about["widgets"]))
        # "<" would end the element that holds it.
        data = json.dumps(config).replace("<", "\\u003c")
        mark = f'nonce="{self.nonce}"'
        return (
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>AlphaPulse</title>'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            '<meta name="color-scheme" content="light dark">'
            f'<link rel="icon" href="{page.ICON}">'
            f'<link rel="modulepreload" href="{escape(self.about["widgets"])}" '
            'data-alphapulse="widgets">'
            f'<link href="{escape(self.about["drawer"])}" data-alphapulse="drawer">'
            f"<script {mark}>{page.NOTICE_FAILURES}</script>"
            f'<script async src="{escape(self.about["plotly"])}" data-alphapulse="plotly"></script>'
            f"<style>{assets.style()}</style></head>"
            '<body class="ap-body" data-alphapulse="page" data-jp-theme-light="true">'
            f"<script {mark}>{page.THEME}</script>"
            f'<main id="ap-live" class="ap-page">{page.outline()}</main>'
            f'<script type="application/json" id="alphapulse-config">{data}</script>'
            f'<script type="module" {mark}>{start}</script></body></html>'
        )


def about(given: dict[str, object], every: float, notice: str) -> dict[str, Any]:
    """What every such page is told. `given` are the resources of all pages, see `page`."""
    return {
        **given,
        "config": {
            "stream": given["stream"],
            "charts": [{"name": spec.name, "title": spec.title} for spec in catalog().values()],
            "cards": [asdict(card) for card in blank()],
            "spans": list(RANGES),
            "span": DEFAULT_RANGE,
            "every": every,
            "notice": notice,
            "height": HEIGHT,
            "swaps": theme.swaps(),
        },
    }
