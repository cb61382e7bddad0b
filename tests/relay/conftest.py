"""A database of its own for each test, with the desk's tables and our schema."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from alphapulse_nb.db.connection import Database
from alphapulse_nb.relay import EventLog
from alphapulse_nb.state import State, prepare
from tests.db.conftest import db, empty, filled, server

__all__ = ["db", "empty", "filled", "server"]


@pytest.fixture
def state(db: Database) -> Iterator[State]:
    with State(db) as opened:
        prepare(opened)
        yield opened


@pytest.fixture
def log(state: State) -> EventLog:
    return EventLog(state)


@pytest.fixture
def writer(filled: sa.URL) -> Iterator[sa.Connection]:
    """The trading system: each statement is a transaction."""
    engine = sa.create_engine(filled)
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as link:
        yield link
    engine.dispose()
