"""Deciding: whether a person is told something now, and why.

The checks come in this order, and the first that applies decides:

    duplicate           they were told it before
    disabled            they want to be told nothing
    type_disabled       they want nothing of its type
    below_confidence    a prediction or signal whose confidence is below what they ask for
    below_risk_reward   a signal whose risk-reward ratio is below what they ask for
    snoozed             they snoozed its rule, its labels or its alert
    cooldown            its rule was told a short while ago
    quiet_hours         it is quiet where they are now; urgent ones pass
    sent                nothing speaks against it

What would not be told by day is not kept for the morning either, so quiet hours come last. They
are about the moment of telling: what happened at night and is decided by day is sent. That an
alert is resolved goes through the same checks.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from alphapulse_nb.notify import quiet
from alphapulse_nb.notify.notification import Notification, Priority, Type
from alphapulse_nb.notify.preferences import Preferences

_WITH_CONFIDENCE: Final = frozenset({Type.PREDICTION, Type.SIGNAL})
_WITH_RATIO: Final = frozenset({Type.SIGNAL})


class Outcome(enum.StrEnum):
    """What was decided; the module says when."""

    SENT = "sent"
    DISABLED = "disabled"
    TYPE_DISABLED = "type_disabled"
    BELOW_CONFIDENCE = "below_confidence"
    BELOW_RISK_REWARD = "below_risk_reward"
    QUIET_HOURS = "quiet_hours"
    SNOOZED = "snoozed"
    COOLDOWN = "cooldown"
    DUPLICATE = "duplicate"


@dataclass(frozen=True)
class Decision:
    """What was decided, and the reason in words for the person.

    What quiet hours keep is told at `until` (in UTC), in a digest; else `until` is None.
    """

    outcome: Outcome
    reason: str
    until: datetime | None = None
    digest: bool = False


@dataclass(frozen=True)
class Snooze:
    """What a person does not want to be told for a while: all that matches what is given here.

    Labels match when a notification has all of them. A snooze that names neither rule nor label
    nor alert covers nothing. It lasts until `until`; without one until the alert clears, which is
    told.
    """

    rule: str | None = None
    labels: Mapping[str, str] | None = None
    until: datetime | None = None
    alert: str | None = None

    def covers(self, notification: Notification, now: datetime) -> bool:
        """Whether the notification is not to be told at `now`."""
        lasts = now < self.until if self.until is not None else not notification.resolved
        return lasts and self._names(notification)

    def _names(self, notification: Notification) -> bool:
        if self.rule is None and not self.labels and self.alert is None:
            return False
        return (
            self.rule in {None, notification.rule}
            and self.alert in {None, notification.alert}
            and (self.labels or {}).items() <= notification.labels.items()
        )


@dataclass(frozen=True)
class Context:
    """What else counts.

    Parameters
    ----------
    zone: the IANA zone of the person, where their preferences name none; empty is UTC.
    seen: they were told a notification with this key before.
    snoozes: theirs.
    cooldown: that of its rule is not over.
    """

    zone: str = ""
    seen: bool = False
    snoozes: Sequence[Snooze] = ()
    cooldown: bool = False


@dataclass(frozen=True)
class _Case:
    notification: Notification
    preferences: Preferences
    context: Context
    now: datetime

    @property
    def zone(self) -> str:
        return self.preferences.zone or self.context.zone


def decide(
    notification: Notification, preferences: Preferences, context: Context, now: datetime
) -> Decision:
    """Whether a person is told a notification at `now`; one outcome for whatever comes."""
    case = _Case(notification, preferences, context, now)
    decisions = (check(case) for check in _CHECKS)
    return next((found for found in decisions if found is not None), _SENT)


def _duplicate(case: _Case) -> Decision | None:
    return Decision(Outcome.DUPLICATE, "told before") if case.context.seen else None


def _disabled(case: _Case) -> Decision | None:
    if case.preferences.enabled:
        return None
    return Decision(Outcome.DISABLED, "your notifications are off")


def _type_disabled(case: _Case) -> Decision | None:
    kind = case.notification.type
    if case.preferences.types[kind]:
        return None
    return Decision(Outcome.TYPE_DISABLED, f"your notifications of type {kind} are off")


def _below_confidence(case: _Case) -> Decision | None:
    confidence, least = case.notification.confidence, case.preferences.min_confidence
    if case.notification.type not in _WITH_CONFIDENCE or confidence is None or confidence >= least:
        return None
    reason = f"confidence {_below(confidence * 100, least * 100)} % is below your {least * 100:g} %"
    return Decision(Outcome.BELOW_CONFIDENCE, reason)


def _below_risk_reward(case: _Case) -> Decision | None:
    ratio, least = case.notification.risk_reward_ratio, case.preferences.min_rr_ratio
    if case.notification.type not in _WITH_RATIO or ratio is None or ratio >= least:
        return None
    reason = f"risk-reward ratio {_below(ratio, least)} is below your {least:g}"
    return Decision(Outcome.BELOW_RISK_REWARD, reason)


def _snoozed(case: _Case) -> Decision | None:
    covering = [s for s in case.context.snoozes if s.covers(case.notification, case.now)]
    if not covering:
        return None
    ends = [snooze.until for snooze in covering if snooze.until is not None]
    last = f"{quiet.wall(max(ends), case.zone)} {quiet.clock(case.zone)}" if ends else ""
    clears = len(ends) < len(covering)
    until = " and ".join(filter(None, [last, "the alert clears" if clears else ""]))
    return Decision(Outcome.SNOOZED, f"you snoozed it until {until}")


def _cooldown(case: _Case) -> Decision | None:
    return (
        Decision(Outcome.COOLDOWN, "the cooldown of its rule is not over")
        if case.context.cooldown
        else None
    )


def _quiet_hours(case: _Case) -> Decision | None:
    hours = case.preferences.quiet_hours
    if not quiet.inside(hours, case.zone, case.now):
        return None
    spoken = f"your quiet hours are {hours} {quiet.clock(case.zone)}"
    if case.notification.priority.at_least(Priority.URGENT):
        return Decision(Outcome.SENT, f"urgent, although {spoken}")
    until = quiet.end(hours, case.zone, case.now)
    return Decision(Outcome.QUIET_HOURS, spoken, until, digest=True)


def _below(value: float, least: float) -> str:
    """A number that is below another, with the digits that it takes to see that it is."""
    for digits in range(3, 17):
        text = f"{value:.{digits}g}"
        if float(text) < least:
            return text
    return f"just under {least:g}"  # such as 80, when one is the float before 0.8


_SENT: Final = Decision(Outcome.SENT, "nothing speaks against it")
_CHECKS: Final = (
    _duplicate,
    _disabled,
    _type_disabled,
    _below_confidence,
    _below_risk_reward,
    _snoozed,
    _cooldown,
    _quiet_hours,
)
