"""Everything that AlphaPulse NB raises on purpose.

AlphaPulseError
├── SettingsError            a setting is missing or wrong: fix it and start again
├── InputError               an argument is wrong: fix the call (also a ValueError)
│   ├── RuleError            a rule of alerts is wrong: `problems` says where and why
│   ├── UnknownName          there is nothing of that name or number
│   └── Conflict             somebody else has changed it meanwhile: look at it again
├── NotAllowed               this takes another role
├── ChartError               a chart could not be drawn or registered
├── StreamError              the stream of events cannot be followed
│   └── StreamRefused        credentials, address or subscription are wrong: fix the call
├── ChannelError             a notification was not delivered; `retry` says whether to try again
└── DatabaseError            something between us and Postgres
    ├── DatabaseUnavailable  not reachable now: retry
    ├── SchemaError          a table or column is missing: `alphapulse db check`
    ├── PermissionDenied     the database user may not read or create this
    ├── QueryTimeout         the statement ran into its time limit: narrow it
    └── EmbeddedError        the embedded Postgres could not be found or started

A message says what was given, what was expected and the next step. None holds a secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar


class AlphaPulseError(Exception):
    """Base of every error raised on purpose. `code` is what pages and programs are told of it."""

    code: ClassVar[str] = "internal"


class SettingsError(AlphaPulseError):
    """A setting is missing or wrong."""


class InputError(AlphaPulseError, ValueError):
    """An argument of a call is wrong."""

    code = "bad_parameter"


class RuleError(InputError):
    """A rule of alerts is wrong; `problems` are pairs of a place in it and what is wrong there."""

    code = "bad_rule"

    def __init__(self, problems: Sequence[tuple[str, str]], name: str = "") -> None:
        self.problems = tuple(problems)
        said = "; ".join(f"{place}: {words}" for place, words in self.problems)
        super().__init__(f"rule {name!r}: {said}" if name else said)

    def plain(self) -> list[dict[str, str]]:
        """The problems as JSON has them."""
        return [{"place": place, "message": words} for place, words in self.problems]


class UnknownName(InputError):  # noqa: N818 - reads as what is wrong
    """There is nothing of that name or number."""

    code = "unknown_name"


class Conflict(InputError):  # noqa: N818
    """Somebody else has changed it meanwhile."""

    code = "conflict"


class NotAllowed(AlphaPulseError):  # noqa: N818
    """Somebody asked for what takes another role."""

    code = "refused"


class ChartError(AlphaPulseError):
    """A chart could not be drawn or registered."""

    code = "chart_failed"


class StreamError(AlphaPulseError):
    """The stream of events cannot be followed."""


class StreamRefused(StreamError):  # noqa: N818
    """The server will not let us in, or knows no such thing; trying again does not help."""


class ChannelError(AlphaPulseError):
    """A channel did not deliver a message.

    `retry` says whether it may pass, and `after` how many seconds the other side wants us to wait,
    where it said so. `unknown` says that the message may have arrived all the same, at some of its
    recipients at least.
    """

    def __init__(
        self,
        message: str,
        retry: bool = False,
        *,
        after: float | None = None,
        unknown: bool = False,
    ) -> None:
        super().__init__(message)
        self.retry = retry
        self.after = after
        self.unknown = unknown


class DatabaseError(AlphaPulseError):
    """Something between us and Postgres went wrong."""

    code = "database_unavailable"


class DatabaseUnavailable(DatabaseError):  # noqa: N818 - reads as the state it reports
    """The database cannot be reached now; a retry may succeed."""


class SchemaError(DatabaseError):
    """A table or a column that we read is missing."""

    code = "database_incomplete"


class PermissionDenied(DatabaseError):  # noqa: N818
    """The database user lacks a permission."""

    code = "database_incomplete"


class QueryTimeout(DatabaseError):  # noqa: N818
    """A statement ran into its time limit."""

    code = "query_timeout"


class EmbeddedError(DatabaseError):
    """The embedded Postgres could not be found, started or joined."""
