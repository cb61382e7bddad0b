"""What proxies say of the browser behind them, heard only from the ones that are trusted.

`X-Forwarded-For` and `X-Forwarded-Proto` are anybody's to send. They count when the connection
comes from a trusted address, and then the nearest address that is not trusted is the browser's.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Awaitable, Iterable, Sequence
from typing import Any, Final

from tornado import httputil
from tornado.http1connection import HTTP1ServerConnection
from tornado.httpserver import HTTPServer
from tornado.ioloop import PeriodicCallback
from tornado.iostream import IOStream

from alphapulse_nb.addresses import Network
from alphapulse_nb.server.connections import Connections

_MOST_HOPS: Final = 20
_LOOK_MILLISECONDS: Final = 5_000


class Proxies:
    """The trusted proxies; false when there are none."""

    def __init__(self, networks: Sequence[Network] = ()) -> None:
        self._networks = tuple(networks)

    def __bool__(self) -> bool:
        return bool(self._networks)

    def trusts(self, address: str) -> bool:
        try:
            parsed = ipaddress.ip_address(address)
        except ValueError:
            return False
        if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped:
            parsed = parsed.ipv4_mapped
        return any(parsed in network for network in self._networks)

    def vouched(self, request: httputil.HTTPServerRequest) -> bool:
        """Whether the request came to us through a trusted proxy."""
        context = getattr(request.connection, "context", None)
        return self.trusts(getattr(context, "alphapulse_peer", "") or "")

    def browser(self, peer: str, forwarded: str) -> str:
        """The address of the browser, by what `X-Forwarded-For` said to a trusted peer."""
        nearest = peer
        for hop in reversed(forwarded.split(",")[-_MOST_HOPS:]):
            try:
                nearest = str(ipaddress.ip_address(_without_port(hop.strip())))
            except ValueError:
                break
            if not self.trusts(nearest):
                break
        return nearest


def _without_port(hop: str) -> str:
    """The address in `1.2.3.4:5`, `[2001:db8::1]:5` or `[2001:db8::1]`: some proxies write so."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


class Server(HTTPServer):
    """An HTTP server that hears what trusted proxies say, and bounds what a client may take."""

    def initialize(  # type: ignore[override]
        self, *args: Any, proxies: Proxies, connections: Connections, **kwargs: Any
    ) -> None:
        super().initialize(*args, **kwargs)
        self._proxies = proxies
        self._counted = connections
        self._looking = PeriodicCallback(connections.look, _LOOK_MILLISECONDS)

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        super().add_sockets(sockets)
        self._looking.start()

    def stop(self) -> None:
        super().stop()
        self._looking.stop()

    def handle_stream(self, stream: IOStream, address: tuple[Any, ...]) -> None:
        self._counted.admit(stream, str(address[0]) if address else "")
        super().handle_stream(stream, address)

    def on_close(self, server_conn: object) -> None:
        super().on_close(server_conn)
        if isinstance(server_conn, HTTP1ServerConnection):
            self._counted.forget(server_conn.stream)

    def start_request(
        self, server_conn: object, request_conn: httputil.HTTPConnection
    ) -> httputil.HTTPMessageDelegate:
        delegate = super().start_request(server_conn, request_conn)
        return _Listener(delegate, request_conn, self._proxies)


class _Listener(httputil.HTTPMessageDelegate):
    """Sets a connection's address and protocol for the length of one request."""

    def __init__(
        self,
        inner: httputil.HTTPMessageDelegate,
        connection: httputil.HTTPConnection,
        proxies: Proxies,
    ) -> None:
        self._inner = inner
        self._context: Any = vars(connection)["context"]
        self._proxies = proxies
        self._before = (self._context.remote_ip, self._context.protocol)

    def headers_received(
        self,
        start_line: httputil.RequestStartLine | httputil.ResponseStartLine,
        headers: httputil.HTTPHeaders,
    ) -> Awaitable[None] | None:
        peer, _ = self._before
        self._context.alphapulse_peer = peer
        if self._proxies.trusts(peer):
            forwarded = headers.get("X-Forwarded-For", "")
            self._context.remote_ip = self._proxies.browser(peer, forwarded)
            protocol = headers.get("X-Forwarded-Proto", "").split(",")[-1].strip().lower()
            if protocol in {"http", "https"}:
                self._context.protocol = protocol
        return self._inner.headers_received(start_line, headers)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self._inner.data_received(chunk)

    def finish(self) -> None:
        self._inner.finish()
        self._restore()

    def on_connection_close(self) -> None:
        self._inner.on_connection_close()
        self._restore()

    def _restore(self) -> None:
        self._context.remote_ip, self._context.protocol = self._before
