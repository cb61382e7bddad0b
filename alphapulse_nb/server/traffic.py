"""A line and the figures of every HTTP request."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

import tornado.web

from alphapulse_nb.server import log
from alphapulse_nb.server.figures import Figures
from alphapulse_nb.server.redaction import address

_LONGEST: Final = 500
_PLACES: Final = (
    ("api/kernels", "kernel"),
    ("voila/api/", "kernel"),
    ("api/", "api"),
    ("alphapulse/static/", "static"),
    ("voila/static/", "static"),
    ("voila/templates/", "static"),
    ("voila/labextensions/", "static"),
    ("static/", "static"),
    ("login", "sign_in"),
    ("logout", "sign_in"),
    ("voila/render", "page"),
)

Who = Callable[[tornado.web.RequestHandler], str]

_log = log.get(__name__)


def person(handler: tornado.web.RequestHandler) -> str:
    """The name of whoever made the request, as far as it was asked for; empty for a stranger."""
    found = vars(handler).get("_alphapulse_person")
    return str(getattr(found, "name", ""))


def log_function(
    figures: Figures, base_url: str = "/", who: Who = person
) -> Callable[[tornado.web.RequestHandler], None]:
    """What tornado calls at the end of each request (its setting `log_function`)."""

    def finished(handler: tornado.web.RequestHandler) -> None:
        request, status = handler.request, handler.get_status()
        place = route(request.path, base_url)
        seconds = request.request_time()
        figures.count("http_requests", route=place, status=f"{status // 100}xx")
        if place != "socket":
            figures.observe("http_request_seconds", seconds, route=place)
        if place == "page" and status == 200:
            figures.observe("page_last_byte_seconds", seconds)
        _log.log(
            _level(request.path, place, status),
            "request",
            method=request.method,
            path=_shortened(address(request.uri or request.path)),
            status=status,
            ms=round(1e3 * seconds, 1),
            person=who(handler),
            client=request.remote_ip,
        )

    return finished


def route(path: str, base_url: str = "/") -> str:
    """Which of `measures.ROUTES` a path belongs to; `other` for none of them."""
    if not path.startswith(base_url):
        return "page" if path + "/" == base_url else "other"
    inside = path[len(base_url) :]
    if not inside:
        return "page"
    for start, name in _PLACES:
        if inside.startswith(start):
            return "socket" if name == "kernel" and inside.endswith("/channels") else name
    return "other"


def _level(path: str, place: str, status: int) -> int:
    """Scripts and styles, and a watchdog that finds all well, are not worth a line each."""
    if status >= 500:
        return logging.WARNING
    quiet = place == "static" or "/api/health" in path
    return logging.DEBUG if quiet and status < 400 else logging.INFO


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}… ({len(text) - _LONGEST} more)"
