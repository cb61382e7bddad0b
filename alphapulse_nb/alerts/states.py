"""The states of an alert, and how it passes from one to the next; pure.

An alert is a rule for one set of labels. Its phases mean what they mean in Prometheus and Grafana:

    normal ── holds ──▶ pending ── `for` ──▶ firing ── no more ──▶ recovering ── `keep_firing_for`
      ▲                    │ no more           ▲                       │ holds again       │
      ├────────────────────┘                   └───────────────────────┘                   │
      └────────────────────────────────────────────────────────────────────────────────────┘

A length of zero skips its phase. With a `recovery` threshold an alert that fires goes on until the
value is beyond that one, too. From each phase it goes to `no_data` and to `error`, where nothing is
known: an alert that was open stays open, one that was pending begins anew.

Who was told that a rule fires is not told again within its `cooldown`. An alert that opened in that
time is told of when the cooldown is over and it still fires (it `remains`).

A rule over single events has no pending phase. Each event that matches opens an alert, which ends
`keep_firing_for` after the last match; matches until then belong to it.

Who calls gives the time. It may go back, as clocks do; then no time has passed.
"""

from __future__ import annotations

import enum
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Protocol

_ZERO: Final = timedelta(0)


class Phase(enum.StrEnum):
    """Where an alert stands."""

    NORMAL = "normal"
    PENDING = "pending"
    FIRING = "firing"
    RECOVERING = "recovering"
    NO_DATA = "no_data"
    ERROR = "error"


class What(enum.StrEnum):
    """What has happened to an alert."""

    PENDING = "pending"
    DROPPED = "dropped"
    FIRED = "fired"
    RECOVERING = "recovering"
    RETURNED = "returned"
    REMAINS = "remains"
    RESOLVED = "resolved"
    NO_DATA = "no_data"
    FAILED = "failed"
    KNOWN = "known"


class Operator(enum.StrEnum):
    """How a value is compared with a threshold."""

    GREATER = ">"
    AT_LEAST = ">="
    LESS = "<"
    AT_MOST = "<="
    EQUAL = "=="
    OTHER = "!="

    def holds(self, value: float, threshold: float) -> bool:
        """Whether the value is beyond the threshold."""
        return _COMPARED[self](value, threshold)


_COMPARED: Final[Mapping[Operator, Callable[[float, float], bool]]] = {
    Operator.GREATER: operator.gt,
    Operator.AT_LEAST: operator.ge,
    Operator.LESS: operator.lt,
    Operator.AT_MOST: operator.le,
    Operator.EQUAL: operator.eq,
    Operator.OTHER: operator.ne,
}


class Terms(Protocol):
    """What `advance` asks of a rule."""

    @property
    def operator(self) -> Operator: ...
    @property
    def threshold(self) -> float: ...
    @property
    def recovery(self) -> float | None: ...
    @property
    def pending_for(self) -> timedelta: ...
    @property
    def keep_firing_for(self) -> timedelta: ...
    @property
    def cooldown(self) -> timedelta: ...


@dataclass(frozen=True)
class Value:
    """What a query over a window gave."""

    value: float


@dataclass(frozen=True)
class Match:
    """An event met the rule's condition."""

    value: float | None = None


@dataclass(frozen=True)
class Passed:
    """No event has met the condition; only time has passed."""


@dataclass(frozen=True)
class NoData:
    """There were no rows to take a value from."""


@dataclass(frozen=True)
class Failure:
    """The rule could not be evaluated."""

    reason: str


Sample = Value | Match | Passed | NoData | Failure


@dataclass(frozen=True)
class Status:
    """Where an alert stands, and since when.

    `opened` is when the open alert fired, `matched` when its condition was last met, `told` when
    somebody was last told that it fires, and `announced` whether that was of the open one.
    """

    phase: Phase = Phase.NORMAL
    since: datetime | None = None
    opened: datetime | None = None
    matched: datetime | None = None
    told: datetime | None = None
    announced: bool = False
    value: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Transition:
    """A step of an alert.

    `opened` is when the alert that it is about fired. `told` is whether people are to be told: of
    one that fired, unless the cooldown keeps it back, and then of its end.
    """

    what: What
    at: datetime
    before: Phase
    after: Phase
    value: float | None = None
    reason: str = ""
    opened: datetime | None = None
    told: bool = False


def advance(
    status: Status, terms: Terms, sample: Sample, now: datetime
) -> tuple[Status, tuple[Transition, ...]]:
    """Where an alert stands after a sample, and the steps by which it came there."""
    alert = _Alert(status, terms, now)
    match sample:
        case Failure(reason):
            alert.lose(Phase.ERROR, What.FAILED, reason)
        case NoData():
            alert.lose(Phase.NO_DATA, What.NO_DATA, "no data")
        case Value(value):
            alert.know()
            alert.take(value)
        case Match(value):
            alert.know()
            alert.match(value)
        case Passed():
            alert.know()
            alert.expire()
    return alert.status, tuple(alert.steps)


class _Alert:
    """One alert on its way through a sample."""

    def __init__(self, status: Status, terms: Terms, now: datetime) -> None:
        self.status = status
        self.terms = terms
        self.now = now
        self.steps: list[Transition] = []

    def lose(self, phase: Phase, what: What, reason: str) -> None:
        """Nothing is known any more."""
        if self.status.phase is not phase:
            self._go(phase, what, reason=reason)
        self.status = replace(self.status, reason=reason)

    def know(self) -> None:
        """Something is known again."""
        if self.status.phase in {Phase.ERROR, Phase.NO_DATA}:
            is_open = self.status.opened is not None
            self._go(Phase.FIRING if is_open else Phase.NORMAL, What.KNOWN)
        self.status = replace(self.status, reason="")

    def take(self, value: float) -> None:
        """The next step for a value over a window."""
        self.status = replace(self.status, value=value)
        if self.status.opened is not None:
            self._go_on(self._still(value))
        elif not self.terms.operator.holds(value, self.terms.threshold):
            if self.status.phase is Phase.PENDING:
                self._go(Phase.NORMAL, What.DROPPED)
        else:
            if self.status.phase is not Phase.PENDING and self.terms.pending_for > _ZERO:
                self._go(Phase.PENDING, What.PENDING)
            if self._passed(self.status.since) >= self.terms.pending_for:
                self._fire()

    def match(self, value: float | None) -> None:
        """An event matched."""
        self.expire()
        self.status = replace(self.status, value=value)
        if self.status.opened is None:
            self._fire()
        self._hold()
        self._remind()
        self.expire()

    def expire(self) -> None:
        """End an alert whose last match is long enough ago."""
        matched = self.status.matched
        if self.status.opened is None or matched is None:
            return
        if self._passed(matched) >= self.terms.keep_firing_for:
            self._resolve(matched + self.terms.keep_firing_for)

    def _still(self, value: float) -> bool:
        recovery = self.terms.threshold if self.terms.recovery is None else self.terms.recovery
        holds = self.terms.operator.holds
        return holds(value, self.terms.threshold) or holds(value, recovery)

    def _go_on(self, still: bool) -> None:
        if still:
            if self.status.phase is Phase.RECOVERING:
                self._go(Phase.FIRING, What.RETURNED)
            self._hold()
            self._remind()
            return
        if self.status.phase is Phase.FIRING and self.terms.keep_firing_for > _ZERO:
            self._go(Phase.RECOVERING, What.RECOVERING)
        if self._passed(self.status.since) >= self.terms.keep_firing_for:
            self._resolve(self.now)

    def _hold(self) -> None:
        before = self.status.matched
        self.status = replace(self.status, matched=max(self.now, before) if before else self.now)

    def _remind(self) -> None:
        """Tell of an alert that opened while the cooldown kept it back."""
        if not self.status.announced and self._may_tell():
            self.status = replace(self.status, announced=True, told=self.now)
            self._go(self.status.phase, What.REMAINS, told=True)

    def _may_tell(self) -> bool:
        told = self.status.told
        return told is None or self._passed(told) >= self.terms.cooldown

    def _fire(self) -> None:
        tell = self._may_tell()
        self.status = replace(
            self.status,
            opened=self.now,
            matched=self.now,
            announced=tell,
            told=self.now if tell else self.status.told,
        )
        self._go(Phase.FIRING, What.FIRED, told=tell)

    def _resolve(self, at: datetime) -> None:
        self._go(Phase.NORMAL, What.RESOLVED, at=at, told=self.status.announced)
        self.status = replace(self.status, opened=None, matched=None, announced=False)

    def _passed(self, since: datetime | None) -> timedelta:
        return _ZERO if since is None else max(self.now - since, _ZERO)

    def _go(
        self,
        phase: Phase,
        what: What,
        *,
        reason: str = "",
        at: datetime | None = None,
        told: bool = False,
    ) -> None:
        at, before = at or self.now, self.status
        self.steps.append(
            Transition(what, at, before.phase, phase, before.value, reason, before.opened, told)
        )
        if phase is not before.phase:
            self.status = replace(before, phase=phase, since=at)
