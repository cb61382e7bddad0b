"""Users: who may sign in, by which password, as what.

A name is shown as it was given and compared without case, in Unicode's compatibility form, so that
nobody can be `Ａlice` beside `alice`. A removed user is deleted. Each password has a version, a
number that never comes again: a session that remembers it ends with a new password, and with the
user. `verify` computes one scrypt hash whatever it is given.
"""

from __future__ import annotations

import logging
import secrets
import unicodedata
import zoneinfo
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from alphapulse_nb.errors import DatabaseError, InputError, SchemaError
from alphapulse_nb.people import NAMELESS, Person, Role
from alphapulse_nb.spelling import hint
from alphapulse_nb.state.door import State
from alphapulse_nb.state.passwords import LONGEST, Hash, Hasher, checked
from alphapulse_nb.state.tables import users as table

LONGEST_NAME: Final = 64
_UNSEEN: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
"""Unicode categories of what a name may not hold: control, direction, half or no characters."""
_VERSIONS: Final = 2**53
"""Versions are below this, so that JSON carries them whole."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class User:
    """A user as the database has it. `version` changes with the password."""

    person: Person
    version: int
    created_at: datetime


class Users:
    """The users of a database. Each call is one or two short transactions, and may wait.

    All raise `DatabaseError` (see `State.reading`), and `InputError` for an argument that is wrong
    or a name that nobody has.
    """

    def __init__(self, state: State, hasher: Hasher | None = None) -> None:
        self._state = state
        self._hasher = hasher or Hasher()
        self._decoy = self._hasher.decoy()

    def any(self) -> bool:
        """Whether there is a user at all; no where our tables were never made."""
        query = sa.select(sa.exists(sa.select(table.c.id)))
        try:
            with self._state.reading() as link:
                return bool(link.execute(query).scalar_one())
        except SchemaError:
            return False

    def listed(self) -> list[User]:
        """All users, by name."""
        with self._state.reading() as link:
            return [_user(row) for row in link.execute(sa.select(table).order_by(table.c.key))]

    def find(self, name: str) -> User | None:
        """The user of that name; None for an unknown one."""
        row = self._row(name)
        return None if row is None else _user(row)

    def known(self, name: str) -> User:
        """The user of that name. Raises `InputError` that suggests the nearest."""
        user = self.find(name)
        if user is None:
            raise self._unknown(name)
        return user

    def verify(self, name: str, password: str) -> User | None:
        """The user, if the password is theirs. Takes as long for a name that nobody has."""
        row = self._row(name)
        stored: Hash | None = None if row is None else row.password
        right = self._hasher.matches(password[: LONGEST + 1], stored or self._decoy)
        if row is not None and stored is None:
            _log.warning("the stored password of user %d cannot be read: set it again", row.id)
        if row is None or stored is None or not right:
            return None
        if stored.cost != self._hasher.cost:
            self._renew(row.id, stored, password)
        return _user(row)

    def add(self, name: str, password: str, role: Role = Role.VIEWER, zone: str = "") -> User:
        """Add a user. Raises `InputError` when the name is taken, also in other case."""
        name = checked_name(name)
        if compared(name) in NAMELESS:
            raise InputError(f"the name {name!r} stands for those who have none; choose another")
        values = {
            "name": name,
            "key": compared(name),
            "zone": checked_zone(zone),
            "role": role.value,
            **self._new(password),
        }
        # Not an error of the server's, which would write the row to its log.
        insert = pg.insert(table).values(values).on_conflict_do_nothing().returning(table)
        with self._state.writing() as link:
            row = link.execute(insert).one_or_none()
        if row is None:
            raise InputError(f"there is a user {name!r} already; `alphapulse users list` shows all")
        return _user(row)

    def remove(self, name: str) -> None:
        """Delete a user; what they have open ends within seconds."""
        delete = sa.delete(table).where(table.c.key == self._key(name)).returning(table.c.id)
        with self._state.writing() as link:
            gone = link.execute(delete).one_or_none()
        if gone is None:
            raise self._unknown(name)

    def set_password(self, name: str, password: str) -> None:
        """Give a user a new password, which ends the sessions of the old one."""
        self._change(name, **self._new(password))

    def set_role(self, name: str, role: Role) -> None:
        """Let a user do more or less, from their next request on."""
        self._change(name, role=role.value)

    def set_zone(self, name: str, zone: str) -> None:
        """Set a user's IANA time zone; empty is the one of their browser."""
        self._change(name, zone=checked_zone(zone))

    def _row(self, name: str) -> sa.Row[Any] | None:
        try:
            key = compared(checked_name(name))
        except InputError:
            return None
        with self._state.reading() as link:
            return link.execute(sa.select(table).where(table.c.key == key)).one_or_none()

    def _key(self, name: str) -> str:
        return compared(checked_name(name))

    def _new(self, password: str) -> dict[str, Any]:
        """The columns that a new password changes."""
        return {
            "password": self._hasher.hash(checked(password)),
            "version": secrets.randbelow(_VERSIONS),
        }

    def _change(self, name: str, **values: Any) -> None:
        update = sa.update(table).where(table.c.key == self._key(name)).values(values)
        with self._state.writing() as link:
            changed = link.execute(update.returning(table.c.id)).one_or_none()
        if changed is None:
            raise self._unknown(name)

    def _renew(self, row: int, old: Hash, password: str) -> None:
        """Replace a hash of another cost; who signs in does not suffer when that fails."""
        # Only the hash that was checked: the password may have been changed meanwhile.
        update = sa.update(table).where(table.c.id == row, table.c.password == old)
        try:
            with self._state.writing() as link:
                link.execute(update.values(password=self._hasher.hash(password)))
        except DatabaseError as error:
            _log.warning("the stored password of user %d keeps its old cost: %s", row, error)

    def _unknown(self, name: str) -> InputError:
        names = [user.person.name for user in self.listed()]
        return InputError(f"there is no user {name!r}{hint(name, names)}")


def checked_name(name: str) -> str:
    """The name in NFC without spaces around it. Raises `InputError` when it may be no name."""
    name = unicodedata.normalize("NFC", name).strip(" ")
    if not 1 <= len(name) <= LONGEST_NAME:
        raise InputError(f"a user's name has 1 to {LONGEST_NAME} characters, not {len(name)}")
    unseen = next((char for char in name if unicodedata.category(char) in _UNSEEN), None)
    if unseen is not None:
        raise InputError(f"a user's name may not hold the invisible character U+{ord(unseen):04X}")
    return name


def compared(name: str) -> str:
    """What two names have in common that are one: case and compatible forms do not count."""
    # Decomposed first: folding alone leaves equal names with accents in another order.
    return unicodedata.normalize("NFKD", name).casefold()


def checked_zone(zone: str) -> str:
    """The IANA zone, or empty. Raises `InputError` that suggests the nearest."""
    if zone and zone not in (known := zoneinfo.available_timezones()):
        raise InputError(f"unknown time zone {zone!r}{hint(zone, known)}")
    return zone


def checked_role(role: str) -> Role:
    """The role of that name. Raises `InputError` that suggests the nearest."""
    try:
        return Role(role.lower())
    except ValueError:
        known = ", ".join(Role)
        raise InputError(f"unknown role {role!r}{hint(role, Role)} (roles are {known})") from None


def _user(row: sa.Row[Any]) -> User:
    return User(Person(row.name, Role(row.role), row.zone), row.version, row.created_at)
