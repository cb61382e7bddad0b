"""A fresh database for each test, on one embedded Postgres."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import psycopg2
import pytest
import sqlalchemy as sa

from alphapulse_nb.db import embedded, tables
from alphapulse_nb.db.connection import Database, connect


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.EmbeddedPostgres]:
    with embedded.start(tmp_path_factory.mktemp("db") / "postgres") as running:
        yield running


def execute(url: sa.URL, *statements: str) -> None:
    """Run statements, each on its own, as the owner."""
    raw = psycopg2.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    raw.autocommit = True
    with raw.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    raw.close()


@pytest.fixture
def empty(server: embedded.EmbeddedPostgres) -> Iterator[sa.URL]:
    """A database without any table."""
    name = f"t{secrets.token_hex(4)}"
    owner = sa.make_url(server.url)
    execute(owner, f"CREATE DATABASE {name}")
    yield owner.set(database=name)
    execute(owner, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def filled(empty: sa.URL) -> sa.URL:
    """A database with the reference tables, without rows."""
    engine = sa.create_engine(empty)
    tables.metadata.create_all(engine)
    engine.dispose()
    return empty


@pytest.fixture
def db(filled: sa.URL) -> Iterator[Database]:
    with connect(filled) as opened:
        yield opened
