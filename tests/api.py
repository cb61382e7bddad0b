"""The API alone, on a thread of its own, and what a test asks it."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import http.client
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import jsonschema
import tornado.web
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets

from alphapulse_nb.catalog import catalog
from alphapulse_nb.db.connection import Database
from alphapulse_nb.server import api
from alphapulse_nb.server.access import Access, Rules
from alphapulse_nb.server.attempts import Attempts
from alphapulse_nb.server.figures import Figures
from alphapulse_nb.server.proxy import Proxies
from alphapulse_nb.server.shared import Shared
from alphapulse_nb.state import State, Users

KEY = "a key of forty characters, for tests only"


@dataclass(frozen=True)
class Answered:
    """What came back."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.text)

    @property
    def text(self) -> str:
        packed = self.headers["Content-Encoding"] == "gzip"
        return (gzip.decompress(self.body) if packed else self.body).decode()

    @property
    def error(self) -> dict[str, Any]:
        """The error, which is the whole body."""
        assert set(self.json) == {"error"}, self.text
        found: dict[str, Any] = self.json["error"]
        assert found["status"] == self.status
        return found


@dataclass(frozen=True)
class Api:
    """A running API. `shared` may be changed between requests."""

    port: int
    base: str
    shared: Shared
    means: api.Means

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.base}"

    def get(self, path: str, **headers: str) -> Answered:
        return self.ask("GET", path, **headers)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Answered:
        """One request; the path goes out as it is. Header names are written with underscores."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(link):
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            link.request(method, self.base + path, body, named)
            answer = link.getresponse()
            return Answered(answer.status, answer.headers, answer.read())

    def say(self, method: str, path: str, said: object, **headers: str) -> Answered:
        """One request with a body of JSON, or none where nothing is said."""
        if said is None:
            return self.ask(method, path, **headers)
        body = json.dumps(said).encode()
        return self.ask(method, path, body, **{"Content_Type": "application/json", **headers})

    def conforms(self, answered: Answered, path: str, method: str = "get") -> None:
        """Whether an answer is one that the OpenAPI document announces for this path."""
        described = self.means.document["paths"][path][method]["responses"][str(answered.status)]
        media = answered.headers["Content-Type"].partition(";")[0]
        schema = described["content"][media]["schema"]
        if media == "application/json":
            components = {"components": self.means.document["components"]}
            jsonschema.Draft202012Validator(
                schema | components,
                format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER,
            ).validate(answered.json)


@contextlib.contextmanager
def running(
    db: Database,
    now: datetime,
    *,
    base: str = "/",
    rules: Rules | None = None,
    patience: float | None = None,
    **more: Any,
) -> Iterator[Api]:
    """The API on a free port of this machine; `more` are fields of `Shared`.

    `patience` are the seconds that a client has for a body.
    """
    state = State(db)
    access = Access(rules or Rules(key=KEY), Users(state), Proxies(), Attempts())
    visits: Any = None  # No kernel here.
    shared = Shared(
        db=db,
        clock=lambda: now,
        access=access,
        visits=visits,
        figures=Figures(catalog()),
        **more,
    )
    means = api.Means()
    app = tornado.web.Application(
        [*api.routes(base, means), (r".*/api/kernels/.*", Elsewhere)],
        alphapulse=shared,
        cookie_secret=KEY,
        compress_response=True,
        login_url=f"{base}login",
        log_function=lambda _handler: None,
    )
    ready: list[Any] = []
    started = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(_serve(app, ready, started, patience)))
    thread.start()
    assert started.wait(10)
    port, stop = ready
    try:
        yield Api(port, base.rstrip("/"), shared, means)
    finally:
        stop()
        thread.join(10)
        means.close()
        access.close()
        state.close()


class Elsewhere(tornado.web.RequestHandler):
    """What is no business of the API."""

    def get(self) -> None:
        self.finish("elsewhere")


async def _serve(
    app: tornado.web.Application,
    ready: list[Any],
    started: threading.Event,
    patience: float | None,
) -> None:
    sockets = bind_sockets(0, "127.0.0.1")
    server = HTTPServer(app, max_header_size=32 << 10, max_body_size=1 << 20, body_timeout=patience)
    server.add_sockets(sockets)
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()
    ready += [sockets[0].getsockname()[1], lambda: loop.call_soon_threadsafe(stopped.set)]
    started.set()
    await stopped.wait()
    server.stop()
    await server.close_all_connections()
