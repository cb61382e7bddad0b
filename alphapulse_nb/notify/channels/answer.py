"""One HTTP request of a channel, and what the answer to it means.

The standard library's http.client carries it rather than requests or urllib3, which apprise brings:
those follow redirects, read proxies and passwords from the environment, resolve the name once more
and log addresses, whose paths are often the secret. http.client does none of this, and takes the
connection that `reach` has looked at.
"""

from __future__ import annotations

import contextlib
import email.utils
import http
import http.client
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final
from urllib.parse import SplitResult, urlsplit

from alphapulse_nb.errors import ChannelError
from alphapulse_nb.notify.channels.message import one_line
from alphapulse_nb.notify.channels.reach import Reach, failure, opened

LARGEST: Final = 64 << 10
"""Bytes of an answer that are read."""
LONGEST_WAIT: Final = 3600.0
"""Seconds that somebody may ask us to wait."""

_QUOTED: Final = 200
_PASSING: Final = frozenset({408, 421, 425, 429})
"""Refusals that may pass; all others of 400 to 499 will not."""


@dataclass(frozen=True)
class Answer:
    """What a server said: `headers` by names in lower case, `body` as far as it came."""

    place: str
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def good(self) -> bool:
        return 200 <= self.status < 300

    def problem(self, now: datetime, clean: Callable[[str], str]) -> ChannelError:
        """Why the message was not taken. `clean` takes secrets out of what the server said."""
        server = self.status >= 500
        return ChannelError(
            self._reason() + self.quoted(clean),
            server or self.status in _PASSING,
            after=wait(self.headers.get("retry-after", ""), now),
            unknown=server,
        )

    def quoted(self, clean: Callable[[str], str]) -> str:
        """The beginning of what it said, to append; empty for none and for a page."""
        said = self.body.decode("utf-8", "replace").strip()
        if not said or said.startswith("<"):
            return ""
        return f": {one_line(clean(said), _QUOTED)}"

    def _reason(self) -> str:
        if 300 <= self.status < 400:
            return (
                f"{self.place} answered {self.status}, a redirect, and those are not followed: "
                "give the address that it leads to"
            )
        with contextlib.suppress(ValueError):
            return f"{self.place} answered {self.status} {http.HTTPStatus(self.status).phrase}"
        return f"{self.place} answered {self.status}"


def asked(
    method: str, url: str, headers: Mapping[str, str], body: bytes, reach: Reach, ends: float
) -> Answer:
    """Send a request and read the answer, whatever its status. Raises `ChannelError`."""
    parts = urlsplit(url)
    tls = parts.scheme == "https"
    host, port = parts.hostname or "", parts.port or (443 if tls else 80)
    place = f"{host}:{port}"
    link = http.client.HTTPConnection(host, port)
    link.sock = opened(host, port, reach, ends, tls=tls)
    try:
        target = parts.path + f"?{parts.query}" * bool(parts.query)
        link.request(method, target or "/", body, {**headers, "Host": _named(parts)})
        return _read(link.getresponse(), place)
    except OSError as error:
        raise failure(error, place, reach.whole, unknown=True) from None
    except (http.client.InvalidURL, ValueError):
        raise ChannelError(f"the request to {place} cannot be written as HTTP demands") from None
    except http.client.HTTPException:
        why = f"{place} did not answer as HTTP demands"
        raise ChannelError(why, True, unknown=True) from None
    finally:
        link.close()


def wait(said: str, now: datetime) -> float | None:
    """Seconds that a `Retry-After` asks for, an hour at most; None where it asks for nothing."""
    said = said.strip()
    if said.isascii() and said.isdigit():
        return min(float(said[:9]), LONGEST_WAIT)
    try:
        until = email.utils.parsedate_to_datetime(said)
    except ValueError:
        return None
    until = until.replace(tzinfo=UTC) if until.tzinfo is None else until
    return min(max((until - now).total_seconds(), 0.0), LONGEST_WAIT)


def _read(response: http.client.HTTPResponse, place: str) -> Answer:
    headers = {name.lower(): value for name, value in response.getheaders()}
    body = b""
    # The status says what became of the message; a body that stays away changes nothing about it.
    with contextlib.suppress(OSError, http.client.HTTPException, ValueError):
        body = response.read(LARGEST)
    return Answer(place, response.status, headers, body)


def _named(parts: SplitResult) -> str:
    """The header Host: the name as it is in the DNS, and a port that is not the usual one."""
    host = (parts.hostname or "").encode("idna").decode()
    host = f"[{host}]" if ":" in host else host
    usual = {"http": 80, "https": 443}[parts.scheme]
    return host if parts.port in (None, usual) else f"{host}:{parts.port}"
