"""What the server puts into a page before any script runs: styles, and a skeleton of the dashboard.

The skeleton has the places and heights of the real thing, so that nothing jumps when it arrives.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Final
from urllib.parse import quote

from markupsafe import Markup

from alphapulse_nb.catalog import catalog
from alphapulse_nb.charts.headline import blank
from alphapulse_nb.widgets import assets
from alphapulse_nb.widgets.live_chart import HEIGHT

_SCRIPT: Final = Path(__file__).with_name("visit.js")
_DRAWING: Final = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'>"
    "<rect width='32' height='32' rx='7' fill='#0b62c4'/>"
    "<path d='M4 18h6l3-9 5 14 3-8h7' fill='none' stroke='white' stroke-width='3' "
    "stroke-linejoin='round' stroke-linecap='round'/></svg>"
)
NOTICE_FAILURES: Final = """
document.addEventListener("error", (event) => {
  if (event.target.dataset?.alphapulse) event.target.dataset.failed = 1;
}, true);
"""
"""Run before the first script that may fail to load, so that others can tell."""
THEME: Final = """
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const theme = () => {
    const chosen = localStorage.getItem("alphapulse.theme");
    document.body.dataset.jpThemeLight = String(!(chosen ? chosen === "dark" : dark.matches));
  };
  theme();
  dark.addEventListener("change", theme);
  document.addEventListener("alphapulse:theme", theme);
})();
"""
"""Run when the body begins: light or dark before anything is seen."""
ICON: Final = "data:image/svg+xml," + quote(_DRAWING, safe="/:='")
"""The picture in a browser's tab."""


def resources(
    plotly_url: str, widgets_url: str, drawer_url: str, stream_url: str
) -> dict[str, object]:
    """The values that our template reads, by name."""
    return {
        "alphapulse": {
            "plotly": plotly_url,
            "widgets": widgets_url,
            "drawer": drawer_url,
            "stream": stream_url,
            "style": _ours(assets.style()),
            "script": _ours(_SCRIPT.read_text("utf-8")),
            "skeleton": _ours(skeleton()),
            "failures": _ours(NOTICE_FAILURES),
            "theme": _ours(THEME),
            "icon": _ours(ICON),
        }
    }


def skeleton() -> str:
    """The dashboard's outline as HTML, shown until the widgets have mounted."""
    return f'<div id="ap-skeleton" class="ap-page" aria-busy="true">{outline()}</div>'


def outline() -> str:
    """Head, cards and panels, each in its place and empty."""
    panels = "".join(
        '<section class="ap ap-panel ap-busy"><header class="ap-panel-head">'
        f'<h2>{escape(spec.title)}</h2></header><div class="ap-stage" style="height:{HEIGHT}px">'
        "</div></section>"
        for spec in catalog().values()
    )
    alerts = (
        '<section class="ap ap-panel ap-alerts"><header class="ap-panel-head"><h2>Alerts</h2>'
        '</header><div class="ap-alert-list"></div></section>'
    )
    cards = "".join(
        '<div class="ap-card ap-busy">'
        f'<span class="ap-card-label">{escape(card.label)}</span></div>'
        for card in blank()
    )
    return (
        '<header class="ap ap-head"><div class="ap-brand">AlphaPulse</div>'
        '<p class="ap-slow" hidden>Still starting. The page goes on by itself.</p></header>'
        f'<div class="ap ap-cards">{cards}</div>'
        f'<div class="ap-grid">{panels}{alerts}</div>'
    )


def _ours(text: str) -> Markup:
    """Text of our own, in which what came from elsewhere is escaped already."""
    return Markup(text)  # noqa: S704
