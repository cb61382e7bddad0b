"""Rules and the alerts that they found: listed, checked, tried, saved, acknowledged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from alphapulse_nb.actions.action import Action, Asked, Limit, Means, Plain, needed, number
from alphapulse_nb.alerts import fields as vocabulary
from alphapulse_nb.alerts import rule as rules
from alphapulse_nb.alerts import trial
from alphapulse_nb.alerts.check import EXTRA, Checked, check, measured
from alphapulse_nb.alerts.rule import Aggregate, Rule
from alphapulse_nb.alerts.states import Operator, Phase
from alphapulse_nb.alerts.store import Alert, Kept, Store
from alphapulse_nb.alerts.trial import Line
from alphapulse_nb.errors import DatabaseError, InputError, RuleError, UnknownName
from alphapulse_nb.events import stamp
from alphapulse_nb.notify.deliveries import Deliveries
from alphapulse_nb.notify.fields import text
from alphapulse_nb.notify.inbox import Inbox
from alphapulse_nb.notify.notification import Priority, Type
from alphapulse_nb.people import Role

LIMIT: Final = Limit(100, 500)
"""Of alerts."""


def _listed(means: Means, _: Asked) -> Plain:
    store = Store(means.state)
    phases: dict[str, Counter[Phase]] = {}
    errors: dict[str, str] = {}
    for (name, _key), held in store.held().items():
        phases.setdefault(name, Counter())[held.status.phase] += 1
        if held.status.phase is Phase.ERROR:
            errors[name] = held.status.reason
    found = [_kept(one, means) for one in store.listed()]
    for one in found:
        counted = phases.get(one["name"], Counter())
        one["firing"] = counted[Phase.FIRING] + counted[Phase.RECOVERING]
        one["pending"] = counted[Phase.PENDING]
        one["error"] = errors.get(one["name"], "")
    return {"rules": found}


def _kept(kept: Kept, means: Means) -> Plain:
    """A rule as it is kept; of its alerts nothing is known here."""
    fault = kept.fault
    if kept.rule is not None:
        try:
            check(kept.rule, means.kinds())
        except RuleError as error:
            fault = str(error)
    return {
        "name": kept.name,
        "rule": None if kept.rule is None else kept.rule.plain(),
        "version": kept.version,
        "changed_at": stamp(kept.changed_at),
        "changed_by": kept.changed_by,
        "fault": fault,
        "firing": 0,
        "pending": 0,
        "error": "",
    }


def _vocabulary(means: Means, _: Asked) -> Plain:
    kinds = means.kinds()
    return {
        "sources": [_source(name, vocabulary.fields_of(name, kinds)) for name in _sources(means)],
        "aggregates": [one.value for one in Aggregate],
        "operators": [one.value for one in Operator],
        "types": [one.value for one in Type],
        "priorities": [one.value for one in Priority],
        "channels": [one.name for one in Deliveries(means.state).channels()],
        "texts": [*EXTRA],
        "window_texts": [*measured(vocabulary.Kind.NUMBER, "")],
    }


def _sources(means: Means) -> list[str]:
    return vocabulary.sources(means.kinds())


def _source(name: str, fields: vocabulary.Fields) -> Plain:
    return {
        "name": name,
        "kind": "table" if vocabulary.is_table(name) else "event",
        "fields": [
            {"name": one.name, "kind": one.kind.value if one.kind else "", "unit": one.unit}
            for one in fields.values()
        ],
        "anything": fields.anything,
    }


def _check(means: Means, asked: Asked) -> Plain:
    try:
        checked = check(rules.read(needed(asked.fields("rule"), "rule")), means.kinds())
    except RuleError as error:
        return {
            "ok": False,
            "problems": error.plain(),
            "rule": None,
            "lines": [],
            "trouble": "",
        }
    lines, trouble = _tried(means, checked)
    return {
        "ok": True,
        "problems": [],
        "rule": checked.rule.plain(),
        "lines": [_line(one) for one in lines],
        "trouble": trouble,
    }


def _tried(means: Means, checked: Checked) -> tuple[list[Line], str]:
    """What the rule says to the newest data, and why it could not be asked."""
    try:
        return trial.tried(checked, means.db, means.state, means.clock()), ""
    except DatabaseError as error:
        return [], str(error)


def _line(one: Line) -> Plain:
    return {
        "labels": dict(one.labels),
        "outcome": one.outcome,
        "reason": one.reason,
        "title": one.title,
        "message": one.message,
        "missing": list(one.missing),
    }


def _save(means: Means, asked: Asked) -> Plain:
    fields = asked.fields("rule", "version")
    found = rules.read(needed(fields, "rule"))
    if found.name != asked.name:
        raise InputError(f"the rule is called {found.name!r} and the address says otherwise")
    if not _is_turned_off(means, found):
        check(found, means.kinds())
        _check_channels(means, found)
    version = number("version", needed(fields, "version"))
    kept = Store(means.state).save(found, asked.person.name, version)
    means.hurry()
    return _kept(kept, means)


def _is_turned_off(means: Means, found: Rule) -> bool:
    """Whether nothing is wanted but that a kept rule rests, which one that cannot work may, too."""
    kept = {one.name: one.rule for one in Store(means.state).listed()}.get(found.name)
    return kept is not None and found == replace(kept, enabled=False)


def _check_channels(means: Means, rule: Rule) -> None:
    """Who saves a rule here sees the channels, so one that there is not is a slip."""
    known = [one.name for one in Deliveries(means.state).channels()]
    missing = [name for name in rule.channels if name not in known]
    if missing:
        words = f"there is no channel {missing[0]!r}; known are {', '.join(known) or 'none'}"
        raise RuleError([("channels", words)], rule.name)


def _drop(means: Means, asked: Asked) -> Plain:
    Store(means.state).remove(asked.name)
    means.hurry()
    return {}


def _alerts(means: Means, asked: Asked) -> Plain:
    values = asked.values
    found = Store(means.state).alerts(
        open_only=bool(values.get("open")),
        rule=values.get("rule"),
        symbol=values.get("symbol"),
        most=asked.limit(LIMIT),
    )
    return {"alerts": [_alert(one) for one in found]}


def _alert(one: Alert) -> Plain:
    moments: Mapping[str, Any] = {
        name: None if at is None else stamp(at)
        for name, at in (
            ("opened_at", one.opened_at),
            ("closed_at", one.closed_at),
            ("acknowledged_at", one.acknowledged_at),
        )
    }
    return {
        "key": one.key,
        "rule": one.rule,
        "labels": dict(one.labels),
        "symbol": one.symbol,
        "type": one.type,
        "priority": one.priority,
        "title": one.title,
        "message": one.message,
        "value": one.value,
        **moments,
        "acknowledged_by": one.acknowledged_by,
    }


def _acknowledge(means: Means, asked: Asked) -> Plain:
    alert = text("alert", needed(asked.fields("alert"), "alert"))
    by = Inbox(means.state).acknowledge(alert, asked.person.name)
    if by is None:
        raise UnknownName("there is no such alert; it may be too old")
    return {"by": by}


ACTIONS: Final = (
    Action("rules", _listed),
    Action("vocabulary", _vocabulary),
    Action("check", _check, Role.OPERATOR),
    Action("save", _save, Role.OPERATOR),
    Action("drop", _drop, Role.OPERATOR),
    Action("alerts", _alerts),
    Action("acknowledge", _acknowledge, Role.OPERATOR),
)
