"""JSON Schemas of alerts and notifications: what actions take, and what they answer."""

from __future__ import annotations

from typing import Any, Final

from alphapulse_nb.actions.action import MOST_IDS
from alphapulse_nb.actions.wishes import LONGEST_LABEL, MOST_LABELS
from alphapulse_nb.alerts.rule import LONGEST_NAME, Aggregate
from alphapulse_nb.alerts.states import Operator
from alphapulse_nb.notify.decide import Outcome
from alphapulse_nb.notify.deliveries import STATES
from alphapulse_nb.notify.exchange import LARGEST
from alphapulse_nb.notify.notification import Priority, Type
from alphapulse_nb.notify.preferences import RANGES, Sound
from alphapulse_nb.people import Role
from alphapulse_nb.server.api.schema import BOOLEAN, MOMENT, TEXT, Schema, record, ref, several

LARGEST_ID: Final = 2**53
"""What every client can count to."""

_WHOLE: Final[Schema] = {"type": "integer"}
_ID: Final = _WHOLE | {"minimum": 1, "maximum": LARGEST_ID}
_COUNT: Final[Schema] = {"type": "integer", "minimum": 0}
_NUMBER: Final[Schema] = {"type": "number"}
_LINE: Final[Schema] = {"type": "string", "maxLength": 10_000}
_LABELS: Final[Schema] = {
    "type": "object",
    "additionalProperties": TEXT,
    "description": "what tells it from others of its rule, by name",
}
_HOUR: Final[Schema] = {"type": "string", "pattern": "^([01][0-9]|2[0-3]):[0-5][0-9]$"}


def _or_null(schema: Schema) -> Schema:
    return schema | {"type": [schema["type"], "null"]}


def _one_of(names: Any) -> Schema:
    return {"type": "string", "enum": [str(name) for name in names]}


def _range(name: str) -> Schema:
    least, most = RANGES[name]
    return {"minimum": least, "maximum": most}


def _all_of(names: Any, schema: Schema) -> dict[str, Schema]:
    return {str(name): schema for name in names}


_TOLD: Final = {
    "id": _WHOLE,
    "key": TEXT,
    "type": _one_of(Type),
    "priority": _one_of(Priority),
    "title": TEXT,
    "message": TEXT,
    "at": MOMENT,
    "symbol": _or_null(TEXT),
    "rule": _or_null(TEXT),
    "labels": _LABELS,
    "confidence": _or_null(_NUMBER) | {"description": "a fraction"},
    "risk_reward_ratio": _or_null(_NUMBER),
    "late": BOOLEAN | {"description": "told long after it happened"},
    "alert": _or_null(TEXT) | {"description": "the key of the alert that it belongs to"},
    "resolved": BOOLEAN | {"description": "says that the alert is over"},
    "outcome": _one_of(Outcome) | {"description": "whether it was told, or why not"},
    "reason": TEXT,
    "due_at": _or_null(MOMENT) | {"description": "when a digest brings it"},
    "read_at": _or_null(MOMENT),
    "acknowledged_by": _or_null(TEXT),
}

_ALERT: Final = {
    "key": TEXT,
    "rule": TEXT,
    "labels": _LABELS,
    "symbol": _or_null(TEXT),
    "type": _one_of(Type),
    "priority": _one_of(Priority),
    "title": TEXT,
    "message": TEXT,
    "value": _or_null(_NUMBER),
    "opened_at": MOMENT,
    "closed_at": _or_null(MOMENT),
    "acknowledged_at": _or_null(MOMENT),
    "acknowledged_by": _or_null(TEXT),
}

_RULE: Final = {
    "name": TEXT,
    "rule": {"type": ["object", "null"], "description": "its record, as in a file of rules"},
    "version": _WHOLE,
    "changed_at": MOMENT,
    "changed_by": TEXT,
    "fault": TEXT | {"description": "why it cannot work; empty where it can"},
    "firing": _COUNT,
    "pending": _COUNT,
    "error": TEXT | {"description": "what fails when it is evaluated"},
}

_WISHES: Final = {
    "enabled": BOOLEAN,
    "types": record(_all_of(Type, BOOLEAN), optional=[str(name) for name in Type]),
    "min_confidence": _NUMBER | _range("min_confidence") | {"description": "a fraction"},
    "min_rr_ratio": _NUMBER | _range("min_rr_ratio"),
    "quiet_hours": record(
        {"enabled": BOOLEAN, "start": _HOUR, "end": _HOUR}, optional=("enabled", "start", "end")
    ),
    "max_on_screen": _WHOLE | _range("max_on_screen"),
    "auto_dismiss_seconds": _WHOLE
    | _range("auto_dismiss_seconds")
    | {"description": "0: they stay"},
    "sounds": record(_all_of(Priority, _one_of(Sound)), optional=[str(name) for name in Priority]),
    "browser": BOOLEAN,
    "sound": BOOLEAN,
    "zone": TEXT
    | {"maxLength": 100, "description": "an IANA time zone; empty for that of the account"},
}

_CHANNEL: Final = {
    "name": TEXT,
    "kind": TEXT,
    "masked": TEXT | {"description": "its address without what is secret"},
    "enabled": BOOLEAN,
    "watch": BOOLEAN | {"description": "whether it is told that nobody evaluates"},
    "version": _WHOLE,
    "changed_at": MOMENT,
    "changed_by": TEXT,
    "error": TEXT,
}

_DELIVERY: Final = {
    "id": _WHOLE,
    "channel": TEXT,
    "state": _one_of(STATES),
    "attempts": _COUNT,
    "due_at": MOMENT,
    "sent_at": _or_null(MOMENT),
    "error": TEXT,
    "title": TEXT,
    "at": MOMENT,
}

_SNOOZE: Final = {
    "id": _WHOLE,
    "rule": _or_null(TEXT),
    "labels": _LABELS | {"type": ["object", "null"]},
    "alert": _or_null(TEXT),
    "until": _or_null(MOMENT) | {"description": "null: until the alert clears"},
}

_PROBLEM: Final = record({"place": TEXT, "message": TEXT})

_FIELD: Final = record(
    {"name": TEXT, "kind": _one_of(("number", "text", "flag", "")), "unit": TEXT}
)

_SOURCE: Final = record(
    {
        "name": TEXT,
        "kind": _one_of(("table", "event")),
        "fields": several(_FIELD),
        "anything": BOOLEAN | {"description": "whether it may have other fields, too"},
    }
)

_OUTLOOK: Final = record(
    {
        "labels": _LABELS,
        "outcome": TEXT,
        "reason": TEXT,
        "title": TEXT,
        "message": TEXT,
        "missing": several(TEXT) | {"description": "fields that it names and that have no value"},
    }
)

SHAPES: Final[dict[str, Schema]] = {
    "Notification": record(_TOLD),
    "Notifications": record(
        {"notifications": several(ref("Notification")), "next": _or_null(_WHOLE)}
    ),
    "Inbox": record(
        {
            **dict.fromkeys(("total", "unread", "last_hour"), _COUNT),
            "newest": _COUNT | {"description": "the greatest id; 0 for none"},
            "person": TEXT,
            "shared": BOOLEAN | {"description": "whether others go by the same name"},
            "role": _one_of(Role),
        }
    ),
    "Changed": record({"changed": _COUNT}),
    "Removed": record({"changed": _COUNT, "undo": MOMENT}),
    "Shown": record({"ids": several(_WHOLE)}),
    "History": record({"file": TEXT | {"description": "a file, as text"}}),
    "Imported": record({"imported": _COUNT, "known": _COUNT}),
    "Preferences": record(_WISHES),
    "Snoozes": record({"snoozes": several(record(_SNOOZE))}),
    "Snoozed": record({"id": _WHOLE}),
    "Alert": record(_ALERT),
    "Alerts": record({"alerts": several(ref("Alert"))}),
    "Acknowledged": record({"by": TEXT}),
    "Rule": record(_RULE),
    "Rules": record({"rules": several(ref("Rule"))}),
    "Vocabulary": record(
        {
            "sources": several(_SOURCE),
            "aggregates": several(_one_of(Aggregate)),
            "operators": several(_one_of(Operator)),
            "types": several(_one_of(Type)),
            "priorities": several(_one_of(Priority)),
            "channels": several(TEXT),
            "texts": several(TEXT) | {"description": "what every template may name"},
            "window_texts": several(TEXT) | {"description": "and that of a rule over a window"},
        }
    ),
    "Trial": record(
        {
            "ok": BOOLEAN,
            "problems": several(_PROBLEM),
            "rule": {"type": ["object", "null"], "description": "its record as it would be kept"},
            "lines": several(_OUTLOOK),
            "trouble": TEXT | {"description": "why it could not be tried on the newest data"},
        }
    ),
    "Channel": record(_CHANNEL),
    "Channels": record({"channels": several(ref("Channel")), "kinds": several(TEXT)}),
    "Tested": record({"sent": BOOLEAN, "error": TEXT}),
    "Deliveries": record({"deliveries": several(record(_DELIVERY))}),
    "Done": record({}),
}
"""What actions answer, by name."""

_IDS: Final[Schema] = {
    "type": "array",
    "maxItems": MOST_IDS,
    "items": _ID,
    "description": "of notifications",
}
_IDS_OR_ALL: Final = _IDS | {"type": ["array", "null"], "description": "null: all that were told"}
_RECORD: Final[Schema] = {
    "type": "object",
    "description": "a rule, with the names of a file of rules",
}

BODIES: Final[dict[str, Schema]] = {
    "read": record({"ids": _IDS_OR_ALL, "read": BOOLEAN}, optional=("read",)),
    "remove": record({"ids": _IDS_OR_ALL}),
    "restore": record(
        {"undo": MOMENT | {"maxLength": 100, "description": "what removing answered"}}
    ),
    "show": record(
        {
            "ids": _IDS,
            "page": {
                "type": "string",
                "pattern": "^[A-Za-z0-9_-]{8,64}$",
                "description": "what this browser calls itself",
            },
        }
    ),
    "import": record({"file": {"type": "string", "maxLength": LARGEST}}),
    "prefer": record(_WISHES, optional=_WISHES),
    "snooze": record(
        {
            "rule": _or_null(_LINE | {"minLength": 1, "maxLength": LONGEST_NAME}),
            "labels": {
                "type": ["object", "null"],
                "maxProperties": MOST_LABELS,
                "propertyNames": {"maxLength": LONGEST_LABEL},
                "additionalProperties": _LINE | {"maxLength": LONGEST_LABEL},
                "description": "those that it must have",
            },
            "alert": _or_null(_LINE | {"minLength": 1}),
            "until": _or_null(MOMENT | {"maxLength": 100})
            | {"description": "within a year; left out: until it clears"},
        },
        optional=("rule", "labels", "alert", "until"),
    ),
    "acknowledge": record({"alert": _LINE | {"description": "its key"}}),
    "check": record({"rule": _RECORD}),
    "save": record(
        {
            "rule": _RECORD,
            "version": _ID | {"minimum": 0, "description": "the one replaced; 0: a new rule"},
        }
    ),
    "connect": record(
        {
            "address": TEXT | {"maxLength": 2_000, "description": "left out: as it is"},
            "secret": TEXT | {"maxLength": 1_000, "description": "what a webhook is signed with"},
            "enabled": BOOLEAN,
            "watch": BOOLEAN | {"description": "whether it is told that nobody evaluates"},
        },
        optional=("address", "secret", "enabled", "watch"),
    ),
    "try_channel": record({}),
    "resend": record({}),
}
"""What actions take, by the action's name."""
