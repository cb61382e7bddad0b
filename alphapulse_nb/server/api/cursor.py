"""Cursors: where a page of rows ended, as a short text to send back.

A cursor holds the end of the first page's range and the last row's time and id, so that rows which
are written meanwhile neither shift nor repeat anything; then a digest of these and of the question
(table, symbol, hours), which tells a cursor of another question and a mistyped one. It is no secret
and opens nothing: whoever builds one by hand sees rows that the same question would have shown.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from alphapulse_nb.queries import Window
from alphapulse_nb.queries.rows import Place

LENGTH: Final = 43
"""Characters of every cursor."""

_NUMBERS: Final = struct.Struct(">qqq")
_DIGEST_BYTES: Final = 8
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_MICROSECONDS: Final = 2**52
"""The year 2112: far enough from what `datetime` cannot hold."""


@dataclass(frozen=True)
class Question:
    """What is paged through."""

    table: str
    symbol: str
    hours: float

    def window(self, end: datetime) -> Window:
        return Window.last(timedelta(hours=self.hours), end)


def write(question: Question, end: datetime, last: Place) -> str:
    """The cursor that goes on after `last`."""
    numbers = _NUMBERS.pack(_microseconds(end), _microseconds(last.timestamp), last.id)
    return _text(numbers + _digest(question, numbers))


def read(question: Question, text: str) -> tuple[datetime, Place] | None:
    """The end of the range and the place of a cursor; None for one of another question."""
    try:
        packed = base64.b64decode(text + "=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    numbers = packed[: _NUMBERS.size]
    if len(numbers) < _NUMBERS.size or packed[_NUMBERS.size :] != _digest(question, numbers):
        return None
    end, at, number = _NUMBERS.unpack(numbers)
    if not 0 <= at <= end <= _MOST_MICROSECONDS:
        return None
    return _moment(end), Place(_moment(at), number)


def _text(packed: bytes) -> str:
    return base64.urlsafe_b64encode(packed).rstrip(b"=").decode()


def _digest(question: Question, numbers: bytes) -> bytes:
    about = f"{question.table}\n{question.symbol}\n{question.hours!r}".encode()
    return hashlib.blake2b(numbers + about, digest_size=_DIGEST_BYTES).digest()


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _moment(microseconds: int) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds)
