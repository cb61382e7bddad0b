"""`alphapulse stream`: the event stream and the API on a port of their own, without pages.

It is what programs and walls need of the server, in one process without Voila and without kernels:
the same `/stream`, the same API, the same access. Several of it and of `alphapulse serve` may share
a database; one of them makes the events.
"""

from __future__ import annotations

import asyncio
import functools
import os
import signal
from collections.abc import Callable
from typing import Any, Final

import tornado.web

from alphapulse_nb.catalog import catalog
from alphapulse_nb.db.connection import Database
from alphapulse_nb.server import (
    api,
    assembly,
    descriptors,
    heap,
    log,
    parts,
    plain,
    pulse,
    traffic,
)
from alphapulse_nb.server.diary import Diary
from alphapulse_nb.server.figures import Figures
from alphapulse_nb.server.handler import Handler, NotFound
from alphapulse_nb.server.listening import listen
from alphapulse_nb.server.login import LoginHandler, LogoutHandler
from alphapulse_nb.server.shared import Shared
from alphapulse_nb.server.stream.socket import StreamSocket
from alphapulse_nb.server.visits import Visits
from alphapulse_nb.settings import Settings
from alphapulse_nb.state import State

_GOODBYE_SECONDS: Final = 10

_log = log.get(__name__)


class StreamServer:
    """See the top of this file.

    Parameters
    ----------
    db: the server's own way to the data; it stays open as long as the server runs.
    ready: called with the address once it listens.

    Raises `SettingsError`, above all where strangers would be let in on an address that others can
    reach.
    """

    def __init__(
        self, settings: Settings, db: Database, *, ready: Callable[[str], None] | None = None
    ) -> None:
        self._settings = settings
        self._ready = ready
        self._state = State(db)
        figures = Figures(queries=catalog())
        self._logbook = assembly.logbook(settings, figures)
        assembly.upgrade(self._state)
        self._access = assembly.access(settings, self._state)
        self._following = assembly.following(settings, db, self._state, figures)
        self._alerting = (
            assembly.alerting(settings, db, self._state, self._following)
            if settings.alerts
            else None
        )
        self._means = api.Means()
        self._beat = pulse.Pulse(figures)
        self._trimmer = heap.Trimmer()
        pulse.watch(figures)
        self.shared = Shared(
            db=db,
            clock=settings.clock,
            access=self._access,
            visits=Visits(None, 0, figures),  # No page, no kernel.
            figures=figures,
            rate_limit=settings.rate_limit,
            origins=self._access.rules.origins,
            stream=self._following.stream,
            actions=assembly.actions(settings, db, self._state, self._following, self._alerting),
            parts=[
                parts.Probe("events", self._following.look),
                *([parts.Probe("alerts", self._alerting.look)] if self._alerting else []),
            ],
        )
        descriptors.make_room(0)

    def start(self) -> None:
        """Serve until SIGTERM or Ctrl-C. Raises `SettingsError` where the address is taken."""
        try:
            asyncio.run(self._serve())
        finally:
            self._state.close()
            self._logbook.close()

    async def _serve(self) -> None:
        settings = self._settings
        http, port = listen(
            self._application(),
            settings.host,
            settings.stream_port,
            self._access.proxies,
            descriptors.connections(0),
            "STREAM_PORT",
        )
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()

        def stop(number: int) -> None:
            if stopped.is_set():
                os._exit(128 + number)
            stopped.set()

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stop, number)
        self._logbook.adopt()
        self._beat.start()
        self._trimmer.start()
        self._following.start()
        if self._alerting is not None:
            self._alerting.start()
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        if self._ready is not None:
            self._ready(f"http://{host}:{port}{settings.base_url}")
        address = f"{settings.host}:{port}"
        self._following.announce(
            functools.partial(self._means.readiness.look, self.shared.db, self.shared.parts),
            address,
        )
        diary = Diary(self.shared.db, self.shared.figures, address)
        if settings.self_metrics:
            diary.start()
        await stopped.wait()
        http.stop()
        try:
            async with asyncio.timeout(_GOODBYE_SECONDS):
                if self._alerting is not None:
                    await self._alerting.stop()
                await self._following.stop()
                await http.close_all_connections()
                self._means.close()
                self._beat.stop()
                self._trimmer.stop()
                diary.stop()
        except TimeoutError:
            _log.warning("not everything ended in time", seconds=_GOODBYE_SECONDS)
        finally:
            self._access.close()

    def _application(self) -> tornado.web.Application:
        base = self._settings.base_url
        routes: list[Any] = [
            *api.routes(base, self._means),
            (f"{base}stream", StreamSocket),
            (f"{base}login", LoginHandler),
            (f"{base}logout", LogoutHandler),
            (base, _Front),
        ]
        return tornado.web.Application(
            routes,
            alphapulse=self.shared,
            base_url=base,
            compress_response=True,
            cookie_secret=self._access.rules.key,
            default_handler_class=NotFound,
            log_function=traffic.log_function(self.shared.figures, base),
            login_url=f"{base}login",
            xsrf_cookies=True,
            xsrf_cookie_kwargs={"path": base, "samesite": "Lax"},
        )


class _Front(Handler):
    """For people who come to see what this is."""

    def get(self) -> None:
        words = "This server sends the desk's events and feeds to programs. It has no dashboard."
        self.show("AlphaPulse: event stream", plain.paragraphs(words) + _DOCS)


_DOCS: Final = plain.link("The API", "api/docs")
