"""What breaks a threshold, as entries of the alerts area."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import pandas as pd


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


def breaches(frame: pd.DataFrame) -> list[Alert]:
    """An alert for each row of `queries.breaches`, in the frame's order."""
    return [_alert(row) for row in frame.to_dict("records")]


def _alert(row: Mapping[Any, Any]) -> Alert:
    z, threshold = row["z_score"], row["threshold"]
    return Alert(
        key=f"anomaly-{row['id']}",
        type="warning",
        priority="high" if abs(z) >= 1.5 * threshold else "medium",
        title=f"{row['symbol']} {row['data_type']}",
        message=f"z-score {z:+.2f}, threshold {threshold:g}; value {row['value']:.6g}",
        at=row["timestamp"].timestamp() * 1e3,
    )
