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
    print(f"{name}: {theirs / ours:.1f} times ours" if ours else f"{name}: ours is 0", flush=True)


def table(
    names: Sequence[str], rows: Sequence[tuple[str, str, str, Sequence[float | None]]]
) -> None:
    """Print columns of figures; a row is (what, unit, budget, a value for each name)."""
    head = ["", *names, "budget"]
    lines = [
        [f"{what}, {unit}" if unit else what, *map(_figure, values), budget]
        for what, unit, budget, values in rows
    ]
    widths = [max(map(len, column)) for column in zip(head, *lines, strict=True)]
    for first, *others in (head, *lines):
        cells = (cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True))
        print(first.ljust(widths[0]), *cells, sep="  ", flush=True)


def _figure(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"
