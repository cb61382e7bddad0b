"""What an endpoint is: one record from which its route, its checks and its documentation follow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from alphapulse_nb.people import Role
from alphapulse_nb.server.api.parameter import Choice, Parameter

if TYPE_CHECKING:
    from alphapulse_nb.server.api.handler import ApiHandler

JSON: Final = "application/json"
Method = Literal["GET", "POST", "PUT", "DELETE"]
_SYMBOLIC: Final = re.compile(r"\\\{[^}]*\\\}")


@dataclass(frozen=True)
class Answer:
    """One thing that an endpoint may answer. `schema` is the JSON Schema of its body, if any."""

    status: int
    about: str
    schema: Mapping[str, Any] | None = None
    media: str = JSON
    headers: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Body:
    """What a request says: JSON that meets a schema, in `most` bytes."""

    schema: Mapping[str, Any]
    most: int


@dataclass(frozen=True)
class Endpoint:
    """Something that can be read or done.

    `path` is relative to the base URL and names the path's parameters in braces. `open` needs
    nobody to be signed in, any other at least the `role`; `limited` counts against the client's
    requests a minute; `asks_database` adds the answers of a database that is away or slow; `also`
    are codes of other errors.
    """

    path: str
    name: str
    summary: str
    about: str
    handler: type[ApiHandler]
    answers: tuple[Answer, ...]
    parameters: tuple[Parameter, ...] = ()
    open: bool = False
    limited: bool = True
    asks_database: bool = False
    method: Method = "GET"
    body: Body | None = None
    role: Role = Role.VIEWER
    also: tuple[str, ...] = ()

    def pattern(self, base_url: str) -> str:
        """The regular expression of its route; a parameter of the path may hold slashes."""
        return re.escape(base_url.rstrip("/")) + _SYMBOLIC.sub("(.+)", re.escape(self.path)) + "$"

    def faults(self) -> tuple[str, ...]:
        """The codes of the errors that it may answer."""
        named = any(p.name == "symbol" or isinstance(p.kind, Choice) for p in self.parameters)
        return (
            *(("bad_request",) if self.body else ("bad_request", "unexpected_body")),
            *(() if self.open else ("not_signed_in", "refused")),
            *(("unknown_name",) if named else ()),
            *("method_not_allowed", "too_large", "bad_parameter"),
            *(() if self.open and not self.limited else ("too_many_requests",)),
            *(("internal", "chart_failed") if self.asks_database else ("internal",)),
            # Who somebody is may be in the database, too.
            *(() if self.open else ("busy", "database_unavailable")),
            *(("database_incomplete", "query_timeout") if self.asks_database else ()),
            *self.also,
        )
