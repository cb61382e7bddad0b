"""What the server and the zygote say to each other, over a pair of connected Unix sockets.

A message is four bytes of length and that much JSON. A request to fork also carries one descriptor,
sent with its length: the *gate* that the new kernel waits at.
"""

from __future__ import annotations

import json
import socket
import struct
from typing import Any, Final

_LENGTH: Final = struct.Struct("!I")
_MOST: Final = 16 << 20
"""Bytes of the largest message: an environment is far smaller."""

Message = dict[str, Any]


class BrokenLinkError(ConnectionError):
    """The other side is gone, or says what no message begins with."""


def send(link: socket.socket, message: Message, gate: int | None = None) -> None:
    """Send a message, and a descriptor with it. Raises `OSError` where the other side is gone."""
    body = json.dumps(message).encode()
    socket.send_fds(link, [_LENGTH.pack(len(body))], [] if gate is None else [gate])
    link.sendall(body)


def receive(link: socket.socket) -> tuple[Message, int | None]:
    """The next message and the descriptor that came with it.

    Raises `BrokenLinkError` at the end.
    """
    head, gates, _, _ = socket.recv_fds(link, _LENGTH.size, 1)
    head += _exactly(link, _LENGTH.size - len(head))
    (length,) = _LENGTH.unpack(head)
    if length > _MOST:
        raise BrokenLinkError(f"a message of {length} bytes")
    message: Message = json.loads(_exactly(link, length))
    return message, gates[0] if gates else None


def _exactly(link: socket.socket, length: int) -> bytes:
    parts = bytearray()
    while len(parts) < length:
        part = link.recv(length - len(parts))
        if not part:
            raise BrokenLinkError("the other side has ended")
        parts += part
    return bytes(parts)
