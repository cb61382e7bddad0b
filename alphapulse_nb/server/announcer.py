"""Tells of parts of the server that fail and come back, as events of the type `system_status`.

How a part is at first is taken for granted, and a change is told of when it is seen twice in a
row: a server that is busy for a moment has not failed, and one that starts is not repaired. While
the database is away nothing can be written and nothing is known of what hangs on it: the outage
itself is told of when it is over, with the moment at which it began.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from alphapulse_nb.errors import DatabaseError
from alphapulse_nb.server.parts import Part, State

EVERY: Final = 5.0
"""Seconds between looks."""
KIND: Final = "system_status"
_MOST_WAITING: Final = 1_000
_WORDS: Final = {State.OK: "ok", State.DEGRADED: "degraded", State.FAILED: "error"}
_DATABASE: Final = "database"

Look = Callable[[], Awaitable[Sequence[Part]]]
Post = Callable[[str, Mapping[str, Any], datetime], Awaitable[Any]]

log = logging.getLogger(__name__)


class Announcer:
    """Looks at the parts of one server.

    Parameters
    ----------
    look: how every part does.
    post: puts an event into the log.
    server: whose parts they are, as `host:port`.
    now: the clock of the events.
    """

    def __init__(
        self,
        look: Look,
        post: Post,
        server: str,
        *,
        now: Callable[[], datetime],
        every: float = EVERY,
    ) -> None:
        self._look = look
        self._post = post
        self._server = server
        self._now = now
        self._every = every
        self._known: dict[str, str] = {}
        self._suspected: dict[str, tuple[str, datetime]] = {}
        self._waiting: deque[tuple[dict[str, Any], datetime]] = deque(maxlen=_MOST_WAITING)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin on the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="announcer")

    def stop(self) -> None:
        """End it. What could not be told is lost."""
        if self._task is not None:
            self._task.cancel()

    async def announce(self) -> None:
        """Look once, and tell of what has changed."""
        parts, now = await self._look(), self._now()
        for change, since in self._changes(parts, now):
            level = logging.INFO if change["status"] == _WORDS[State.OK] else logging.WARNING
            log.log(level, "%(part)s is %(status)s: %(detail)s", change)
            self._waiting.append((change, since))
        while self._waiting:
            data, at = self._waiting[0]
            try:
                await self._post(KIND, data, at)
            except DatabaseError:
                return
            self._waiting.popleft()

    def _changes(
        self, parts: Sequence[Part], now: datetime
    ) -> list[tuple[dict[str, Any], datetime]]:
        away = any(part.name == _DATABASE and part.state is State.FAILED for part in parts)
        changes = []
        for part in parts:
            if away and part.name != _DATABASE:
                continue
            status = _WORDS[part.state]
            before, since = self._known.get(part.name), self._since(part.name, status, now)
            if before is None and part.state is State.OK:
                self._known[part.name] = status
            if before == status or since is None:
                continue
            self._known[part.name] = status
            if before is None:
                continue
            told = {"part": part.name, "status": status, "before": before, "detail": part.detail}
            changes.append((told | {"server": self._server}, since))
        return changes

    def _since(self, name: str, status: str, now: datetime) -> datetime | None:
        """When a part was first seen like this, if it was at the last look, too."""
        last, since = self._suspected.get(name, ("", now))
        if last == status:
            return since
        self._suspected[name] = (status, now)
        return None

    async def _run(self) -> None:
        while True:
            try:
                await self.announce()
            except Exception:
                # Nobody else tells of what fails next.
                log.exception("the parts of the server could not be looked at")
            await asyncio.sleep(self._every)
