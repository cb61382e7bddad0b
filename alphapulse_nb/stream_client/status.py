"""What a client says of itself."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime


class State(enum.StrEnum):
    """How events come."""

    CONNECTING = "connecting"
    LIVE = "live"
    POLLING = "polling"
    CLOSED = "closed"


@dataclass(frozen=True)
class Gap:
    """Events that cannot be had any more: those after the number `after`, up to `until`.

    `reason` says why: the log keeps events for so many days, or it is another log.
    """

    after: int
    until: int
    reason: str


@dataclass(frozen=True)
class HandlerStatus:
    """One handler: events handled, failed with an exception, dropped because too many waited, and
    waiting now.
    """

    name: str
    handled: int
    failed: int
    dropped: int
    waiting: int


@dataclass(frozen=True)
class Status:
    """A client at one moment.

    since: when the state began; last_update: when the last event came; both UTC.
    messages: events delivered; attempts: connections tried in a row without success.
    last_error: what went wrong last, in words; empty for nothing yet.
    gaps: how often events could not be had any more; last_gap: the last time.
    lag: seconds from when the last event happened to when it came, by this machine's clock.
    """

    state: State
    since: datetime
    messages: int
    last_update: datetime | None
    attempts: int
    last_error: str
    gaps: int
    last_gap: Gap | None
    lag: float | None
    handlers: tuple[HandlerStatus, ...]
