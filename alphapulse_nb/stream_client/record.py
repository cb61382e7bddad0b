"""What a client keeps of how it went, and says as its status."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from datetime import datetime

from alphapulse_nb.events import Event
from alphapulse_nb.stream_client.handler import Handler
from alphapulse_nb.stream_client.lost import Lost
from alphapulse_nb.stream_client.status import Gap, State, Status

_log = logging.getLogger(__name__)


class Record:
    """See the top of this file. `failures` counts attempts that failed in a row."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.state = State.CONNECTING
        self.messages = self.failures = 0
        self.was_live = False
        self.last_lost: Lost | None = None
        self.heard: datetime | None = None
        self._since = clock()
        self._last_update: datetime | None = None
        self._last_error = ""
        self._last_gap: Gap | None = None
        self._gaps = 0
        self._lag: float | None = None

    def change(self, state: State) -> None:
        """Another state; none follows closed."""
        if state is not self.state and self.state is not State.CLOSED:
            self.state, self._since = state, self.clock()
            self.was_live = self.was_live or state is State.LIVE
            _log.info("the stream is %s", state.value)

    def heard_now(self) -> None:
        """The stream has said something."""
        self.heard = self.clock()

    def delivered(self, event: Event) -> None:
        self.messages += 1
        self._last_update = self.clock()
        self._lag = (self._last_update - event.at).total_seconds()

    def lost_events(self, gap: Gap) -> None:
        self._gaps += 1
        self._last_gap = gap
        _log.warning("events after %d cannot be had any more: %s", gap.after, gap.reason)

    def failed(self, lost: Lost) -> None:
        """An attempt to connect has failed, or a connection was lost."""
        self.failures += 1
        self.last_lost, self._last_error = lost, str(lost)
        if self.state is State.LIVE:
            self.change(State.CONNECTING)

    def polled(self, lost: Lost | None) -> None:
        """A look at the API has ended."""
        self.change(State.POLLING if lost is None else State.CONNECTING)
        if lost is not None:
            self._last_error = f"{self.last_lost}; {lost}"

    def ended(self, error: BaseException) -> None:
        """There will be no further attempt."""
        self._last_error = str(error)
        _log.error("the stream has ended: %s", error)
        self.change(State.CLOSED)

    def status(self, handlers: Iterable[Handler]) -> Status:
        return Status(
            state=self.state,
            since=self._since,
            messages=self.messages,
            last_update=self._last_update,
            attempts=0 if self.state is State.LIVE else self.failures,
            last_error=self._last_error,
            gaps=self._gaps,
            last_gap=self._last_gap,
            lag=self._lag,
            handlers=tuple(handler.status for handler in handlers),
        )
