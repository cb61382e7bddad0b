"""Rules at work: events and measured values go in, steps of alerts come out.

It reads nothing and writes nothing: who calls it brings what there is and the time, and keeps the
statuses that `changed`. So history can be played through the very same code.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from alphapulse_nb.alerts.check import Checked
from alphapulse_nb.alerts.measure import Measured
from alphapulse_nb.alerts.rule import Aggregate, Rule
from alphapulse_nb.alerts.states import (
    Failure,
    Match,
    NoData,
    Passed,
    Phase,
    Sample,
    Status,
    Transition,
    Value,
    What,
    advance,
)
from alphapulse_nb.events import Event

LATE: Final = timedelta(minutes=2)
"""What is told longer than that after it happened is marked as late."""
FROM_TABLES: Final = frozenset({"prediction", "signal", "backtest", "data_update"})

Place = tuple[str, str]
"""A rule's name and the key of the labels of one of its alerts; an empty key is the rule itself."""


@dataclass(frozen=True)
class Held:
    """An alert's labels, where it stands, and its key while it is open."""

    labels: Mapping[str, str]
    status: Status = field(default_factory=Status)
    alert: str = ""


@dataclass(frozen=True)
class Step:
    """A step of an alert, with what its texts may name. `checked` is None for a broken rule.

    `alert` is the key of the open alert, the same whoever takes the step, and empty where none is
    open; `late` says that it is told long after it happened.
    """

    rule: Rule
    checked: Checked | None
    labels: Mapping[str, str]
    transition: Transition
    alert: str
    values: Mapping[str, Any]
    late: bool = False


@dataclass
class Tally:
    """How often a rule was asked, how often it held, and how often that could not be told."""

    asked: int = 0
    held: int = 0
    unknown: int = 0
    why: str = ""


class Engine:
    """Rules, and where their alerts stand.

    Parameters
    ----------
    rules: those that are enabled.
    broken: those that cannot work, with the reasons.
    held: where alerts stood, as far as that is kept.
    known: which of these alerts of single rows there were already; the same row may come again.
    """

    def __init__(
        self,
        rules: Iterable[Checked],
        held: Mapping[Place, Held] | None = None,
        broken: Iterable[tuple[Rule, str]] = (),
        known: Callable[[Sequence[str]], Iterable[str]] = lambda _: (),
    ) -> None:
        self.rules = {checked.rule.name: checked for checked in rules}
        self.tallies = {name: Tally() for name in self.rules}
        self.changed: set[Place] = set()
        self._broken = list(broken)
        self._held: dict[str, dict[str, Held]] = defaultdict(dict)
        self._known = known
        self._singles: dict[str, list[Checked]] = defaultdict(list)
        self._windows: dict[str, list[Checked]] = defaultdict(list)
        for checked in self.rules.values():
            kept = self._singles if checked.rule.aggregate is None else self._windows
            kept[checked.rule.source].append(checked)
        names = {*self.rules, *(rule.name for rule, _ in self._broken)}
        for (rule, key), found in (held or {}).items():
            if rule in names:
                self._held[rule][key] = found
            else:
                self.changed.add((rule, key))

    @property
    def windows(self) -> list[Checked]:
        """The rules over windows."""
        return [checked for found in self._windows.values() for checked in found]

    @property
    def held(self) -> dict[Place, Held]:
        """Where every alert stands that is not as if it had never been."""
        return {
            (rule, key): found
            for rule, places in self._held.items()
            for key, found in places.items()
        }

    def begin(self, now: datetime) -> list[Step]:
        """The steps of the rules themselves: which cannot work now, and which can again."""
        steps: list[Step] = []
        for rule, reason in self._broken:
            steps += self._fail(rule, None, reason, now)
        for found in self._singles.values():
            for checked in found:
                steps += self._well(checked, now)
        return steps

    def touched(self, events: Iterable[Event]) -> set[str]:
        """The rules over windows whose source these events are of."""
        sources = {source_of(event) for event in events}
        return {checked.rule.name for source in sources for checked in self._windows[source]}

    def take(self, events: Sequence[Event], now: datetime) -> list[Step]:
        """The steps of rules over single rows, for events in their order."""
        met = [
            (checked, event)
            for event in events
            for checked in self._singles.get(source_of(event), ())
            if self._meets(checked, event)
        ]
        keys = [_key_of_row(checked, event) for checked, event in met]
        seen = set(self._known(keys)) if keys else set()
        steps: list[Step] = []
        for (checked, event), key in zip(met, keys, strict=True):
            if key not in seen:
                seen.add(key)
                steps += self._matched(checked, event, key, now)
        return steps

    def take_measured(
        self, checked: Checked, found: Sequence[Measured], now: datetime
    ) -> list[Step]:
        """The steps of a rule over a window, for what was measured of it at `now`."""
        steps = self._well(checked, now)
        places = self._held[checked.rule.name]
        fresh = {key_of(one.labels): one for one in found}
        for key in [*fresh, *(key for key in places if key and key not in fresh)]:
            one = fresh.get(key)
            labels = places[key].labels if one is None else one.labels
            sample = _sample(checked, one)
            self._tally(checked, sample)
            shown = _shown(sample, one)
            steps += self._advance(checked, labels, sample, now, shown)
        if not fresh and not checked.by:
            sample = _sample(checked, None)
            steps += self._advance(checked, {}, sample, now, _shown(sample, None))
        return steps

    def fail(self, checked: Checked, reason: str, now: datetime) -> list[Step]:
        """The steps of a rule that could not be evaluated: it stands in error, nothing ends."""
        return self._fail(checked.rule, checked, reason, now)

    def pass_time(self, now: datetime) -> list[Step]:
        """The ends of alerts of single rows that are over by now."""
        steps: list[Step] = []
        for found in self._singles.values():
            for checked in found:
                for held in list(self._held[checked.rule.name].values()):
                    if held.status.opened is not None:
                        steps += self._advance(checked, held.labels, Passed(), now, {})
        return steps

    def _fail(self, rule: Rule, checked: Checked | None, reason: str, now: datetime) -> list[Step]:
        places = {place: held for place, held in self._held[rule.name].items() if place}
        steps = self._advance_rule(rule, checked, Failure(reason), now)
        for place, held in places.items():
            if held.status.phase is not Phase.NORMAL:
                steps += self._go(rule, checked, place, held.labels, Failure(reason), now, {})
        return steps

    def _meets(self, checked: Checked, event: Event) -> bool:
        if checked.condition is None:
            return False
        verdict = checked.condition.holds(event.data)
        tally = self.tallies[checked.rule.name]
        tally.asked += 1
        tally.unknown += verdict.truth is None
        tally.why = verdict.reason
        tally.held += verdict.truth is True
        return verdict.truth is True

    def _matched(self, checked: Checked, event: Event, key: str, now: datetime) -> list[Step]:
        labels = {name: _text(event.data.get(name)) for name in checked.by}
        at = min(event.at, now)
        values = dict(event.data) | {"since": event.at}
        return self._advance(checked, labels, Match(), at, values, key, late=now - at > LATE)

    def _well(self, checked: Checked, now: datetime) -> list[Step]:
        if "" in self._held[checked.rule.name]:
            return self._advance_rule(checked.rule, checked, Passed(), now)
        return []

    def _advance_rule(
        self, rule: Rule, checked: Checked | None, sample: Sample, now: datetime
    ) -> list[Step]:
        """A step of the rule itself, whose labels are none and whose key is empty."""
        return self._go(rule, checked, "", {}, sample, now, {})

    def _advance(
        self,
        checked: Checked,
        labels: Mapping[str, str],
        sample: Sample,
        at: datetime,
        values: Mapping[str, Any],
        key: str = "",
        *,
        late: bool = False,
    ) -> list[Step]:
        place = key_of(labels)
        return self._go(checked.rule, checked, place, labels, sample, at, values, key, late=late)

    def _go(
        self,
        rule: Rule,
        checked: Checked | None,
        place: str,
        labels: Mapping[str, str],
        sample: Sample,
        at: datetime,
        values: Mapping[str, Any],
        key: str = "",
        *,
        late: bool = False,
    ) -> list[Step]:
        name = rule.name
        held = self._held[name].get(place, Held(labels))
        status, transitions = advance(held.status, rule, sample, at)
        alert, steps = held.alert, []
        for step in transitions:
            if step.what is What.FIRED:
                alert = key or _key_of_window(name, place, step)
            steps.append(Step(rule, checked, labels, step, alert, values, late))
        if status != held.status:
            self._keep((name, place), Held(labels, status, alert if status.opened else ""))
        return steps

    def _keep(self, place: Place, held: Held) -> None:
        self.changed.add(place)
        rule, key = place
        if _is_as_new(held.status):
            self._held[rule].pop(key, None)
        else:
            self._held[rule][key] = held

    def _tally(self, checked: Checked, sample: Sample) -> None:
        tally, rule = self.tallies[checked.rule.name], checked.rule
        tally.asked += 1
        if isinstance(sample, Value):
            tally.held += rule.operator.holds(sample.value, rule.threshold)
        else:
            tally.unknown += 1
            tally.why = "no data"


def source_of(event: Event) -> str:
    """The table that an event is a row of; its type, for one that is of none."""
    table = event.data.get("table")
    return table if event.type in FROM_TABLES and isinstance(table, str) else event.type


def key_of(labels: Mapping[str, str]) -> str:
    """The labels in one text, the same for the same labels."""
    return json.dumps(dict(sorted(labels.items())), ensure_ascii=False)


def _sample(checked: Checked, found: Measured | None) -> Sample:
    """What was measured, or what it means that there are no rows."""
    rule = checked.rule
    if found is not None and found.value is not None:
        return Value(found.value)
    if rule.aggregate is Aggregate.COUNT:
        return Value(0.0)
    if rule.aggregate is Aggregate.SILENCE:
        return Value(rule.window.total_seconds())
    return NoData()


def _shown(sample: Sample, found: Measured | None) -> dict[str, Any]:
    value = sample.value if isinstance(sample, Value) else None
    rows = 0 if found is None else found.rows
    return {"value": value, "rows": rows, **(found.labels if found is not None else {})}


def _is_as_new(status: Status) -> bool:
    """Whether there is nothing to remember."""
    return status.phase is Phase.NORMAL and status.told is None and status.value is None


def _key_of_row(checked: Checked, event: Event) -> str:
    row = event.data.get("id") if source_of(event) != event.type else None
    which = f"{event.seq}" if row is None else f"{source_of(event)} {row}"
    return f"{checked.rule.name}\n{which}"


def _key_of_window(rule: str, place: str, step: Transition) -> str:
    opened = step.opened or step.at
    return f"{rule}\n{place}\n{opened.astimezone(UTC).isoformat()}"


def _text(value: Any) -> str:
    return "" if value is None else str(value)
