"""What a kernel tells the server about its refreshes.

A refresh happens in a kernel's process and is counted in the server's. After each one the kernel
sends a datagram to a Unix socket whose path it got in its environment: a few hundred bytes of JSON.
Sending never waits: where the socket is full (ten datagrams fill it on many systems), the report
goes with the next one; where nobody listens it is lost. Both ends are here, so that they agree; the
server takes what comes for a stranger's.
"""

from __future__ import annotations

import json
import logging
import math
import os
import socket
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from alphapulse_nb.errors import DatabaseUnavailable, InputError, QueryTimeout

VARIABLE: Final = "ALPHAPULSE_REPORT"
"""Name of the environment variable that holds the socket's path."""

MOST_BYTES: Final = 8_192
OUTCOMES: Final = ("ok", "failed", "timeout", "unreachable")

_MOST_WAITING: Final = 6
_MOST_LOADS: Final = 64
_MOST_SECONDS: Final = 86_400.0
_MOST_ROWS: Final = 10**9
_LONGEST_NAME: Final = 64

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Load:
    """One chart's part of a refresh: `seconds` in all, of which `query` went to the database."""

    name: str
    seconds: float
    query: float = 0.0
    rows: int = 0
    outcome: str = "ok"


@dataclass(frozen=True)
class Refresh:
    """A refresh of all charts: how long it took, and how long after its time it began."""

    seconds: float
    late: float
    loads: tuple[Load, ...]


def outcome(error: Exception | None) -> str:
    """One of `OUTCOMES` for what a load raised."""
    if error is None:
        return "ok"
    if isinstance(error, QueryTimeout | TimeoutError):
        return "timeout"
    return "unreachable" if isinstance(error, DatabaseUnavailable) else "failed"


def encode(refresh: Refresh) -> bytes:
    """A refresh as a datagram."""
    return json.dumps(asdict(refresh), separators=(",", ":")).encode()


def decode(datagram: bytes) -> Refresh:
    """The refresh that a datagram tells of; `InputError` for anything else."""
    if len(datagram) > MOST_BYTES:
        raise InputError(f"a report has at most {MOST_BYTES} bytes")
    try:
        fields = json.loads(datagram)
    except (ValueError, RecursionError):
        raise InputError("a report is JSON") from None
    _check(fields, {"seconds", "late", "loads"})
    loads = fields["loads"]
    if not isinstance(loads, list) or len(loads) > _MOST_LOADS:
        raise InputError(f"a report has a list of at most {_MOST_LOADS} loads")
    return Refresh(_seconds(fields["seconds"]), _seconds(fields["late"]), tuple(map(_load, loads)))


def _load(fields: Any) -> Load:
    _check(fields, {"name", "seconds", "query", "rows", "outcome"})
    name, rows, ended = fields["name"], fields["rows"], fields["outcome"]
    if not isinstance(name, str) or len(name) > _LONGEST_NAME:
        raise InputError(f"a load's name is a text of at most {_LONGEST_NAME} characters")
    if type(rows) is not int or not 0 <= rows <= _MOST_ROWS:
        raise InputError("a load's rows are a count")
    if ended not in OUTCOMES:
        raise InputError(f"a load's outcome is one of {', '.join(OUTCOMES)}")
    return Load(name, _seconds(fields["seconds"]), _seconds(fields["query"]), rows, ended)


def _check(fields: Any, names: set[str]) -> None:
    if not isinstance(fields, dict) or set(fields) != names:
        raise InputError(f"expected an object with {', '.join(sorted(names))}")


def _seconds(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value <= _MOST_SECONDS or math.isnan(value):
        raise InputError(f"expected seconds from 0 to {_MOST_SECONDS:g}")
    return float(value)


class Reporter:
    """Sends reports to the socket that the environment names; without one it does nothing."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._path = environment.get(VARIABLE, "")
        self._said = False
        self._waiting: deque[bytes] = deque(maxlen=_MOST_WAITING)

    def __call__(self, refresh: Refresh) -> None:
        """Send one. Never waits, never raises, and says once that it cannot."""
        if not self._path or not hasattr(socket, "AF_UNIX"):
            return
        self._waiting.append(encode(refresh))
        try:
            # A socket for each: none stays open in a hundred kernels, and none is inherited.
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                while self._waiting:
                    sender.sendto(self._waiting[0], self._path)
                    self._waiting.popleft()
        except BlockingIOError:
            return
        except (OSError, ValueError) as error:
            self._waiting.clear()
            if not self._said:
                self._said = True
                log.info("the server is not told about refreshes: %s", error)
