"""What a person wants to be told, and what not for a while."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from alphapulse_nb.actions.action import Action, Asked, Means, Plain, number
from alphapulse_nb.errors import InputError, UnknownName
from alphapulse_nb.events import moment, stamp
from alphapulse_nb.notify import preferences
from alphapulse_nb.notify.decide import Snooze
from alphapulse_nb.notify.fields import text, wrong
from alphapulse_nb.notify.inbox import Inbox

_LONGEST: Final = timedelta(days=366)
MOST_LABELS: Final = 20
LONGEST_LABEL: Final = 1_000
"""Characters of a label's name, and of its value."""


def _preferences(means: Means, asked: Asked) -> Plain:
    return Inbox(means.state).preferences(asked.reader).plain()


def _prefer(means: Means, asked: Asked) -> Plain:
    if not isinstance(asked.body, Mapping):
        raise wrong("the request", asked.body, "an object of preferences")
    wanted = preferences.read(asked.body)
    Inbox(means.state).prefer(asked.reader, wanted)
    return wanted.plain()


def _snoozes(means: Means, asked: Asked) -> Plain:
    found = Inbox(means.state).snoozed(asked.reader)
    return {"snoozes": [{"id": key, **_snooze_plain(one)} for key, one in found.items()]}


def _snooze_plain(one: Snooze) -> Plain:
    return {
        "rule": one.rule,
        "labels": None if one.labels is None else dict(one.labels),
        "alert": one.alert,
        "until": None if one.until is None else stamp(one.until),
    }


def _snooze(means: Means, asked: Asked) -> Plain:
    fields = asked.fields("rule", "labels", "alert", "until")
    given = {name: value for name, value in fields.items() if value is not None}
    wanted = Snooze(
        rule=_named("rule", given),
        labels=_labels(given),
        alert=_named("alert", given),
        until=_until(means, given),
    )
    if wanted.rule is None and wanted.alert is None and not wanted.labels:
        raise InputError("a snooze names a rule, an alert or labels")
    if wanted.until is None and wanted.alert is None:
        raise InputError("a snooze without an end names the alert that ends it")
    return {"id": Inbox(means.state).snooze(asked.reader, wanted)}


def _named(name: str, given: Mapping[str, Any]) -> str | None:
    if name not in given:
        return None
    if given[name] == "":
        raise InputError(f"{name} is empty")
    return text(name, given[name])


def _labels(given: Mapping[str, Any]) -> dict[str, str] | None:
    if "labels" not in given:
        return None
    labels = given["labels"]
    if not isinstance(labels, Mapping) or len(labels) > MOST_LABELS:
        raise wrong("labels", labels, f"an object of at most {MOST_LABELS} texts")
    found = {text("labels", name): text(f"labels.{name}"[:80], labels[name]) for name in labels}
    longest = max((len(part) for pair in found.items() for part in pair), default=0)
    if longest > LONGEST_LABEL:
        raise InputError(f"labels has {longest:,} characters in one; it may have {LONGEST_LABEL:,}")
    return found


def _until(means: Means, given: Mapping[str, Any]) -> Any:
    if "until" not in given:
        return None
    if not isinstance(given["until"], str):
        raise wrong("until", given["until"], "a moment in ISO 8601")
    until, now = moment(given["until"]), means.clock()
    if not now < until <= now + _LONGEST:
        raise InputError(f"until is {stamp(until)}; it must be within a year from now")
    return until


def _wake(means: Means, asked: Asked) -> Plain:
    found = number("id", asked.values.get("id"))
    if not Inbox(means.state).wake(asked.reader, found):
        raise UnknownName(f"there is no snooze {found} of yours; it may be over")
    return {}


ACTIONS: Final = (
    Action("preferences", _preferences),
    Action("prefer", _prefer),
    Action("snoozes", _snoozes),
    Action("snooze", _snooze),
    Action("wake", _wake),
)
