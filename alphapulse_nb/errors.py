"""Everything that AlphaPulse NB raises on purpose.

AlphaPulseError
├── SettingsError            a setting is missing or wrong: fix it and start again
├── InputError               an argument is wrong: fix the call (also a ValueError)
├── ChartError               a chart could not be drawn or registered
├── StreamError              the stream of events cannot be followed
│   └── StreamRefused        credentials, address or subscription are wrong: fix the call
└── DatabaseError            something between us and Postgres
    ├── DatabaseUnavailable  not reachable now: retry
    ├── SchemaError          a table or column is missing: `alphapulse db check`
    ├── PermissionDenied     the database user may not read or create this
    ├── QueryTimeout         the statement ran into its time limit: narrow it
    └── EmbeddedError        the embedded Postgres could not be found or started

A message says what was given, what was expected and the next step. None holds a secret.
"""

from __future__ import annotations


class AlphaPulseError(Exception):
    """Base of every error raised on purpose."""


class SettingsError(AlphaPulseError):
    """A setting is missing or wrong."""


class InputError(AlphaPulseError, ValueError):
    """An argument of a call is wrong."""


class ChartError(AlphaPulseError):
    """A chart could not be drawn or registered."""


class StreamError(AlphaPulseError):
    """The stream of events cannot be followed."""


class StreamRefused(StreamError):  # noqa: N818
    """The server will not let us in, or knows no such thing; trying again does not help."""


class DatabaseError(AlphaPulseError):
    """Something between us and Postgres went wrong."""


class DatabaseUnavailable(DatabaseError):  # noqa: N818 - reads as the state it reports
    """The database cannot be reached now; a retry may succeed."""


class SchemaError(DatabaseError):
    """A table or a column that we read is missing."""


class PermissionDenied(DatabaseError):  # noqa: N818
    """The database user lacks a permission."""


class QueryTimeout(DatabaseError):  # noqa: N818
    """A statement ran into its time limit."""


class EmbeddedError(DatabaseError):
    """The embedded Postgres could not be found, started or joined."""
