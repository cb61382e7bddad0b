"""`alphapulse worker`: the alerts without a page, a stream or an API.

It makes events of rows, evaluates rules and sends what they find, like every server does, and takes
turns with them. It listens on no port.
"""

from __future__ import annotations

import asyncio
import signal
from typing import Final

from alphapulse_nb.catalog import catalog
from alphapulse_nb.db.connection import Database
from alphapulse_nb.server import assembly, log
from alphapulse_nb.server.figures import Figures
from alphapulse_nb.settings import Settings
from alphapulse_nb.state import State

_GOODBYE_SECONDS: Final = 10

_log = log.get(__name__)


class Worker:
    """See the top of this file. `db` stays open as long as it runs."""

    def __init__(self, settings: Settings, db: Database) -> None:
        self._state = State(db)
        figures = Figures(queries=catalog())
        self._logbook = assembly.logbook(settings, figures)
        assembly.upgrade(self._state)
        self._following = assembly.following(settings, db, self._state, figures)
        self._alerting = assembly.alerting(settings, db, self._state, self._following)

    def start(self) -> None:
        """Work until SIGTERM or Ctrl-C."""
        try:
            asyncio.run(self._work())
        finally:
            self._state.close()
            self._logbook.close()

    async def _work(self) -> None:
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, stopped.set)
        self._following.start()
        self._alerting.start()
        await stopped.wait()
        try:
            async with asyncio.timeout(_GOODBYE_SECONDS):
                await self._alerting.stop()
                await self._following.stop()
        except TimeoutError:
            _log.warning("not everything ended in time", seconds=_GOODBYE_SECONDS)
