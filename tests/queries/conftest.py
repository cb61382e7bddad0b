"""A database of its own for each module of queries, and rows in it."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from alphapulse_nb.db import embedded, tables
from alphapulse_nb.db.connection import Database, connect

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Rows:
    """Writes rows; `minutes` is how long before `NOW` one is dated."""

    engine: sa.Engine

    def add(
        self, table: sa.Table, minutes: float = 1, symbol: str = "BTC/USDT", **row: Any
    ) -> None:
        row |= {"timestamp": NOW - timedelta(minutes=minutes)}
        if "symbol" in table.c:
            row["symbol"] = symbol
        with self.engine.begin() as connection:
            connection.execute(table.insert().values(row))

    def run(self, sql: str) -> None:
        with self.engine.begin() as connection:
            connection.exec_driver_sql(sql)

    def metadata(self, table: sa.Table, value: Any) -> None:
        """Set the JSON of every row of a table."""
        with self.engine.begin() as connection:
            connection.execute(
                sa.text(f"UPDATE {table.name} SET metadata = cast(:value AS jsonb)"),
                {"value": json.dumps(value)},
            )


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.EmbeddedPostgres]:
    folder: Path = tmp_path_factory.mktemp("queries") / "postgres"
    with embedded.start(folder) as running:
        yield running


@pytest.fixture(scope="module")
def engine(server: embedded.EmbeddedPostgres) -> Iterator[sa.Engine]:
    name = f"q{secrets.token_hex(4)}"
    owner = sa.create_engine(server.url, isolation_level="AUTOCOMMIT")
    with owner.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    made = sa.create_engine(sa.make_url(server.url).set(database=name))
    tables.metadata.create_all(made)
    yield made
    made.dispose()
    with owner.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    owner.dispose()


@pytest.fixture
def rows(engine: sa.Engine) -> Rows:
    """Empty tables to write to."""
    with engine.begin() as connection:
        for table in tables.metadata.sorted_tables:
            connection.execute(sa.text(f"TRUNCATE {table.name} RESTART IDENTITY"))
    return Rows(engine)


@pytest.fixture
def db(rows: Rows) -> Iterator[Database]:
    with connect(rows.engine.url) as opened:
        yield opened
