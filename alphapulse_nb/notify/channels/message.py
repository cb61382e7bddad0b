"""A message on its way out of the house.

What is told comes from rules, and the values in it from tables: neither may break a header, address
a person or reverse a line. So what leaves does so through `heading`, which is one line, and `text`.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from alphapulse_nb import events

LONGEST_HEADING: Final = 200
"""Characters of a heading, its marks among them."""
LONGEST_TEXT: Final = 4_000
"""Characters of a text."""

_DIRECTIONS: Final = (0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A))
_CONTROLS: Final = (*range(0x20), *range(0x7F, 0xA0), 0xFEFF)
_SPACES: Final = dict.fromkeys((*_DIRECTIONS, *_CONTROLS), " ") | {0x2028: "\n", 0x2029: "\n"}
_KEPT: Final = {ord("\n"): "\n", ord("\t"): "\t"}
_TOKEN: Final = re.compile(r"[\x21-\x7e]{1,128}")


@dataclass(frozen=True)
class Message:
    """What a channel delivers.

    `key` is the same whenever this message is sent again. `type` is one of the eight types of
    notifications, `priority` low, medium, high or urgent, and `at` when it happened. `data` is what
    a program would want: the rule, symbol, labels and value, as JSON has them. `attempt` counts
    from 1; `repeat` says that an earlier one may have arrived. A `test` is marked as one.
    """

    key: str
    title: str
    body: str
    type: str
    priority: str
    at: datetime
    test: bool = False
    data: Mapping[str, Any] = field(default_factory=dict)
    attempt: int = 1
    repeat: bool = False

    @property
    def heading(self) -> str:
        """The title as every channel shows it: one line with its marks, 200 characters at most."""
        before = "TEST: " if self.test else ""
        behind = " (repeated)" if self.repeat else ""
        room = LONGEST_HEADING - len(before) - len(behind)
        return before + (one_line(self.title, room) or str(self.type)) + behind

    @property
    def text(self) -> str:
        """The body without characters that control something; the heading where there is none."""
        return _cut(cleared(self.body).strip(), LONGEST_TEXT) or self.heading

    @property
    def token(self) -> str:
        """The key as a header may hold it: itself, or its SHA-256 where it is no such text."""
        if _TOKEN.fullmatch(self.key):
            return self.key
        return hashlib.sha256(self.key.encode("utf-8", "surrogatepass")).hexdigest()

    def plain(self) -> dict[str, Any]:
        """The message as JSON holds it."""
        return {
            "version": 1,
            "key": self.token,
            "title": self.heading,
            "body": self.text,
            "type": str(self.type),
            "priority": str(self.priority),
            "at": events.stamp(self.at),
            "test": self.test,
            "attempt": self.attempt,
            "repeat": self.repeat,
            "data": events.plain(self.data),
        }


def cleared(text: str) -> str:
    """The text with spaces for control characters and changes of direction; its lines stay."""
    text = text.encode("utf-8", "replace").decode().replace("\r\n", "\n")
    return text.translate(_SPACES | _KEPT)


def one_line(text: str, most: int) -> str:
    """The text in one line of at most `most` characters, with … where it was longer."""
    return _cut(" ".join(cleared(text).split()), most)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "…"
