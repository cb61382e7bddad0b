"""The versions of the schema `alphapulse`, for alembic; `state/schema.py` runs them."""
