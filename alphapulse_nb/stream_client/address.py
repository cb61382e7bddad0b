"""Where the stream and the API of a server are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urlsplit

from alphapulse_nb.errors import InputError

_SCHEMES: Final = {"ws": "http", "wss": "https", "http": "http", "https": "https"}


@dataclass(frozen=True)
class Address:
    """`stream` is a websocket's address, `api` the one that the API's paths are added to."""

    stream: str
    api: str


def address(url: str, api: str | None = None) -> Address:
    """The addresses of a server, from that of its dashboard or its stream, below any path.

    `api` names the dashboard where the stream is a server of its own. Raises `InputError`; an
    address with credentials is refused and not repeated.
    """
    web, place = _place(url)
    api_web, api_place = (web, place) if api is None else _place(api)
    return Address(f"{web.replace('http', 'ws', 1)}{place}/stream", f"{api_web}{api_place}/api/")


def _place(url: str) -> tuple[str, str]:
    """The scheme of the web with `://`, then host and path without the stream's own."""
    parts = _parts(url)
    path = parts.path.rstrip("/").removesuffix("/stream")
    return f"{_SCHEMES[parts.scheme]}://", f"{parts.netloc}{path}"


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for what is no port
    except ValueError:
        raise InputError("this is no address of a server") from None
    if parts.query or parts.fragment or "@" in parts.netloc:
        raise InputError(
            "an address is kept in logs, so it holds no credentials and no query: "
            "leave out what comes before @ and after ?, and give the token as token=…"
        )
    if parts.scheme not in _SCHEMES or not parts.hostname:
        raise InputError(
            f"{url[:100]!r} is no address of a server: it begins with wss://, ws://, https:// or "
            "http:// and a host, such as https://desk.example/dashboard"
        )
    return parts
