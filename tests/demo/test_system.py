"""The machine's own figures, measured against a real server."""

from __future__ import annotations

import math
import time

import sqlalchemy as sa

from alphapulse_nb.demo.system import Meter
from alphapulse_nb.demo.writer import copy, transaction

from .conftest import NOW

UNITS = {
    "latency": "ms",
    "cache_hit_ratio": "ratio",
    "throughput": "rows/s",
    "cpu": "%",
    "memory": "%",
}


def test_a_sample_holds_each_metric_once_with_its_unit(engine: sa.Engine) -> None:
    meter = Meter()
    with transaction(engine) as connection:
        frame = meter.sample(connection, 0, NOW)
        assert copy(connection, "system_metrics", frame) == 5
    assert dict(zip(frame["metric_name"], frame["metric_unit"], strict=True)) == UNITS
    values = frame.set_index("metric_name")["metric_value"]
    assert 0 < values["latency"] < 5_000
    assert 0 <= values["cpu"] <= 100
    assert 0 < values["memory"] <= 100


def test_throughput_counts_the_rows_since_the_last_sample(engine: sa.Engine) -> None:
    meter = Meter()
    begin = time.monotonic()
    with transaction(engine) as connection:
        meter.sample(connection, 1_000, NOW)
        time.sleep(0.1)
        frame = meter.sample(connection, 1_500, NOW)
    end = time.monotonic()
    rate = frame.set_index("metric_name").loc["throughput", "metric_value"]
    assert 500 / (end - begin) <= rate <= 500 / 0.1


def test_the_cache_ratio_is_unknown_at_first_and_a_fraction_later(engine: sa.Engine) -> None:
    meter = Meter()
    ratios = []
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with transaction(engine) as connection:
            frame = meter.sample(connection, 0, NOW)
        ratios.append(frame.set_index("metric_name").loc["cache_hit_ratio", "metric_value"])
        if len(ratios) > 1 and not math.isnan(ratios[-1]):
            break
        time.sleep(0.3)
    assert math.isnan(ratios[0])
    assert 0 <= ratios[-1] <= 1
