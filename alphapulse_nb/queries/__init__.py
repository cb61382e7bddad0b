"""Queries: a database, a symbol and a window in; a DataFrame of documented columns out."""

from alphapulse_nb.queries.funding import funding_rates
from alphapulse_nb.queries.window import DEFAULT_RANGE, MAX_POINTS, RANGES, Window

__all__ = ["DEFAULT_RANGE", "MAX_POINTS", "RANGES", "Window", "funding_rates"]
