"""The alerts area of the dashboard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

import traitlets

from alphapulse_nb.widgets.base import Widget

MOST: Final = 50
"""Alerts on screen; the oldest beyond that are left out."""


@dataclass(frozen=True)
class Alert:
    """Something that needs attention. `key` stays the same while it is the same thing.

    `type` is one of the notification types (error, warning, …); `at` is epoch milliseconds.
    """

    key: str
    type: str
    priority: Literal["low", "medium", "high", "urgent"]
    title: str
    message: str
    at: float


class Alerts(Widget):
    """A list of alerts, newest first."""

    _alerts: traitlets.List[Any] = traitlets.List().tag(sync=True)

    def __init__(self, **traits: Any) -> None:
        super().__init__("alerts", **traits)

    def __repr__(self) -> str:
        return f"Alerts({len(self._alerts)})"

    def show(self, alerts: Sequence[Alert]) -> None:
        """Show these alerts and no others."""
        newest = sorted(alerts, key=lambda alert: alert.at, reverse=True)[:MOST]
        self._alerts = [asdict(alert) for alert in newest]
