"""The kernels of the pages that are open: whose each is, how many there may be, when one ends.

A kernel belongs to the visit (a cookie) and the person whose page started it; nobody else, not
even an administrator, reaches it. It ends when its page has been without a connection for 90
seconds, and at once when the page says good-bye; a timer in a kernel never keeps it alive. Nothing
is kept for a page that is away: on its return it asks for fresh snapshots.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

import tornado.web

from alphapulse_nb.people import NAMELESS, Person
from alphapulse_nb.server import log
from alphapulse_nb.server.budget import Budget
from alphapulse_nb.server.figures import Figures

AWAY_SECONDS: Final = 90.0
"""How long a kernel waits for its page to come back."""
_START_SECONDS: Final = 300.0
"""How long a page may take from its kernel's start to its first connection."""
_WAITED_SECONDS: Final = 20.0
"""When all places are taken, that of a page which has been away for longer is given away."""
MOST_EACH: Final = 20
"""Places that one person may have, where a name stands for one person."""
_LOOK_SECONDS: Final = 2.0
_ASK_SECONDS: Final = 10.0
"""How often it is asked whether those who have a page may still see it."""

Why = Literal["closed", "abandoned", "died", "stopped"]

_log = log.get(__name__)


class Socket(Protocol):
    """The websocket of a page."""

    def end(self, code: int, reason: str) -> None:
        """Close it, telling the page why."""


@dataclass(eq=False)
class Visit:
    """One page and its kernel. `kernel_id` is empty while the kernel starts."""

    person: Person
    owner: frozenset[str]
    kernel_id: str = ""
    sockets: set[Socket] = field(default_factory=set)
    away_since: float = 0.0
    connected: bool = False
    budget: Budget = field(default_factory=Budget)
    is_welcome: Callable[[], Awaitable[bool]] | None = None
    """Asks whether the person would be let in again; they may have been removed meanwhile."""


class Visits:
    """Keeps the visits, and ends the kernels of those that are over.

    Parameters
    ----------
    kernels: the kernel manager (`shutdown_kernel`, `get_kernel`, `in`).
    most: kernels at a time.
    figures: counts what happens.
    """

    def __init__(
        self,
        kernels: Any,
        most: int,
        figures: Figures,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most = most
        self._kernels = kernels
        self._figures = figures
        self._clock = clock
        self._open: set[Visit] = set()
        self._by_kernel: dict[str, Visit] = {}
        self._watchers: list[asyncio.Task[None]] = []
        self._endings: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._open)

    @property
    def viewers(self) -> int:
        """Pages that are connected."""
        return sum(bool(visit.sockets) for visit in self._open)

    @property
    def people(self) -> int:
        """Different people among them."""
        return len({visit.person.name for visit in self._open if visit.sockets})

    def has_enough(self, person: Person) -> bool:
        """Whether this one person has as many places as one may have."""
        if person.name in NAMELESS:
            return False
        return sum(visit.person.name == person.name for visit in self._open) >= MOST_EACH

    def enter(self, person: Person, owner: frozenset[str]) -> Visit | None:
        """A place for one more kernel; None when all are taken, or too many by this person."""
        if self.has_enough(person) or (len(self._open) >= self.most and not self._make_room()):
            self._figures.count("kernels_refused")
            return None
        visit = Visit(person, owner, away_since=self._clock())
        self._open.add(visit)
        return visit

    def began(self, visit: Visit, kernel_id: str) -> bool:
        """The visit's kernel runs. False, and the kernel ends, where the visit is over already."""
        if visit not in self._open:
            self._let_go(kernel_id)
            return False
        visit.kernel_id = kernel_id
        visit.away_since = self._clock()
        self._by_kernel[kernel_id] = visit
        return True

    def leave(self, visit: Visit) -> None:
        """The visit is over; its kernel, if there is one, is somebody else's to end."""
        self._open.discard(visit)
        self._by_kernel.pop(visit.kernel_id, None)

    def find(self, kernel_id: str, person: Person, owner: frozenset[str]) -> Visit | None:
        """The visit of that kernel, if it is this person's and this browser's."""
        visit = self._by_kernel.get(kernel_id)
        if visit is None or visit.person.name != person.name or not visit.owner & owner:
            return None
        return visit

    def connected(self, visit: Visit, socket: Socket) -> None:
        visit.sockets.add(socket)
        visit.connected = True

    def disconnected(self, visit: Visit, socket: Socket) -> None:
        visit.sockets.discard(socket)
        visit.away_since = self._clock()

    async def end(self, visit: Visit, why: Why, code: int, reason: str) -> None:
        """End the visit: close its sockets, telling the page why, and end its kernel."""
        if visit in self._open:
            await asyncio.shield(self._end(visit, why, code, reason))

    def _make_room(self) -> bool:
        """End the visit whose page has been away for longest, if that is long enough."""
        away = [visit for visit in self._open if visit.kernel_id and not visit.sockets]
        oldest = min(away, key=lambda visit: visit.away_since, default=None)
        if oldest is None or self._clock() - oldest.away_since < _WAITED_SECONDS:
            return False
        self._end(oldest, "abandoned", 1001, "another page needed the place")
        return True

    def _end(self, visit: Visit, why: Why, code: int, reason: str) -> asyncio.Task[None]:
        """Give the place up at once; the task ends when the kernel has ended."""
        self._figures.count("kernels_ended", why=why)
        self.leave(visit)
        for socket in list(visit.sockets):
            socket.end(code, reason)
        return self._let_go(visit.kernel_id)

    def _let_go(self, kernel_id: str) -> asyncio.Task[None]:
        # On its own, since half an end would leave the kernel manager waiting for the rest.
        task = asyncio.create_task(self._end_kernel(kernel_id))
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)
        return task

    async def _end_kernel(self, kernel_id: str) -> None:
        if kernel_id not in self._kernels:
            return
        try:
            await self._kernels.shutdown_kernel(kernel_id, now=True)
        except (KeyError, OSError, RuntimeError, tornado.web.HTTPError) as error:
            _log.warning("kernel did not end in order", kernel=kernel_id, error=str(error))

    def watch(self) -> None:
        """Begin to look after the visits, on the running loop."""
        self._watchers = [
            asyncio.create_task(self._watch(self.look, _LOOK_SECONDS)),
            asyncio.create_task(self._watch(self.ask, _ASK_SECONDS)),
        ]

    async def close(self, reason: str) -> None:
        """End every visit."""
        for watcher in self._watchers:
            watcher.cancel()
        ends = (self.end(visit, "stopped", 1001, reason) for visit in list(self._open))
        await asyncio.gather(*ends)
        await asyncio.gather(*self._endings)

    async def look(self) -> None:
        """End the visits whose page is gone or whose kernel died."""
        now = self._clock()
        for visit in list(self._open):
            if not visit.kernel_id:
                continue
            if not await self._lives(visit):
                _log.warning("kernel died", kernel=visit.kernel_id, person=visit.person.name)
                await self.end(visit, "died", 4001, "the kernel ended")
            elif not visit.sockets:
                patience = AWAY_SECONDS if visit.connected else _START_SECONDS
                if now - visit.away_since > patience:
                    await self.end(visit, "abandoned", 1001, "the page was away too long")

    async def ask(self) -> None:
        """End the visits of those who may not see their page any more."""
        for visit in list(self._open):
            if visit.is_welcome is not None and not await visit.is_welcome():
                await self.end(visit, "stopped", 4003, "you are not signed in any more")

    async def sign_out(self, person: Person, owner: frozenset[str]) -> None:
        """End the visits of a person in a browser that has signed out."""
        theirs = [
            visit
            for visit in self._open
            if visit.person.name == person.name and visit.owner & owner
        ]
        ends = (self.end(visit, "closed", 4003, "you have signed out") for visit in theirs)
        await asyncio.gather(*ends)

    async def _lives(self, visit: Visit) -> bool:
        if visit.kernel_id not in self._kernels:
            return False
        kernel = self._kernels.get_kernel(visit.kernel_id)
        lives: bool = await kernel.is_alive()
        return lives

    async def _watch(self, look: Callable[[], Awaitable[None]], every: float) -> None:
        while True:
            await asyncio.sleep(every)
            try:
                await look()
            except (OSError, RuntimeError) as error:
                _log.error("the kernels could not be looked after", error=str(error))
