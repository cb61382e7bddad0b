"""Actions over a database of each test's own."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from alphapulse_nb.db.connection import Database, connect
from alphapulse_nb.db.embedded import EmbeddedPostgres
from alphapulse_nb.state import State
from tests.actions.asking import Asking
from tests.db.conftest import execute
from tests.notify.conftest import filled, house, prepared, server, state
from tests.notify.house import House
from tests.relay.conftest import db

__all__ = ["db", "filled", "house", "prepared", "server", "state"]


@pytest.fixture
def ask(db: Database, house: House) -> Asking:
    return Asking(db, house)


@pytest.fixture(scope="session")
def still(server: EmbeddedPostgres, prepared: str) -> Iterator[Asking]:
    """For what is refused and changes nothing: one database for all of it."""
    name, owner = f"t{secrets.token_hex(4)}", sa.make_url(server.url)
    execute(owner, f"CREATE DATABASE {name} TEMPLATE {prepared}")
    with connect(owner.set(database=name)) as db, State(db) as state:
        yield Asking(db, House(state))
