"""Queries: a database, a symbol and a window in; a DataFrame of documented columns out."""

from alphapulse_nb.queries.anomalies import anomalies
from alphapulse_nb.queries.backtests import backtests
from alphapulse_nb.queries.breaches import breaches
from alphapulse_nb.queries.funding import funding_rates
from alphapulse_nb.queries.headline import headline
from alphapulse_nb.queries.performance import performance
from alphapulse_nb.queries.predictions import predictions
from alphapulse_nb.queries.signals import signals
from alphapulse_nb.queries.symbols import symbols
from alphapulse_nb.queries.system import system_metrics
from alphapulse_nb.queries.window import DEFAULT_RANGE, MAX_POINTS, RANGES, Window

__all__ = [
    "DEFAULT_RANGE",
    "MAX_POINTS",
    "RANGES",
    "Window",
    "anomalies",
    "backtests",
    "breaches",
    "funding_rates",
    "headline",
    "performance",
    "predictions",
    "signals",
    "symbols",
    "system_metrics",
]
