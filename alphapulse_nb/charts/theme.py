"""The one palette. Figures are built with its light colours; each has one dark partner.

Whoever shows a figure on a dark ground swaps every light colour for its partner (`dark()` here, the
same map in the browser), so that a chart function knows no theme. The series colours follow the
colour-blind-safe set of Okabe and Ito (2008, "Color Universal Design"), shifted in lightness to
keep a contrast of 3:1 on both grounds.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
import plotly.graph_objects as go


class Shade(NamedTuple):
    """A colour on a light and on a dark ground, as `#rrggbb`."""

    light: str
    dark: str


PALETTE: Final[dict[str, Shade]] = {
    "ground": Shade("#f4f6f9", "#0b1017"),
    "panel": Shade("#ffffff", "#131a24"),
    "raised": Shade("#edf0f5", "#1c2532"),
    "line": Shade("#dbe1ea", "#273243"),
    "grid": Shade("#e6eaf1", "#202a38"),
    "zero": Shade("#9aa5b8", "#55637a"),
    "text": Shade("#16202e", "#e6ecf5"),
    "muted": Shade("#566378", "#93a1b7"),
    "accent": Shade("#0b62c4", "#5aa9ff"),
    "good": Shade("#087f5b", "#3ecf9b"),
    "bad": Shade("#c22f3d", "#ff7a85"),
    "warn": Shade("#9a6700", "#f0b429"),
    "series1": Shade("#0072b2", "#4db3f0"),
    "series2": Shade("#d1580a", "#ff9e57"),
    "series3": Shade("#00805d", "#35cfa0"),
    "series4": Shade("#a8457f", "#ea93c4"),
    "series5": Shade("#8a6d00", "#e5c542"),
    "series6": Shade("#5b5bd6", "#a3a3ff"),
    "diverge1": Shade("#2166ac", "#63aef2"),
    "diverge2": Shade("#8fb8dc", "#41668a"),
    "diverge3": Shade("#c3c9d2", "#4a5464"),
    "diverge4": Shade("#eba37f", "#8f553c"),
    "diverge5": Shade("#b2182b", "#ff7b62"),
}

SERIES: Final = tuple(PALETTE[f"series{n}"].light for n in range(1, 7))
"""The colours of successive series."""

DIVERGING: Final = [[n / 4, PALETTE[f"diverge{n + 1}"].light] for n in range(5)]
"""A Plotly colour scale from negative (blue) through neutral to positive (red)."""

FONT: Final = "Inter, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


def light(role: str) -> str:
    """The light colour of a role of the palette."""
    return PALETTE[role].light


def swaps() -> dict[str, str]:
    """Every light colour with its dark partner."""
    return {shade.light: shade.dark for shade in PALETTE.values()}


def dark(figure: go.Figure) -> go.Figure:
    """The same figure for a dark ground."""
    return go.Figure(_swapped(figure.to_plotly_json(), swaps()))


def css_variables() -> str:
    """The palette as CSS variables `--ap-…`, light by default and dark where the page is dark."""
    light_rules = "".join(f"--ap-{name}:{shade.light};" for name, shade in PALETTE.items())
    dark_rules = "".join(f"--ap-{name}:{shade.dark};" for name, shade in PALETTE.items())
    return (
        f":root{{{light_rules}--ap-font:{FONT};color-scheme:light}}\n"
        f'body[data-jp-theme-light="false"],body[data-jp-theme-light="false"] .ap'
        f"{{{dark_rules}color-scheme:dark}}\n"
    )


def _swapped(value: Any, partner: dict[str, str]) -> Any:
    if isinstance(value, str):
        return partner.get(value, value)
    if isinstance(value, dict):
        return {key: _swapped(item, partner) for key, item in value.items()}
    if isinstance(value, list | tuple) or (isinstance(value, np.ndarray) and value.dtype == object):
        return [_swapped(item, partner) for item in value]
    return value
