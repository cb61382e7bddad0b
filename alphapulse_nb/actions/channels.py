"""The channels by which notifications leave the house, and what was sent by them."""

from __future__ import annotations

from typing import Any, Final

from alphapulse_nb.actions.action import Action, Asked, Limit, Means, Plain, number
from alphapulse_nb.errors import ChannelError, InputError
from alphapulse_nb.events import stamp
from alphapulse_nb.notify import courier, deliveries
from alphapulse_nb.notify.channels import KINDS, Reach, open_channel, read
from alphapulse_nb.notify.deliveries import Deliveries, Delivery, Kept
from alphapulse_nb.notify.fields import text, truth
from alphapulse_nb.people import Role

LIMIT: Final = Limit(50, 200)
"""Of deliveries."""


def _listed(means: Means, _: Asked) -> Plain:
    found = Deliveries(means.state).channels()
    return {"channels": [_channel(one) for one in found], "kinds": [*KINDS]}


def _channel(one: Kept) -> Plain:
    """A channel without its secrets."""
    kind = masked = error = ""
    try:
        address = read(one.address)
        kind, masked = address.kind, address.masked
    except InputError as found:
        error = str(found)
    return {
        "name": one.name,
        "kind": kind,
        "masked": masked,
        "enabled": one.enabled,
        "watch": one.watch,
        "version": one.version,
        "changed_at": stamp(one.changed_at),
        "changed_by": one.changed_by,
        "error": error,
    }


def _connect(means: Means, asked: Asked) -> Plain:
    fields = asked.fields("address", "secret", "enabled", "watch")
    name = deliveries.checked_name(asked.name)
    kept = Deliveries(means.state)
    known = {one.name: one for one in kept.channels()}.get(name)
    address, secret = _address(fields, known)
    open_channel(name, address, secret)
    flags = {
        part: truth(part, fields.get(part, True if known is None else getattr(known, part)))
        for part in ("enabled", "watch")
    }
    kept.save(name, address, secret, by=asked.person.name, **flags)
    means.hurry()
    return _channel(kept.channel(name))


def _address(fields: Any, known: Kept | None) -> tuple[str, str]:
    """The address and the secret that are wanted; those that are kept, where none is given."""
    given = {name: text(name, fields.get(name) or "").strip() for name in ("address", "secret")}
    if given["address"]:
        return given["address"], given["secret"]
    if known is None:
        raise InputError("address is empty; a new channel needs one")
    return known.address, given["secret"] or known.secret


def _disconnect(means: Means, asked: Asked) -> Plain:
    Deliveries(means.state).remove(asked.name)
    return {}


def _try(means: Means, asked: Asked) -> Plain:
    kept = Deliveries(means.state).channel(asked.name)
    try:
        courier.carry(kept, Reach(local=means.local), courier.trial(means.clock()))
    except ChannelError as error:
        return {"sent": False, "error": str(error)}
    return {"sent": True, "error": ""}


def _deliveries(means: Means, asked: Asked) -> Plain:
    found = Deliveries(means.state).listed(asked.values.get("state"), asked.limit(LIMIT))
    return {"deliveries": [_delivery(one) for one in found]}


def _delivery(one: Delivery) -> Plain:
    return {
        "id": one.id,
        "channel": one.channel,
        "state": one.state,
        "attempts": one.attempts,
        "due_at": stamp(one.due_at),
        "sent_at": None if one.sent_at is None else stamp(one.sent_at),
        "error": one.error,
        "title": one.notification.title,
        "at": stamp(one.notification.at),
    }


def _resend(means: Means, asked: Asked) -> Plain:
    Deliveries(means.state).resend(number("id", asked.values.get("id")))
    means.hurry()
    return {}


ACTIONS: Final = tuple(
    Action(name, run, Role.OPERATOR)
    for name, run in (
        ("channels", _listed),
        ("connect", _connect),
        ("disconnect", _disconnect),
        ("try_channel", _try),
        ("deliveries", _deliveries),
        ("resend", _resend),
    )
)
