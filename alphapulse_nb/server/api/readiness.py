"""Which parts of the server are up. Looks that come together are one look."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from alphapulse_nb.db import check, tables, timescale
from alphapulse_nb.db.connection import Database
from alphapulse_nb.errors import DatabaseError
from alphapulse_nb.server.answers import Fault
from alphapulse_nb.server.api.workers import Workers
from alphapulse_nb.server.parts import PATIENCE, Look, Part, State, look_at

_KEPT_SECONDS: Final = 1.0
_UNKNOWN: Final = "not known while the database is away"


class Readiness:
    """The database's parts, and those that the server adds."""

    def __init__(self) -> None:
        self._workers = Workers(1, 2, name="api-health")
        self._task: asyncio.Future[list[Part]] | None = None
        self._began = 0.0

    async def look(self, db: Database, probes: Sequence[Look]) -> list[Part]:
        """How every part does; an answer at most a second old."""
        old = time.monotonic() - self._began > _KEPT_SECONDS
        if self._task is None or (self._task.done() and old):
            self._began = time.monotonic()
            self._task = asyncio.ensure_future(self._look(db, probes))
        return await asyncio.shield(self._task)

    def close(self) -> None:
        self._workers.close()

    async def _look(self, db: Database, probes: Sequence[Look]) -> list[Part]:
        found, others = await asyncio.gather(self._database(db), look_at(probes))
        return [*found, *others]

    async def _database(self, db: Database) -> list[Part]:
        try:
            return await asyncio.wait_for(self._workers.run(lambda: _parts(db)), PATIENCE)
        except (DatabaseError, Fault, TimeoutError):
            return [
                Part("database", State.FAILED, "cannot be reached"),
                Part("timescaledb", State.DEGRADED, _UNKNOWN),
                Part("tables", State.DEGRADED, _UNKNOWN),
            ]


def _parts(db: Database) -> list[Part]:
    with db.session():
        began = time.perf_counter()
        db.scalar(sa.text("SELECT 1"))
        took = f"answered in {(time.perf_counter() - began) * 1e3:.0f} ms"
        return [Part("database", State.OK, took), _timescale(db), _tables(db)]


def _timescale(db: Database) -> Part:
    with db.connection() as connection:
        found = timescale.detect(connection)
    return Part("timescaledb", State.OK if found.present else State.DEGRADED, str(found))


def _tables(db: Database) -> Part:
    serious = [finding for finding in check.check(db) if finding.serious]
    lacking = {finding.table for finding in serious if finding.column is None}
    if not serious:
        return Part("tables", State.OK, f"{len(tables.metadata.tables)} tables")
    count = f"{len(serious)} problem{'s' * (len(serious) > 1)}"
    hint = f"{count}; `alphapulse db check` lists them"
    none = lacking == set(tables.metadata.tables)
    return Part("tables", State.FAILED if none else State.DEGRADED, hint)
