"""What a server says, told apart: events, and what is about the connection."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from alphapulse_nb.errors import InputError
from alphapulse_nb.events import Event, parsed
from alphapulse_nb.stream_client.lost import Lost

_ABOUT_US: Final = frozenset(
    {
        *("welcome", "subscribed", "unsubscribed", "watching", "unwatched"),
        *("pong", "heartbeat", "error", "feed"),
    }
)


@dataclass(frozen=True)
class Told:
    """A message that is no event. `ref` is the `id` of what it answers."""

    type: str
    data: Mapping[str, Any]
    seq: int | None = None
    ref: Any = None

    def number(self, name: str, least: float, most: float) -> float:
        """A number of its data. Raises `Lost` for what is none, or is out of bounds."""
        value = self.data.get(name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise Lost(f"the server's {self.type} has no {name}")
        if not least <= value <= most:
            raise Lost(f"the server's {self.type} has an impossible {name}")
        return value


def read(text: str | bytes) -> Event | Told:
    """What a message says. Raises `Lost` where the other end does not speak our language."""
    try:
        event = parsed(text)
    except InputError:
        return _told(text)
    return _told(text) if event.type in _ABOUT_US else event


def _told(text: str | bytes) -> Told:
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise Lost("the server sent what is no message")
    kind, data, seq = said.get("type"), said.get("data"), said.get("seq")
    if not isinstance(kind, str) or not isinstance(data, dict):
        raise Lost("the server sent what is no message")
    if seq is not None and type(seq) is not int:
        raise Lost("the server sent a message without a number")
    return Told(kind, data, seq, said.get("id"))
