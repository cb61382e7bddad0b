"""Conditions: the text that says for which rows or events a rule is meant.

    confidence > 80 % and (signal_type == "LONG" or risk_reward_ratio >= 2)

Comparisons (== != > >= < <=), `and`, `or`, `not`, + - * /, parentheses, numbers, texts in quotes,
`true`, `false` and fields. `%` after a number means per cent. It is checked when it is parsed; from
then on it can neither fail nor take long, whatever a row holds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import sqlalchemy as sa

from alphapulse_nb.alerts.fields import Field
from alphapulse_nb.alerts.grammar import grown
from alphapulse_nb.alerts.terms import Term, Unknown
from alphapulse_nb.alerts.tokens import tokens
from alphapulse_nb.alerts.truths import truth, truth_in_sql
from alphapulse_nb.alerts.values import plain, shown


class Verdict(NamedTuple):
    """Whether a condition holds, and why; None where a field that matters has no value."""

    truth: bool | None
    reason: str

    def __bool__(self) -> bool:
        return self.truth is True


@dataclass(frozen=True)
class Condition:
    """A condition that was checked. `names` are the fields that it uses."""

    text: str
    names: frozenset[str]
    _term: Term = field(repr=False, compare=False)
    _order: tuple[str, ...] = field(repr=False, compare=False)

    def holds(self, values: Mapping[str, Any]) -> Verdict:
        """Whether it holds for a row or the data of an event, by the names of the fields.

        Scalars of numpy and Decimals are numbers, too. The reason gives the values of the fields,
        or names the first one that has none.
        """
        found = truth(self._term, values)
        if isinstance(found, Unknown):
            return Verdict(None, found.reason)
        return Verdict(found, ", ".join([_said(name, values) for name in self._order]))

    def sql(self, columns: Mapping[str, sa.ColumnElement[Any]]) -> sa.ColumnElement[bool]:
        """The same over columns, for Postgres: true, false or NULL in exactly the same rows.

        Values are bound. No row can make it raise, but for a decimal beyond the range of doubles.
        Raises `InputError` where a field has no column.
        """
        return truth_in_sql(self._term, columns)


def parse(text: str, fields: Mapping[str, Field]) -> Condition:
    """The condition that a text is, over the fields of its source.

    Raises `InputError` that says what cannot be, and at which character, counted from 1.
    """
    words = tokens(text)
    names = dict.fromkeys(token.text for token in words if token.type == "SYMBOL")
    return Condition(text, frozenset(names), grown(words, fields), tuple(names))


def _said(name: str, values: Mapping[str, Any]) -> str:
    return f"{name} is {shown(plain(values[name]))}" if name in values else f"{name} is missing"
