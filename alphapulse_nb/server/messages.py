"""What a page may say to its kernel: the messages of widgets, whole and well-formed, nothing else.

A message on the socket is binary, in Jupyter's `v1.kernel.websocket.jupyter.org` form: a count of
offsets, the offsets (8 bytes each, little-endian), then the channel's name, header, parent header,
metadata, content and buffers, each from one offset to the next. The parser behind the socket trusts
the count and would build a list of that length, so everything is checked here first.
"""

from __future__ import annotations

import itertools
import json
from typing import Any, Final, Literal

PROTOCOL: Final = "v1.kernel.websocket.jupyter.org"
LARGEST: Final = 1 << 20
"""Bytes of the largest message: a page sends choices and acknowledgements."""
_MOST_OFFSETS: Final = 16
_FEWEST_OFFSETS: Final = 6
_CONTROL: Final = "jupyter.widget.control"
_TYPES: Final = frozenset(
    {"comm_open", "comm_close", "comm_msg", "comm_info_request", "kernel_info_request"}
)
_DEEPEST: Final = 20


Why = Literal["size", "format", "type", "target", "rate"]


class UnwelcomeError(ValueError):
    """A message that is not passed on: which of five reasons, and in words."""

    def __init__(self, why: Why, words: str) -> None:
        super().__init__(words)
        self.why = why


def check(message: str | bytes) -> str:
    """The type of a message that may go to the kernel. Raises `UnwelcomeError`."""
    if isinstance(message, str):
        raise UnwelcomeError("format", "it is text, not binary")
    if len(message) > LARGEST:
        raise UnwelcomeError("size", "it is too large")
    found = parts(message)
    if found[0] != b"shell":
        raise UnwelcomeError("type", "its channel is closed to pages")
    header, parent, metadata, content = (_object(part) for part in found[1:5])
    kind = header.get("msg_type")
    if kind not in _TYPES:
        raise UnwelcomeError("type", "its type is closed to pages")
    if not all(isinstance(header.get(name), str) for name in ("msg_id", "session", "username")):
        raise UnwelcomeError("format", "its header is incomplete")
    if max(map(_depth, (header, parent, metadata, content))) > _DEEPEST:
        raise UnwelcomeError("format", "it is nested too deeply")
    _check_content(str(kind), content)
    return str(kind)


def _check_content(kind: str, content: dict[str, Any]) -> None:
    if kind.startswith("comm_") and kind != "comm_info_request":
        comm, data = content.get("comm_id"), content.get("data", {})
        if not isinstance(comm, str) or not 0 < len(comm) <= 64:
            raise UnwelcomeError("format", "it names no comm")
        if not isinstance(data, dict):
            raise UnwelcomeError("format", "its data is no object")
    # Any other target would let a page make any widget class that the kernel knows.
    if kind == "comm_open" and content.get("target_name") != _CONTROL:
        raise UnwelcomeError("target", "it opens what pages may not open")


def parts(message: bytes) -> list[bytes]:
    """The channel's name, the four JSON parts and the buffers. Raises `UnwelcomeError`."""
    if len(message) < 8:
        raise UnwelcomeError("format", "it is cut short")
    count = int.from_bytes(message[:8], "little")
    if not _FEWEST_OFFSETS <= count <= _MOST_OFFSETS or len(message) < 8 * (count + 1):
        raise UnwelcomeError("format", "it has no parts")
    offsets = [
        int.from_bytes(message[8 * at : 8 * (at + 1)], "little") for at in range(1, count + 1)
    ]
    ordered = all(start <= stop for start, stop in itertools.pairwise(offsets))
    if not ordered or offsets[0] != 8 * (count + 1) or offsets[-1] != len(message):
        raise UnwelcomeError("format", "its parts do not fit")
    return [message[start:stop] for start, stop in itertools.pairwise(offsets)]


def _object(part: bytes) -> dict[str, Any]:
    try:
        value = json.loads(part)
    except (ValueError, RecursionError):
        raise UnwelcomeError("format", "it is no JSON") from None
    if not isinstance(value, dict):
        raise UnwelcomeError("format", "a part of it is no object")
    return value


def _depth(value: Any) -> int:
    """How deeply dicts and lists are nested; stops counting where it is too deep anyway."""
    level, depth = [value], 0
    while level and depth <= _DEEPEST:
        level = [
            inner
            for item in level
            if isinstance(item, dict | list)
            for inner in (item.values() if isinstance(item, dict) else item)
        ]
        depth += 1
    return depth
