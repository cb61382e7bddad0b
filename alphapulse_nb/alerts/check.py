"""Whether a rule can work: what it says, held against the fields of its source.

A rule is checked when it is saved, and again whenever it is loaded, since a source may have changed
meanwhile. All that is wrong is told at once, each with its place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final, TypeVar

from alphapulse_nb.alerts import condition, template
from alphapulse_nb.alerts.condition import Condition
from alphapulse_nb.alerts.fields import Field, Kind, fields_of
from alphapulse_nb.alerts.rule import Aggregate, Rule
from alphapulse_nb.alerts.template import Template
from alphapulse_nb.errors import InputError, RuleError
from alphapulse_nb.events import Kinds
from alphapulse_nb.spelling import hint

_T = TypeVar("_T")
_ZERO: Final = timedelta(0)
_LONGEST_TITLE: Final = 200
EXTRA: Final[Mapping[str, Field]] = {
    name: Field(name, kind, "")
    for name, kind in {
        "rule": Kind.TEXT,
        "priority": Kind.TEXT,
        "symbol": Kind.TEXT,
        "since": Kind.TEXT,
    }.items()
}
"""What every template may name beside the fields of its source; one over a window `measured`."""
_TITLE: Final = "{rule}"


def measured(kind: Kind, unit: str) -> dict[str, Field]:
    """What the texts of a rule over a window may name, by the kind and unit of its value."""
    return {
        "value": Field("value", kind, unit),
        "threshold": Field("threshold", kind, unit),
        "window": Field("window", Kind.TEXT, ""),
        "rows": Field("rows", Kind.NUMBER, ""),
    }


@dataclass(frozen=True)
class Checked:
    """A rule that can work, with its texts understood.

    `by` are the fields that tell its alerts apart, `fields` those of its source. The rule's `unit`
    is that of its value, also where it was not given.
    """

    rule: Rule
    fields: Mapping[str, Field]
    condition: Condition | None
    title: Template
    message: Template
    by: tuple[str, ...]


def check(rule: Rule, kinds: Kinds) -> Checked:
    """The rule with its texts understood. Raises `RuleError`."""
    checking = _Checking(rule.name)
    fields = checking.attempt("source", lambda: fields_of(rule.source, kinds))
    if fields is None:
        raise checking.error
    by = _by(rule, fields)
    unit = _unit(rule, fields)
    checking.fields("by", by, fields)
    checking.shape(rule, fields)
    where = checking.attempt(
        "where", lambda: condition.parse(rule.where, fields) if rule.where else None
    )
    named = (
        fields if rule.aggregate is None else {name: fields[name] for name in by if name in fields}
    )
    # A silence is shown as a length of time.
    kind = Kind.TEXT if rule.aggregate is Aggregate.SILENCE else Kind.NUMBER
    extra = {
        **EXTRA,
        **({} if rule.aggregate is None else measured(kind, unit)),
        **{name: Field(name, Kind.TEXT, "") for name in rule.labels},
    }
    title = checking.attempt(
        "title",
        lambda: template.parse(
            rule.title or _TITLE, named, extra, longest=_LONGEST_TITLE, one_line=True
        ),
    )
    message = checking.attempt("message", lambda: template.parse(rule.message, named, extra))
    if checking.problems or title is None or message is None:
        raise checking.error
    return Checked(replace(rule, unit=unit), fields, where, title, message, by)


class _Checking:
    """What is wrong with a rule so far."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.problems: list[tuple[str, str]] = []

    @property
    def error(self) -> RuleError:
        return RuleError(self.problems, self.name)

    def attempt(self, place: str, call: Callable[[], _T]) -> _T | None:
        try:
            return call()
        except InputError as error:
            self.problems.append((place, str(error)))
            return None

    def demand(self, met: bool, place: str, words: str) -> None:
        if not met:
            self.problems.append((place, words))

    def fields(self, place: str, names: tuple[str, ...], fields: Mapping[str, Field]) -> None:
        for name in names:
            self.demand(
                name in fields, place, f"there is no field {name!r} here{hint(name, fields)}"
            )

    def shape(self, rule: Rule, fields: Mapping[str, Field]) -> None:
        """What the parts of a rule demand of each other."""
        if rule.aggregate is None:
            self._single(rule)
        else:
            self._over_window(rule, rule.aggregate, fields)

    def _single(self, rule: Rule) -> None:
        self.demand(
            bool(rule.where), "where", "it is missing: without it every row would be an alert"
        )
        words = "it needs an `aggregate`: without one each row is looked at by itself"
        for place, unset in {
            "field": not rule.field,
            "window": rule.window == _ZERO,
            "for": rule.pending_for == _ZERO,
            "recovery": rule.recovery is None,
            "threshold": rule.threshold == 0,
        }.items():
            self.demand(unset, place, words)

    def _over_window(self, rule: Rule, aggregate: Aggregate, fields: Mapping[str, Field]) -> None:
        self.demand(rule.window > _ZERO, "window", "it is missing: how far to look back, as in 2h")
        if not aggregate.needs_field:
            self.demand(not rule.field, "field", f"{aggregate} is of rows and takes no field")
        elif not rule.field:
            self.demand(False, "field", f"it is missing: {aggregate} of what?")
        else:
            self._number(rule, fields)
        self._beyond(rule)

    def _number(self, rule: Rule, fields: Mapping[str, Field]) -> None:
        name = rule.field
        self.fields("field", (name,), fields)
        if name not in fields:
            return
        found = fields[name]
        self.demand(
            found.kind in {Kind.NUMBER, None}, "field", f"{name} is {found.kind}, not a number"
        )
        if found.unit and rule.unit and rule.aggregate is not Aggregate.CHANGE:
            self.demand(
                rule.unit == found.unit, "unit", f"{name} is in {found.unit}, not in {rule.unit}"
            )

    def _beyond(self, rule: Rule) -> None:
        """A recovery threshold lies on the side on which all is well."""
        if rule.recovery is None:
            return
        sides = {">": 1, ">=": 1, "<": -1, "<=": -1}
        side = sides.get(rule.operator)
        if side is None:
            self.problems.append(("recovery", f"{rule.operator} has no side to recover on"))
        elif side * (rule.threshold - rule.recovery) < 0:
            where = "below" if side > 0 else "above"
            self.problems.append(("recovery", f"it must be {where} the threshold, or be it"))


def _by(rule: Rule, fields: Mapping[str, Field]) -> tuple[str, ...]:
    if rule.by is not None:
        return rule.by
    return ("symbol",) if "symbol" in set(fields) else ()


def _unit(rule: Rule, fields: Mapping[str, Field]) -> str:
    if rule.unit:
        return rule.unit
    if rule.aggregate is Aggregate.CHANGE:
        return "%"
    found = fields.get(rule.field)
    return "" if found is None else found.unit
