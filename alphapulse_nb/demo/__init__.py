"""The demo desk: a synthetic market, two strategies and a paper book that write the tables."""

from alphapulse_nb.demo.desk import Desk, write_fixture
from alphapulse_nb.demo.writer import prepare

__all__ = ["Desk", "prepare", "write_fixture"]
