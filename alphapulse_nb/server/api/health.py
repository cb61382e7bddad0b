"""Liveness for a process supervisor, readiness for a load balancer and for people."""

from __future__ import annotations

from dataclasses import asdict
from typing import Final

from alphapulse_nb.server.access import Refused
from alphapulse_nb.server.api.endpoint import Answer, Endpoint
from alphapulse_nb.server.api.handler import ApiHandler
from alphapulse_nb.server.api.parameter import Values
from alphapulse_nb.server.api.schema import ref
from alphapulse_nb.server.parts import Part, State


class HealthHandler(ApiHandler):
    async def answer(self, values: Values) -> None:  # noqa: ARG002
        self.send({"status": "ok"})


class ReadinessHandler(ApiHandler):
    async def prepare(self) -> None:
        try:
            await super().prepare()
        except Refused as refused:
            # Nobody can be let in while the database that holds the users is away: that much is
            # said to everybody, and is the answer.
            if refused.status_code != 503:
                raise
            self._say([Part("database", State.FAILED, "cannot be reached")])

    async def answer(self, values: Values) -> None:  # noqa: ARG002
        parts = await self.means.readiness.look(self.shared.db, self.shared.parts)
        self._say(parts)

    def _say(self, parts: list[Part]) -> None:
        states = {part.state for part in parts}
        worst = next((s for s in (State.FAILED, State.DEGRADED) if s in states), State.OK)
        self.send(
            {"status": worst, "parts": [asdict(part) for part in parts]},
            status=503 if worst is State.FAILED else 200,
        )


HEALTH: Final = Endpoint(
    path="/api/health",
    name="health",
    summary="Whether the server is alive",
    about="Needs no token, asks no database and reveals nothing: for a process supervisor.",
    handler=HealthHandler,
    answers=(Answer(200, "It is.", ref("Health")),),
    open=True,
    limited=False,
)

READY: Final = Endpoint(
    path="/api/health/ready",
    name="ready",
    summary="Which parts of the server are up",
    about=(
        "A part is ok, degraded (the server does its work, if less well) or failed. "
        "Each is given three seconds."
    ),
    handler=ReadinessHandler,
    answers=(
        Answer(200, "No part has failed.", ref("Readiness")),
        Answer(503, "A part has failed; the answer says which.", ref("Readiness")),
    ),
    limited=False,
)
