"""A person's notifications: listed, read, removed, shown, taken out of the house and back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final, TypeVar

from alphapulse_nb.actions.action import Action, Asked, Limit, Means, Plain, needed, number, numbers
from alphapulse_nb.errors import InputError
from alphapulse_nb.events import moment, stamp
from alphapulse_nb.notify import exchange
from alphapulse_nb.notify.fields import member, text, truth, wrong
from alphapulse_nb.notify.inbox import MOST, Entry, Filter, Inbox
from alphapulse_nb.notify.notification import Priority, Type

LIMIT: Final = Limit(50, MOST)
_PAGE: Final = re.compile(r"[A-Za-z0-9_-]{8,64}")
_E = TypeVar("_E", Type, Priority)


def _listed(means: Means, asked: Asked) -> Plain:
    values = asked.values
    limit, before = asked.limit(LIMIT), values.get("before")
    wanted = Filter(
        types=_several(Type, "type", values.get("type")),
        priorities=_several(Priority, "priority", values.get("priority")),
        symbol=values.get("symbol"),
        rule=values.get("rule"),
        unread=bool(values.get("unread")),
        held=bool(values.get("held")),
        words=values.get("words") or "",
    )
    found = Inbox(means.state).listed(
        asked.reader, wanted, None if before is None else number("before", before), limit
    )
    return {
        "notifications": [entry(one) for one in found],
        "next": found[-1].id if len(found) == limit else None,
    }


def entry(one: Entry) -> Plain:
    """A notification as a person sees it."""
    return {
        "id": one.id,
        **one.notification.plain(),
        "outcome": one.outcome.value,
        "reason": one.reason,
        "due_at": None if one.due_at is None else stamp(one.due_at),
        "read_at": None if one.read_at is None else stamp(one.read_at),
        "acknowledged_by": one.acknowledged_by,
    }


def _summary(means: Means, asked: Asked) -> Plain:
    inbox = Inbox(means.state)
    found = inbox.summary(asked.reader, means.clock())
    return {
        "total": found.total,
        "unread": found.unread,
        "last_hour": found.last_hour,
        "newest": found.newest,
        "person": asked.person.name,
        "shared": asked.shared,
        "role": asked.person.role.value,
    }


def _read(means: Means, asked: Asked) -> Plain:
    fields = asked.fields("ids", "read")
    read = truth("read", fields.get("read", True))
    return {"changed": Inbox(means.state).mark(asked.reader, _ids(fields), read)}


def _remove(means: Means, asked: Asked) -> Plain:
    ids, now = _ids(asked.fields("ids")), means.clock()
    return {"changed": Inbox(means.state).remove(asked.reader, ids, now), "undo": stamp(now)}


def _restore(means: Means, asked: Asked) -> Plain:
    undo = needed(asked.fields("undo"), "undo")
    if not isinstance(undo, str):
        raise wrong("undo", undo, "what removing answered")
    return {"changed": Inbox(means.state).restore(asked.reader, moment(undo))}


def _show(means: Means, asked: Asked) -> Plain:
    fields = asked.fields("ids", "page")
    page = needed(fields, "page")
    if not isinstance(page, str) or not _PAGE.fullmatch(page):
        raise wrong("page", page, "8 to 64 letters, digits, - and _")
    ids = numbers("ids", needed(fields, "ids"))
    # Whoever shares a name with others is told apart by the browser.
    shown = Inbox(means.state).show(asked.reader, ids, page if asked.shared else "")
    return {"ids": shown}


def _export(means: Means, asked: Asked) -> Plain:
    found = Inbox(means.state).everything(asked.reader, exchange.MOST)
    return {"file": exchange.dumps(found).decode()}


def _import(means: Means, asked: Asked) -> Plain:
    file = needed(asked.fields("file"), "file")
    if not isinstance(file, str):
        raise wrong("file", file, "the text of a file")
    try:
        found = exchange.loads(file.encode())
    except UnicodeEncodeError:
        raise InputError("file holds half of a character") from None
    new = Inbox(means.state).take_in(asked.reader, found, means.clock())
    return {"imported": new, "known": len(found) - new}


def _ids(fields: Any) -> list[int] | None:
    """The notifications that are meant: None, which has to be said, is for all."""
    given = needed(fields, "ids")
    return None if given is None else numbers("ids", given)


def _several(kinds: type[_E], name: str, given: str | None) -> Sequence[_E] | None:
    return (
        None
        if given is None
        else [member(kinds, name, part) for part in text(name, given).split(",")]
    )


ACTIONS: Final = (
    Action("notifications", _listed),
    Action("inbox", _summary),
    Action("read", _read),
    Action("remove", _remove),
    Action("restore", _restore),
    Action("show", _show),
    Action("export", _export),
    Action("import", _import),
)
