"""Thinning keeps rows, extremes and order."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapulse_nb.queries.thinning import thin

START = pd.Timestamp("2026-03-01 00:00:07", tz="UTC")


def frame(
    values: list[float], series: list[str | None] | None = None, step: int = 1
) -> pd.DataFrame:
    stamps = START + pd.to_timedelta(np.arange(len(values)) * step, unit="s")
    made = pd.DataFrame({"timestamp": pd.DatetimeIndex(stamps).as_unit("us"), "value": values})
    return made.assign(series=pd.Series(series, dtype="str")) if series else made


@settings(deadline=None)
@given(
    st.lists(
        st.floats(allow_infinity=True) | st.sampled_from([0.0, 1.0]), min_size=1, max_size=400
    ),
    st.integers(4, 40),
    st.integers(1, 500),
)
def test_kept_rows_are_rows_and_hold_the_extremes(
    values: list[float], points: int, step: int
) -> None:
    full = frame(values, step=step)
    kept = thin(full, ["value"], points)
    merged = kept.merge(full.reset_index(), on="timestamp", suffixes=("", "_full"))
    assert len(merged) == len(kept)
    np.testing.assert_array_equal(merged["value"], merged["value_full"])
    assert merged["index"].is_monotonic_increasing
    assert kept["timestamp"].iloc[-1] == full["timestamp"].iloc[-1]
    for extreme in ("min", "max"):
        theirs, ours = full["value"].agg(extreme), kept["value"].agg(extreme)
        assert theirs == ours or (math.isnan(theirs) and math.isnan(ours))


def test_each_series_keeps_its_own_extremes() -> None:
    count = 4_000
    values = [float(n % 7) for n in range(count)]
    values[801], values[1_600] = 500.0, -500.0
    names = ["a" if n % 2 else "b" for n in range(count)]
    kept = thin(frame(values, list(names)), ["value"], 100, by=["series"])
    by_name = kept.groupby("series")["value"]
    assert by_name.max()["a"] == 500.0
    assert by_name.min()["b"] == -500.0
    assert by_name.size().max() <= 110


def test_rows_without_a_series_name_are_a_series_too() -> None:
    names = [None if n % 2 else "a" for n in range(1_000)]
    kept = thin(frame([float(n) for n in range(1_000)], names), ["value"], 100, by=["series"])
    assert kept["series"].isna().sum() > 20


def test_rows_in_any_order_come_out_oldest_first() -> None:
    shuffled = frame([float(n) for n in range(50)]).sample(frac=1, random_state=3)
    assert thin(shuffled, ["value"], 100)["value"].tolist() == [float(n) for n in range(50)]


def test_a_short_frame_stays_as_it_is() -> None:
    short = frame([1.0, 2.0])
    pd.testing.assert_frame_equal(thin(short, ["value"], 2), short)


@pytest.mark.parametrize("points", [100, 1_000, 1_500])
def test_about_as_many_points_stay_as_are_wanted(points: int) -> None:
    rng = np.random.default_rng(1)
    kept = thin(frame(rng.normal(size=86_400).tolist()), ["value"], points)
    assert points / 3 < len(kept) <= points * 1.02


def test_a_moving_window_changes_only_its_ends() -> None:
    """Buckets are counted from 1970: what is between the first and the last one stays."""
    rng = np.random.default_rng(2)
    full = frame(rng.normal(size=20_000).tolist())
    before = thin(full.iloc[:19_000], ["value"], 1_000)
    after = thin(full.iloc[40:19_040], ["value"], 1_000)
    both = set(before["timestamp"]) & set(after["timestamp"])
    assert len(both) > 0.98 * len(before)
