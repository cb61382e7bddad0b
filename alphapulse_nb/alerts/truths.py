"""The truths of a condition: comparisons, and what `and`, `or` and `not` make of them.

A truth is true, false or unknown, and follows Kleene as SQL does: what is unknown matters only
where it could change the outcome. `a > 1 or b > 2` is true when a is 2, whatever b is.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa

from alphapulse_nb.alerts.arithmetic import Calculation, Negative
from alphapulse_nb.alerts.fields import Kind
from alphapulse_nb.alerts.terms import IS, NAN, Columns, Piece, Term, Unknown, Values, nothing
from alphapulse_nb.alerts.values import shown

EQUALITIES: Final = frozenset({"==", "!="})
"""The comparisons that texts and flags have, too."""

_COMPARISONS: Final[Mapping[str, Callable[[Any, Any], Any]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


class Truth(Term):
    """A term that is true or false."""

    @property
    def kind(self) -> Kind:
        return Kind.FLAG


@dataclass(frozen=True)
class Comparison(Truth):
    """Two terms and how they compare."""

    at: int
    sign: str
    left: Term
    right: Term

    def __str__(self) -> str:
        return f"{_side(self.left)} {self.sign} {_side(self.right)}"

    def value(self, values: Values) -> Any:
        left = self.left.value(values)
        if type(left) is Unknown:
            return left
        right = self.right.value(values)
        if type(right) is Unknown:
            return right
        if type(left) is not type(right):
            return Unknown(f"{self.left} is {shown(left)} and {self.right} is {shown(right)}")
        if type(left) is not float and self.sign not in EQUALITIES:
            return Unknown(f"{self.left} is {shown(left)}, which has no order")
        if left != left or right != right:
            part = self.left if left != left else self.right
            return Unknown(f"{part} has no value, as infinity minus infinity has none")
        return _COMPARISONS[self.sign](left, right)

    def piece(self, columns: Columns) -> Piece:
        left, right = _compared(self.left, columns), _compared(self.right, columns)
        ordered = left.kind is Kind.NUMBER or self.sign in EQUALITIES
        if left.kind is not right.kind or not ordered:
            return nothing(Kind.FLAG)
        return Piece(_COMPARISONS[self.sign](left.sql, right.sql), Kind.FLAG)


@dataclass(frozen=True)
class Logic(Truth):
    """Truths joined by `and`, or by `or`."""

    at: int
    word: str
    terms: tuple[Term, ...]

    def __str__(self) -> str:
        return f" {self.word} ".join(_joined(term) for term in self.terms)

    def value(self, values: Values) -> Any:
        decisive = self.word == "or"
        unknown = None
        for term in self.terms:
            found = term.value(values)
            if found is decisive:
                return decisive
            if unknown is None and type(found) is not bool:
                unknown = _no_truth(term, found)
        return (not decisive) if unknown is None else unknown

    def piece(self, columns: Columns) -> Piece:
        parts = [truth_in_sql(term, columns) for term in self.terms]
        return Piece((sa.or_ if self.word == "or" else sa.and_)(*parts), Kind.FLAG)


@dataclass(frozen=True)
class Not(Truth):
    """The opposite of a truth."""

    at: int
    term: Term

    def __str__(self) -> str:
        return f"not {_joined(self.term)}"

    def value(self, values: Values) -> Any:
        found = truth(self.term, values)
        return found if isinstance(found, Unknown) else not found

    def piece(self, columns: Columns) -> Piece:
        return Piece(sa.not_(truth_in_sql(self.term, columns)), Kind.FLAG)


def truth(term: Term, values: Values) -> bool | Unknown:
    """Whether a term holds, which may be a flag whose value turns out to be something else."""
    found = term.value(values)
    return found if type(found) is bool else _no_truth(term, found)


def truth_in_sql(term: Term, columns: Columns) -> sa.ColumnElement[bool]:
    """The same over columns. Raises `InputError` where a field has none."""
    piece = term.piece(columns)
    return (piece if piece.kind is Kind.FLAG else nothing(Kind.FLAG)).sql


def _compared(term: Term, columns: Columns) -> Piece:
    piece = term.piece(columns)
    if isinstance(term, Calculation | Negative):
        return Piece(sa.func.nullif(piece.sql, NAN, type_=sa.Double()), piece.kind)
    return piece


def _no_truth(term: Term, found: Any) -> Unknown:
    if isinstance(found, Unknown):
        return found
    return Unknown(f"{term} is {shown(found)} and not {IS[Kind.FLAG]}")


def _side(term: Term) -> str:
    return f"({term})" if isinstance(term, Truth) else str(term)


def _joined(term: Term) -> str:
    return f"({term})" if isinstance(term, Logic) else str(term)
