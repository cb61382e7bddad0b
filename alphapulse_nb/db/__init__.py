"""Postgres: connecting, the embedded server, the trading tables."""
