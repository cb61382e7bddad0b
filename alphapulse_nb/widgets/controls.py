"""The head of the dashboard: symbol, range, refresh interval, pause, time zone and badge."""

from __future__ import annotations

import time
from typing import Any, Final

import traitlets

from alphapulse_nb.widgets.base import Widget

SHORTEST: Final = 1.0
LONGEST: Final = 3_600.0
"""Limits of the refresh interval, in seconds."""

_LONGEST_SYMBOL: Final = 100


def acceptable(symbol: str) -> bool:
    """Whether a text that a stranger sent may be a symbol."""
    return 0 < len(symbol) <= _LONGEST_SYMBOL and symbol.isprintable()


class Controls(Widget):
    """What a viewer chooses. A value that the page may not send is ignored.

    `span` is one of `spans`; `every` is in seconds; `zone` is an IANA name, or `local` for the
    browser's own; `notice` is a few words beside the name; `person` is who signed in, if anybody.
    `report()` feeds the badge, unless the controls are `streamed`: then a page that has a stream
    follows that, and the kernel stands behind it.
    """

    symbol = traitlets.Unicode().tag(sync=True)
    span = traitlets.Unicode().tag(sync=True)
    every = traitlets.Float(10.0).tag(sync=True)
    paused = traitlets.Bool(False).tag(sync=True)
    notice = traitlets.Unicode().tag(sync=True)
    person = traitlets.Unicode().tag(sync=True)
    zone = traitlets.Unicode("local").tag(sync=True)
    symbols = traitlets.List(traitlets.Unicode()).tag(sync=True)
    spans = traitlets.List(traitlets.Unicode()).tag(sync=True)
    _status = traitlets.Dict().tag(sync=True)
    _streamed = traitlets.Bool(False).tag(sync=True)

    def __init__(self, *, streamed: bool = False, **traits: Any) -> None:
        super().__init__("controls", _streamed=streamed, **traits)

    def __repr__(self) -> str:
        return f"Controls({self.symbol!r}, {self.span!r})"

    def report(self, *, at: float, newest: float | None, fault: str = "") -> None:
        """Tell the badge of a finished refresh.

        `at` and `newest` (the latest data) are epoch seconds; `fault` says in a few words why no
        data came.
        """
        self._status = {
            "at": at * 1e3,
            "newest": None if newest is None else newest * 1e3,
            "every": self.every,
            "paused": self.paused,
            "sent": time.time() * 1e3,
            "fault": fault,
        }

    def accepts(self, name: str, value: object) -> bool:
        """Whether it is a choice of the viewer's, and one that there is."""
        match name, value:
            case "symbol", str():
                return acceptable(value)
            case "span", str():
                return value in self.spans
            case "paused", _:
                return isinstance(value, bool)
            case "every", int() | float():
                return not isinstance(value, bool) and SHORTEST <= value <= LONGEST
        return False

    @traitlets.validate("symbol")
    def _short_symbol(self, proposal: dict[str, Any]) -> str:
        value = str(proposal["value"])
        return value if acceptable(value) else self.symbol

    @traitlets.validate("span")
    def _known_span(self, proposal: dict[str, Any]) -> str:
        value = str(proposal["value"])
        return value if not self.spans or value in self.spans else self.span

    @traitlets.validate("every")
    def _sane_interval(self, proposal: dict[str, Any]) -> float:
        value = float(proposal["value"])
        return value if SHORTEST <= value <= LONGEST else self.every
