"""What the server counts about itself: figures, durations, its process, rows of system_metrics."""

from __future__ import annotations

import ast
import asyncio
import itertools
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse_nb import charts, queries
from alphapulse_nb.charts import View
from alphapulse_nb.db.connection import Database, connect, spending
from alphapulse_nb.queries import Window
from alphapulse_nb.server import pulse
from alphapulse_nb.server.diary import Diary
from alphapulse_nb.server.durations import BOUNDS, QUANTILES, WINDOW, Durations, Summary
from alphapulse_nb.server.figures import Figures
from alphapulse_nb.server.measures import MEASURES, Kind, Measure
from tests.conftest import Desk, wait_until

PACKAGE = Path(__file__).parents[2] / "alphapulse_nb"


def series(figures: Figures, name: str) -> dict[tuple[str, ...], Any]:
    (family,) = (one for one in figures.families() if one.measure.name == name)
    return {one.labels: one.value for one in family.series}


def test_a_counter_grows_by_what_it_is_told() -> None:
    figures = Figures()
    figures.count("rows_read", 40)
    figures.count("rows_read", 2)
    figures.count("kernels_started", how="forked")
    figures.count("kernels_started", how="forked")
    figures.count("kernels_started", how="ordinary")
    assert figures.value("rows_read") == 42
    assert figures.value("kernels_started", how="forked") == 2
    assert figures.value("kernels_started") == 3


def test_a_gauge_is_what_was_set_last_or_what_its_source_says() -> None:
    figures = Figures()
    alive = [1, 2, 3]
    figures.set("viewers", 5)
    figures.set("viewers", 4)
    figures.ask("kernels", lambda: float(len(alive)))
    assert (figures.value("viewers"), figures.value("kernels")) == (4, 3)
    alive.pop()
    assert series(figures, "kernels") == {(): 2.0}


def test_a_source_without_a_value_has_no_series() -> None:
    figures = Figures()
    figures.ask("process_open_fds", lambda: None)
    assert series(figures, "process_open_fds") == {}


def test_whatever_a_label_is_given_the_series_stay_those_of_its_set() -> None:
    figures = Figures(["funding_rates"])
    for number in range(1000):
        figures.count("queries", query=f"chart-{number}", outcome=f"odd-{number}")
        figures.observe("query_seconds", 0.1, query=f"chart-{number}")
    figures.count("queries", query="funding_rates", outcome="ok")
    assert series(figures, "queries") == {("funding_rates", "ok"): 1, ("other", "other"): 1000}
    assert set(series(figures, "query_seconds")) == {("other",)}


@pytest.mark.parametrize(
    "call",
    [
        lambda figures: figures.count("no_such_thing"),
        lambda figures: figures.count("viewers"),
        lambda figures: figures.set("kernels_refused", 1),
        lambda figures: figures.observe("rows_read", 1),
        lambda figures: figures.count("kernels_started"),
        lambda figures: figures.count("kernels_started", colour="red"),
        lambda figures: figures.count("rows_read", how="forked"),
        lambda figures: figures.ask("queries", lambda: 1.0),
        lambda figures: figures.ask("query_seconds", lambda: 1.0),
    ],
)
def test_a_call_that_fits_no_measure_is_a_mistake(call: Any) -> None:
    with pytest.raises(TypeError):
        call(Figures())


def test_every_call_in_the_package_names_a_measure_of_its_kind_with_its_labels() -> None:
    known = {measure.name: measure for measure in MEASURES}
    kinds = {"count": Kind.COUNTER, "set": Kind.GAUGE, "observe": Kind.DURATION}
    found = list(calls())
    assert len(found) > 10
    for where, method, name, labels in found:
        assert name in known, f"{where}: {name} is no measure"
        if method in kinds:
            assert known[name].kind is kinds[method], f"{where}: {name}"
            assert labels == {label.name for label in known[name].labels}, f"{where}: {name}"


def calls() -> Iterator[tuple[str, str, str, set[str]]]:
    """Calls such as `figures.count("rows_read", …)`: where, method, name, labels."""
    for path in sorted((PACKAGE / "server").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            method, owner = node.func.attr, ast.unparse(node.func.value)
            if method not in {"count", "set", "observe", "ask"} or not owner.endswith("figures"):
                continue
            first = node.args[0]
            if isinstance(first, ast.Constant):
                labels = {str(keyword.arg) for keyword in node.keywords}
                yield f"{path.name}:{node.lineno}", method, str(first.value), labels


def test_names_are_those_that_prometheus_expects() -> None:
    names = [measure.exported for measure in MEASURES]
    assert len(set(names)) == len(names)
    for measure in MEASURES:
        assert not measure.name.endswith(("_total", "_count", "_sum", "_bucket", "_info"))
        if measure.kind is Kind.DURATION:
            assert measure.name.endswith("_seconds")
        if measure.unit:
            assert measure.name.endswith("_" + measure.unit), measure.name


def test_threads_lose_no_count() -> None:
    figures = Figures()

    def work() -> None:
        for _ in range(5_000):
            figures.count("messages")
            figures.observe("refresh_seconds", 0.1)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert figures.value("messages") == 20_000
    assert series(figures, "refresh_seconds")[()].count == 20_000


@given(st.lists(st.floats(1e-4, 400), min_size=1, max_size=300))
def test_quantiles_are_within_five_per_cent_of_the_exact_ones(values: list[float]) -> None:
    summary = summarised(values)
    exact = [float(np.quantile(values, share, method="inverted_cdf")) for share in QUANTILES]
    assert summary.quantiles == pytest.approx(exact, rel=0.05)


@given(st.lists(st.floats(0, 100) | st.sampled_from(BOUNDS), max_size=100))
def test_buckets_count_every_value_up_to_their_bound(values: list[float]) -> None:
    summary = summarised(values)
    assert summary.buckets[:-1] == tuple(
        sum(value <= bound for value in values) for bound in BOUNDS
    )
    assert summary.buckets[-1] == summary.count == len(values)
    assert summary.total == pytest.approx(sum(values))


def summarised(values: list[float]) -> Summary:
    durations = Durations()
    for value in values:
        durations.add(value, 1_000.0)
    return durations.summary(1_000.0)


def test_quantiles_forget_after_five_minutes_and_counts_do_not() -> None:
    durations = Durations()
    durations.add(8.0, 100.0)
    assert durations.summary(100.0 + WINDOW - 31).quantiles[0] == pytest.approx(8, rel=0.05)
    assert durations.summary(100.0 + WINDOW + 1).quantiles == (None, None, None)
    # The slice of the old value is used again.
    durations.add(0.5, 100.0 + WINDOW)
    summary = durations.summary(100.0 + WINDOW + 1)
    assert summary.quantiles[2] == pytest.approx(0.5, rel=0.05)
    assert (summary.count, summary.total) == (2, 8.5)


def test_a_quantile_over_all_labels_is_that_of_all_values() -> None:
    figures = Figures(["a", "b", "c"])
    values = np.random.default_rng(1).exponential(0.1, 500).tolist()
    for value, name in zip(values, itertools.cycle("abc")):
        figures.observe("query_seconds", value, query=name)
    exact = float(np.quantile(values, 0.95, method="inverted_cdf"))
    assert figures.quantile("query_seconds", 0.95) == pytest.approx(exact, rel=0.05)
    assert figures.quantile("load_seconds", 0.95) is None


def test_durations_take_no_more_room_with_more_values() -> None:
    durations = Durations()
    for number in range(20_000):
        durations.add(number % 50 / 10, number / 10)
    sizes = {len(counts) for counts in durations._slices}
    assert (len(durations._slices), len(sizes)) == (10, 1)


def test_the_process_tells_about_itself() -> None:
    figures = Figures()
    pulse.watch(figures)
    first = figures.value("process_cpu_seconds")
    assert first > 0
    assert figures.value("process_resident_memory_bytes") > 1e6
    fds = figures.value("process_open_fds")
    with Path(__file__).open():
        assert figures.value("process_open_fds") == fds + 1
    assert fds < figures.value("process_max_fds")
    assert 0 < figures.value("uptime_seconds") < 60
    assert figures.value("process_start_time_seconds") < time.time()


def test_the_lag_of_the_loop_is_measured() -> None:
    async def run() -> None:
        figures = Figures()
        beat = pulse.Pulse(figures)
        beat.start()
        time.sleep(0.8)
        deadline = time.monotonic() + 5
        while not figures.quantile("loop_lag_seconds", 0.99):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.01)
        beat.stop()
        assert figures.quantile("loop_lag_seconds", 0.99) == pytest.approx(0.3, abs=0.15)

    asyncio.run(run())


def test_what_reading_cost_is_added_up_in_its_own_thread(db: Database, desk: Desk) -> None:
    window = Window.last("24h", desk.now)
    with spending() as outer:
        thread = threading.Thread(target=queries.funding_rates, args=(db, "BTC/USDT", window))
        thread.start()
        thread.join()
        assert (outer.rows, outer.seconds) == (0, 0)
        began = time.perf_counter()
        frame = queries.breaches(db, window)
        took = time.perf_counter() - began
    assert outer.rows == len(frame)
    assert 0 < outer.seconds <= took
    queries.breaches(db, window)
    assert outer.rows == len(frame)


def diary(db: Database, figures: Figures, **options: Any) -> Diary:
    return Diary(db, figures, "127.0.0.1:8050", **options)


@pytest.fixture
def written(desk: Desk) -> Iterator[Desk]:
    """The desk, whose metrics of the dashboard are removed at the end."""
    yield desk
    desk.run("DELETE FROM system_metrics WHERE metadata->>'source' = 'alphapulse'")


def busy() -> Figures:
    figures = Figures(["funding_rates"])
    figures.set("viewers", 7)
    figures.observe("query_seconds", 0.020, query="funding_rates")
    figures.observe("refresh_seconds", 0.080)
    figures.observe("refresh_late_seconds", 0.004)
    return figures


def test_the_system_chart_shows_the_dashboards_own_health(db: Database, written: Desk) -> None:
    figures = busy()
    now = datetime.now(UTC) + timedelta(hours=1)
    page = diary(db, figures, now=lambda: now)
    figures.count("refreshes", 4)
    figures.count("refreshes_late", 1)
    page.write()
    assert figures.value("self_metrics_rows") == 9
    window = Window(now - timedelta(minutes=1), now + timedelta(minutes=1))
    frame = queries.system_metrics(db, "", window)
    chart = charts.system_metrics(frame, View("", "", window.start, window.end))
    drawn = {trace.name: (trace.yaxis, float(trace.y[-1])) for trace in chart.data}
    titles = [note.text for note in chart.layout.annotations]
    panels = [title.rpartition(", ")[2] for title in titles]
    assert panels == ["ms", "%", "rows/s", "%", "count"]
    assert drawn["dashboard query"] == ("y", pytest.approx(20, rel=0.05))
    assert drawn["dashboard on time"] == ("y2", 75.0)
    assert drawn["dashboard viewers"] == ("y5", 7.0)


def test_the_rows_say_whose_they_are(db: Database, written: Desk) -> None:
    diary(db, busy()).write()
    said = written.run(
        "SELECT DISTINCT metadata->>'server' FROM system_metrics"
        " WHERE metadata->>'source' = 'alphapulse'"
    )
    assert said == "127.0.0.1:8050"


def test_what_did_not_happen_has_no_row(db: Database) -> None:
    names = {row["metric_name"] for row in diary(db, Figures()).rows()}
    assert "dashboard_kernels" in names
    assert names.isdisjoint({"dashboard_query", "dashboard_on_time"})


def test_a_failure_is_said_once_for_an_outage_and_counted(
    db: Database, written: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    figures = Figures()
    page = diary(db, figures)
    written.run("ALTER TABLE system_metrics RENAME TO hidden")
    try:
        page.write()
        page.write()
        assert "system_metrics" in caplog.text
        assert len(caplog.records) == 1
    finally:
        written.run("ALTER TABLE hidden RENAME TO system_metrics")
    page.write()
    page.write()
    assert [record.message.endswith("again") for record in caplog.records] == [False, True]
    assert figures.value("self_metrics_failed") == 2
    assert figures.value("self_metrics_rows") > 0


def test_rows_come_at_a_fixed_rate_until_it_is_stopped(desk: Desk, written: Desk) -> None:
    figures = Figures()
    with connect(desk.server.url) as own:
        page = diary(own, figures, every=0.1)
        page.start()
        wait_until(lambda: figures.value("self_metrics_rows") >= 18)
        page.stop()
        rows = figures.value("self_metrics_rows")
        time.sleep(0.3)
        assert figures.value("self_metrics_rows") == rows


def test_an_unreachable_database_stops_nothing() -> None:
    figures = Figures()
    with connect("postgresql://nobody@127.0.0.1:1/none") as gone:
        page = diary(gone, figures, every=0.05)
        page.start()
        wait_until(lambda: figures.value("self_metrics_failed") >= 2)
        page.stop()
    assert figures.value("self_metrics_rows") == 0


def test_a_measure_of_ones_own_can_be_declared() -> None:
    figures = Figures(measures=[Measure("cups", Kind.COUNTER, "Cups of tea")])
    figures.count("cups")
    assert figures.value("cups") == 1
