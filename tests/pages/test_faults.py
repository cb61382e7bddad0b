"""What a viewer sees when something breaks: a clear message in its place, and healing by itself."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from alphapulse_nb.db import tables
from tests.conftest import Desk, Served, new_desk, serve, shot, wait_until
from tests.pages.conftest import TITLES, badge, drawn, open_dashboard, wait_drawn

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

ON_BTC = "?symbol=BTC/USDT&range=24h"


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk that these tests may break."""
    with new_desk(tmp_path_factory.mktemp("fragile")) as made:
        yield made


@pytest.fixture(scope="module")
def shaky(fragile: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("shaky")
    with serve(folder, fragile.server.url, ALPHAPULSE_REFRESH_INTERVAL="2") as running:
        yield running


def panel_text(page: Page, title: str) -> str:
    return page.locator(f'.ap-panel[data-title="{title}"]').inner_text()


def test_a_killed_database_shows_within_a_refresh_and_heals_by_itself(
    page: Page, shaky: Served, fragile: Desk
) -> None:
    open_dashboard(page, shaky.url, ON_BTC)
    wait_until(lambda: badge(page) in {"live", "quiet", "polling"})
    pid = fragile.server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: badge(page) == "offline", 8)
    assert "cannot be reached" in page.locator(".ap-badge").inner_text()
    for title in TITLES:
        wait_until(lambda title=title: "cannot be reached" in panel_text(page, title), 5)
        assert drawn(page, title), "the last figure stays"
        assert "ap-stale" in (
            page.locator(f'.ap-panel[data-title="{title}"]').get_attribute("class") or ""
        )
    assert "panels have no new data" in page.locator(".ap-alerts").inner_text()
    assert "Traceback" not in page.inner_text("body")
    shot(page, "database-killed")
    fragile.server.ensure_running()
    wait_until(lambda: badge(page) in {"live", "quiet", "polling"}, 15)
    for title in TITLES:
        wait_until(lambda title=title: "cannot be reached" not in panel_text(page, title), 10)
    fragile.engine.dispose()


def test_a_missing_table_and_a_missing_column_are_named_in_their_own_panels(
    page: Page, shaky: Served, fragile: Desk
) -> None:
    fragile.run("alter table system_metrics rename to system_metrics_gone")
    fragile.run("alter table anomalies rename column z_score to z_gone")
    try:
        page.goto(shaky.url + ON_BTC)
        wait_drawn(page, ["Funding rates", "Performance", "Predictions"])
        wait_until(lambda: 'relation "system_metrics" does not exist' in panel_text(page, "System"))
        wait_until(lambda: "z_score" in panel_text(page, "Anomalies"))
        assert "alphapulse db check" in panel_text(page, "Anomalies")
        assert "Traceback" not in page.inner_text("body")
        shot(page, "missing-table")
        page.get_by_role("button", name="Pause").click()
        wait_until(lambda: badge(page) == "paused")
    finally:
        fragile.run("alter table system_metrics_gone rename to system_metrics")
        fragile.run("alter table anomalies rename column z_gone to z_score")
    page.locator('.ap-panel[data-title="System"]').get_by_role("button", name="Retry").click()
    wait_drawn(page)


def test_a_null_in_every_nullable_column_breaks_no_panel(
    page: Page, shaky: Served, fragile: Desk
) -> None:
    for table in tables.metadata.sorted_tables:
        given = {"timestamp": "now()"}
        for column in table.columns:
            if not column.nullable and column.name not in {"id", "timestamp"}:
                given[column.name] = "'NULL/ONLY'" if column.name == "symbol" else "'0.0001'"
        for column in table.columns:
            if column.nullable:
                given[column.name] = "null"
        names = ", ".join(f'"{name}"' for name in given)
        fragile.run(f"insert into {table.name} ({names}) values ({', '.join(given.values())})")
    page.goto(shaky.url + "?symbol=NULL/ONLY")
    wait_drawn(page)
    assert "No data for NULL/ONLY" in panel_text(page, "Anomalies")
    assert page.locator(".ap-note:visible").count() == 0
    assert page.faults == []  # type: ignore[attr-defined]
    for table in tables.metadata.sorted_tables:
        where = "symbol = 'NULL/ONLY'" if "symbol" in table.c else "metric_name = '0.0001'"
        fragile.run(f"delete from {table.name} where {where}")


def test_a_million_rows_in_the_window_neither_freeze_nor_flood_the_page(
    page: Page, shaky: Served, fragile: Desk
) -> None:
    fragile.run(
        "insert into funding_rates (timestamp, symbol, exchange, funding_rate) "
        "select now() - n * interval '86 milliseconds', 'MILLION', 'one', "
        "case when n = 500000 then 0.05 else 0.0001 * sin(n / 1000.0) end "
        "from generate_series(1, 1000000) n"
    )
    try:
        page.goto(shaky.url + "?symbol=MILLION")
        wait_drawn(page)
        line = drawn(page, "Funding rates")[0]
        assert len(line["y"]) < 5000
        assert max(line["y"]) == 5.0, "the one peak among a million rows survives"
        seconds = page.evaluate(
            "async () => { const t = performance.now(); await new Promise(requestAnimationFrame);"
            " return (performance.now() - t) / 1000; }"
        )
        assert seconds < 2
    finally:
        fragile.run("delete from funding_rates where symbol = 'MILLION'")


def test_an_empty_database_says_so_in_every_panel(
    page: Page, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("empty")
    with new_desk(folder, hours=1) as desk:
        for table in tables.metadata.sorted_tables:
            desk.run(f"truncate {table.name}")
        with serve(folder, desk.server.url) as served:
            page.goto(served.url)
            wait_drawn(page)
            for title in TITLES:
                assert "No data" in panel_text(page, title)
            assert "Nothing needs attention" in page.locator(".ap-alerts").inner_text()
            shot(page, "empty-database")


SLOW = """
create or replace function slow_float(v numeric) returns numeric language plpgsql as
$$ begin perform pg_sleep(2); return v; end $$;
alter table funding_rates rename to funding_rates_base;
create view funding_rates as select id, timestamp, symbol, exchange,
    case when row_number() over (partition by symbol) = 1 then slow_float(funding_rate)
         else funding_rate end as funding_rate,
    next_funding_time, estimated_rate, metadata, created_at from funding_rates_base;
"""
QUICK = "drop view funding_rates; alter table funding_rates_base rename to funding_rates"


def test_switching_quickly_under_slow_queries_never_shows_a_mix(
    page: Page, shaky: Served, fragile: Desk
) -> None:
    open_dashboard(page, shaky.url, "?symbol=ETH/USDT&range=1h")
    for statement in SLOW.split(";\n"):
        if statement.strip():
            fragile.run(statement.strip().removesuffix(";"))
    try:
        page.evaluate(WATCH)
        choose = page.locator(".ap-select").first
        for symbol in ("BTC/USDT", "ETH/USDT", "BTC/USDT", "ETH/USDT"):
            choose.select_option(symbol)
            page.wait_for_timeout(300)
        wait_drawn(page, seconds=60)
        page.wait_for_timeout(1000)
        assert page.evaluate("window.__mixed") == []
        abouts = page.locator(".ap-panel .ap-about").all_inner_texts()
        assert "BTC/USDT" not in " ".join(abouts[:4])
    finally:
        for statement in QUICK.split("; "):
            fragile.run(statement)


WATCH = """() => {
    window.__mixed = [];
    setInterval(() => {
        const shown = new Set([...document.querySelectorAll(".ap-panel:not(.ap-busy) .ap-about")]
            .map((node) => node.textContent.split(" · ")[0])
            .filter((text) => text.includes("/")));
        const chosen = document.querySelector(".ap-select").value;
        if (shown.size > 1) window.__mixed.push([...shown].join(" beside "));
        for (const symbol of shown) {
            if (symbol !== chosen) window.__since ??= Date.now();
        }
        if (![...shown].some((symbol) => symbol !== chosen)) window.__since = undefined;
        if (window.__since && Date.now() - window.__since > 1500) {
            window.__mixed.push(`${[...shown]} under ${chosen}`);
        }
    }, 20);
}"""


def test_a_chart_library_that_does_not_load_comes_through_the_kernel(
    page: Page, shaky: Served
) -> None:
    page.route("**/plotly-*.js", lambda route: route.abort())
    open_dashboard(page, shaky.url, ON_BTC)
    assert drawn(page, "Funding rates")
