"""A channel through one of apprise's plugins.

A plugin lives for one message, so that no session, counter or token outlives it, and threads do not
meet in it. It says True or False; the reason comes from the record of its doors.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Final

from alphapulse_nb.errors import ChannelError
from alphapulse_nb.notify.channels import plugins
from alphapulse_nb.notify.channels.address import Address
from alphapulse_nb.notify.channels.channel import now
from alphapulse_nb.notify.channels.kinds import KINDS, Kind
from alphapulse_nb.notify.channels.message import Message
from alphapulse_nb.notify.channels.reach import Reach
from alphapulse_nb.notify.channels.record import Record, recording

_TYPES: Final = {"success": "success", "warning": "warning", "error": "failure"}
"""What apprise calls our types; the others are information to it."""

_MAIL: Final = 2.0
"""Times the seconds of other kinds: servers that mistrust a sender let it wait at first."""


@dataclass(frozen=True)
class Carrier:
    """A channel of a kind that apprise knows."""

    name: str
    address: Address
    reach: Reach = field(default_factory=Reach)
    clock: Callable[[], datetime] = now

    @property
    def kind(self) -> str:
        return self.address.kind

    def send(self, message: Message) -> None:
        """Hand a message to the plugin. Raises `ChannelError`."""
        kind, reach = KINDS[self.kind], _fitted(self.reach, self.kind)
        record = Record(reach, reach.ends(), self.clock(), self.address.clean)
        with recording(record):
            trouble = _trouble(kind, self.address.url, message, record)
        if trouble is not None:
            raise trouble


def _trouble(kind: Kind, url: str, message: Message, record: Record) -> ChannelError | None:
    """Why a plugin did not deliver a message; None if it did."""
    plugin = plugins.built(kind, url)
    if kind.headers:
        own = {name: text.format(key=message.token) for name, text in kind.headers.items()}
        plugin.headers = {**own, **plugin.headers}
    heading, text = kind.line(kind.plain(message.heading)), kind.plain(message.text)
    try:
        done = plugins.told(plugin, heading, text, _TYPES.get(str(message.type), "info"))
    except Exception as error:  # noqa: BLE001 - a plugin raises what it likes; the reason is owed
        words = f"the plugin for {kind.label} failed with {type(error).__name__}"
        record.failed(ChannelError(words, retry=True, unknown=True))
        done = False
    # Before the plugin goes, and signs out on its way.
    return None if done else record.verdict()


def _fitted(reach: Reach, kind: str) -> Reach:
    """The reach of a kind: a mail server on this machine is the usual place for mail."""
    if kind != "email":
        return reach
    return replace(reach, local=True, whole=reach.whole * _MAIL)
