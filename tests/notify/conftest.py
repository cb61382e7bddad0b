"""A database of its own for each test that asks for one, with our schema."""

from __future__ import annotations

import pytest

from alphapulse_nb.state import State
from tests.notify.house import House
from tests.relay.conftest import db, filled, prepared, server, state

__all__ = ["db", "filled", "prepared", "server", "state"]


@pytest.fixture
def house(state: State) -> House:
    return House(state)
