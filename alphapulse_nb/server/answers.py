"""The one body of every error that the server answers in JSON.

    {"error": {"status": 422, "code": "bad_parameter", "message": "…", "field": "hours",
               "value": "-1", "allowed": {"type": "number", "minimum": 0.1, "maximum": 8760}}}

`status`, `code` and `message` are always there; `field`, `value`, `allowed` (a JSON Schema) and
`nearest` where they help; `problems` with a rule that cannot work. `CODES` lists the codes.
`fault_of` is the one place that turns an exception into such an answer, and what it does not know
becomes a 500 without a word about why: no answer holds a traceback, a statement, a path or the name
of a library.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final, NamedTuple

import tornado.web

from alphapulse_nb.errors import AlphaPulseError, InputError, NotAllowed, RuleError
from alphapulse_nb.server.access import Refused
from alphapulse_nb.spelling import nearest

LONGEST_VALUE: Final = 100
"""Characters of somebody's input that an answer repeats."""

_SOON: Final = 5.0
"""Seconds after which a database that was away may be back."""


class Code(NamedTuple):
    """An error's status, and what it means when nothing more is known."""

    status: int
    meaning: str


CODES: Final[Mapping[str, Code]] = {
    "bad_request": Code(400, "The request cannot be understood."),
    "unexpected_body": Code(400, "This request takes no body."),
    "not_signed_in": Code(401, "Sign in, or send a token in the Authorization header."),
    "refused": Code(403, "This is not open to you."),
    "not_found": Code(404, "There is nothing at this address."),
    "unknown_name": Code(404, "There is nothing of that name or number."),
    "method_not_allowed": Code(405, "This address does not take that method."),
    "conflict": Code(409, "Somebody else has changed it meanwhile."),
    "seq_gone": Code(410, "What came after that number is no longer known."),
    "too_large": Code(413, "The body is too large."),
    "bad_parameter": Code(422, "A parameter is unknown, missing, repeated or out of range."),
    "bad_rule": Code(422, "The rule cannot work; `problems` says why."),
    "too_many_requests": Code(429, "Too many requests."),
    "internal": Code(500, "Something went wrong on our side. It is in the server's log."),
    "chart_failed": Code(500, "The chart could not be drawn. The server's log says why."),
    "busy": Code(503, "The server is busy."),
    "database_unavailable": Code(503, "The database cannot be asked now."),
    "database_incomplete": Code(
        503, "The database lacks a table or column, or does not let the dashboard read it."
    ),
    "query_timeout": Code(504, "The database took too long. Choose a shorter range."),
}

_BY_STATUS: Final = {
    400: "bad_request",
    401: "not_signed_in",
    403: "refused",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    429: "too_many_requests",
    503: "database_unavailable",
}


class Fault(Exception):  # noqa: N818 - reads as what the client is told
    """What a client is told instead of an answer. `after` is in seconds: when to come again."""

    def __init__(
        self,
        code: str,
        message: str = "",
        *,
        field: str | None = None,
        value: str | None = None,
        allowed: Mapping[str, Any] | None = None,
        nearest: str | None = None,
        problems: Iterable[Mapping[str, str]] | None = None,
        after: float | None = None,
    ) -> None:
        self.code = code
        self.status = CODES[code].status
        self.message = message or CODES[code].meaning
        self.after = after
        more = {
            "field": None if field is None else shortened(field),
            "value": None if value is None else shortened(value),
            "allowed": None if allowed is None else dict(allowed),
            "nearest": nearest,
            "problems": None if problems is None else [dict(one) for one in problems],
        }
        self.more = {name: given for name, given in more.items() if given is not None}
        super().__init__(self.message)

    def body(self) -> dict[str, Any]:
        """The error as it is answered."""
        known = {"status": self.status, "code": self.code, "message": self.message}
        return {"error": known | self.more}


def fault_of(error: BaseException | None, status: int = 500) -> Fault:
    """What a client is told of an exception; of none, what the status says."""
    if isinstance(error, Fault):
        return error
    if isinstance(error, Refused):
        return Fault(_code(error.status_code), error.words, after=error.after)
    if isinstance(error, tornado.web.HTTPError):
        return Fault(_code(error.status_code))
    if isinstance(error, AlphaPulseError):
        return _fault_of_ours(error)
    return Fault(_code(status) if error is None else "internal")


def _fault_of_ours(error: AlphaPulseError) -> Fault:
    # What others raise is told in their own words only where it is about what somebody asked for.
    return Fault(
        error.code,
        str(error) if isinstance(error, InputError | NotAllowed) else "",
        problems=error.plain() if isinstance(error, RuleError) else None,
        after=_SOON if error.code == "database_unavailable" else None,
    )


def unknown(field: str, value: str, known: Iterable[str], *, what: str = "") -> Fault:
    """A 404 for a name that is none of the known ones, with the nearest of them."""
    names = list(known)
    near = nearest(value, names)
    hint = f" Did you mean {near}?" if near else ""
    return Fault(
        "unknown_name",
        f"There is no {what or field} {shortened(value)!r}.{hint}",
        field=field,
        value=value,
        allowed={"enum": names},
        nearest=near,
    )


def shortened(value: str) -> str:
    """At most `LONGEST_VALUE` characters of it."""
    return value if len(value) <= LONGEST_VALUE else value[: LONGEST_VALUE - 1] + "…"


def _code(status: int) -> str:
    """The code for a status; other ones of the client's making are bad requests."""
    return _BY_STATUS.get(status, "bad_request" if 400 <= status < 500 else "internal")
