"""Alerts, notifications, rules and channels: the actions of `alphapulse_nb.actions`, by HTTP."""

from __future__ import annotations

from typing import Final

from alphapulse_nb.actions import ACTIONS, Asked, channels, inbox, rules
from alphapulse_nb.actions.action import Limit
from alphapulse_nb.alerts.rule import LONGEST_NAME
from alphapulse_nb.notify.deliveries import STATES
from alphapulse_nb.notify.exchange import LARGEST
from alphapulse_nb.notify.notification import Priority, Type
from alphapulse_nb.server.answers import Fault
from alphapulse_nb.server.api.encoding import encoded, packed
from alphapulse_nb.server.api.endpoint import Answer, Body, Endpoint, Method
from alphapulse_nb.server.api.handler import ApiHandler
from alphapulse_nb.server.api.known import SYMBOL
from alphapulse_nb.server.api.parameter import Flag, Listed, Parameter, Text, Values, Whole
from alphapulse_nb.server.api.schema import ref
from alphapulse_nb.server.api.shapes import BODIES, LARGEST_ID

_LARGE: Final = 256 << 10
"""Bytes of an answer from which on packing it would hold up the event loop."""
_OUTSIDE: Final = frozenset({"try_channel"})
"""Actions that wait for others than the database."""
_VISIBLE: Final = "[^\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff]"


class ActionHandler(ApiHandler):
    """Performs the action of its endpoint."""

    async def answer(self, values: Values) -> None:
        means, person = self.shared.actions, self.person
        if means is None or person is None:
            raise Fault("not_found")
        asked, gzipped = Asked(person, values, self.body), self.takes_gzip
        action = ACTIONS[self.endpoint.name]

        def performed() -> tuple[bytes, bool]:
            body = encoded(action.perform(means, asked))
            large = gzipped and len(body) > _LARGE
            return (packed(body) if large else body), large

        workers = self.means.outside if action.name in _OUTSIDE else self.means.workers
        body, is_packed = await self.work(action.name, performed, workers)
        self.send_bytes(body, gzipped=is_packed)


def _action(
    name: str,
    method: Method,
    path: str,
    shape: str,
    summary: str,
    about: str,
    *parameters: Parameter,
    most: int = 256 << 10,
    also: tuple[str, ...] = (),
) -> Endpoint:
    """The endpoint of an action. Its body may have `most` bytes; `also` are codes of its errors."""
    body = Body(BODIES[name], most) if name in BODIES else None
    return Endpoint(
        path=path,
        name=name,
        summary=summary,
        about=about,
        handler=ActionHandler,
        answers=(Answer(200, "Done." if method != "GET" else "As asked.", ref(shape)),),
        parameters=parameters,
        method=method,
        body=body,
        role=ACTIONS[name].role,
        asks_database=True,
        also=also,
    )


def _limit(limit: Limit) -> Parameter:
    return Parameter("limit", Whole(1, limit.most), "how many at most", default=limit.usual)


_NAMED: Final = Text(LONGEST_NAME, _VISIBLE, f"a name of 1 to {LONGEST_NAME} visible characters")
_NAME: Final = Parameter("name", _NAMED, "its name", place="path", example="Drawdown")
_ID: Final = Parameter("id", Whole(1, LARGEST_ID), "its number", place="path", example=1)
_RULE: Final = Parameter("rule", _NAMED, "only those of this rule")
_OF_SYMBOL: Final = Parameter("symbol", SYMBOL, "only those of this symbol", example="BTC/USDT")

NOTIFICATIONS: Final = (
    _action(
        "notifications",
        "GET",
        "/api/notifications",
        "Notifications",
        "What one was told, the newest first",
        "The history of whoever asks; with `held` what they were not told, and why. "
        "`before` goes on where a page ended: give it the `next` of that page.",
        Parameter("type", Listed([*Type]), "only of these types", example="signal,warning"),
        Parameter("priority", Listed([*Priority]), "only of these priorities"),
        _OF_SYMBOL,
        _RULE,
        Parameter("words", Text(200, _VISIBLE, "up to 200 visible characters"), "as it is said"),
        Parameter("unread", Flag(), "only what was not read", default=False),
        Parameter("held", Flag(), "what was not told", default=False),
        Parameter("before", Whole(1, LARGEST_ID), "only older ones than this number"),
        _limit(inbox.LIMIT),
    ),
    _action(
        "inbox",
        "GET",
        "/api/notifications/summary",
        "Inbox",
        "How much there is to read",
        "Also says by which name and role one is known.",
    ),
    _action(
        "read",
        "POST",
        "/api/notifications/read",
        "Changed",
        "Mark as read or unread",
        "Those of the ids, or all.",
    ),
    _action(
        "remove",
        "POST",
        "/api/notifications/remove",
        "Removed",
        "Take out of one's history",
        "`restore` brings back what one request removed, by its `undo`.",
    ),
    _action(
        "restore",
        "POST",
        "/api/notifications/restore",
        "Changed",
        "Bring back what was removed",
        "See `remove`.",
    ),
    _action(
        "show",
        "POST",
        "/api/notifications/show",
        "Shown",
        "Which of these a page shall show",
        "Each notification is given to one page of a person, so that it is shown once. Where many "
        "share a name, to one page of each browser.",
    ),
    _action(
        "export",
        "GET",
        "/api/notifications/export",
        "History",
        "One's history as a file",
        "It can be imported again and is then, exported, the same byte for byte.",
    ),
    _action(
        "import",
        "POST",
        "/api/notifications/import",
        "Imported",
        "Put a file into one's history",
        "What is there already stays as it is. Nobody else sees what is imported.",
        most=LARGEST + (1 << 20),
    ),
    _action(
        "preferences",
        "GET",
        "/api/preferences",
        "Preferences",
        "What one wants to be told",
        "Where nothing was said, the usual.",
    ),
    _action(
        "prefer",
        "PUT",
        "/api/preferences",
        "Preferences",
        "Say what one wants to be told",
        "What is left out is as usual.",
    ),
    _action(
        "snoozes",
        "GET",
        "/api/snoozes",
        "Snoozes",
        "What one does not want to be told for a while",
        "Those that are not over.",
    ),
    _action(
        "snooze",
        "POST",
        "/api/snoozes",
        "Snoozed",
        "Not to be told for a while",
        "A rule, labels or an alert, until a moment; an alert also until it clears.",
    ),
    _action(
        "wake",
        "DELETE",
        "/api/snoozes/{id}",
        "Done",
        "To be told again",
        "Ends a snooze of one's own.",
        _ID,
        also=("unknown_name",),
    ),
)

ALERTS: Final = (
    _action(
        "alerts",
        "GET",
        "/api/alerts",
        "Alerts",
        "What rules have found, the newest first",
        "An alert that is open has no `closed_at`.",
        Parameter("open", Flag(), "only those that are open", default=False),
        _RULE,
        _OF_SYMBOL,
        _limit(rules.LIMIT),
    ),
    _action(
        "acknowledge",
        "POST",
        "/api/alerts/acknowledge",
        "Acknowledged",
        "Say that one looks after an alert",
        "The answer names who does: whoever said so first. For operators.",
        also=("unknown_name",),
    ),
    _action(
        "rules",
        "GET",
        "/api/rules",
        "Rules",
        "The rules, and how they stand",
        "By name.",
    ),
    _action(
        "save",
        "PUT",
        "/api/rules/{name}",
        "Rule",
        "Save a rule",
        "`version` is the one that it replaces: who has not seen the last change is refused. For "
        "operators.",
        _NAME,
        also=("conflict", "bad_rule"),
    ),
    _action(
        "drop",
        "DELETE",
        "/api/rules/{name}",
        "Done",
        "Remove a rule",
        "Its open alerts are over. For operators.",
        _NAME,
        also=("unknown_name",),
    ),
    _action(
        "vocabulary",
        "GET",
        "/api/vocabulary",
        "Vocabulary",
        "What rules may say",
        "Their sources with the fields, and the names of everything else.",
    ),
    _action(
        "check",
        "POST",
        "/api/trial",
        "Trial",
        "Try a rule that is not saved",
        "What is wrong with it, or what it says to the newest data. For operators.",
    ),
)

CHANNELS: Final = (
    _action(
        "channels",
        "GET",
        "/api/channels",
        "Channels",
        "The channels, without their secrets",
        "For operators.",
    ),
    _action(
        "connect",
        "PUT",
        "/api/channels/{name}",
        "Channel",
        "Save a channel",
        "An address that is left out stays. For operators.",
        _NAME,
    ),
    _action(
        "disconnect",
        "DELETE",
        "/api/channels/{name}",
        "Done",
        "Remove a channel",
        "What waits for it is given up. For operators.",
        _NAME,
        also=("unknown_name",),
    ),
    _action(
        "try_channel",
        "POST",
        "/api/channels/{name}",
        "Tested",
        "Send a message that is marked TEST",
        "By the way that all others take. For operators.",
        _NAME,
        also=("unknown_name",),
    ),
    _action(
        "deliveries",
        "GET",
        "/api/deliveries",
        "Deliveries",
        "What was sent, waits, or was given up",
        "The newest first. For operators.",
        Parameter("state", Listed([*STATES], most=1), "only those"),
        _limit(channels.LIMIT),
    ),
    _action(
        "resend",
        "POST",
        "/api/deliveries/{id}/resend",
        "Done",
        "Try again what was given up",
        "For operators.",
        _ID,
        also=("unknown_name",),
    ),
)
