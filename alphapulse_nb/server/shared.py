"""What the server's handlers share, under `settings["alphapulse"]`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

import tornado.web

from alphapulse_nb.db.connection import Database
from alphapulse_nb.server.access import Access
from alphapulse_nb.server.figures import Figures
from alphapulse_nb.server.visits import Visits

if TYPE_CHECKING:
    from alphapulse_nb.actions import Means

    # At run time the stream imports the API, whose handlers import this.
    from alphapulse_nb.server.stream.stream import Stream


@dataclass
class Shared:
    """The parts of a running server.

    `parts` are the probes of readiness beside the database's; `origins` are the other sites that
    may read the API; `rate_limit` is in requests a minute for each client, 0 for none; `stream` is
    there once the server has started; `actions` are the means of what people do about alerts.
    """

    db: Database
    clock: Callable[[], datetime]
    access: Access
    visits: Visits
    figures: Figures
    rate_limit: int = 0
    origins: tuple[str, ...] = ()
    stream: Stream | None = None
    actions: Means | None = None
    parts: list[Callable[[], Awaitable[Any]]] = field(default_factory=list)


def shared(handler: tornado.web.RequestHandler) -> Shared:
    return cast(Shared, handler.settings["alphapulse"])


def stream(handler: tornado.web.RequestHandler) -> Stream:
    """The stream. Raises 503 while the server starts."""
    found = shared(handler).stream
    if found is None:
        raise tornado.web.HTTPError(503)
    return found
