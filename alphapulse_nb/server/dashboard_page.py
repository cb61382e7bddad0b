"""The page of the dashboard: who may see it, whose kernel is behind it, and what it may run."""

from __future__ import annotations

import asyncio
import functools
import random
import time
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import tornado.web
from tornado.iostream import StreamClosedError
from voila.tornado.handler import TornadoVoilaHandler

from alphapulse_nb.people import Person
from alphapulse_nb.server import cookies, headers, log, plain
from alphapulse_nb.server.access import Refused
from alphapulse_nb.server.exchange import exchanged, without
from alphapulse_nb.server.guard import Guard
from alphapulse_nb.server.handler import access
from alphapulse_nb.server.kernels.process import Forked
from alphapulse_nb.server.shared import shared
from alphapulse_nb.server.visits import MOST_EACH, Visit

_BEAT_SECONDS: Final = 10.0
"""A page that is still starting sends something this often, so that no proxy gives it up."""
_OURS: Final = frozenset({"same-origin", "none"})
_MARK: Final = "visit"
"""What an address carries while we find out whether the browser keeps cookies."""

_log = log.get(__name__)


class _Kernels:
    """The kernel manager as one page sees it: the kernel that it starts is its own."""

    def __init__(self, page: PageHandler) -> None:
        self._page = page

    def __getattr__(self, name: str) -> Any:
        return getattr(self._page.settings["kernel_manager"], name)

    async def start_kernel(self, *, env: dict[str, str], **given: Any) -> str:
        page = self._page
        person, visit = page.current_person, page.visit
        env = env | {
            "ALPHAPULSE_USER": person.name,
            "ALPHAPULSE_ROLE": person.role.value,
            "ALPHAPULSE_ZONE": person.zone,
            "ALPHAPULSE_STREAM": "1",
            # Whom a proxy vouches for cannot sign out here.
            "ALPHAPULSE_SIGNED_IN": "1" if cookies.session(page) else "",
        }
        began = time.perf_counter()
        manager, figures = page.settings["kernel_manager"], shared(page).figures
        kernel_id: str = await manager.start_kernel(env=env, **given)
        if not shared(page).visits.began(visit, kernel_id):
            raise tornado.web.HTTPError(503)
        forked = isinstance(manager.get_kernel(kernel_id).provisioner.process, Forked)
        how = "forked" if forked else "ordinary"
        figures.count("kernels_started", how=how)
        figures.observe("kernel_start_seconds", time.perf_counter() - began, how=how)
        if forked:
            figures.count("zygote_forks")
        return kernel_id


class PageHandler(Guard, TornadoVoilaHandler):  # type: ignore[misc]
    """The dashboard, with a kernel of its own."""

    visit: Visit
    current_person: Person

    @property
    def content_security_policy(self) -> str:
        return headers.page_policy(self.nonce)

    @property
    def kernel_manager(self) -> Any:
        return _Kernels(self)

    async def prepare(self, **given: Any) -> Any:
        access(self).check_source(self)
        self._check_purpose()
        if await exchanged(self, self.base_url):
            return None
        return await super().prepare(**given)

    @tornado.web.authenticated
    async def get(self, path: str | None = None) -> None:
        if path:
            raise tornado.web.HTTPError(404)
        person = await shared(self).access.person(self)
        if person is None:
            raise tornado.web.HTTPError(403)
        visits = cookies.visits(self)
        if not visits:
            self._meet()
            return
        if self.get_query_argument(_MARK, None) is not None:
            self.redirect(without(self.base_url, self.request.query, _MARK))
            return
        place = shared(self).visits.enter(person, visits)
        if place is None:
            self._busy(shared(self).visits.has_enough(person))
            return
        place.is_welcome = functools.partial(
            shared(self).access.is_still, person, cookies.session(self)
        )
        self.visit, self.current_person = place, person
        await self._serve(path)

    def _check_purpose(self) -> None:
        """Start no kernel for what nobody is going to look at. Raises `Refused`.

        A page of the same machine may name us as a picture, and browsers fetch ahead what somebody
        might want to see.
        """
        given = self.request.headers
        shown = given.get("Sec-Fetch-Dest", "document")
        if shown != "document" and not (shown == "iframe" and given.get("Sec-Fetch-Site") in _OURS):
            raise Refused(403, "The dashboard is a page.", why="origin")
        if "prefetch" in given.get("Sec-Purpose", ""):
            raise Refused(503, "The dashboard is made when somebody looks at it.")

    async def _serve(self, path: str | None) -> None:
        # Sets the cookie that a closing page needs to end its kernel; too late once we flush.
        _ = self.xsrf_token
        started = asyncio.get_running_loop().time()
        try:
            async for part in _with_beats(self.get_generator(path=path)):
                if started:
                    took = asyncio.get_running_loop().time() - started
                    shared(self).figures.observe("page_first_byte_seconds", took)
                    started = 0.0
                self.write(part)
                await self.flush()
        except StreamClosedError:
            _log.info("page left before it was there", person=self.current_person.name)
            await shared(self).visits.end(self.visit, "closed", 1001, "the page was left")
        except BaseException:
            shared(self).figures.count("kernels_failed")
            await shared(self).visits.end(self.visit, "died", 1011, "the page could not be made")
            raise

    def _meet(self) -> None:
        """A first visit: give the browser a cookie, and see whether it comes back with it."""
        if self.get_query_argument(_MARK, None) is not None:
            words = "The dashboard needs cookies. Allow them for this site, then try again."
            self.refuse(403, words, title="Cookies are needed")
            return
        cookies.open_visit(self)
        query = [*parse_qsl(self.request.query, keep_blank_values=True), (_MARK, "new")]
        self.redirect(f"{self.base_url}?{urlencode(query, safe='/')}")

    def _busy(self, has_enough: bool) -> None:
        """All kernels are taken: say so, and try again soon, not all at the same moment."""
        again = random.uniform(8, 15)  # noqa: S311 - spreads the load
        self.set_status(503)
        self.set_header("Retry-After", str(round(again)))
        taken = (
            f"You have {MOST_EACH} pages open, as many as one person may. This page tries again "
            "by itself every few seconds and opens the dashboard as soon as you close another."
            if has_enough
            else f"All places are taken ({shared(self).visits.most}). This page tries again by "
            "itself every few seconds and opens the dashboard as soon as somebody leaves."
        )
        self.show("One moment, please", plain.paragraphs(taken), again=again)


async def _with_beats(parts: AsyncIterator[str]) -> AsyncIterator[str]:
    """The parts as they come, and a comment where none comes for a while."""
    iterator = aiter(parts)
    pending = asyncio.ensure_future(_next(iterator))
    try:
        while True:
            done, _ = await asyncio.wait({pending}, timeout=_BEAT_SECONDS)
            if not done:
                yield "<!-- starting -->\n"
                continue
            part = pending.result()
            if part is None:
                return
            yield part
            pending = asyncio.ensure_future(_next(iterator))
    finally:
        pending.cancel()


async def _next(parts: AsyncIterator[str]) -> str | None:
    return await anext(parts, None)


def prepare_notebook(handler: PageHandler, notebook: Any, cwd: str) -> Any:  # noqa: ARG001
    """Voila's hook before a notebook is rendered: hand the page's nonce to the template."""
    notebook.metadata["alphapulse"] = {"nonce": handler.nonce}
    return notebook
