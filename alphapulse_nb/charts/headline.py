"""Headline numbers: a one-row frame in, cards out."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import pandas as pd

from alphapulse_nb.charts.layout import View


@dataclass(frozen=True)
class Card:
    """One number for a viewer.

    `value` is as stored (a fraction stays a fraction), None for unknown. `kind` says how it is
    written: `rate` (fraction, in per cent, four digits), `percent` (fraction, one digit), `money`
    (USDT) or `count`. `tone` is good, bad, warn or plain.
    """

    key: str
    label: str
    value: float | None
    kind: str
    tone: str
    hint: str


_LAYOUT: Final = (
    ("funding_rate", "Funding rate", "rate", "mean of the exchanges, latest"),
    ("pnl", "PnL", "money", "all strategies, latest"),
    ("win_rate", "Win rate", "percent", "closed trades"),
    ("drawdown", "Max drawdown", "percent", "deepest in the {span}"),
    ("confidence", "Confidence", "percent", "mean prediction, {span}"),
    ("open_signals", "Open signals", "count", "not resolved yet"),
    ("anomalies", "Anomalies", "count", "beyond threshold, {span}"),
)


def headline(frame: pd.DataFrame, view: View = View()) -> list[Card]:  # noqa: B008 - frozen
    """The headline cards of a one-row frame as `queries.headline` gives it.

    A column that is missing or NULL becomes a card without a value.
    """
    row = frame.iloc[0].to_dict() if len(frame) else {}
    span = view.span or "whole range"
    return [
        Card(key, label, value, kind, _tone(key, value), hint.format(span=span))
        for key, label, kind, hint in _LAYOUT
        for value in [_finite(row.get(key))]
    ]


def blank() -> list[Card]:
    """The same cards before anything is known."""
    return [Card(key, label, None, kind, "plain", "") for key, label, kind, _ in _LAYOUT]


def _finite(value: object) -> float | None:
    if not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return float(value)


def _tone(key: str, value: float | None) -> str:
    if value is None:
        return "plain"
    if key == "pnl" and value:
        return "good" if value > 0 else "bad"
    if key == "drawdown" and value >= 0.1:
        return "bad"
    if key == "anomalies" and value > 0:
        return "warn"
    return "plain"
