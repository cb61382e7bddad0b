"""A dashboard in a browser, and what can be read off it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from alphapulse_nb.catalog import OURS
from tests.conftest import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

TITLES = [spec.title for spec in OURS]


def open_dashboard(page: Page, url: str, query: str = "") -> None:
    page.goto(url + query)
    wait_drawn(page)


def wait_drawn(page: Page, titles: list[str] = TITLES, seconds: float = 60) -> None:
    """Until each of these panels shows a drawing and waits for nothing."""
    wait_until(
        lambda: all(
            page.locator(f'.ap-panel[data-title="{title}"].ap-drawn:not(.ap-busy)').count()
            for title in titles
        ),
        seconds,
        lambda: f"{page.inner_text('body')[:2000]}\n{page.faults}",  # type: ignore[attr-defined]
    )


def drawn(page: Page, title: str) -> list[dict[str, Any]]:
    """The traces that Plotly drew in a panel, with plain lists."""
    traces: list[dict[str, Any]] = page.evaluate(
        """(title) => {
            const graph = document.querySelector(
                `.ap-panel[data-title="${title}"] .js-plotly-plot`);
            const list = (v) => v && v.length !== undefined ? Array.from(v) : v;
            return graph.data.map((t) => ({ name: t.name, type: t.type, mode: t.mode,
                x: list(t.x), y: list(t.y), visible: t.visible ?? true,
                customdata: list(t.customdata), text: list(t.text) }));
        }""",
        title,
    )
    return traces


def layout(page: Page, title: str) -> dict[str, Any]:
    """The layout that Plotly holds for a panel."""
    found: dict[str, Any] = page.evaluate(
        """(title) => {
            const { xaxis, yaxis } = document.querySelector(
                `.ap-panel[data-title="${title}"] .js-plotly-plot`)._fullLayout;
            return { x: xaxis.range.map((v) => xaxis.d2l(v)), y: yaxis.range,
                ticks: xaxis.ticktext };
        }""",
        title,
    )
    return found


def badge(page: Page) -> str:
    return page.locator(".ap-badge").get_attribute("data-state") or ""


def kernel_of(page: Page) -> str:
    found: str = page.evaluate(
        "JSON.parse(document.getElementById('jupyter-config-data').textContent).kernelId"
    )
    return found
