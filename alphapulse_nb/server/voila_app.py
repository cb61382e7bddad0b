"""The `Voila` subclass: which routes there are, how it listens, how it stops.

Of Voila's own routes only the page, the kernel's websocket and the themes are kept, each behind our
checks; every other path is ours or is not there.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any, Final

import tornado.ioloop
import tornado.web
from jupyter_server.services.contents.largefilemanager import LargeFileManager
from jupyter_server.utils import url_path_join
from jupyterlab_server.themes_handler import ThemesHandler
from voila.app import Voila
from voila.paths import collect_static_paths

from alphapulse_nb.server import descriptors, log, messages, static, temporary
from alphapulse_nb.server.dashboard_page import PageHandler
from alphapulse_nb.server.guard import Guard, Provider
from alphapulse_nb.server.handler import Handler, NotFound
from alphapulse_nb.server.kernel import FarewellHandler, KernelHandler
from alphapulse_nb.server.listening import listen
from alphapulse_nb.server.live_page import LiveHandler
from alphapulse_nb.server.login import LoginHandler, LogoutHandler
from alphapulse_nb.server.shared import Shared
from alphapulse_nb.server.socket import Connection, KernelSocket
from alphapulse_nb.server.stream.socket import StreamSocket
from alphapulse_nb.server.templates import keep as keep_templates
from alphapulse_nb.widgets import assets

_PING_MILLISECONDS: Final = 20_000
_PONG_MILLISECONDS: Final = 45_000
"""A page that answers no ping for so long is gone, however its connection looks."""
_KERNEL: Final = r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_GOODBYE_SECONDS: Final = 10


def _worth_saying(record: logging.LogRecord) -> bool:
    """jupyter_server has pings of its own in milliseconds; tornado takes them for a mistake."""
    return "websocket_ping_timeout" not in record.getMessage()


_log = log.get(__name__)


class AlphaPulse(Voila):  # type: ignore[misc]
    """Voila, serving the dashboard."""

    name = "alphapulse"
    port: int
    ip: str
    ready: Callable[[str], None] | None = None
    make_shared: Callable[[Any], Shared]
    routes: list[Any]
    live: dict[str, Any]
    log_function: Callable[[tornado.web.RequestHandler], None]
    at_start: list[Callable[[], Awaitable[None] | None]]
    at_stop: list[Callable[[], Awaitable[None] | None]]
    at_end: list[Callable[[], None]]
    key: str
    _stopping = False

    def start(self) -> None:
        """As Voila starts, but the connection files go where the next server would find them."""
        self.connection_dir = str(temporary.folder())
        self.app = tornado.web.Application(**self.init_settings())
        self.app.settings.update(self.tornado_settings)
        self.app.add_handlers(".*$", self.init_handlers())
        self.listen()

    def init_settings(self) -> dict[str, Any]:
        self.identity_provider_class = Provider
        self.kernel_websocket_connection_class = Connection
        settings: dict[str, Any] = super().init_settings()
        logging.getLogger("tornado.general").addFilter(_worth_saying)
        keep_templates()
        settings["contents_manager"] = self.contents_manager = Notebooks(parent=self)
        self.shared = self.make_shared(self.kernel_manager)
        self.kernel_manager.start_watching_activity = self._unwatched
        return settings | {
            "alphapulse": self.shared,
            "compress_response": True,
            "cookie_secret": self.key,
            "default_handler_class": NotFound,
            "log_function": self.log_function,
            "login_url": url_path_join(self.base_url, "login"),
            "websocket_max_message_size": messages.LARGEST,
            "ws_ping_interval": _PING_MILLISECONDS,
            "ws_ping_timeout": _PONG_MILLISECONDS,
            "xsrf_cookie_kwargs": {"path": self.base_url, "samesite": "Lax"},
        }

    def _unwatched(self, kernel_id: str) -> None:
        """Leave a kernel's messages alone: reading them all costs more than passing them on.

        Whoever connects waits for the state that this would have set.
        """
        self.kernel_manager.get_kernel(kernel_id).execution_state = "idle"

    def init_handlers(self) -> list[Any]:
        def at(path: str) -> str:
            joined: str = url_path_join(self.base_url, path)
            return joined

        page = next(handler for handler in super().init_handlers() if _is_page(handler))
        packages = static.Folder(self.labextensions_path)
        front_end = static.Folder(self.static_paths)
        kept = f"voila/static/{front_end.digest()}"
        # Where Voila's renderer looks for what templates are given.
        given = self.voila_configuration.config.VoilaConfiguration.resources
        given["alphapulse"]["front_end"] = at(kept)
        templates = static.Folder(collect_static_paths(["voila", "nbconvert"], "alphapulse"))
        return [
            *self.routes,
            (at("live"), LiveHandler, {"about": self.live}),
            (at("stream"), StreamSocket),
            (at("login"), LoginHandler),
            (at("logout"), LogoutHandler),
            (self.asset_url("plotly", assets.plotly_hash()), _Script, {"find": _plotly}),
            (self.asset_url("widgets", assets.bundle_hash()), _Script, {"find": _widgets}),
            (
                self.asset_url("drawer", assets.bundle_hash(assets.DRAWER)),
                _Script,
                {"find": _drawer},
            ),
            (at(f"api/kernels/{_KERNEL}"), KernelHandler),
            (at(f"api/kernels/{_KERNEL}/channels"), KernelSocket),
            (at(f"voila/api/shutdown/{_KERNEL}"), FarewellHandler),
            (at(f"{kept}/(.*)"), _Script, {"find": front_end.forever}),
            (at("voila/static/(.*)"), _Script, {"find": front_end.find}),
            (at("voila/templates/[^/]+/static/(.*)"), _Script, {"find": templates.find}),
            (at("voila/labextensions/(.*)"), _Script, {"find": packages.find}),
            (
                at("voila/api/themes/(.*)"),
                _Themes,
                {
                    "themes_url": at("voila/api/themes"),
                    "path": self.themes_dir,
                    "labextensions_path": self.labextensions_path,
                    "no_cache_paths": ["/"],
                },
            ),
            (f"{self.base_url}()", PageHandler, page[2]),
            *([(self.base_url.rstrip("/"), _ToBase)] if self.base_url != "/" else []),
        ]

    def asset_url(self, name: str, digest: str) -> str:
        """The immutable address of one of our scripts."""
        path: str = url_path_join(self.base_url, f"/alphapulse/static/{name}-{digest}.js")
        return path

    def listen(self) -> None:
        """Serve until stopped. Raises `SettingsError` where the address cannot be had."""
        self.http, self.port = listen(
            self.app,
            self.ip,
            self.port,
            self.shared.access.proxies,
            descriptors.connections(self.shared.visits.most),
            "DASHBOARD_PORT",
        )
        self.ioloop = tornado.ioloop.IOLoop.current()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._handle_signal_stop)
        self.ioloop.add_callback(self._begin)
        try:
            self.ioloop.start()
        finally:
            self.stop()
            for step in self.at_end:
                step()

    async def _begin(self) -> None:
        self.shared.visits.watch()
        for step in self.at_start:
            await _done(step())
        if self.ready is not None:
            self.ready(self.connection_url)

    def _handle_signal_stop(self, sig: int, _frame: Any) -> None:
        """End the kernels, then the server. A second signal ends it without waiting."""
        if self._stopping:
            os._exit(128 + sig)
        self._stopping = True
        self.ioloop.add_callback_from_signal(self._shut_down)

    async def _shut_down(self) -> None:
        """Stop taking requests, tell the pages, end their kernels, then all the rest."""
        self.http.stop()
        try:
            async with asyncio.timeout(_GOODBYE_SECONDS):
                if self.shared.stream is not None:
                    self.shared.stream.close("the server is stopping")
                await self.shared.visits.close("the server is stopping")
                await self.http.close_all_connections()
                for step in self.at_stop:
                    await _done(step())
        except TimeoutError:
            _log.warning("not everything ended in time", seconds=_GOODBYE_SECONDS)
        finally:
            self.shared.access.close()
            self.ioloop.stop()


class Notebooks(LargeFileManager):  # type: ignore[misc]
    """The notebooks that we ship: their outputs are our own, so that nobody need trust them."""

    def mark_trusted_cells(self, nb: Any, path: str = "") -> None:
        """Leave the cells as they are."""


class _Script(static.StaticHandler):
    """Packages' own files, the same for everybody: no visitor is asked who they are."""


class _Themes(Guard, ThemesHandler):
    """JupyterLab's themes."""


class _ToBase(Handler):
    """The base address without its last slash."""

    def get(self) -> None:
        query = f"?{self.request.query}" if self.request.query else ""
        self.redirect(self.settings["base_url"] + query)


def _is_page(handler: tuple[Any, ...]) -> bool:
    return len(handler) > 2 and "notebook_path" in handler[2]


async def _done(result: Awaitable[None] | None) -> None:
    if result is not None:
        await result


_plotly = static.one(
    lambda: static.file("plotly.js", assets.plotly_script(), assets.plotly_gzip(), forever=True)
)


def _bundle(entry: str) -> static.File:
    body, packed = assets.bundle(entry).encode(), assets.bundle_gzip(entry)
    return static.file(entry, body, packed, forever=True)


_widgets = static.one(lambda: _bundle(assets.ENTRY))
_drawer = static.one(lambda: _bundle(assets.DRAWER))
