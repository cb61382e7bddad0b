"""Frames for the charts, as the queries give them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from alphapulse_nb import charts
from alphapulse_nb.charts import View

START = pd.Timestamp("2026-03-01", tz="UTC")


def stamps(count: int, minutes: float = 1) -> pd.DatetimeIndex:
    steps = pd.to_timedelta(np.arange(count) * minutes, unit="min")
    return pd.DatetimeIndex(START + steps).as_unit("us")


def funding_rates(count: int) -> pd.DataFrame:
    at = stamps(count)
    return pd.DataFrame(
        {
            "timestamp": at,
            "exchange": _cycle(["binance", "bybit"], count),
            "funding_rate": np.sin(np.arange(count) / 50) * 1e-4,
            "estimated_rate": np.full(count, 1e-4),
            "next_funding_time": at.ceil("8h"),
        }
    )


def anomalies(count: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "timestamp": stamps(count),
            "data_type": _cycle(["price", "volume"], count),
            "value": np.arange(count, dtype=float),
            "z_score": 5.0 * np.sin(np.arange(count, dtype=float)),
            "threshold": np.full(count, 3.0),
        }
    )


def performance(count: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "timestamp": stamps(count),
            "strategy_id": _cycle(["trend", "reversion"], count),
            "pnl": 100.0 * np.sin(np.arange(count) / 90),
            "win_rate": np.full(count, 0.55),
            "drawdown": np.abs(np.sin(np.arange(count) / 70)) / 50,
            "trade_count": np.arange(count) // 20 * 1.0,
            "capital": np.full(count, 100_000.0),
        }
    )


def predictions(count: int) -> pd.DataFrame:
    return pd.DataFrame(
        {
            "timestamp": stamps(count),
            "signal_type": _cycle(["LONG", "SHORT"], count),
            "confidence": np.abs(np.sin(np.arange(count, dtype=float))),
            "predicted_pnl": 80.0 * np.sin(np.arange(count) / 7),
            "outcome": pd.Series(_cycle(["WIN", "LOSS", "PENDING", None], count), dtype="str"),
            "pnl_pct": np.full(count, 0.25),
        }
    )


def system_metrics(count: int) -> pd.DataFrame:
    names = ["latency", "cache_hit_ratio", "throughput", "cpu", "memory"]
    units = ["ms", "ratio", "rows/s", "%", "%"]
    at = stamps(-(-count // len(names))).repeat(len(names))[:count]
    return pd.DataFrame(
        {
            "timestamp": at,
            "metric_name": _cycle(names, count),
            "metric_value": 0.96 + 0.03 * np.sin(np.arange(count) / 11),
            "metric_unit": _cycle(units, count),
        }
    )


MAKERS: dict[str, Callable[[int], pd.DataFrame]] = {
    "funding_rates": funding_rates,
    "anomalies": anomalies,
    "performance": performance,
    "predictions": predictions,
    "system_metrics": system_metrics,
}


def draw(name: str, frame: pd.DataFrame, view: View = View()) -> go.Figure:  # noqa: B008
    figure = getattr(charts, name)(frame, view)
    assert isinstance(figure, go.Figure)
    return figure


def trace(figure: go.Figure, name: str) -> Any:
    """The trace of that name that draws something."""
    found = [one for one in figure.data if one.name == name and one.hoverinfo != "skip"]
    assert len(found) == 1, f"{name}: {[one.name for one in figure.data]}"
    return found[0]


def column(values: Any) -> list[float]:
    return [float(value) for value in values]


def _cycle(values: list[Any], count: int) -> pd.Series[Any]:
    return pd.Series([values[place % len(values)] for place in range(count)], dtype="str")
