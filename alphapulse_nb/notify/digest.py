"""A digest: one notification in place of all that quiet hours kept."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Final

from alphapulse_nb.errors import InputError
from alphapulse_nb.notify import quiet
from alphapulse_nb.notify.notification import Notification, Priority, Type

TITLES: Final = 5
"""Notifications that a digest names."""
_LONGEST_TITLE: Final = 120


def digest(kept: Sequence[Notification], now: datetime, zone: str) -> Notification:
    """What is told at the end of quiet hours.

    One notification alone is told as it is. Of several, the digest counts priorities and types and
    names the five that matter most: greatest priority first, then alerts that are not resolved,
    then the latest. Its own priority is the greatest among them, but never urgent. Its key follows
    from theirs, in whatever order they come; one that comes twice counts once.

    Parameters
    ----------
    now: when it is told.
    zone: the IANA zone of the times in it; empty is UTC.

    Raises `InputError` where nothing was kept.
    """
    each = sorted({one.key: one for one in kept}.values(), key=_weight, reverse=True)
    if not each:
        raise InputError("a digest needs at least one notification, and none was kept")
    if len(each) == 1:
        return each[0]
    greatest = each[0].priority
    return Notification(
        key=_key(each),
        type=Type.INFO,
        priority=Priority.HIGH if greatest.at_least(Priority.HIGH) else greatest,
        title=f"{len(each):,} notifications during quiet hours",
        message=_message(each, zone),
        at=now,
    )


def _weight(one: Notification) -> tuple[int, bool, datetime, str]:
    return one.priority.rank, not one.resolved, one.at, one.key


def _key(each: Sequence[Notification]) -> str:
    # As JSON, since any character may be part of a key.
    keys = json.dumps(sorted(one.key for one in each))
    return f"digest:{hashlib.sha256(keys.encode()).hexdigest()}"


def _message(each: Sequence[Notification], zone: str) -> str:
    named = [f"{quiet.wall(one.at, zone)} {_shortened(one.title)}" for one in each[:TITLES]]
    more = [f"and {len(each) - TITLES:,} more"] if len(each) > TITLES else []
    lines = [
        f"By priority: {_counts((one.priority for one in each), reversed(Priority))}",
        f"By type: {_counts((one.type for one in each), Type)}",
        *named,
        *more,
        f"Times are {quiet.clock(zone)}.",
    ]
    return "\n".join(lines)


def _counts(values: Iterable[StrEnum], order: Iterable[StrEnum]) -> str:
    found = Counter(values)
    return ", ".join(f"{found[kind]:,} {kind}" for kind in order if kind in found)


def _shortened(title: str) -> str:
    line = " ".join(title.split())
    return line if len(line) <= _LONGEST_TITLE else f"{line[: _LONGEST_TITLE - 1]}…"
