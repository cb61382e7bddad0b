"""The `Voila` subclass. Its routes come before Voila's own, whose last one takes every path."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode

import tornado.ioloop
import tornado.web
from jupyter_server.services.contents.largefilemanager import LargeFileManager
from jupyter_server.utils import url_path_join
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from voila.app import Voila
from voila.tornado.handler import TornadoVoilaHandler

from alphapulse_nb.errors import SettingsError
from alphapulse_nb.widgets import assets


def _worth_saying(record: logging.LogRecord) -> bool:
    """jupyter_server pings every 30 s and gives up after 90 s; tornado takes that for a mistake."""
    return "websocket_ping_timeout" not in record.getMessage()


class AlphaPulse(Voila):  # type: ignore[misc]
    """Voila, serving the dashboard."""

    name = "alphapulse"
    port: int
    ip: str
    ready: Callable[[str], None] | None = None
    _stopping = False

    def init_settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = super().init_settings()
        settings["compress_response"] = True
        logging.getLogger("tornado.general").addFilter(_worth_saying)
        settings["contents_manager"] = self.contents_manager = Notebooks(parent=self)
        return settings

    def init_handlers(self) -> list[Any]:
        ours = [
            (self.asset_url("plotly", assets.plotly_hash()), ScriptHandler, {"script": _plotly}),
            (self.asset_url("widgets", assets.bundle_hash()), ScriptHandler, {"script": _widgets}),
        ]
        return [*ours, *(_ours_for(handler) for handler in super().init_handlers())]

    def asset_url(self, name: str, digest: str) -> str:
        """The immutable address of one of our scripts."""
        path: str = url_path_join(self.base_url, f"/alphapulse/static/{name}-{digest}.js")
        return path

    def listen(self) -> None:
        """Serve until stopped. Raises `SettingsError` where the address cannot be had."""
        try:
            sockets = bind_sockets(self.port, self.ip)
        except OSError as error:
            raise SettingsError(
                f"cannot listen on {self.ip}:{self.port}: {error.strerror or error}. "
                "Choose another DASHBOARD_PORT, or stop what uses this one."
            ) from None
        self.port = sockets[0].getsockname()[1]
        HTTPServer(self.app).add_sockets(sockets)
        self.ioloop = tornado.ioloop.IOLoop.current()
        signal.signal(signal.SIGINT, self._handle_signal_stop)
        if self.ready is not None:
            self.ioloop.add_callback(self.ready, self.connection_url)
        try:
            self.ioloop.start()
        finally:
            self.stop()

    def _handle_signal_stop(self, sig: int, _frame: Any) -> None:
        """End the kernels, then the server. A second signal ends it without waiting."""
        if self._stopping:
            raise SystemExit(128 + sig)
        self._stopping = True
        self.ioloop.add_callback_from_signal(self._shut_down)

    async def _shut_down(self) -> None:
        await self.kernel_manager.shutdown_all(now=True)
        self.ioloop.stop()


class Notebooks(LargeFileManager):  # type: ignore[misc]
    """The notebooks that we ship: their outputs are our own, so that nobody need trust them."""

    def mark_trusted_cells(self, nb: Any, path: str = "") -> None:
        """Leave the cells as they are."""


class PageHandler(TornadoVoilaHandler):  # type: ignore[misc]
    """The page. A token in its address is exchanged for a cookie and taken out of the address."""

    @tornado.web.authenticated
    async def get(self, path: str | None = None) -> None:
        query = parse_qsl(self.request.query, keep_blank_values=True)
        kept = [(name, value) for name, value in query if name != "token"]
        if len(kept) == len(query):
            # Sets the cookie that a closing page needs to end its kernel; too late once we flush.
            _ = self.xsrf_token
            await super().get(path)
        else:
            self.redirect(self.base_url + ("?" + urlencode(kept, safe="/") if kept else ""))


def _ours_for(handler: tuple[Any, ...]) -> tuple[Any, ...]:
    """Voila's route with our page behind it where it has its own."""
    if handler[1] is TornadoVoilaHandler:
        return (handler[0], PageHandler, *handler[2:])
    return handler


class ScriptHandler(tornado.web.RequestHandler):
    """A script under an address of its content: browsers keep it for good."""

    def initialize(self, script: Callable[[bool], bytes]) -> None:
        self.script = script

    def get(self) -> None:
        packed = "gzip" in self.request.headers.get("Accept-Encoding", "")
        self.set_header("Content-Type", "text/javascript; charset=utf-8")
        self.set_header("Cache-Control", "public, max-age=31536000, immutable")
        self.set_header("Vary", "Accept-Encoding")
        if packed:
            self.set_header("Content-Encoding", "gzip")
        self.finish(self.script(packed))


def _plotly(packed: bool) -> bytes:
    return assets.plotly_gzip() if packed else assets.plotly_script()


def _widgets(packed: bool) -> bytes:
    return assets.bundle_gzip() if packed else assets.bundle().encode()
