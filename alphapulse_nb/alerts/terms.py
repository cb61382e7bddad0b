"""The terms of a condition: what has a value in a row, in Python and in SQL.

Both must agree on every row, so both work with doubles. rule-engine's own evaluation works in
decimals, to which a column of doubles is never quite equal, and it knows no missing values. What
has no value is unknown, as NULL is: a field that is missing, NULL or NaN, or of another kind than
is needed.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from alphapulse_nb.alerts.fields import Field, Kind, kind_of
from alphapulse_nb.alerts.values import KINDS, plain, quoted, shown
from alphapulse_nb.errors import InputError

IS: Final[Mapping[Kind | None, str]] = {
    Kind.NUMBER: "a number",
    Kind.TEXT: "a text",
    Kind.FLAG: "true or false",
    None: "a number, a text, true or false",
}
"""The kinds in words."""

NAN: Final = sa.literal_column("'NaN'::float8", sa.Double)
_TYPES: Final[Mapping[Kind, sa.types.TypeEngine[Any]]] = {
    Kind.NUMBER: sa.Double(),
    Kind.TEXT: sa.Text(),
    Kind.FLAG: sa.Boolean(),
}

Values = Mapping[str, Any]
Columns = Mapping[str, sa.ColumnElement[Any]]


@dataclass(frozen=True, slots=True)
class Unknown:
    """In place of a value that there is not, with the reason."""

    reason: str


class Piece(NamedTuple):
    """A term in SQL and the kind of what it gives."""

    sql: sa.ColumnElement[Any]
    kind: Kind


class Term(ABC):
    """A part of a condition. `at` is the place of its first character; `str` writes it."""

    at: int

    @property
    @abstractmethod
    def kind(self) -> Kind | None:
        """What it gives; None where that is not known before a value is seen."""

    @abstractmethod
    def value(self, values: Values) -> Any:
        """A float, a str or a bool; `Unknown` where there is none."""

    @abstractmethod
    def piece(self, columns: Columns) -> Piece:
        """The same in SQL, NULL where `value` is unknown. Raises `InputError` without a column."""


@dataclass(frozen=True)
class Literal(Term):
    """A number, text or flag as it was written."""

    at: int
    text: str
    content: float | str | bool
    per_cent: bool = False

    def __str__(self) -> str:
        return quoted(self.content) if isinstance(self.content, str) else self.text

    @property
    def kind(self) -> Kind:
        return KINDS[type(self.content)]

    def value(self, values: Values) -> Any:  # noqa: ARG002
        return self.content

    def piece(self, columns: Columns) -> Piece:  # noqa: ARG002
        if isinstance(self.content, bool):
            return Piece(sa.true() if self.content else sa.false(), Kind.FLAG)
        # Without the cast Postgres would take a number for a decimal.
        given = _TYPES[self.kind]
        return Piece(sa.cast(sa.literal(self.content, given), given), self.kind)


@dataclass(frozen=True)
class Name(Term):
    """A field as it is."""

    at: int
    field: Field

    def __str__(self) -> str:
        return self.field.name

    @property
    def kind(self) -> Kind | None:
        return self.field.kind

    def value(self, values: Values) -> Any:
        field = self.field
        if field.name not in values:
            return Unknown(f"{field.name} is missing")
        found = plain(values[field.name])
        kind = KINDS.get(type(found))
        if found is None or (kind is Kind.NUMBER and found != found):
            return Unknown(f"{field.name} is {shown(found)}")
        if kind is None or (field.kind is not None and kind is not field.kind):
            return Unknown(f"{field.name} is {shown(found)} and not {IS[field.kind]}")
        return found

    def piece(self, columns: Columns) -> Piece:
        column, kind = self.column(columns)
        if kind is not Kind.NUMBER:
            return Piece(column, kind)
        return Piece(sa.func.nullif(column, NAN, type_=sa.Double()), kind)

    def column(self, columns: Columns) -> Piece:
        """Its column, numbers as doubles; NULL where the column is of another kind."""
        if self.field.name not in columns:
            raise InputError(f"the field {self.field.name} has no column here")
        column = columns[self.field.name]
        if isinstance(column.type, sa.types.NullType):
            raise InputError(f"the column of the field {self.field.name} has no type")
        kind = kind_of(column.type)
        if kind is None or self.field.kind not in (None, kind):
            return nothing(self.field.kind or Kind.NUMBER)
        if kind is Kind.NUMBER and not isinstance(column.type, sa.Double):
            column = sa.cast(column, sa.Double())
        return Piece(column, kind)


def nothing(kind: Kind) -> Piece:
    """What is unknown in every row."""
    return Piece(sa.cast(sa.null(), _TYPES[kind]), kind)
