"""What every endpoint does around its answer: who asks, how often, with what; what if it fails.

A subclass implements `answer(values)`. Before it runs, a body has been refused, the person let in,
the request counted and every parameter read. Whatever it raises becomes the one error body.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

import tornado.web

from alphapulse_nb import reports
from alphapulse_nb.db.connection import spending
from alphapulse_nb.errors import AlphaPulseError, InputError, NotAllowed
from alphapulse_nb.people import Person
from alphapulse_nb.server import cookies, headers
from alphapulse_nb.server.answers import Fault, fault_of
from alphapulse_nb.server.api import body as bodies
from alphapulse_nb.server.api import parameter
from alphapulse_nb.server.api.allowance import Allowance
from alphapulse_nb.server.api.encoding import encoded
from alphapulse_nb.server.api.endpoint import JSON, Body, Endpoint
from alphapulse_nb.server.handler import count_refusal
from alphapulse_nb.server.mailbox import count_query

if TYPE_CHECKING:
    from alphapulse_nb.server.api.means import Means
    from alphapulse_nb.server.api.workers import Workers
    from alphapulse_nb.server.shared import Shared

_T = TypeVar("_T")
_ALLOWED: Final = "GET, HEAD"
_MOST_BODY: Final = 64 << 10
"""Bytes of an unwelcome body that are let run out, so that its sender reads our answer."""
_LARGE: Final = 512 << 10
"""Bytes of a body from which on it may not hold up the event loop, and takes its place."""
_TOKENS: Final = frozenset({"bearer", "token"})
_BROWSERS: Final = ("Origin", "Sec-Fetch-Site")
"""Headers that browsers send with what changes something, and programs do not."""
_POLICY: Final = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
_MAY_READ: Final = "ETag, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After"

log = logging.getLogger(__name__)


@tornado.web.stream_request_body
class ApiHandler(tornado.web.RequestHandler):
    """Answers the requests of one path: those of its endpoints, one for each method."""

    person: Person | None = None
    body: Any = None
    _allowance: Allowance | None = None
    _etag: str | None = None
    _body_bytes = 0
    _held = 0
    _no_room = False
    _pending: asyncio.Future[Any] | None = None

    def initialize(self, endpoints: Mapping[str, Endpoint], means: Means) -> None:
        self.endpoints = endpoints
        self.means = means
        self._parts: list[bytes] = []

    @property
    def endpoint(self) -> Endpoint:
        """What is asked for; of a method that nobody takes, another endpoint of the path."""
        return self._taken() or next(iter(self.endpoints.values()))

    @property
    def shared(self) -> Shared:
        return cast("Shared", self.settings["alphapulse"])

    async def answer(self, values: parameter.Values) -> None:
        """Answer a request whose parameters have these values."""
        raise NotImplementedError

    async def prepare(self) -> None:
        self._make_room()
        if self._is_preflight() or self.endpoint.open:
            return
        access = self.shared.access
        access.check_source(self)
        self._check_forgery()
        self.person = await access.person(self)
        if self.endpoint.limited:
            self._count()
        if self.person is None:
            self.turn_away()
        elif not self.person.role.may(self.endpoint.role):
            self.shared.figures.count("requests_refused", why="access")
            raise Fault("refused", f"This takes the role {self.endpoint.role}.")

    async def get(self, *path: str) -> None:
        if self._taken() is None:
            raise tornado.web.HTTPError(405)
        values = parameter.read(self.endpoint.parameters, path, self.request.query)
        with contextlib.suppress(_Gone):
            await self._read_body()
            await self.answer(values)

    head = post = put = delete = get

    async def options(self, *_path: str) -> None:
        if not self._is_preflight():
            raise tornado.web.HTTPError(405)
        self.set_header("Access-Control-Allow-Methods", _ALLOWED)
        self.set_header("Access-Control-Allow-Headers", "Authorization, If-None-Match")
        self.set_header("Access-Control-Max-Age", "600")
        self.set_status(204)
        await self.finish()

    def send(self, value: Any, *, status: int = 200) -> None:
        """Answer with a plain value as JSON."""
        self.set_status(status)
        self.send_bytes(encoded(value))

    def send_bytes(
        self, body: bytes, media: str = JSON, *, etag: str | None = None, gzipped: bool = False
    ) -> None:
        """Answer with what is encoded already."""
        self._etag = etag
        self.set_header("Content-Type", media)
        if gzipped:
            self.set_header("Content-Encoding", "gzip")
        self.finish(body)

    @property
    def takes_gzip(self) -> bool:
        """Whether the client unpacks gzip, so that a worker may pack."""
        return "gzip" in self.request.headers.get("Accept-Encoding", "")

    async def work(self, name: str, call: Callable[[], _T], workers: Workers | None = None) -> _T:
        """What the call gives, run in a worker and counted as a read of that name."""
        return await self._aside(lambda: self._measured(name, call), workers)

    async def _aside(self, call: Callable[[], _T], workers: Workers | None = None) -> _T:
        self._pending = asyncio.ensure_future((workers or self.means.workers).run(call))
        try:
            return cast(_T, await self._pending)
        except asyncio.CancelledError:
            # The client has gone; there is nobody to finish for.
            self._auto_finish = False
            raise _Gone from None
        finally:
            self._pending = None

    def turn_away(self) -> None:
        """Tell a stranger how to be let in."""
        self.shared.figures.count("requests_refused", why="access")
        raise Fault("not_signed_in")

    def data_received(self, chunk: bytes) -> None:
        self._body_bytes += len(chunk)
        body = self.endpoint.body
        if body is not None and self._body_bytes <= body.most and self._holds(body, len(chunk)):
            self._parts.append(chunk)

    def on_connection_close(self) -> None:
        self._let_go()
        if self._pending is not None:
            self._pending.cancel()

    def on_finish(self) -> None:
        self._let_go()

    def set_default_headers(self) -> None:
        for name, value in headers.ALWAYS.items():
            self.set_header(name, value)
        self.set_header("Content-Security-Policy", _POLICY)
        self.set_header("Cache-Control", "no-store")
        origins = self.shared.origins
        if origins:
            self.add_header("Vary", "Origin")
        if self._origin() in origins:
            self.set_header("Access-Control-Allow-Origin", self._origin())
            self.set_header("Access-Control-Expose-Headers", _MAY_READ)

    def compute_etag(self) -> str | None:
        return self._etag

    def check_xsrf_cookie(self) -> None:
        """Not here: it depends on who asks, see `_check_forgery`."""

    def _check_forgery(self) -> None:
        """Have a page prove that it is ours where a browser could have been made to ask.

        Whoever sends a token, or neither a session nor an origin, is a program that knows what it
        does.
        """
        given, endpoint = self.request.headers, self._taken()
        if endpoint is None or endpoint.method == "GET":
            return
        # Only where there is a token does anybody look for one rather than for a session.
        kind = given.get("Authorization", "").partition(" ")[0].lower()
        if kind in _TOKENS and self.shared.access.rules.token:
            return
        if not any(name in given for name in _BROWSERS) and cookies.session(self) is None:
            return
        try:
            super().check_xsrf_cookie()
        except tornado.web.HTTPError:
            self.shared.figures.count("requests_refused", why="xsrf")
            raise Fault(
                "refused", "Send the value of the cookie _xsrf in the header X-XSRFToken."
            ) from None

    def _taken(self) -> Endpoint | None:
        """The endpoint of the request's method."""
        method = str(self.request.method)
        return self.endpoints.get("GET" if method == "HEAD" else method)

    def _make_room(self) -> None:
        """Let as large a body come as is taken, and a small one to where none is."""
        body = self.endpoint.body
        if body is not None:
            cast(Any, self.request.connection).set_max_body_size(body.most + _MOST_BODY)
        if _announced(self.request.headers) > (_MOST_BODY if body is None else body.most):
            raise Fault("too_large", "" if body else "This request takes no body.")

    async def _read_body(self) -> None:
        body = self.endpoint.body
        if body is None:
            if self._body_bytes:
                raise Fault("unexpected_body")
            return
        if self._body_bytes > body.most:
            raise Fault("too_large")
        if self._no_room:
            raise Fault("busy", "Too many large bodies come at once.", after=5)
        raw, media = b"".join(self._parts), self.request.headers.get("Content-Type", "")
        self._parts.clear()
        if len(raw) < _LARGE:
            self.body = bodies.read(raw, media, body.schema)
        else:
            self.body = await self._aside(lambda: bodies.read(raw, media, body.schema))

    def _holds(self, body: Body, size: int) -> bool:
        """Whether there is room for so much more of a body; a small one always has some."""
        if body.most < _LARGE:
            return True
        if self._no_room or not self.means.room.take(size):
            self._no_room = True
            self._parts.clear()
            return False
        self._held += size
        return True

    def _let_go(self) -> None:
        self.means.room.give(self._held)
        self._held = 0

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        count_refusal(self, error)
        fault = fault_of(error, status_code)
        self.set_status(fault.status)
        if fault.after is not None:
            self.set_header("Retry-After", str(max(1, round(fault.after))))
        if fault.status == 401:
            self.set_header("WWW-Authenticate", 'Bearer realm="AlphaPulse"')
        if fault.status == 405:
            self.set_header("Allow", ", ".join(_methods(self.endpoints)))
        self._show_allowance()
        self.send_bytes(encoded(fault.body()))

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Log what is our fault, without the address: it may hold what is not ours to keep."""
        if isinstance(value, Fault | tornado.web.HTTPError | InputError | NotAllowed):
            return
        if isinstance(value, AlphaPulseError):
            log.warning("%s failed: %s", self.endpoint.path, value)
        else:
            log.error("%s failed", self.endpoint.path, exc_info=(typ, value, tb))

    def _measured(self, name: str, call: Callable[[], _T]) -> _T:
        began, failure = time.perf_counter(), None
        with spending() as spent:
            try:
                return call()
            except Fault:
                raise
            except Exception as error:
                failure = error
                raise
            finally:
                outcome = reports.outcome(failure)
                figures = self.shared.figures
                figures.observe("load_seconds", time.perf_counter() - began, query=name)
                figures.count("loads", query=name, outcome=outcome)
                count_query(figures, name, spent.seconds, spent.rows, outcome)

    def _count(self) -> None:
        """Count the request for its person at its address, if there is a limit."""
        if self.shared.rate_limit <= 0:
            return
        name = self.person.name if self.person else ""
        client = f"{name}@{self.request.remote_ip}"
        self._allowance = self.means.allowances.take(client, self.shared.rate_limit)
        self._show_allowance()
        if not self._allowance.granted:
            self.shared.figures.count("requests_refused", why="rate")
            raise Fault(
                "too_many_requests",
                f"More than {self._allowance.limit} requests in a minute.",
                after=self._allowance.reset,
            )

    def _show_allowance(self) -> None:
        if self._allowance is not None:
            for name, value in self._allowance.headers().items():
                self.set_header(name, value)

    def _origin(self) -> str:
        return self.request.headers.get("Origin", "")

    def _is_preflight(self) -> bool:
        """Whether a listed site's browser asks what it may send; it has no credentials yet."""
        return self.request.method == "OPTIONS" and self._origin() in self.shared.origins


class Unknown(ApiHandler):
    """Whatever else is asked for under `/api/`."""

    async def prepare(self) -> None:
        await super().prepare()
        if not self._is_preflight():
            raise Fault("not_found")


class _Gone(Exception):  # noqa: N818
    """The client has left while a worker was busy for it."""


def _methods(endpoints: Iterable[str]) -> list[str]:
    """The methods that a path takes."""
    found = list(endpoints)
    return ["GET", "HEAD", *found[1:]] if found[0] == "GET" else found


def _announced(given: Any) -> int:
    """Bytes of the body that the headers announce; 0 where they do not say."""
    length = given.get("Content-Length", "0")
    return int(length) if length.isascii() and length.isdigit() else 0
