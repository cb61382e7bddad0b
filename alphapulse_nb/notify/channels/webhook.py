"""Our own webhook: one POST of JSON, which its receiver can tell from anybody else's.

The body is one object in UTF-8, with

    {"version": 1, "key": "…", "title": "…", "body": "…", "type": "signal", "priority": "high",
     "at": "2026-01-31T12:00:00Z", "test": false, "attempt": 1, "repeat": false, "data": {…}}

and the headers are

    Idempotency-Key          the message's key, the same whenever it is sent again
    X-AlphaPulse-Timestamp   when this attempt was made, in Unix seconds
    X-AlphaPulse-Signature   v1=<HMAC-SHA256 of "<timestamp>.<body>" with the shared secret, in hex>

A receiver checks the signature with `verify`, drops a key that it has seen, and answers with a
status of 200 to 299. An answer of 408, 425, 429 or 5xx, or none, has the message sent again; the
others end it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from alphapulse_nb.errors import InputError
from alphapulse_nb.notify.channels.address import Address
from alphapulse_nb.notify.channels.answer import asked
from alphapulse_nb.notify.channels.channel import now
from alphapulse_nb.notify.channels.message import Message
from alphapulse_nb.notify.channels.reach import Reach

SHORTEST_SECRET: Final = 16
_STAMP: Final = re.compile(r"[0-9]{1,12}", re.ASCII)


@dataclass(frozen=True)
class Webhook:
    """A channel that posts signed JSON. Raises `InputError` for a secret that is too short."""

    name: str
    address: Address
    secret: str = field(repr=False)
    reach: Reach = field(default_factory=Reach)
    clock: Callable[[], datetime] = now
    kind: str = "webhook"

    def __post_init__(self) -> None:
        if len(self.secret) < SHORTEST_SECRET:
            raise InputError(
                f"a webhook is signed with a secret of {SHORTEST_SECRET} characters or more, "
                f"not {len(self.secret)}: `openssl rand -hex 32` makes one"
            )

    def send(self, message: Message) -> None:
        """Post a message. Raises `ChannelError`."""
        at = self.clock()
        body = json.dumps(message.plain(), separators=(",", ":"), allow_nan=False).encode()
        stamp = str(int(at.timestamp()))
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "AlphaPulse",
            "Idempotency-Key": message.token,
            "X-AlphaPulse-Timestamp": stamp,
            "X-AlphaPulse-Signature": signed(self.secret, stamp, body),
        }
        reach = self.reach
        answer = asked("POST", self.address.url, headers, body, reach, reach.ends())
        if not answer.good:
            raise answer.problem(at, self._clean)

    def _clean(self, text: str) -> str:
        return self.address.clean(text.replace(self.secret, "…"))


def signed(secret: str, timestamp: str, body: bytes) -> str:
    """The signature of a body: v1= and 64 hexadecimal digits."""
    text = timestamp.encode() + b"." + body
    return "v1=" + hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


def verify(
    secret: str,
    timestamp: str,
    body: bytes,
    signature: str,
    now: datetime,
    tolerance: float = 300,
) -> bool:
    """Whether a request is ours and was made in the last `tolerance` seconds, or as far ahead.

    `timestamp` and `signature` are the headers as they came, `body` the bytes as they came. How
    long this takes does not depend on how much of the signature is right.
    """
    if not _STAMP.fullmatch(timestamp):
        return False
    right = hmac.compare_digest(
        signed(secret, timestamp, body).encode(), signature.encode("utf-8", "replace")
    )
    return right and abs(now.timestamp() - int(timestamp)) <= tolerance
