"""How a benchmark prints: one line per figure, the median and its spread."""

from __future__ import annotations

import platform
import statistics
from collections.abc import Sequence


def header(title: str) -> None:
    print(f"# {title} ({platform.machine()}, Python {platform.python_version()})", flush=True)


def line(name: str, values: Sequence[float], unit: str, budget: str = "") -> float:
    """Print a figure and return its median."""
    middle = statistics.median(values)
    spread = f"{min(values):.4g} to {max(values):.4g}, n={len(values)}"
    wanted = f"; budget {budget}" if budget else ""
    print(f"{name}: {middle:.4g} {unit} ({spread}{wanted})", flush=True)
    return middle


def ratio(name: str, theirs: float, ours: float) -> None:
    print(f"{name}: {theirs / ours:.1f} times ours", flush=True)
