"""The arithmetic of conditions, which no row can make fail.

Postgres raises an error where Python gives infinity or 0 because a result leaves the range of
doubles, and one such row would fail a whole query. So a field that is calculated with must be 0,
infinite or between `LEAST` and `MOST` in size, otherwise it is unknown; and a calculation knows the
powers of two between which its results lie (`Span`), so that one which could leave the range is
refused before it ever runs. A division by 0 is unknown, and so is infinity minus infinity.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from alphapulse_nb.alerts.fields import Kind
from alphapulse_nb.alerts.terms import (
    IS,
    Columns,
    Literal,
    Name,
    Piece,
    Term,
    Unknown,
    Values,
    nothing,
)
from alphapulse_nb.alerts.values import shown

LEAST: Final = 1e-18
MOST: Final = 1e18
"""The sizes between which a field can be calculated with, unless it is 0 or infinite."""

_LEAST: Final = sa.literal_column(f"{LEAST}::float8", sa.Double)
_MOST: Final = sa.literal_column(f"{MOST}::float8", sa.Double)
_ZERO: Final = sa.literal_column("0::float8", sa.Double)
_INFINITY: Final = sa.literal_column("'Infinity'::float8", sa.Double)
_SIGNS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
}
_DIGITS: Final = 53
"""Binary digits of a double."""


class Span(NamedTuple):
    """A number that is not 0 is a multiple of 2**low and smaller than 2**high."""

    low: int
    high: int

    @property
    def fits(self) -> bool:
        """Whether doubles hold it with all their digits, with room to spare."""
        return self.low >= -1_000 and self.high <= 1_000


@dataclass(frozen=True)
class Quantity(Term):
    """A field to calculate with."""

    at: int
    name: Name

    def __str__(self) -> str:
        return str(self.name)

    @property
    def kind(self) -> Kind:
        return Kind.NUMBER

    def value(self, values: Values) -> Any:
        found = self.name.value(values)
        if type(found) is Unknown:
            return found
        if type(found) is not float:
            return Unknown(f"{self.name} is {shown(found)} and not {IS[Kind.NUMBER]}")
        if LEAST <= abs(found) <= MOST or found == 0 or math.isinf(found):
            return found
        size = "large" if abs(found) > 1 else "small"
        return Unknown(f"{self.name} is {shown(found)}, too {size} to calculate with")

    def piece(self, columns: Columns) -> Piece:
        column, kind = self.name.column(columns)
        if kind is not Kind.NUMBER:
            return nothing(Kind.NUMBER)
        size: sa.ColumnElement[float] = sa.func.abs(column, type_=sa.Double())
        usable = sa.or_(size.between(_LEAST, _MOST), column == _ZERO, size == _INFINITY)
        return Piece(sa.case((usable, column)), Kind.NUMBER)


@dataclass(frozen=True)
class Negative(Term):
    """A number with its sign turned."""

    at: int
    term: Term

    def __str__(self) -> str:
        return f"-({self.term})" if isinstance(self.term, Calculation) else f"-{self.term}"

    @property
    def kind(self) -> Kind:
        return Kind.NUMBER

    def value(self, values: Values) -> Any:
        found = self.term.value(values)
        return found if type(found) is Unknown else -found

    def piece(self, columns: Columns) -> Piece:
        return Piece(-self.term.piece(columns).sql, Kind.NUMBER)


@dataclass(frozen=True)
class Calculation(Term):
    """Two numbers and one of + - * /. It may give NaN, where infinite numbers meet."""

    at: int
    sign: str
    left: Term
    right: Term
    span: Span

    def __str__(self) -> str:
        left, right = str(self.left), str(self.right)
        if isinstance(self.left, Calculation) and self.sign in "*/" and self.left.sign in "+-":
            left = f"({left})"
        if isinstance(self.right, Calculation) and (self.sign in "*/" or self.right.sign in "+-"):
            right = f"({right})"
        return f"{left} {self.sign} {right}"

    @property
    def kind(self) -> Kind:
        return Kind.NUMBER

    def value(self, values: Values) -> Any:
        left = self.left.value(values)
        if type(left) is Unknown:
            return left
        right = self.right.value(values)
        if type(right) is Unknown:
            return right
        if right == 0 and self.sign == "/":
            return Unknown(f"{self.right} is 0, by which nothing can be divided")
        return _SIGNS[self.sign](left, right)

    def piece(self, columns: Columns) -> Piece:
        left, right = self.left.piece(columns).sql, self.right.piece(columns).sql
        if self.sign == "/":
            right = sa.func.nullif(right, _ZERO, type_=sa.Double())
        return Piece(_SIGNS[self.sign](left, right), Kind.NUMBER)


def span(term: Term) -> Span:
    """Where the results of a term that is calculated with lie; infinity and NaN aside."""
    if isinstance(term, Calculation):
        return term.span
    if isinstance(term, Negative):
        return span(term.term)
    if isinstance(term, Literal) and isinstance(term.content, float):
        exponent = math.frexp(term.content)[1]
        return Span(exponent - _DIGITS, exponent)
    return Span(math.frexp(LEAST)[1] - _DIGITS, math.frexp(MOST)[1])


def combined(sign: str, left: Span, right: Span) -> Span:
    """Where the results of a calculation lie."""
    if sign == "*":
        return Span(left.low + right.low, left.high + right.high)
    if sign == "/":
        return Span(left.low - right.high - _DIGITS, left.high - right.low)
    return Span(min(left.low, right.low), max(left.high, right.high) + 1)
