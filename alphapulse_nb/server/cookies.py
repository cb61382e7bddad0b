"""The two cookies of a browser: who is signed in, and which kernels are its own.

*Session*: signed, holds the person's name, how they were let in, and a stamp of the credential, so
that a changed password or token ends the sessions that it opened.

*Visits*: random names, signed. A kernel belongs to the visit that started it. Two tabs that a fresh
browser opens at once are given a visit each, so every visit has a cookie of its own and a request
carries all of them; one shared cookie would lose the first tab's kernel to the second tab.

Cookies do not know ports: the public port is part of their names, so that two dashboards on one
machine do not sign each other's viewers out.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import itertools
import json
import os
import re
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, get_args

import tornado.web

from alphapulse_nb.errors import SettingsError

Way = Literal["token", "password", "user"]
SESSION_DAYS: Final = 14
_MOST_VISITS: Final = 8
_MOST_CLEARED: Final = 50
_KEY_FILE: Final = "cookie-key"
_PORT: Final = re.compile(r":([0-9]{1,5})$")


@dataclass(frozen=True)
class Session:
    """What a session cookie says. `stamp` tells which credential it was opened with."""

    name: str
    way: Way
    stamp: str


def secret(folder: Path) -> str:
    """The key of this machine's cookies, made on first use and readable by its owner only."""
    path = folder / _KEY_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            _make(path)
        found = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise SettingsError(
            f"the key of the cookies, {path}, cannot be used: {reason}. "
            "Set DASHBOARD_COOKIE_SECRET, or ALPHAPULSE_DATA_DIR to a folder of yours."
        ) from None
    if len(found) < 32:
        raise SettingsError(f"the key of the cookies, {path}, is too short; remove the file")
    return found


def _make(path: Path) -> None:
    """Make the file with a new key, whole or not at all; another server's key stays."""
    draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secrets.token_urlsafe(48))
    try:
        with contextlib.suppress(FileExistsError):
            path.hardlink_to(draft)
    finally:
        draft.unlink()


def stamp(key: str, credential: str) -> str:
    """A short fingerprint of a credential that tells nothing of it without our key."""
    return hmac.new(key.encode(), credential.encode(), hashlib.sha256).hexdigest()[:24]


def session(handler: tornado.web.RequestHandler) -> Session | None:
    """The session that a request's cookie proves; None for none, a forged or an outdated one."""
    raw = handler.get_signed_cookie(_name(handler, "session"), max_age_days=SESSION_DAYS)
    if raw is None:
        return None
    try:
        kept = json.loads(raw)
        name, way, mark = kept["name"], kept["way"], kept["stamp"]
    except (ValueError, KeyError, TypeError):
        return None
    if not (isinstance(name, str) and isinstance(mark, str) and way in get_args(Way)):
        return None
    return Session(name, way, mark)


def open_session(handler: tornado.web.RequestHandler, session: Session) -> None:
    """Give the browser a session."""
    value = json.dumps({"name": session.name, "way": session.way, "stamp": session.stamp})
    handler.set_signed_cookie(
        _name(handler, "session"), value, expires_days=SESSION_DAYS, **_options(handler)
    )


def end_session(handler: tornado.web.RequestHandler) -> None:
    """Take the session away from the browser."""
    handler.clear_cookie(_name(handler, "session"), **_options(handler))


def visits(handler: tornado.web.RequestHandler) -> frozenset[str]:
    """The visits that a request's cookies prove."""
    # All are looked at: behind others that prove nothing (another key signed them, or a page on
    # another port of this machine set them) there may be one of ours. Headers have a limit.
    proved = (
        handler.get_signed_cookie(name, max_age_days=SESSION_DAYS) for name in _visits(handler)
    )
    found = (value.decode("ascii", "replace") for value in proved if value)
    return frozenset(itertools.islice(found, _MOST_VISITS))


def open_visit(handler: tornado.web.RequestHandler) -> None:
    """Give a browser without a visit one, and take away cookies that prove none any more."""
    for name in _visits(handler)[:_MOST_CLEARED]:
        handler.clear_cookie(name, **_options(handler))
    visit = secrets.token_hex(16)
    handler.set_signed_cookie(
        _name(handler, f"visit-{visit[:8]}"),
        visit,
        expires_days=SESSION_DAYS,
        **_options(handler),
    )


def _visits(handler: tornado.web.RequestHandler) -> list[str]:
    prefix = _name(handler, "visit-")
    return [name for name in handler.request.cookies if name.startswith(prefix)]


def _options(handler: tornado.web.RequestHandler) -> dict[str, Any]:
    return {
        "path": handler.settings["base_url"],
        "httponly": True,
        "samesite": "Lax",
        "secure": handler.request.protocol == "https",
    }


def _name(handler: tornado.web.RequestHandler, what: str) -> str:
    port = _PORT.search(handler.request.host)
    return f"alphapulse-{port[1] if port else 'web'}-{what}"
