"""Charts: a DataFrame in, a Plotly figure out. Pure functions; no database, no widget."""

from alphapulse_nb.charts.funding import funding_rates
from alphapulse_nb.charts.layout import View

__all__ = ["View", "funding_rates"]
