"""The alerts area of the dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Final

import traitlets

from alphapulse_nb.charts.breaches import Alert
from alphapulse_nb.widgets.base import Widget

MOST: Final = 50
"""Alerts on screen; the oldest beyond that are left out."""


class Alerts(Widget):
    """A list of alerts, newest first.

    `feed` names the feed of the server's stream that brings the same, for pages that have a stream.
    """

    _alerts: traitlets.List[Any] = traitlets.List().tag(sync=True)
    _feed_name = traitlets.Unicode().tag(sync=True)

    def __init__(self, *, feed: str = "", **traits: Any) -> None:
        super().__init__("alerts", _feed_name=feed, **traits)

    def __repr__(self) -> str:
        return f"Alerts({len(self._alerts)})"

    def show(self, alerts: Sequence[Alert]) -> None:
        """Show these alerts and no others."""
        newest = sorted(alerts, key=lambda alert: alert.at, reverse=True)[:MOST]
        self._alerts = [asdict(alert) for alert in newest]
