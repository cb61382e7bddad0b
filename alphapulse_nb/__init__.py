"""AlphaPulse NB: a live view of a trading desk."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from alphapulse_nb import charts, metrics, queries
    from alphapulse_nb.catalog import ChartSpec, chart
    from alphapulse_nb.dashboard import Dashboard, connect, live_chart
    from alphapulse_nb.queries import Window
    from alphapulse_nb.stream_client import StreamClient
    from alphapulse_nb.widgets.live_chart import LiveChart

__all__ = [
    "ChartSpec",
    "Dashboard",
    "LiveChart",
    "StreamClient",
    "Window",
    "chart",
    "charts",
    "connect",
    "live_chart",
    "metrics",
    "queries",
]

_HOMES = {
    "ChartSpec": "catalog",
    "Dashboard": "dashboard",
    "LiveChart": "widgets.live_chart",
    "StreamClient": "stream_client",
    "Window": "queries",
    "chart": "catalog",
    "connect": "dashboard",
    "live_chart": "dashboard",
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for: pandas alone costs over a second."""
    if name in _HOMES:
        return getattr(importlib.import_module(f"alphapulse_nb.{_HOMES[name]}"), name)
    if name in __all__:
        return importlib.import_module(f"alphapulse_nb.{name}")
    raise AttributeError(f"module 'alphapulse_nb' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
