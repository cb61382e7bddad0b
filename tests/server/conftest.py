"""The API over the desk's data, for the tests of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from alphapulse_nb.actions import Means
from alphapulse_nb.db import tables
from alphapulse_nb.db.connection import Database, connect
from alphapulse_nb.events import Kinds
from alphapulse_nb.state import State, prepare
from tests.api import Api, running
from tests.conftest import Desk


@contextlib.contextmanager
def made(desk: Desk, name: str) -> Iterator[State]:
    """A database beside the desk's, with empty tables of a desk and our schema."""
    url = sa.make_url(desk.server.url).set(database=name)
    with desk.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as link:
        link.exec_driver_sql(f"CREATE DATABASE {name}")
        engine = sa.create_engine(url)
        tables.metadata.create_all(engine)
        engine.dispose()
        with connect(url.render_as_string(False)) as db, State(db) as state:
            prepare(state)
            yield state
        link.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(scope="session")
def acting(desk: Desk) -> Iterator[State]:
    """Where the API keeps what people do about alerts."""
    with made(desk, "acting") as state:
        yield state


@pytest.fixture(scope="session")
def api(desk: Desk, db: Database, acting: State) -> Iterator[Api]:
    means = Means(db, acting, lambda: desk.now, lambda: Kinds({}))
    with running(db, desk.now, actions=means) as started:
        yield started
