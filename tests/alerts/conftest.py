"""A database of its own for each test, with the desk's tables and our schema."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from alphapulse_nb.db.connection import Database
from alphapulse_nb.relay.log import EventLog
from alphapulse_nb.state import State
from tests.alerts.desk import Alerts
from tests.relay.conftest import db, filled, log, prepared, server, state, writer

__all__ = ["db", "filled", "log", "prepared", "server", "state", "writer"]


@pytest.fixture
def alerts(db: Database, state: State, log: EventLog, writer: sa.Connection) -> Iterator[Alerts]:
    """A desk whose rows become events, and an evaluator whose clock the test holds."""
    made = Alerts(db, state, log, writer)
    yield made
    made.close()
