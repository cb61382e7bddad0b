"""The API over the desk's data, for the tests of it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from alphapulse_nb.db.connection import Database
from tests.api import Api, running
from tests.conftest import Desk


@pytest.fixture(scope="session")
def api(desk: Desk, db: Database) -> Iterator[Api]:
    with running(db, desk.now) as started:
        yield started
