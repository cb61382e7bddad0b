"""A database of its own for each test, with the desk's tables and our schema."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from alphapulse_nb.db import embedded, tables
from alphapulse_nb.db.connection import Database, connect
from alphapulse_nb.relay import EventLog
from alphapulse_nb.state import State, prepare
from tests.db.conftest import db, execute, server

__all__ = ["db", "server"]


@pytest.fixture(scope="session")
def prepared(server: embedded.EmbeddedPostgres) -> str:
    """A database with the desk's tables and our schema, of which each test gets a copy."""
    owner = sa.make_url(server.url)
    execute(owner, "CREATE DATABASE prepared")
    engine = sa.create_engine(owner.set(database="prepared"))
    tables.metadata.create_all(engine)
    engine.dispose()
    with connect(owner.set(database="prepared")) as db, State(db) as state:
        prepare(state)
    return "prepared"


@pytest.fixture
def filled(server: embedded.EmbeddedPostgres, prepared: str) -> Iterator[sa.URL]:
    name = f"t{secrets.token_hex(4)}"
    owner = sa.make_url(server.url)
    execute(owner, f"CREATE DATABASE {name} TEMPLATE {prepared}")
    yield owner.set(database=name)
    execute(owner, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def state(db: Database) -> Iterator[State]:
    with State(db) as opened:
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
