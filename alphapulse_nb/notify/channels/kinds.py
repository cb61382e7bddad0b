"""The kinds of channels that apprise carries, and what an address of each may say.

apprise knows some 150 services. Among them are programs to run, files to write, the server's own
log and screen, and other apprise servers; an operator of the dashboard must reach none of them. So
a kind is on this list or does not exist, and so is each option of its address: options of apprise
also read files (`template`, `attach`, `pgpprv`), turn off the checking of certificates (`verify`)
and ask other machines for help (`wkd`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from alphapulse_nb.errors import InputError
from alphapulse_nb.spelling import hint

WEBHOOK: Final = "webhook"
WEBHOOK_SCHEMES: Final = ("webhook+https", "webhook+http")


def _same(text: str) -> str:
    return text


def unpinged(text: str) -> str:
    """The text without mentions: @everyone stays readable, and nobody is called."""
    return re.sub(r"@(?=\w)", "@\u200b", text)


def literal(text: str) -> str:
    """The text for services that take all text for Markdown: it looks as it was written."""
    return re.sub(r"([\\`*_~|>#\[\]()-])", r"\\\1", unpinged(text))


def faceless(text: str) -> str:
    """The same for one that makes a face of :smile: (apprise escapes it after it has counted)."""
    return re.sub(r":(?=[\w+-]+:)", r"\:", literal(text))


def unencoded(text: str) -> str:
    """The text for a header of a mail: none that looks like an encoded one is decoded."""
    return text.replace("=?", "=\u200b?")


@dataclass(frozen=True)
class Kind:
    """A kind of channel: `schemes` of its addresses, and the plugin of apprise that carries it.

    `options` may be shown and `hidden` ones may not; `prefixes` begin options with free names.
    `fixed` are options that are ours to set. `server` says that the address names a server, and
    not a secret, where a host would be; `targets` that its targets may be shown. `headers` go
    with each message, with its key for {key}. `plain` makes text show as it is, `line` a heading.
    """

    name: str
    label: str
    schemes: tuple[str, ...]
    plugin: str
    example: str
    options: frozenset[str] = frozenset()
    hidden: frozenset[str] = frozenset()
    prefixes: str = ""
    fixed: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    server: bool = False
    targets: bool = True
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    plain: Callable[[str], str] = _same
    line: Callable[[str], str] = _same


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


_JSON: Final = Kind(
    *("json", "JSON", ("json", "jsons"), "custom_json:NotifyJSON", "jsons://example.com/path"),
    options=_set("method"),
    hidden=_set("user pass password"),
    prefixes="+-:",
    server=True,
    targets=False,
    headers={"Idempotency-Key": "{key}"},
)

_ALL: Final = (
    Kind(
        *("email", "e-mail", ("mailto", "mailtos"), "email.base:NotifyEmail"),
        "mailtos://user:password@smtp.example.com?from=desk@example.com&to=desk@example.com",
        options=_set("to cc bcc from name reply smtp mode port"),
        hidden=_set("user pass password"),
        server=True,
        headers={"X-AlphaPulse-Key": "{key}", "Auto-Submitted": "auto-generated"},
        line=unencoded,
    ),
    Kind(
        *("slack", "Slack", ("slack",), "slack:NotifySlack"),
        "slack://TokenA/TokenB/TokenC/#channel",
        options=_set("to mode blocks footer timestamp"),
        hidden=_set("token"),
    ),
    Kind(
        *("telegram", "Telegram", ("tgram",), "telegram:NotifyTelegram"),
        "tgram://BotToken/ChatId",
        options=_set("to topic silent preview"),
    ),
    Kind(
        *("discord", "Discord", ("discord",), "discord:NotifyDiscord"),
        "discord://WebhookId/WebhookToken",
        options=_set("ping botname flags tts"),
        plain=faceless,
    ),
    Kind(
        *("teams", "Microsoft Teams", ("workflow", "workflows"), "workflows:NotifyWorkflows"),
        "workflows://host.logic.azure.com/WorkflowId/Signature",
        options=_set("route routeid pa powerautomate wrap ver api-version"),
        hidden=_set("id workflow sig signature"),
        server=True,
    ),
    Kind(
        *("ntfy", "ntfy", ("ntfy", "ntfys"), "ntfy:NotifyNtfy"),
        "ntfys://user:password@ntfy.example.com/topic",
        options=_set("priority tags xtags click mode auth"),
        hidden=_set("token to user pass password"),
        server=True,
        targets=False,
    ),
    Kind(
        *("pushover", "Pushover", ("pover",), "pushover:NotifyPushover"),
        "pover://UserKey@Token",
        options=_set("priority sound expire interval"),
        hidden=_set("to"),
        targets=False,
    ),
    Kind(
        *("pagerduty", "PagerDuty", ("pagerduty",), "pagerduty:NotifyPagerDuty"),
        "pagerduty://IntegrationKey@ApiKey",
        options=_set("group class severity action source component region"),
        hidden=_set("apikey integrationkey dedup click"),
        prefixes="+",
    ),
    Kind(
        *("opsgenie", "Opsgenie", ("opsgenie",), "opsgenie:NotifyOpsgenie"),
        "opsgenie://ApiKey/@user",
        options=_set("to priority tags region entity alias"),
        hidden=_set("apikey"),
        prefixes="+",
        # Left to itself it only notes what is no warning, on an alert that there may not be.
        fixed={"action": "new"},
    ),
    Kind(
        *("matrix", "Matrix", ("matrix", "matrixs"), "matrix.base:NotifyMatrix"),
        "matrixs://AccessToken@matrix.example.com/#room:example.com",
        options=_set("to mode version v msgtype hsreq discovery"),
        hidden=_set("token path"),
        # Its keys would have to outlive the message, in files.
        fixed={"e2ee": "no"},
        server=True,
    ),
    Kind(
        *("mattermost", "Mattermost", ("mmost", "mmosts"), "mattermost:NotifyMattermost"),
        "mmosts://chat.example.com/Token?to=channel",
        options=_set("to channel channels mode botname team"),
        server=True,
        plain=literal,
    ),
    Kind(
        *("rocketchat", "Rocket.Chat", ("rocket", "rockets"), "rocketchat:NotifyRocketChat"),
        "rockets://WebhookA/WebhookB@chat.example.com/#channel",
        options=_set("to mode avatar"),
        hidden=_set("webhook user pass password"),
        server=True,
        plain=unpinged,
    ),
    Kind(
        *("gotify", "Gotify", ("gotify", "gotifys"), "gotify:NotifyGotify"),
        "gotifys://gotify.example.com/Token",
        options=_set("priority"),
        server=True,
        targets=False,
    ),
    Kind(
        *("signal", "Signal", ("signal", "signals"), "signal_api:NotifySignalAPI"),
        "signals://signal.example.com/FromNumber/ToNumber",
        options=_set("batch status"),
        hidden=_set("from to user pass password"),
        server=True,
    ),
    _JSON,
    replace(
        _JSON,
        name="xml",
        label="XML",
        schemes=("xml", "xmls"),
        plugin="custom_xml:NotifyXML",
        example="xmls://example.com/path",
    ),
    replace(
        _JSON,
        name="form",
        label="a form",
        schemes=("form", "forms"),
        plugin="custom_form:NotifyForm",
        example="forms://example.com/path",
    ),
)

KINDS: Final[Mapping[str, Kind]] = {kind.name: kind for kind in _ALL}
"""The kinds by name, without our own webhook."""

_BY_SCHEME: Final = {scheme: kind for kind in _ALL for scheme in kind.schemes}
SCHEMES: Final = (*_BY_SCHEME, *WEBHOOK_SCHEMES)
"""What an address may begin with."""


def of_scheme(scheme: str) -> Kind:
    """The kind of addresses that begin so. Raises `InputError` that suggests the nearest."""
    if scheme in _BY_SCHEME:
        return _BY_SCHEME[scheme]
    if scheme in ("http", "https"):
        raise InputError(
            f"{scheme}:// alone does not say what is there: write webhook+{scheme}:// for a signed "
            f"webhook, json{scheme[4:]}:// for a plain one, or the form of the service, such as "
            f"{KINDS['slack'].example}"
        )
    known = ", ".join(SCHEMES)
    raise InputError(f"there is no channel {scheme}://{hint(scheme, SCHEMES)} (there are {known})")
