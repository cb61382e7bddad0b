"""Our schema beside TimescaleDB's hypertables. Skipped, loudly, where that cannot be run."""

from __future__ import annotations

from alphapulse_nb.db.connection import Database
from alphapulse_nb.db.create import create
from alphapulse_nb.state import State, Users, prepare
from alphapulse_nb.state.passwords import Hasher
from tests.db.test_timescale import add_extension, db
from tests.state.conftest import QUICK

__all__ = ["db"]


def test_users_are_kept_beside_hypertables(db: Database) -> None:
    add_extension(db)
    create(db)
    with State(db) as state:
        assert prepare(state).state == "missing"
        assert prepare(state).state == "ok"
        users = Users(state, Hasher(QUICK))
        added = users.add("Alice", "s3cret-pass")
        assert users.verify("alice", "s3cret-pass") == added
