"""`LiveChart`: a Plotly figure in a notebook or page that stays live, without `go.FigureWidget`.

The browser asks for a snapshot when it is ready and then gets numbered patches (see `feeds`). At
most one message waits for its acknowledgement; figures that come meanwhile replace each other, so a
slow browser is never behind by more than one.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

import plotly.graph_objects as go
import traitlets

from alphapulse_nb.charts import theme
from alphapulse_nb.feeds import Feed, Message
from alphapulse_nb.refresh import Job, Refresher
from alphapulse_nb.widgets import assets
from alphapulse_nb.widgets.base import Widget

HEIGHT: Final = 300
"""Pixels of a plot, unless told otherwise."""

_ACK_PATIENCE: Final = 20.0
"""Seconds after which a missing acknowledgement is taken for lost: the next update is whole."""


@dataclass(frozen=True)
class Shown:
    """What a figure is about. `turn` counts the viewer's choices; an older turn is never shown."""

    symbol: str = ""
    span: str = ""
    turn: int = 0


class LiveChart(Widget):
    """A figure that stays live.

    Parameters
    ----------
    loader: called without arguments in a worker thread at each refresh; returns a
        `plotly.graph_objects.Figure`. Without one, give figures to `show()` yourself.
    title: the panel's heading.
    every: seconds between refreshes.
    height: of the plot, in pixels.
    fresh_for: seconds after which the newest point counts as stale; 0 for never.
    feed: the feed of the server's stream that shows the same, for pages that have a stream.

    An exception of the loader appears in the panel, with a button to try again.
    """

    _key = traitlets.Unicode().tag(sync=True)
    _swaps = traitlets.Dict().tag(sync=True)
    _feed_name = traitlets.Unicode().tag(sync=True)
    _periods: traitlets.List[Any] = traitlets.List().tag(sync=True)
    title = traitlets.Unicode().tag(sync=True)
    height = traitlets.Int(HEIGHT).tag(sync=True)

    def __init__(
        self,
        loader: Callable[[], go.Figure] | None = None,
        title: str = "",
        *,
        every: float = 10.0,
        height: int = HEIGHT,
        fresh_for: float = 0.0,
        feed: str = "",
    ) -> None:
        self.fresh_for = fresh_for
        self._feed = Feed()
        self._shown = Shown()
        self._busy = False
        self._at = 0.0
        self._checked = 0.0
        self.every = every
        self._fault: dict[str, Any] | None = None
        self._waiting_since: float | None = None
        self._asked = False
        self._held: tuple[go.Figure, Shown] | None = None
        self._guard = threading.RLock()
        self.on_alive: Callable[[], None] = _nothing
        self.on_retry: Callable[[], None] = _nothing
        super().__init__(
            "liveChart",
            title=title,
            height=height,
            _key=uuid.uuid4().hex,
            _swaps=theme.swaps(),
            _feed_name=feed,
        )
        if loader is not None:
            self._refresh(loader, every)

    def __repr__(self) -> str:
        return f"LiveChart({self.title!r})"

    def show(
        self, figure: go.Figure, shown: Shown | None = None, *, at: float | None = None
    ) -> None:
        """Bring the browser to this figure. Safe from any thread; `at` is epoch seconds."""
        with self._guard:
            shown = self._shown if shown is None else shown
            self._check(at)
            self._fault = None
            self._busy = False
            if self._waits():
                self._held = (figure, shown)
                return
            self._update(figure, shown)

    def fail(self, component: str, message: str, *, at: float | None = None) -> None:
        """Show what went wrong in the panel; the last figure stays, greyed."""
        with self._guard:
            self._check(at)
            self._fault = {"kind": "fault", "component": component, "message": message}
            self._busy = False
            self.send(self._fault | self._about())

    def await_view(self, shown: Shown) -> None:
        """Announce that the figure of another symbol or range is on its way."""
        with self._guard:
            self._shown = shown
            self._busy = True
            self._held = None
            self._fault = None
            self._waiting_since = None
            self._feed.reset()
            self._periods = []
            self.send({"kind": "busy", "view": asdict(shown)})

    def shade(self, periods: Sequence[dict[str, Any]]) -> None:
        """Shade these stretches of time, and no others, each with what was firing in it.

        See `alerts.periods.Period.plain` for what one holds. Another symbol or range has none until
        they are given.
        """
        self._periods = list(periods)

    def about(self, shown: Shown) -> None:
        """Name the symbol and range of the figures to come, for the panel's heading."""
        with self._guard:
            self._shown = shown

    @property
    def newest(self) -> float | None:
        """The latest moment that was shown, in epoch seconds."""
        newest = self._feed.newest
        return None if newest is None else newest / 1e3

    def stop(self) -> None:
        """End the refreshes of a chart with a loader of its own."""
        if self._refresher is not None:
            self._refresher.stop()

    _refresher: Refresher | None = None

    def _refresh(self, loader: Callable[[], go.Figure], every: float) -> None:
        name = getattr(loader, "__name__", type(loader).__name__)
        refresher = Refresher(every)
        refresher.add(
            Job(
                name,
                loader,
                done=self.show,
                failed=lambda error: self.fail(name, f"{type(error).__name__}: {error}"),
            )
        )
        self._refresher = refresher
        self.on_alive = refresher.renew
        self.on_retry = refresher.nudge
        refresher.start()

    def receive(self, message: dict[str, Any]) -> None:
        """What the chart's script asks for: a snapshot, plotly.js, another try."""
        kind = message.get("kind")
        if kind == "ready":
            with self._guard:
                self._greet()
        elif kind == "ack":
            with self._guard:
                self._acknowledged(message.get("seq"))
        elif kind == "script":
            self.send({"kind": "script"}, [assets.plotly_gzip()])
        elif kind == "retry":
            self.on_retry()
        elif kind == "ping":
            self.send({"kind": "pong"})
        if kind in ("ready", "alive"):
            self.on_alive()

    def _greet(self) -> None:
        """Tell a new or lost browser all it needs."""
        self._asked = True
        self._waiting_since = None
        if self._held is not None:
            figure, shown = self._held
            self._held = None
            self._feed.update(figure)
            self._shown = shown
        if self._busy:
            self.send({"kind": "busy", "view": asdict(self._shown)})
            return
        snapshot = self._feed.snapshot()
        if snapshot is not None:
            self._post(snapshot)
        if self._fault is not None:
            self.send(self._fault | self._about())

    def _acknowledged(self, seq: object) -> None:
        if seq != self._feed.seq:
            return
        self._waiting_since = None
        if self._held is not None:
            figure, shown = self._held
            self._held = None
            self._update(figure, shown)
            if self._fault is not None:
                self.send(self._fault | self._about())

    def _waits(self) -> bool:
        """Whether the last message is still on its way."""
        if self._waiting_since is None:
            return False
        if time.monotonic() - self._waiting_since > _ACK_PATIENCE:
            self._waiting_since = None
            self._feed.reset()
            return False
        return True

    def _update(self, figure: go.Figure, shown: Shown) -> None:
        self._shown = shown
        message = self._feed.update(figure)
        if not self._asked:
            # A page that has not mounted the chart drops what it gets, and asks when it has.
            return
        if message is None:
            self.send({"kind": "beat"} | self._about())
        else:
            self._post(message)

    def _post(self, message: Message) -> None:
        self._waiting_since = time.monotonic()
        header = message.header | self._about() | {"fresh_for": self.fresh_for}
        self.send(header, [message.buffer])

    def _about(self) -> dict[str, Any]:
        return {
            "view": asdict(self._shown),
            "at": self._at * 1e3,
            "waited": (time.monotonic() - self._checked) * 1e3,
            "every": self.every,
        }

    def _check(self, at: float | None) -> None:
        """Note when the data was looked at: by its own clock, and by this machine's."""
        self._at = time.time() if at is None else at
        self._checked = time.monotonic()

    def close(self) -> None:
        """End the refreshes and the widget."""
        self.stop()
        super().close()


def _nothing() -> None:
    """For a chart that nobody refreshes."""
