"""A figure as a small frame: what it draws, in numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go


def summary(figure: go.Figure) -> pd.DataFrame:
    """One row per trace of a figure, for comparing figures and for reading them aloud.

    Columns: `trace` (str), `type` (str), `points` (int64) and, over the finite y values, `first`,
    `last`, `least` and `greatest` (float64; NaN where there is none).
    """
    rows = [_row(trace) for trace in figure.data]
    columns = ["trace", "type", "points", "first", "last", "least", "greatest"]
    return pd.DataFrame(rows, columns=columns)


def _row(trace: Any) -> list[Any]:
    values = _numbers(trace.y)
    finite = values[np.isfinite(values)]
    ends = [finite[0], finite[-1], finite.min(), finite.max()] if len(finite) else [np.nan] * 4
    return [trace.name or "", trace.type, len(values), *(float(end) for end in ends)]


def _numbers(values: Any) -> Any:
    if values is None:
        return np.empty(0)
    return pd.to_numeric(pd.Series(values), errors="coerce").to_numpy(dtype=float)
