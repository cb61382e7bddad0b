"""One websocket to a server, and its failures in our words.

The `websockets` package, which Voila brings along, rather than Tornado's client: an attempt or a
connection that is cancelled is gone at once, and a refusal comes with its answer. It follows no
redirect, which could lead a token elsewhere, and writes no header to its log.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from alphapulse_nb.errors import StreamRefused
from alphapulse_nb.stream_client.lost import Lost, refusal

OPEN_SECONDS: Final = 10.0
_CLOSE_SECONDS: Final = 1.0
_LARGEST: Final = 1 << 20
"""Bytes of a message; an event has at most 64 kB of data."""

_quiet = logging.getLogger(f"{__name__}.wire")
_quiet.setLevel(logging.WARNING)


class _Connect(connect):
    """As the package connects, but only where it was told to."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


@asynccontextmanager
async def connected(
    url: str, headers: Mapping[str, str], tls: ssl.SSLContext | None
) -> AsyncIterator[Connection]:
    """A connection to the stream at that address. Raises `Lost` and `StreamRefused`."""
    socket = await _opened(url, headers, tls)
    try:
        yield Connection(socket)
    finally:
        await socket.close()


async def _opened(
    url: str, headers: Mapping[str, str], tls: ssl.SSLContext | None
) -> ClientConnection:
    try:
        return await _Connect(
            url,
            additional_headers=headers,
            compression=None,
            open_timeout=OPEN_SECONDS,
            close_timeout=_CLOSE_SECONDS,
            ping_interval=None,
            max_size=_LARGEST,
            logger=_quiet,
            user_agent_header="alphapulse-nb",
            ssl=(tls or True) if url.startswith("wss") else None,
        )
    except InvalidStatus as error:
        answer = error.response
        body = None if answer.body is None else bytes(answer.body)
        raise refusal(url, answer.status_code, answer.headers, body) from None
    except ssl.SSLCertVerificationError as error:
        raise StreamRefused(f"{url} cannot prove who it is: {error.verify_message}") from None
    except TimeoutError:
        raise Lost(f"{url} does not answer within {OPEN_SECONDS:g} s") from None
    except OSError as error:
        raise Lost(f"{url} cannot be reached: {error.strerror or error}") from None
    except WebSocketException as error:
        raise Lost(f"{url} does not speak websocket: {type(error).__name__}") from None


class Connection:
    """An open connection. What goes wrong is `Lost`."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def say(self, text: str) -> None:
        """Send a message."""
        try:
            await self._socket.send(text)
        except ConnectionClosed as error:
            raise _ended(error) from None

    async def hear(self, patience: float) -> str | bytes:
        """The next message; longer silence than `patience` seconds is a dead connection."""
        try:
            async with asyncio.timeout(patience):
                return await self._socket.recv()
        except TimeoutError:
            raise Lost(f"the server has said nothing for {patience:g} s") from None
        except ConnectionClosed as error:
            raise _ended(error) from None


def _ended(error: ConnectionClosed) -> Lost:
    close = error.rcvd
    if close is None:
        return Lost("the connection was lost")
    said = f": {close.reason[:100]}" if close.reason else ""
    return Lost(f"the server ended the connection ({close.code}{said})")
