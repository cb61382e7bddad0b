"""What the server puts into a page before any script runs: styles, and a skeleton of the dashboard.

The skeleton has the places and heights of the real thing, so that nothing jumps when it arrives.
"""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Final

from markupsafe import Markup

from alphapulse_nb.catalog import catalog
from alphapulse_nb.widgets import assets
from alphapulse_nb.widgets.live_chart import HEIGHT

_SCRIPT: Final = Path(__file__).with_name("visit.js")


def resources(plotly_url: str, widgets_url: str) -> dict[str, object]:
    """The values that our template reads, by name."""
    return {
        "alphapulse": {
            "plotly": plotly_url,
            "widgets": widgets_url,
            "style": Markup(assets.style()),  # noqa: S704 - our own files
            "script": Markup(_SCRIPT.read_text("utf-8")),  # noqa: S704 - our own file
            "skeleton": Markup(skeleton()),  # noqa: S704 - escaped below
        }
    }


def skeleton() -> str:
    """The dashboard's outline as HTML, shown until the widgets have mounted."""
    panels = "".join(
        '<section class="ap ap-panel ap-busy"><header class="ap-panel-head">'
        f'<h2>{escape(spec.title)}</h2></header><div class="ap-stage" style="height:{HEIGHT}px">'
        "</div></section>"
        for spec in catalog().values()
    )
    cards = '<div class="ap-card ap-busy"></div>' * 7
    return (
        '<div id="ap-skeleton" class="ap-page" aria-busy="true">'
        '<header class="ap ap-head"><div class="ap-brand">AlphaPulse</div>'
        '<p class="ap-slow" hidden>Still starting. The page goes on by itself.</p></header>'
        f'<div class="ap ap-cards">{cards}</div>'
        f'<div class="ap-grid">{panels}</div></div>'
    )
