"""What the server knows of the desk at any moment: the events, and the feeds made of them."""

from __future__ import annotations

import functools
from collections.abc import Callable
from datetime import datetime

import sqlalchemy as sa

from alphapulse_nb.db.connection import Database
from alphapulse_nb.relay.tail import Tail
from alphapulse_nb.server import parts
from alphapulse_nb.server.announcer import Announcer, Look
from alphapulse_nb.server.figures import Figures
from alphapulse_nb.server.mailbox import count_refresh
from alphapulse_nb.server.stream.hub import Hub
from alphapulse_nb.server.stream.stream import Stream
from alphapulse_nb.state import State


class Following:
    """The tail of the log of events, and the stream that everybody listens to.

    Parameters
    ----------
    direct: the database's address without a pooler, where `db` has one; also the attribute's.
    interval: seconds between looks at what nobody tells of.
    days: how long events are kept.
    """

    def __init__(
        self,
        db: Database,
        state: State,
        figures: Figures,
        *,
        direct: sa.URL | None,
        interval: float,
        days: float,
        clock: Callable[[], datetime],
    ) -> None:
        self._clock = clock
        self._announcer: Announcer | None = None
        self.direct = (
            None if direct is None else Database(direct, statement_timeout=db.statement_timeout)
        )
        hub = Hub(db, clock, interval, functools.partial(count_refresh, figures))
        self.tail = Tail(
            db,
            state,
            direct=self.direct,
            interval=interval,
            days=days,
            now=clock,
            figures=figures,
            changed=hub.refresh,
        )
        self.stream = Stream(self.tail, self.tail.kinds, hub)
        figures.ask("relay_up", lambda: float(self.tail.relaying))
        figures.ask("listener_up", lambda: float(self.tail.listening))
        figures.ask("streams", lambda: float(len(self.stream)))
        figures.ask("feeds", lambda: float(len(hub)))
        figures.ask("feed_readers", lambda: float(hub.readers))

    def start(self) -> None:
        """Begin on the running loop."""
        self.tail.start()
        self.stream.start()

    def announce(self, look: Look, server: str) -> None:
        """Tell everybody when a part of this server fails or comes back."""
        self._announcer = Announcer(look, self.tail.post, server, now=self._clock)
        self._announcer.start()

    async def stop(self) -> None:
        """End it all. Those who listen have been told why before."""
        if self._announcer is not None:
            self._announcer.stop()
        self.stream.close("the server is stopping")
        await self.tail.stop()
        if self.direct is not None:
            self.direct.close()

    async def look(self) -> parts.Part:
        """How the events do: they are late where they are not pushed, and lost nowhere."""
        standing = self.tail.standing
        state = parts.State.OK if standing.ok else parts.State.DEGRADED
        return parts.Part("events", state, standing.detail)
