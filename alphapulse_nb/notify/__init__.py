"""Whom to tell what happened, when, and by which way."""
