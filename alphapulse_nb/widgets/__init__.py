"""Widgets: each a Python file with its script beside it. They know no database."""
