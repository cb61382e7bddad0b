"""The `Voila` subclass. Its routes come before Voila's own, whose last one takes every path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tornado.ioloop
import tornado.web
from jupyter_server.utils import url_path_join
from tornado.httpserver import HTTPServer
from tornado.netutil import bind_sockets
from voila.app import Voila

from alphapulse_nb.errors import SettingsError
from alphapulse_nb.widgets import assets


class AlphaPulse(Voila):  # type: ignore[misc]
    """Voila, serving the dashboard."""

    name = "alphapulse"
    ready: Callable[[str], None] | None = None

    def init_settings(self) -> dict[str, Any]:
        settings: dict[str, Any] = super().init_settings()
        settings["compress_response"] = True
        return settings

    def init_handlers(self) -> list[Any]:
        ours = [
            (self.plotly_url, PlotlyHandler),
            (url_path_join(self.server_url, "/favicon.ico"), FaviconHandler),
        ]
        return [*ours, *super().init_handlers()]

    @property
    def plotly_url(self) -> str:
        """The immutable address of plotly.js."""
        path: str = url_path_join(
            self.base_url, f"/alphapulse/static/plotly-{assets.plotly_hash()}.js"
        )
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
        if self.ready is not None:
            self.ioloop.add_callback(self.ready, self.connection_url)
        try:
            self.ioloop.start()
        except KeyboardInterrupt:
            self.log.info("Stopping")
        finally:
            self.stop()
            self.ioloop.run_sync(self.kernel_manager.shutdown_all)


class PlotlyHandler(tornado.web.RequestHandler):
    """plotly.js of the installed package, compressed once, cached by browsers for good."""

    def get(self) -> None:
        self.set_header("Content-Type", "text/javascript; charset=utf-8")
        self.set_header("Cache-Control", "public, max-age=31536000, immutable")
        self.set_header("Vary", "Accept-Encoding")
        if "gzip" in self.request.headers.get("Accept-Encoding", ""):
            self.set_header("Content-Encoding", "gzip")
            self.finish(assets.plotly_gzip())
        else:
            self.finish(assets.plotly_script())


class FaviconHandler(tornado.web.RequestHandler):
    """No icon file: the page carries its own."""

    def get(self) -> None:
        self.set_status(204)
