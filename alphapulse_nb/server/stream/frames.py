"""Websocket frames of a server (RFC 6455, section 5.2), made once for all clients that get them.

Tornado would mask nothing and compress nothing either, but makes a frame anew for each client.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any, Final

_FINAL: Final = 0x80
_TEXT: Final = 0x1
_BINARY: Final = 0x2


def text(payload: bytes) -> bytes:
    """A frame of text in UTF-8."""
    return _head(_TEXT, len(payload)) + payload


@functools.lru_cache(256)
def shared(payload: bytes) -> bytes:
    """The same, made once for all clients that get it at about the same time."""
    return text(payload)


def binary(header: Mapping[str, Any], buffer: bytes = b"") -> bytes:
    """A frame with a JSON header and a buffer.

    The length of the header in 4 bytes, little-endian, the header filled up with spaces so that
    the buffer begins at a multiple of eight, then the buffer.
    """
    head = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    head += b" " * (-(len(head) + 4) % 8)
    size = 4 + len(head) + len(buffer)
    return b"".join((_head(_BINARY, size), len(head).to_bytes(4, "little"), head, buffer))


def _head(kind: int, size: int) -> bytes:
    first = bytes([_FINAL | kind])
    if size < 126:
        return first + bytes([size])
    if size < 1 << 16:
        return first + b"\x7e" + size.to_bytes(2, "big")
    return first + b"\x7f" + size.to_bytes(8, "big")
