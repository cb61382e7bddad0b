"""Alerts: what a rule may say, and whether it holds."""
