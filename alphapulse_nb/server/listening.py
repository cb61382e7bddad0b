"""How our servers listen: with bounds for whoever sends slowly, or too much."""

from __future__ import annotations

from typing import Final

import tornado.web
from tornado.netutil import bind_sockets

from alphapulse_nb.errors import SettingsError
from alphapulse_nb.server.connections import Connections
from alphapulse_nb.server.proxy import Proxies, Server

_PATIENCE: Final = 20
"""Seconds that a client has for its headers, and again for a body; an idle connection ends then."""
_LARGEST_BODY: Final = 1 << 20
_LARGEST_HEADERS: Final = 32 << 10


def listen(
    app: tornado.web.Application, host: str, port: int, proxies: Proxies, most: int, setting: str
) -> tuple[Server, int]:
    """Take connections, `most` at a time, on the running loop; and the port, where it was 0.

    Raises `SettingsError` where the address cannot be had; `setting` is what names its port.
    """
    try:
        sockets = bind_sockets(port, host)
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {host}:{port}: {error.strerror or error}. "
            f"Choose another {setting}, or stop what uses this one."
        ) from None
    server = Server(
        app,
        proxies=proxies,
        connections=Connections(most),
        idle_connection_timeout=_PATIENCE,
        body_timeout=_PATIENCE,
        max_body_size=_LARGEST_BODY,
        max_header_size=_LARGEST_HEADERS,
    )
    server.add_sockets(sockets)
    return server, int(sockets[0].getsockname()[1])
