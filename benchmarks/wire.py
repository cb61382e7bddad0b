"""A client of the stream that costs next to nothing, so that a thousand of them fit one process."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any


class Wire(asyncio.Protocol):
    """Speaks websocket to `/stream` on this machine: reads frames, answers pings."""

    def __init__(self, port: int) -> None:
        self.received = 0
        """Bytes so far."""
        self.lost = False
        self._port = port
        self._held = b""
        self._upgraded = False

    def opened(self) -> None:
        """The connection stands."""

    def told(self, message: dict[str, Any], now: float) -> None:
        """A text message; `now` is when its last byte came, in epoch seconds."""

    def fed(self, header: dict[str, Any], now: float) -> None:
        """A binary message of a feed: its header."""

    def say(self, message: dict[str, Any]) -> None:
        text = json.dumps(message).encode()
        size = bytes([0x80 | len(text)]) if len(text) < 126 else b"\xfe" + len(text).to_bytes(2)
        self.transport.write(b"\x81" + size + b"\0\0\0\0" + text)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        transport.write(
            f"GET /stream HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nConnection: Upgrade\r\n"
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n".encode()
        )

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's name
        self.lost = True

    def data_received(self, data: bytes) -> None:
        self.received += len(data)
        self._held += data
        if not self._upgraded:
            head, end, rest = self._held.partition(b"\r\n\r\n")
            if not end:
                return
            assert head.startswith(b"HTTP/1.1 101"), head[:100]
            self._upgraded, self._held = True, rest
            self.opened()
        self._read(time.time())

    def _read(self, now: float) -> None:
        held, at = self._held, 0
        while at + 2 <= len(held):
            kind, size, start = held[at], held[at + 1], at + 2
            wide = {126: 2, 127: 8}.get(size, 0)
            if wide:
                size, start = int.from_bytes(held[start : start + wide], "big"), start + wide
            if start + size > len(held):
                break
            if kind == 0x89:  # a ping
                self.transport.write(b"\x8a\x80\0\0\0\0")
            elif kind == 0x82:
                length = int.from_bytes(held[start : start + 4], "little")
                self.fed(json.loads(held[start + 4 : start + 4 + length]), now)
            elif kind == 0x81:
                self.told(json.loads(held[start : start + size]), now)
            at = start + size
        self._held = held[at:]
