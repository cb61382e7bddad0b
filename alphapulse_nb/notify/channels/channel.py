"""What all channels have in common."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

from alphapulse_nb.notify.channels.message import Message


class Channel(Protocol):
    """A way out of the house. May be used by several threads."""

    @property
    def name(self) -> str:
        """What the operator calls it."""
        ...

    @property
    def kind(self) -> str:
        """What it is: webhook, email, slack, …"""
        ...

    def send(self, message: Message) -> None:
        """Deliver a message; may take as long as the channel's `Reach` allows.

        Raises `ChannelError` if that did not succeed. It says whether trying again may help and
        whether the message may have arrived nevertheless.
        """
        ...


def now() -> datetime:
    """The clock of channels that are given no other."""
    return datetime.now(UTC)
