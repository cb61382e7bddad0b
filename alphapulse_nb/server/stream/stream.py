"""The stream as a whole: the end of the log, the types, the feeds, and everybody who listens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from alphapulse_nb.events import Event, Kinds
from alphapulse_nb.server.stream.hub import Hub
from alphapulse_nb.server.stream.places import Places
from alphapulse_nb.server.stream.session import Session
from alphapulse_nb.server.stream.session import Tail as Followed


class Tail(Followed, Protocol):
    """The end of the log, and a call when it has moved."""

    def subscribe(self, call: Callable[[Sequence[Event]], None]) -> Callable[[], None]:
        """Have every new portion of events; the result ends that."""


class Stream:
    """See the top of this file. `hub` is None where there are no feeds."""

    def __init__(self, tail: Tail, kinds: Kinds, hub: Hub | None = None) -> None:
        self.tail = tail
        self.kinds = kinds
        self.hub = hub
        self.places = Places()
        self._sessions: set[Session] = set()
        self._unsubscribe: Callable[[], None] | None = None

    def __len__(self) -> int:
        return len(self._sessions)

    def start(self) -> None:
        """Begin to follow the log."""
        self._unsubscribe = self.tail.subscribe(self._heard)

    def join(self, session: Session) -> None:
        """A client has come."""
        self._sessions.add(session)

    def leave(self, session: Session) -> None:
        """A client has gone."""
        self._sessions.discard(session)

    def close(self, reason: str) -> None:
        """Tell every client why it ends, and end the feeds."""
        if self._unsubscribe is not None:
            self._unsubscribe()
        for session in list(self._sessions):
            session.end("stopped", 1001, reason)
        if self.hub is not None:
            self.hub.close()

    def _heard(self, events: Sequence[Event]) -> None:
        if self.hub is not None:
            self.hub.heard(events)
        for session in self._sessions:
            session.wake()
