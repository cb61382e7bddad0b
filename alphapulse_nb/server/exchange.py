"""A token in an address is exchanged for a session: addresses are kept, logged and passed on."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlencode

from alphapulse_nb.server import cookies
from alphapulse_nb.server.handler import Handler, access


async def exchanged(handler: Handler, path: str) -> bool:
    """Whether the address held a token; then the answer is the way to the address without it.

    Whoever is signed in stays who they are, and an old address of theirs is no wrong attempt.
    """
    token = handler.get_query_argument("token", None)
    if token is None:
        return False
    known = cookies.session(handler) and await access(handler).person(handler)
    opened = None if known else access(handler).token_session(str(handler.request.remote_ip), token)
    if opened is not None:
        cookies.open_session(handler, opened)
    handler.redirect(without(path, handler.request.query, "token"))
    return True


def without(path: str, query: str, name: str) -> str:
    """The address with that query, less one of its parameters."""
    pairs = parse_qsl(query, keep_blank_values=True)
    kept = [pair for pair in pairs if pair[0] != name]
    return path + (f"?{urlencode(kept, safe='/')}" if kept else "")
