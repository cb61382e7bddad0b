"""What our own handlers share: they check where a request comes from, and fail politely."""

from __future__ import annotations

import http
import json
from typing import Any

import tornado.web

from alphapulse_nb.people import Person
from alphapulse_nb.server import headers, plain
from alphapulse_nb.server.access import Access, Refused
from alphapulse_nb.server.answers import fault_of
from alphapulse_nb.server.shared import shared


def access(handler: tornado.web.RequestHandler) -> Access:
    found: Access = handler.settings["alphapulse"].access
    return found


class Handler(tornado.web.RequestHandler):
    """A handler that answers everybody. Its errors are short pages."""

    def set_default_headers(self) -> None:
        self.nonce = headers.nonce()
        for name, value in headers.ALWAYS.items():
            self.set_header(name, value)
        self.set_header("Content-Security-Policy", headers.plain_policy(self.nonce))

    async def prepare(self) -> None:
        access(self).check_source(self)

    def check_xsrf_cookie(self) -> None:
        try:
            super().check_xsrf_cookie()
        except tornado.web.HTTPError:
            words = "This form is out of date. Go back, load the page again, and try once more."
            raise Refused(403, words, why="xsrf") from None

    def refuse(
        self, status: int, words: str, *, title: str = "", after: float | None = None
    ) -> None:
        """Answer with a page that says why there is nothing else, and leads to the dashboard."""
        self.set_status(status)
        if after is not None:
            self.set_header("Retry-After", str(max(1, round(after))))
        body = plain.paragraphs(words)
        if status in {403, 404, 405}:
            body += plain.link("To the dashboard", self.settings["base_url"])
        self.show(title or http.HTTPStatus(status).phrase, body, again=after)

    def show(self, title: str, body: str, *, again: float | None = None) -> None:
        """Answer with a plain page; `body` is HTML. It loads again by itself after `again` s."""
        self.set_header("Content-Type", "text/html; charset=utf-8")
        self.set_header("Cache-Control", "no-store")
        self.finish(plain.document(title, body, self.nonce, again=again))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        count_refusal(self, error)
        if isinstance(error, Refused):
            self.refuse(status_code, error.words, after=error.after)
        else:
            self.refuse(status_code, plain.WORDS.get(status_code, plain.WORDS[500]))


class JsonErrors(Handler):
    """For programs and scripts: an error is the one body of all errors in JSON."""

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        error = kwargs.get("exc_info", (None, None, None))[1]
        count_refusal(self, error)
        fault = fault_of(error, status_code)
        self.set_status(fault.status)
        if fault.after is not None:
            self.set_header("Retry-After", str(max(1, round(fault.after))))
        self.set_header("Content-Type", "application/json")
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps(fault.body()))


def count_refusal(handler: tornado.web.RequestHandler, error: BaseException | None) -> None:
    """Count a request that attempted what is not open to it."""
    if isinstance(error, Refused) and error.why:
        shared(handler).figures.count("requests_refused", why=error.why)


class NotFound(Handler):
    """What is not there."""

    async def prepare(self) -> None:
        await super().prepare()
        raise tornado.web.HTTPError(404)


class Member(Handler):
    """A handler for people who were let in; others are sent to sign in."""

    person: Person

    async def prepare(self) -> None:
        await super().prepare()
        found = await access(self).person(self)
        if found is None:
            raise Refused(401, "Sign in first.", why="access")
        self.person = found
