"""Who a request comes from: one answer for pages, the API, kernels and sockets.

In this order: the name that a trusted proxy vouches for; a token in the `Authorization` header; the
session that signing in has opened. Where nothing of all that is set up, everybody is let in: as the
administrator `local` on this machine, as the viewer `anyone` with `--no-auth`.

A browser that was led to another site's name for our address (DNS rebinding) is refused by its
`Host`, a foreign site's request by its `Origin`, whatever credentials it carries.
"""

from __future__ import annotations

import asyncio
import hmac
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, Literal, TypeVar

import tornado.web

from alphapulse_nb.addresses import is_loopback
from alphapulse_nb.errors import DatabaseError, SchemaError
from alphapulse_nb.people import ANYONE, LOCAL, SHARED, Person, Role
from alphapulse_nb.server import cookies, log
from alphapulse_nb.server.attempts import Attempts
from alphapulse_nb.server.proxy import Proxies
from alphapulse_nb.state import User, Users

_KEPT_SECONDS: Final = 10.0
"""How long what the database said of a user counts: a removed user is out after that."""
_MOST_KEPT: Final = 2_000
_STALE_SECONDS: Final = 1.0
"""How long a request waits for news where the database has told us something before."""
_MOST_ASKING: Final = 64
_MOST_SIGNING_IN: Final = 8
"""Requests that may wait for the database, and for a password to be checked, at a time."""
_T = TypeVar("_T")
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Rules:
    """What the settings say about access."""

    key: str = field(repr=False)
    token: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    remote_user_header: str = ""
    no_auth: bool = False
    origins: tuple[str, ...] = ()
    local: bool = True
    """Whether the server listens on this machine only."""


Why = Literal["access", "origin", "xsrf", "owner", "host", ""]

_log = log.get(__name__)


class Refused(tornado.web.HTTPError):
    """A request that is not answered, with a reason that the client may read.

    `why` is what the figures call it, empty for what is no attempt at something forbidden; `after`
    is when to come again, in seconds.
    """

    def __init__(self, status: int, reason: str, after: float | None = None, why: Why = "") -> None:
        super().__init__(status, reason.replace("%", "%%"))
        self.words = reason
        self.after = after
        self.why: Why = why


class Access:
    """Says who a request comes from, and whether it may come at all."""

    def __init__(self, rules: Rules, users: Users, proxies: Proxies, attempts: Attempts) -> None:
        self.rules = rules
        self.proxies = proxies
        self.attempts = attempts
        self._users = users
        self._reading = _Queue(2, _MOST_ASKING)
        self._checking = _Queue(1, _MOST_SIGNING_IN)
        self._hinted = False
        self._kept: dict[str, tuple[float, User | None]] = {}
        self._has_users: tuple[float, bool] | None = None

    async def person(self, handler: tornado.web.RequestHandler) -> Person | None:
        """Who it is; None for a stranger. Asked once per request.

        Raises `Refused` when it cannot be told now (429 after too many wrong tokens, 503 while the
        database that holds the users is away).
        """
        if not hasattr(handler, "_alphapulse_person"):
            handler._alphapulse_person = await self._person(handler)  # type: ignore[attr-defined]
        found: Person | None = handler._alphapulse_person  # type: ignore[attr-defined]
        return found

    def check_source(self, handler: tornado.web.RequestHandler) -> None:
        """Refuse a request that another site made this browser send. Raises `Refused`."""
        request = handler.request
        if not self._host_is_ours(request.host_name):
            name = request.host_name[:80]
            raise Refused(403, f"This server does not answer to the name {name}.", why="host")
        origin = request.headers.get("Origin") or request.headers.get("Sec-WebSocket-Origin")
        if origin is None or self.same_origin(handler, origin):
            return
        if request.method in _SAFE and request.headers.get("Upgrade", "").lower() != "websocket":
            return  # Browsers keep the answer from the other site, unless we say it may read it.
        self._hint(handler, origin)
        raise Refused(403, "Requests from another site are not accepted.", why="origin")

    def same_origin(self, handler: tornado.web.RequestHandler, origin: str) -> bool:
        """Whether the origin is this server as its browser sees it."""
        ours = f"{handler.request.protocol}://{handler.request.host}"
        return origin.lower() == ours.lower()

    async def sign_in(self, address: str, name: str, secret: str) -> cookies.Session | None:
        """The session that the credentials open; None for wrong ones.

        Without a name they are the shared password or token. Raises `Refused` with 429 after too
        many wrong ones of one address or name.
        """
        self._check_attempts(address, name)
        opened = await (self._user_session(name, secret) if name else self._shared(secret))
        if opened is None:
            self.attempts.failed(address, name)
        else:
            self.attempts.succeeded(name)
        return opened

    async def is_open(self) -> bool:
        """Whether everybody is let in."""
        rules = self.rules
        if rules.no_auth:
            return True
        guarded = rules.token or rules.password or rules.remote_user_header or self.proxies
        return rules.local and not guarded and not await self.has_users()

    async def is_still(self, person: Person, held: cookies.Session | None) -> bool:
        """Whether somebody who was let in, with this session if any, would be now, as the same."""
        try:
            return await self._again(person, held) == person
        except Refused:  # it cannot be told now
            return True

    async def has_users(self) -> bool:
        """Whether the database holds users, as it said at most ten seconds ago."""
        now = time.monotonic()
        if self._has_users is None or now - self._has_users[0] > _KEPT_SECONDS:
            try:
                found = await self._reading.run(
                    self._users.any, self._has_users is not None, same="any"
                )
            except (DatabaseError, TimeoutError):
                if self._has_users is None:
                    raise _away() from None
                found = self._has_users[1]
            self._has_users = (now, found)
        return self._has_users[1]

    def token_session(self, address: str, given: str) -> cookies.Session | None:
        """The session that a token in an address opens; None for a wrong one."""
        self._check_attempts(address, "")
        if not _same(given, self.rules.token):
            self.attempts.failed(address, "")
            return None
        return self._session("token", self.rules.token)

    def close(self) -> None:
        self._reading.close()
        self._checking.close()

    async def _person(self, handler: tornado.web.RequestHandler) -> Person | None:
        rules = self.rules
        if rules.remote_user_header and self.proxies.vouched(handler.request):
            names = handler.request.headers.get_list(rules.remote_user_header)
            if len(names) == 1 and _is_name(names[0]):
                known = await self._find(names[0])
                return known.person if known else Person(names[0], account=False)
        given = _bearer(handler.request.headers.get("Authorization", ""))
        if given is not None and rules.token:
            opened = self.token_session(str(handler.request.remote_ip), given)
            return Person(SHARED) if opened else None
        held = cookies.session(handler)
        person = await self._of_session(held) if held else None
        if person is None and await self.is_open():
            person = Person(ANYONE) if rules.no_auth else Person(LOCAL, Role.ADMIN)
        return person

    async def _again(self, person: Person, held: cookies.Session | None) -> Person | None:
        if person.name in {LOCAL, ANYONE}:
            return person if await self.is_open() else None
        if held is not None:
            return await self._of_session(held)
        if person.name == SHARED:
            return person
        known = await self._find(person.name)
        return known.person if known else Person(person.name, account=False)

    async def _of_session(self, held: cookies.Session) -> Person | None:
        if held.way == "user":
            found = await self._find(held.name)
            current = found and cookies.stamp(self.rules.key, f"{held.name} {found.version}")
            return found.person if found and _same(held.stamp, current or "") else None
        credential = self.rules.token if held.way == "token" else self.rules.password
        if credential and _same(held.stamp, cookies.stamp(self.rules.key, credential)):
            return Person(SHARED)
        return None

    async def _user_session(self, name: str, secret: str) -> cookies.Session | None:
        try:
            found = await self._checking.run(lambda: self._users.verify(name, secret))
        except DatabaseError:
            raise _away() from None
        if found is None:
            return None
        name = found.person.name
        self._kept.pop(name, None)
        mark = cookies.stamp(self.rules.key, f"{name} {found.version}")
        return cookies.Session(name, "user", mark)

    async def _shared(self, secret: str) -> cookies.Session | None:
        # Both are compared whatever the first says, so that the time tells nothing.
        is_password = _same(secret, self.rules.password)
        is_token = _same(secret, self.rules.token)
        if is_password:
            return self._session("password", self.rules.password)
        return self._session("token", self.rules.token) if is_token else None

    def _session(self, way: cookies.Way, credential: str) -> cookies.Session:
        return cookies.Session(SHARED, way, cookies.stamp(self.rules.key, credential))

    async def _find(self, name: str) -> User | None:
        """A user, at most ten seconds old; while the database is away, the last one known."""
        now = time.monotonic()
        kept = self._kept.get(name)
        if kept and now - kept[0] < _KEPT_SECONDS:
            return kept[1]
        try:
            found = await self._reading.run(
                lambda: self._users.find(name), kept is not None, same=f"user {name}"
            )
        except SchemaError:  # there never were users
            found = None
        except (DatabaseError, TimeoutError):
            if kept is None:
                raise _away() from None
            found = kept[1]
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[name] = (now, found)
        return found

    def _check_attempts(self, address: str, name: str) -> None:
        wait = self.attempts.wait(address, name)
        if wait > 0:
            raise Refused(429, f"Too many attempts. Try again in {wait:.0f} s.", after=wait)

    def _hint(self, handler: tornado.web.RequestHandler, origin: str) -> None:
        """Tell the operator once of a proxy that nobody has told us to trust."""
        if origin.lower() == f"https://{handler.request.host}".lower() and not self._hinted:
            self._hinted = True
            _log.warning(
                "a browser that came by https was refused: set DASHBOARD_TRUSTED_PROXIES to the "
                "address of the proxy that holds the certificate",
                client=handler.request.remote_ip,
            )

    def _host_is_ours(self, host: str) -> bool:
        """On this machine only, without a proxy, a name that is not this machine's is a trick."""
        if not self.rules.local or self.proxies:
            return True
        return is_loopback(host)


class _Queue:
    """Runs calls that wait for the database in threads, and refuses those that would queue long."""

    def __init__(self, threads: int, most: int) -> None:
        self._threads = ThreadPoolExecutor(threads, "users")
        self._most = most
        self._waiting = 0
        self._shared: dict[str, asyncio.Future[Any]] = {}

    async def run(self, call: Callable[[], _T], impatient: bool = False, *, same: str = "") -> _T:
        """What the call gives. Who asks the `same` while it runs is given the same.

        Raises `Refused` when there are too many before it, and `TimeoutError` where an impatient
        caller waits too long; the call still runs to its end.
        """
        running: asyncio.Future[_T] | None = self._shared.get(same) if same else None
        if running is None:
            running = self._begun(call)
            if same:
                self._shared[same] = running
                running.add_done_callback(lambda _: self._shared.pop(same, None))
        patience = _STALE_SECONDS if impatient else None
        return await asyncio.wait_for(asyncio.shield(running), patience)

    def _begun(self, call: Callable[[], _T]) -> asyncio.Future[_T]:
        if self._waiting >= self._most:
            raise Refused(503, "Too many requests are waiting. Try again in a moment.", after=2)
        self._waiting += 1
        running = asyncio.get_running_loop().run_in_executor(self._threads, call)
        running.add_done_callback(self._done)
        return running

    def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _done(self, call: asyncio.Future[_T]) -> None:
        self._waiting -= 1
        if not call.cancelled():
            call.exception()  # seen, also where nobody waits for it any more


def _away() -> Refused:
    return Refused(503, "The database that holds the users cannot be reached.", after=5)


def _bearer(header: str) -> str | None:
    kind, _, value = header.partition(" ")
    return value.strip() if kind.lower() in {"bearer", "token"} else None


def _same(given: str, expected: str) -> bool:
    """Compare without telling by the time how much was right. Nothing equals an empty secret."""
    return bool(expected) and hmac.compare_digest(given.encode(), expected.encode())


def _is_name(name: str) -> bool:
    return 0 < len(name) <= 64 and name.isprintable()
