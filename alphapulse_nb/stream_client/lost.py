"""Why there is no connection, or no longer; what an answer of a server or a proxy means."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from alphapulse_nb.errors import StreamRefused

_LONGEST: Final = 200
_LONGEST_WAIT: Final = 60.0


class Lost(Exception):  # noqa: N818 - it ends an attempt, and another follows
    """There is no connection now. `after` is when to come again, in seconds, if we were told;
    `missing` says that there is nothing at the address.
    """

    def __init__(self, words: str, after: float = 0.0, missing: bool = False) -> None:
        super().__init__(words[:_LONGEST])
        self.after = min(max(after, 0.0), _LONGEST_WAIT)
        self.missing = missing


def refusal(
    url: str, status: int, headers: Mapping[str, str], body: bytes | None
) -> Lost | StreamRefused:
    """What an answer other than the hoped for one means.

    Wrong credentials are wrong the next time, too. A 403 that is not in our words is that of a
    proxy, which may let other requests through.
    """
    ours = _message(body)
    if status == 401:
        return StreamRefused(f"{url} does not let us in: {ours or 'credentials are wanted'}")
    if status == 403 and ours:
        return StreamRefused(f"{url} does not let us in: {ours}")
    if 300 <= status < 400:
        return Lost(f"{url} has moved ({status}); use the address that a browser ends at")
    said = ours or "a proxy or another server answers"
    return Lost(f"{url} answers {status}: {said}", _after(headers), missing=status == 404)


def _message(body: bytes | None) -> str:
    """What our server says of a refusal; empty where the answer is not ours."""
    try:
        message = json.loads(body or b"")["error"]["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ""
    return message[:_LONGEST] if isinstance(message, str) else ""


def _after(headers: Mapping[str, str]) -> float:
    given = headers.get("Retry-After", "")
    return float(given) if given.isdecimal() and len(given) < 9 else 0.0
