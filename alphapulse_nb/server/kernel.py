"""What a page may ask of its own kernel beside the websocket: is it there, and end it.

Somebody else's kernel is as unknown as one that never was.
"""

from __future__ import annotations

import json

from alphapulse_nb.server import cookies
from alphapulse_nb.server.access import Refused
from alphapulse_nb.server.handler import JsonErrors, Member
from alphapulse_nb.server.shared import shared
from alphapulse_nb.server.visits import Visit


class KernelHandler(JsonErrors, Member):
    """The kernel of this page."""

    async def get(self, kernel_id: str) -> None:
        self._own(kernel_id)
        model = self.settings["kernel_manager"].kernel_model(kernel_id)
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps(model, default=str))

    async def delete(self, kernel_id: str) -> None:
        await self._end(kernel_id)

    async def _end(self, kernel_id: str) -> None:
        self.check_xsrf_cookie()
        visit = self._own(kernel_id)
        await shared(self).visits.end(visit, "closed", 1001, "the page was left")
        self.set_status(204)

    def _own(self, kernel_id: str) -> Visit:
        found = shared(self).visits.find(kernel_id, self.person, cookies.visits(self))
        if found is None:
            raise Refused(404, "There is no such kernel, or it is not yours.", why="owner")
        return found


class FarewellHandler(KernelHandler):
    """Where a page that is left says good-bye: its kernel ends at once."""

    async def post(self, kernel_id: str) -> None:
        await self._end(kernel_id)
