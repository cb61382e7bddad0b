"""A database of its own for each test, and users of Postgres that may do less than its owner."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa

from alphapulse_nb.db.connection import connect
from alphapulse_nb.state import State, Users, prepare
from alphapulse_nb.state.passwords import Cost, Hasher
from tests.conftest import Desk
from tests.db.conftest import execute

QUICK = Cost(ln=4)


@pytest.fixture
def url(desk: Desk) -> Iterator[sa.URL]:
    """A database without any table."""
    name = f"s{secrets.token_hex(4)}"
    owner = sa.make_url(desk.server.url)
    execute(owner, f"CREATE DATABASE {name}")
    yield owner.set(database=name)
    execute(owner, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def as_role(url: sa.URL) -> Iterator[Callable[[], sa.URL]]:
    """Makes a Postgres user without any right, and says how to connect as that user."""
    made: list[str] = []

    def make() -> sa.URL:
        made.append(f"role_{secrets.token_hex(4)}")
        execute(url, f"CREATE ROLE {made[-1]} LOGIN")
        return url.set(username=made[-1])

    yield make
    for name in made:
        execute(url, f"DROP OWNED BY {name} CASCADE", f"DROP ROLE {name}")


@pytest.fixture
def bare(url: sa.URL) -> Iterator[State]:
    """The door to a database in which nothing has been made."""
    with connect(url) as db, State(db) as state:
        yield state


@pytest.fixture
def state(bare: State) -> State:
    prepare(bare)
    return bare


@pytest.fixture
def users(state: State) -> Users:
    return Users(state, Hasher(QUICK))


def ask(url: sa.URL, query: str) -> list[tuple[object, ...]]:
    """The rows of a query, as the owner."""
    engine = sa.create_engine(url)
    with engine.connect() as link:
        rows = [tuple(row) for row in link.execute(sa.text(query))]
    engine.dispose()
    return rows
