"""A real Postgres, and one simulated history that the tests of the demo desk read."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from alphapulse_nb.db import embedded, tables
from alphapulse_nb.demo.simulation import Step, history

NOW = datetime(2026, 3, 5, 14, 37, 21, tzinfo=UTC)
END = NOW.replace(second=0)
SEED = 7


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[embedded.EmbeddedPostgres]:
    with embedded.start(tmp_path_factory.mktemp("demo") / "postgres") as running:
        yield running


@pytest.fixture
def engine(server: embedded.EmbeddedPostgres) -> Iterator[sa.Engine]:
    """A database with empty trading tables."""
    made = sa.create_engine(server.url)
    tables.metadata.create_all(made)
    yield made
    tables.metadata.drop_all(made)
    made.dispose()


@pytest.fixture(scope="session")
def month() -> Step:
    """Thirty days of history."""
    return history(SEED, NOW, 30 * 1_440)[1]
