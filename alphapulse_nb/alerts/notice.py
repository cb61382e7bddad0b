"""What people are told of the steps of alerts.

They are told that an alert fires, that it still does (where the cooldown kept that back), that it
is over, and, once, that a rule cannot be evaluated. An alert of single rows has no end that would
be worth telling.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from alphapulse_nb.alerts import duration
from alphapulse_nb.alerts.check import Checked
from alphapulse_nb.alerts.engine import Step
from alphapulse_nb.alerts.rule import Aggregate
from alphapulse_nb.alerts.states import What
from alphapulse_nb.events import stamp
from alphapulse_nb.notify.notification import Notification, Priority, Type

_TOLD: Final = frozenset({What.FIRED, What.REMAINS, What.RESOLVED})
_LONGEST_TITLE: Final = 200


def texts(step: Step) -> tuple[str, str, tuple[str, ...]]:
    """Title and message of an alert that fires, and which of their fields have no value."""
    if step.checked is None:
        return step.rule.name, "", ()
    values = named(step.checked, step.values, step.labels, step.transition.at)
    title, message = step.checked.title.render(values), step.checked.message.render(values)
    missing = dict.fromkeys((*title.missing, *message.missing))
    return title.text or step.rule.name, message.text, tuple(missing)


def named(
    checked: Checked, values: Mapping[str, Any], labels: Mapping[str, str], since: datetime
) -> dict[str, Any]:
    """What the texts of a rule may name, with the values of a row or of a window."""
    rule = checked.rule
    found: dict[str, Any] = {
        **values,
        **labels,
        **rule.labels,
        "rule": rule.name,
        "priority": rule.priority.value,
        "since": stamp(since),
    }
    if rule.aggregate is None:
        return found
    found |= {"window": duration.written(rule.window), "threshold": rule.threshold}
    if rule.aggregate is Aggregate.SILENCE:
        for name in ("value", "threshold"):
            found[name] = _length(found.get(name))
    return found


def notice(step: Step, title: str, message: str) -> Notification | None:
    """What people are told of a step; None for nothing.

    `title` and `message` are those of the alert when it fired.
    """
    what, rule = step.transition.what, step.rule
    if what is What.FAILED and not step.alert and not step.labels:
        return _failed(step)
    single = rule.aggregate is None
    if what not in _TOLD or not step.transition.told or (single and what is What.RESOLVED):
        return None
    over = what is What.RESOLVED
    values = step.values if single else {}
    return Notification(
        key=f"{step.alert}\n{what}",
        type=Type.SUCCESS if over else rule.type,
        priority=Priority.LOW if over else rule.priority,
        title=f"Resolved: {title}"[:_LONGEST_TITLE] if over else title,
        message=_ended(step) if over else message,
        at=step.transition.at,
        symbol=_symbol(step),
        rule=rule.name,
        labels={**rule.labels, **step.labels},
        confidence=_number(values.get("confidence")),
        risk_reward_ratio=_number(values.get("risk_reward_ratio")),
        late=step.late,
        alert=step.alert,
        resolved=over,
    )


def _failed(step: Step) -> Notification:
    at = step.transition.at
    return Notification(
        key=f"{step.rule.name}\nfailed\n{stamp(at)}",
        type=Type.ERROR,
        priority=Priority.HIGH,
        title=f"The rule {step.rule.name} cannot be evaluated"[:_LONGEST_TITLE],
        message=step.transition.reason[:1_000],
        at=at,
        rule=step.rule.name,
        labels=dict(step.rule.labels),
    )


def _ended(step: Step) -> str:
    opened = step.transition.opened
    if opened is None:
        return ""
    return f"It lasted {duration.written(max(step.transition.at - opened, timedelta(0)))}."


def _symbol(step: Step) -> str | None:
    found = step.labels.get("symbol") or step.values.get("symbol")
    return found if isinstance(found, str) and found else None


def _number(value: Any) -> float | None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number else None


def _length(value: Any) -> str | None:
    return None if value is None else duration.written(timedelta(seconds=float(value)))
