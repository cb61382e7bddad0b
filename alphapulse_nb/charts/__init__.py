"""Charts: a DataFrame in, a Plotly figure out. Pure functions; no database, no widget."""

from alphapulse_nb.charts.anomalies import anomalies
from alphapulse_nb.charts.breaches import Alert, breaches
from alphapulse_nb.charts.funding import funding_rates
from alphapulse_nb.charts.headline import Card, headline
from alphapulse_nb.charts.layout import View
from alphapulse_nb.charts.performance import performance
from alphapulse_nb.charts.predictions import predictions
from alphapulse_nb.charts.summary import summary
from alphapulse_nb.charts.system import system_metrics
from alphapulse_nb.charts.theme import SERIES

__all__ = [
    "SERIES",
    "Alert",
    "Card",
    "View",
    "anomalies",
    "breaches",
    "funding_rates",
    "headline",
    "performance",
    "predictions",
    "summary",
    "system_metrics",
]
