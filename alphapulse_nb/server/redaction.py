"""No secret in a log, in whatever field, text or nested value it comes.

Two nets. The secrets that the server knows are replaced wherever they stand, also as an address, a
repr or JSON would write them. Those that it cannot know (what a stranger sends) are recognised by
the name before them: `token=…`, `Authorization: …`, `://user:…@`.
"""

from __future__ import annotations

import html
import json
import math
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, quote, quote_plus, urlencode

HIDDEN: Final = "[hidden]"
LONGEST: Final = 2_000
"""Characters that one text may have; the rest is counted and left out."""

_SHORTEST_SECRET: Final = 4
"""Shorter ones would be found in ordinary words; names and addresses still give them away."""
_MOST_ITEMS: Final = 50
_DEEPEST: Final = 4

_WORDS: Final = (
    r"(?:token|passw(?:or)?d|passphrase|pwd|secret|api[_-]?key|credential|xsrf|"
    r"cookie|authorization)"
)
_SECRET_NAME: Final = re.compile(_WORDS, re.IGNORECASE)
_SECRET_HEADER: Final = re.compile(
    r"""((?:cookie|authorization)\\?["']?\s{0,3}[:=]\s{0,3})"""
    r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\r\n]+)""",
    re.IGNORECASE,
)
_SECRET_VALUE: Final = re.compile(
    rf"""({_WORDS}[\w-]{{0,30}}\\?["']?\s{{0,3}}[:=]\s{{0,3}})"""
    r"""('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|[^\s&]+)""",
    re.IGNORECASE,
)
_BEARER: Final = re.compile(r"\b(bearer\s{1,3})[\w.~+/=-]+", re.IGNORECASE)
_IN_ADDRESS: Final = re.compile(r"(://[^\s:/@]{0,100}:)\S{1,300}@")


class Redactor:
    """Takes secrets out of texts and values; `secrets` are the known ones."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        forms = {
            form for secret in secrets if len(secret) >= _SHORTEST_SECRET for form in _forms(secret)
        }
        # The longest first: one secret may be a part of another.
        self._known = tuple(sorted(forms, key=len, reverse=True))

    def text(self, text: str) -> str:
        """The text without secrets, shortened to `LONGEST`."""
        for form in self._known:
            text = text.replace(form, HIDDEN)
        if len(text) > LONGEST:
            text = f"{text[:LONGEST]}… ({len(text) - LONGEST} more)"
        text = _SECRET_HEADER.sub(rf"\1{HIDDEN}", text)
        text = _SECRET_VALUE.sub(rf"\1{HIDDEN}", text)
        text = _BEARER.sub(rf"\1{HIDDEN}", text)
        return _IN_ADDRESS.sub(rf"\1{HIDDEN}@", text)

    def value(self, value: Any, name: str = "", depth: int = 0) -> Any:
        """The value of a field as something that JSON holds, without secrets."""
        if name and _SECRET_NAME.search(name):
            return HIDDEN
        if value is None or isinstance(value, bool | int):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else str(value)
        if depth < _DEEPEST and isinstance(value, Mapping):
            return {
                self.text(str(key)): self.value(item, str(key), depth + 1)
                for key, item in list(value.items())[:_MOST_ITEMS]
            }
        if depth < _DEEPEST and isinstance(value, list | tuple | set | frozenset):
            return [self.value(item, "", depth + 1) for item in list(value)[:_MOST_ITEMS]]
        return self.text(value if isinstance(value, str) else str(value))


def address(uri: str) -> str:
    """The path and query of a request without the values of secret parameters."""
    path, mark, query = uri.partition("?")
    if not mark:
        return path
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=100)
    except ValueError:
        return f"{path}?{HIDDEN}"
    kept = [(name, HIDDEN if _SECRET_NAME.search(name) else value) for name, value in pairs]
    return f"{path}?{urlencode(kept, safe='/[]')}"


def _forms(secret: str) -> set[str]:
    """A secret as it is, and as addresses, reprs, JSON and HTML write it."""
    # An environment may hold bytes that are no text; Python keeps them as halves of characters.
    quoted = {
        quote(secret, errors="surrogatepass"),
        quote(secret, safe="", errors="surrogatepass"),
        quote_plus(secret, errors="surrogatepass"),
    }
    return {
        secret,
        *quoted,
        *(re.sub("%..", lambda found: found[0].lower(), form) for form in quoted),
        repr(secret)[1:-1],
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        html.escape(secret),
    }
