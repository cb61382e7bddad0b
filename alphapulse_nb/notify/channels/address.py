"""The address of a channel, as an operator writes it.

An address is an apprise URL, such as `slack://TokenA/TokenB/TokenC/#channel`, or
`webhook+https://host/path` for a webhook of our own. Most of it is secret: tokens stand where a
host would, in the path and among the options. So everything is a secret that is not known to be
none, apprise's own masking is not used (it shows the path, headers and fields of a JSON address,
and the ends of every token), and no message about an address repeats a part of it.

apprise reads a URL its own way. What is not meant to be read two ways is refused, and the options
are written anew, so that apprise sees those that were looked at and no others.
"""

from __future__ import annotations

import base64
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote, unquote, urlsplit

from alphapulse_nb.errors import InputError
from alphapulse_nb.notify.channels import plugins
from alphapulse_nb.notify.channels.kinds import WEBHOOK, WEBHOOK_SCHEMES, Kind, of_scheme
from alphapulse_nb.spelling import hint

LONGEST: Final = 2_000
"""Characters of an address."""

_SCHEME: Final = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]{0,30})://(.*)", re.DOTALL)
_PARTS: Final = re.compile(r"[:/@?&=#,;]+")
_HEADER: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_OUR_HEADERS: Final = {"host", "content-length", "transfer-encoding", "connection", "te", "upgrade"}
_METHODS: Final = ("POST", "PUT", "PATCH")
_PIECE: Final = 4
_INVISIBLE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_REASONS: Final = {
    "verify": "certificates are always checked",
    "redirect": "redirects are never followed",
    "template": "no files are read",
    "attach": "no files are sent",
    "format": "messages are plain text",
    "retry": "we try again ourselves",
    "rto": "the time-outs are fixed",
    "cto": "the time-outs are fixed",
}
"""Options of apprise that people know, and why they are none here."""


@dataclass(frozen=True)
class Address:
    """An address that has been looked at.

    `kind` is email, slack, …, webhook; `masked` is for screens and logs. `url` is the whole with
    its secrets: an apprise URL, or the webhook's own.
    """

    kind: str
    masked: str
    url: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)

    def __str__(self) -> str:
        return self.masked

    def clean(self, text: str) -> str:
        """The text with … for each part of the address that is not shown."""
        for secret in self.secrets:
            text = text.replace(secret, "…")
        return text


def read(address: str) -> Address:
    """Look at an address. Raises `InputError` that says what is wrong and repeats no part of it."""
    text = _checked(address)
    found = _SCHEME.fullmatch(text)
    if found is None:
        raise InputError("an address begins with its kind, such as mailtos:// or webhook+https://")
    scheme, rest = found.group(1).lower(), found.group(2)
    if scheme in WEBHOOK_SCHEMES:
        return _webhook(scheme, rest)
    return _carried(of_scheme(scheme), scheme, rest)


def _checked(address: str) -> str:
    text = address.strip()
    if not 1 <= len(text) <= LONGEST:
        raise InputError(f"an address has 1 to {LONGEST:,} characters, not {len(text):,}")
    # Parts of an address are decoded up to twice on their way to a header.
    for seen in (text, unquote(text), unquote(unquote(text)), unquote(unquote(unquote(text)))):
        if any(unicodedata.category(char) in _INVISIBLE for char in seen):
            raise InputError("an address may hold no line breaks and no other invisible characters")
    if "\\" in text or " " in text:
        raise InputError("write %20 for a space and %5C for a backslash in an address")
    return text


def _webhook(scheme: str, rest: str) -> Address:
    secure = scheme.removeprefix(f"{WEBHOOK}+")
    try:
        parts = urlsplit(f"{secure}://{rest}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", 0
    if not host or port == 0:
        raise InputError(f"a webhook's address looks like {scheme}://hooks.example.com/path")
    if _user(rest) or "#" in rest:
        raise InputError("a webhook's address has no user, password or fragment; it is signed")
    place = host if port is None else f"{host}:{port}"
    target = quote(parts.path, safe="/%:@!$&'()*+,;=~") or "/"
    query = quote(parts.query, safe="/?%:@!$&'()*+,;=~")
    masked = f"{scheme}://{place}/" + "…" * bool(query or target != "/")
    url = f"{secure}://{parts.netloc}{target}" + f"?{query}" * bool(query)
    return Address(WEBHOOK, masked, url, _secrets(rest, {host, str(port)}))


def _carried(kind: Kind, scheme: str, rest: str) -> Address:
    head, _, query = rest.partition("?")
    # apprise would drop what follows #, which is a channel's name to everybody else.
    head = head.replace("#", "%23")
    _check_user(_user(rest))
    options = {**dict(_options(kind, query)), **kind.fixed}
    written = "&".join(f"{_name(name)}={quote(value, safe='')}" for name, value in options.items())
    url = f"{scheme}://{head}" + f"?{written}" * bool(written)
    plugin = plugins.built(kind, url)
    if getattr(plugin, "targets", True) == [] and kind.name in ("email", "telegram"):
        raise InputError(f"an address for {kind.label} says who gets it: {kind.example}")
    place, targets = _place(kind, plugin), list(_targets(kind, head, options))
    user = "…@" * bool(_user(rest))
    masked = f"{scheme}://{user}{place or '…'}/{', '.join(targets) or '…'}"
    return Address(kind.name, masked, url, _secrets(rest, _public(place, targets, kind, options)))


def _user(rest: str) -> str:
    """What stands before the host of an address."""
    return re.split(r"[/?]", rest, maxsplit=1)[0].rpartition("@")[0]


def _check_user(user: str) -> None:
    """Refuse what apprise would read in another way than everybody else."""
    if "@" in user or user.count(":") > 1:
        raise InputError("write %40 for an @ and %3A for a : in a name or password of an address")


def _options(kind: Kind, query: str) -> Iterator[tuple[str, str]]:
    for number, pair in enumerate(filter(None, query.split("&")), start=1):
        raw, _, value = pair.partition("=")
        name, value = unquote(raw).strip(), unquote(value)
        if kind.prefixes and name[:1] in tuple(kind.prefixes):
            _check_free(kind, name)
            yield name, value
        else:
            yield _known(kind, name.lower(), number), _fitting(name.lower(), value)


def _known(kind: Kind, name: str, number: int) -> str:
    known = kind.options | kind.hidden
    if name in known:
        return name
    if name in _REASONS:
        raise InputError(f"the option {name} is none of ours: {_REASONS[name]}")
    # Not the name itself: an & in a password makes a name of its second half.
    raise InputError(
        f"option {number} is none that an address for {kind.label} has"
        f"{hint(name, known)} (they have {', '.join(sorted(known)) or 'none'})"
    )


def _fitting(name: str, value: str) -> str:
    if name == "method" and value.upper() not in _METHODS:
        raise InputError(f"the method of an address is one of {', '.join(_METHODS)}")
    return value


def _check_free(kind: Kind, name: str) -> None:
    if kind.prefixes == "+-:" and name[0] == "+":
        header = name[1:]
        if not _HEADER.fullmatch(header) or header.lower() in _OUR_HEADERS:
            raise InputError("an option that begins with + names a header that is yours to set")


def _name(name: str) -> str:
    return name[0] + quote(name[1:], safe="") if name[0] in "+-:" else quote(name, safe="")


def _place(kind: Kind, plugin: Any) -> str:
    """The server that an address names; empty where a secret or a public service stands there."""
    if not kind.server or getattr(plugin, "mode", "") in ("cloud", "t2bot"):
        return ""
    host = getattr(plugin, "smtp_host", "") or plugin.host
    return f"{host}:{plugin.port}" if plugin.port else str(host)


def _targets(kind: Kind, head: str, options: Mapping[str, str]) -> Iterator[str]:
    """Who gets it, where this is no secret: rooms, users and mail addresses."""
    if not kind.targets:
        return
    for segment in map(unquote, head.split("/")[1:]):
        if segment[:1] in ("#", "@", "!") or (kind.name == "email" and "@" in segment):
            yield segment
    yield from (options[name] for name in ("to", "channel", "channels") if options.get(name))


def _public(place: str, targets: list[str], kind: Kind, options: Mapping[str, str]) -> set[str]:
    shown = [place, *targets, *(options[name] for name in options if name in kind.options)]
    parts = {part for text in shown for part in _PARTS.split(text)}
    return {*shown, *parts, *kind.options, *kind.hidden}


def _secrets(rest: str, public: set[str]) -> tuple[str, ...]:
    """Every part of an address that is not public, as written and as decoded, the longest first."""
    user = unquote(_user(rest))
    parts = {user, base64.b64encode(user.encode()).decode(), *_PARTS.split(rest)}
    parts |= {unquote(part) for part in parts}
    # Pieces that only decoding makes count from a length on at which they are no word's beginning.
    parts |= {piece for piece in _PARTS.split(unquote(rest)) if len(piece) >= _PIECE}
    return tuple(sorted(parts - public - {""}, key=len, reverse=True))
