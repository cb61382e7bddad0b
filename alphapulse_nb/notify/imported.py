"""What a person has brought along in a file: in their history, and in nobody else's.

An import is kept under keys that no other notification can have, so that it keeps none of the same
key from being told. It is a part of the history like all else, is read, and goes when it is old.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from alphapulse_nb.errors import InputError
from alphapulse_nb.notify.decide import Outcome
from alphapulse_nb.notify.notification import Notification
from alphapulse_nb.notify.telling import row_of
from alphapulse_nb.state.notification_tables import inbox
from alphapulse_nb.state.notification_tables import notifications as table

MOST: Final = 50_000
MOST_BYTES: Final = 50_000_000
"""What one person may have imported: notifications, and bytes of them."""

_PREFIX: Final = "imported\n"
IMPORTED: Final = table.c.key.startswith(_PREFIX)
"""Whether a notification came by a file."""


def take_in(link: sa.Connection, person: str, found: Sequence[Notification], now: datetime) -> int:
    """Put notifications into a person's history; how many were not there.

    What they had removed is there again. In the transaction of `link`. Raises `InputError` for
    too many.
    """
    link.execute(_one_at_a_time(person))
    wanted, known = {one.key: one for one in found}, _by_key(link, person)
    back = [number for key, (number, gone) in known.items() if gone and key in wanted]
    numbers = sa.cast(back, sa.ARRAY(sa.BigInteger))
    mine = (inbox.c.person == person) & (inbox.c.notification == sa.func.any(numbers))
    link.execute(sa.update(inbox).where(mine).values(removed_at=None))
    new = [one for key, one in wanted.items() if key not in known]
    if new:
        _write(link, person, new, now)
        _check(link, person)
    return len(back) + len(new)


def _one_at_a_time(person: str) -> sa.Select[tuple[None]]:
    """Of two imports of one person at a time the second finds what the first wrote."""
    mark = sa.func.hashtextextended(f"{_PREFIX}{person}", 0)
    return sa.select(sa.func.pg_advisory_xact_lock(mark))


def _by_key(link: sa.Connection, person: str) -> dict[str, tuple[int, bool]]:
    """What a person was told, by key: the number, and whether they removed it.

    What was imported may have been told later, too: of two the one that is there, then the newest.
    """
    query = (
        sa.select(table.c.record["key"].astext, table.c.id, inbox.c.removed_at)
        .join(inbox, table.c.id == inbox.c.notification)
        .where(inbox.c.person == person, inbox.c.outcome == Outcome.SENT.value)
        .order_by(inbox.c.removed_at.is_(None), table.c.id)
    )
    return {key: (number, gone is not None) for key, number, gone in link.execute(query)}


def _write(link: sa.Connection, person: str, new: Sequence[Notification], now: datetime) -> None:
    rows = [{**row_of(one), "key": f"{_PREFIX}{person}\n{one.key}"} for one in new]
    insert = pg.insert(table).on_conflict_do_nothing().returning(table.c.id)
    numbers = sorted(link.execute(insert, rows).scalars())
    told = {"person": person, "outcome": Outcome.SENT.value, "reason": "imported", "read_at": now}
    link.execute(sa.insert(inbox), [{**told, "notification": number} for number in numbers])


def _check(link: sa.Connection, person: str) -> None:
    size = sa.func.octet_length(sa.cast(table.c.record, sa.Text))
    query = (
        sa.select(sa.func.count(), sa.func.coalesce(sa.func.sum(size), 0))
        .select_from(table)
        .join(inbox, table.c.id == inbox.c.notification)
        .where(inbox.c.person == person, IMPORTED)
    )
    count, used = link.execute(query).one()
    if count > MOST or used > MOST_BYTES:
        raise InputError(
            f"you would have imported more than {MOST:,} notifications, or more than "
            f"{MOST_BYTES // 1_000_000} MB of them"
        )
