"""Anomalies: a mark for each, placed by its signed z-score."""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd
import plotly.graph_objects as go

from alphapulse_nb.charts.layout import (
    HOVER_TIME,
    View,
    escape,
    figure,
    has_values,
    layout,
    no_data,
    time_axis,
    times,
    value_axis,
)
from alphapulse_nb.charts.panels import LEGEND, key
from alphapulse_nb.charts.theme import DIVERGING, light

SCALE: Final = 6.0
"""The |z| at which the colour scale ends. Fixed, so that no refresh recolours old points."""

SYMBOLS: Final = ("circle", "diamond", "square", "triangle-up", "cross", "star", "hexagon")

_SMALLEST, _LARGEST, _HALF_WAY = 5.0, 18.0, 5.0
_USUAL_THRESHOLD: Final = 3.0

_Floats = npt.NDArray[np.float64]


def anomalies(frame: pd.DataFrame, view: View = View()) -> go.Figure:  # noqa: B008 - frozen
    """A mark per anomaly at its signed z-score: colour says z, size |z|, symbol the data type.

    `frame` has `timestamp`, `data_type`, `value`, `z_score` and `threshold`. What lies within its
    own threshold is pale. The dashed lines stand at the most common threshold of the frame; the
    hover names each point's own. An infinite z stands at the edge and reads ∞; an unknown one is a
    hollow mark at 0. An empty or all-NULL frame draws "no data".
    """
    if not has_values(frame, "z_score", "value"):
        return no_data(view)
    threshold = _common_threshold(frame["threshold"])
    edge = _edge(frame["z_score"].to_numpy(dtype=float), threshold)
    traces: list[dict[str, Any]] = []
    for place, (data_type, rows) in enumerate(frame.groupby("data_type", sort=True)):
        symbol = SYMBOLS[place % len(SYMBOLS)]
        name = escape(str(data_type))
        traces += _marks(name, rows, symbol, edge)
        traces.append(key(name, {"symbol": symbol, "size": 8, "color": light("muted")}, name))
    traces.append(_limit_key(threshold))
    return figure(
        traces,
        layout(
            view,
            xaxis=time_axis(view),
            yaxis=value_axis(
                "z-score (standard deviations)", range=[-edge * 1.12, edge * 1.12], nticks=8
            ),
            coloraxis=_COLOURS,
            shapes=[_limit(threshold), _limit(-threshold)],
            showlegend=True,
            legend=LEGEND,
            margin={"l": 56, "r": 62, "t": 30, "b": 40},
        ),
    )


def size(z: _Floats) -> _Floats:
    """Diameter of a mark in px: monotone in |z|, from 5 at 0 towards 18, half way at |z| = 5."""
    share = np.ones_like(z)
    known = np.isfinite(z)
    square = np.minimum(np.abs(z[known]), 1e6) ** 2
    share[known] = square / (square + _HALF_WAY**2)
    return _SMALLEST + (_LARGEST - _SMALLEST) * share


def _marks(name: str, rows: pd.DataFrame, symbol: str, edge: float) -> list[dict[str, Any]]:
    """A trace of the finite z-scores of a data type, and one each for +∞, −∞ and unknown."""
    z = rows["z_score"].to_numpy(dtype=float)
    unknown = {"size": 9, "color": light("muted"), "line": {"width": 1.4}}
    kinds = [
        (np.isfinite(z), "", "%{y:+.2f}", _coloured(symbol, z, rows["threshold"])),
        (z == math.inf, " z = ∞", "∞", _extreme(symbol, SCALE)),
        (z == -math.inf, " z = −∞", "−∞", _extreme(symbol, -SCALE)),
        (np.isnan(z), " z unknown", "unknown", unknown | {"symbol": f"{symbol}-open"}),
    ]
    y = np.nan_to_num(z, nan=0.0, posinf=edge, neginf=-edge)
    return [
        _trace(name, suffix, rows[chosen], y[chosen], shown, marker)
        for chosen, suffix, shown, marker in kinds
        if chosen.any()
    ]


def _trace(
    name: str, suffix: str, rows: pd.DataFrame, y: _Floats, shown: str, marker: dict[str, Any]
) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": f"{name}{suffix}",
        "legendgroup": name,
        "showlegend": False,
        "x": times(rows["timestamp"]),
        "y": y,
        "customdata": rows[["value", "threshold"]].to_numpy(dtype=float),
        "marker": marker,
        "hovertemplate": (
            f"<b>{name}</b> z {shown} (threshold %{{customdata[1]:.3~g}})"
            f"<br>value %{{customdata[0]:.4~g}}<br>{HOVER_TIME}<extra></extra>"
        ),
    }


def _coloured(symbol: str, z: _Floats, thresholds: pd.Series[Any]) -> dict[str, Any]:
    known = np.isfinite(z)
    z = z[known]
    limit = thresholds.fillna(_USUAL_THRESHOLD).to_numpy(dtype=float)[known]
    return {
        "symbol": symbol,
        "color": np.clip(z, -SCALE, SCALE),
        "coloraxis": "coloraxis",
        "size": size(z),
        "opacity": np.where(np.abs(z) >= limit, 1.0, 0.8),
        "line": {"width": 0.8, "color": light("zero")},
    }


def _extreme(symbol: str, end: float) -> dict[str, Any]:
    colour = DIVERGING[-1 if end > 0 else 0][1]
    return {
        "symbol": symbol,
        "color": colour,
        "size": _LARGEST,
        "line": {"width": 1.5, "color": light("text")},
    }


def _common_threshold(thresholds: pd.Series[Any]) -> float:
    known = thresholds[np.isfinite(thresholds.to_numpy(dtype=float))]
    return float(known.mode().iloc[0]) if len(known) else _USUAL_THRESHOLD


def _edge(z: _Floats, threshold: float) -> float:
    """Where infinity stands: a whole number beyond every finite |z| and the threshold."""
    known = np.abs(z[np.isfinite(z)])
    return float(math.ceil(max(known.max(initial=0.0), threshold + 1.0, 4.0)))


_COLOURS: Final[dict[str, Any]] = {
    "colorscale": DIVERGING,
    "cmin": -SCALE,
    "cmax": SCALE,
    "colorbar": {
        "thickness": 8,
        "len": 1.0,
        "x": 1.0,
        "xpad": 8,
        "ypad": 0,
        "outlinewidth": 0,
        "tickvals": [-SCALE, 0, SCALE],
        "ticktext": ["−6", "0", "+6"],
        "tickfont": {"size": 10, "color": light("muted")},
        "title": {
            "text": "colour: z, size: |z|",
            "side": "right",
            "font": {"size": 10, "color": light("muted")},
        },
    },
}


def _limit(level: float) -> dict[str, Any]:
    return {
        "type": "line",
        "xref": "paper",
        "x0": 0,
        "x1": 1,
        "y0": level,
        "y1": level,
        "line": {"color": light("warn"), "width": 1, "dash": "dash"},
        "layer": "between",
    }


def _limit_key(threshold: float) -> dict[str, Any]:
    line = {"color": light("warn"), "width": 1.2, "dash": "dash"}
    return key(f"threshold ±{threshold:.3g}", {}) | {"mode": "lines", "line": line}
