"""The ways by which notifications leave the house: mail, chat services, pagers and webhooks."""

from __future__ import annotations

from alphapulse_nb.errors import InputError
from alphapulse_nb.notify.channels.address import Address, read
from alphapulse_nb.notify.channels.backoff import MOST_ATTEMPTS, delay
from alphapulse_nb.notify.channels.carrier import Carrier
from alphapulse_nb.notify.channels.channel import Channel
from alphapulse_nb.notify.channels.kinds import KINDS, WEBHOOK
from alphapulse_nb.notify.channels.message import Message
from alphapulse_nb.notify.channels.reach import Reach
from alphapulse_nb.notify.channels.webhook import Webhook, verify

__all__ = [
    "KINDS",
    "MOST_ATTEMPTS",
    "WEBHOOK",
    "Address",
    "Channel",
    "Message",
    "Reach",
    "delay",
    "open_channel",
    "read",
    "verify",
]


def open_channel(
    name: str,
    address: str | Address,
    secret: str = "",
    *,
    allow_local: bool = False,
    reach: Reach | None = None,
) -> Channel:
    """A channel to an address. Nothing is sent, and no name resolved, before its `send`.

    Parameters
    ----------
    name: what the operator calls it.
    address: as the operator wrote it, or as `read` gave it.
    secret: what a webhook is signed with, 16 characters or more; none for other kinds.
    allow_local: whether it may speak to programs on the server itself. Mail always may.
    reach: its time-outs, for tests.

    Raises `InputError` for an address that is none, and for a secret too short or out of place.
    """
    found = read(address) if isinstance(address, str) else address
    reach = reach or Reach(local=allow_local)
    if found.kind == WEBHOOK:
        return Webhook(name, found, secret, reach)
    if secret:
        raise InputError(
            f"only a webhook is signed with a secret; a channel of {found.kind} has none"
        )
    return Carrier(name, found, reach)
