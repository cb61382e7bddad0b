"""What AlphaPulse NB keeps for itself, in the Postgres schema `alphapulse`.

with connect(url) as db, State(db) as state:
    prepare(state)
    Users(state).any()
"""

from alphapulse_nb.state.door import State
from alphapulse_nb.state.schema import Standing, prepare, standing
from alphapulse_nb.state.users import User, Users

__all__ = ["Standing", "State", "User", "Users", "prepare", "standing"]
