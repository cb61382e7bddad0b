"""One question at a time to the API of a server, without holding up the loop."""

from __future__ import annotations

import asyncio
import http.client
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import urlencode

from alphapulse_nb.stream_client.lost import Lost, refusal

_PATIENCE: Final = 10.0
_LARGEST: Final = 64 << 20


class Rest:
    """Asks in a thread of its own. `url` ends with a slash."""

    def __init__(self, url: str, headers: Mapping[str, str], tls: ssl.SSLContext | None) -> None:
        self._url = url
        self._headers = dict(headers)
        self._opener = urllib.request.build_opener(
            _Here(), urllib.request.HTTPSHandler(context=tls or ssl.create_default_context())
        )
        self._thread = ThreadPoolExecutor(1, "stream-polling")

    async def get(self, path: str, **query: Any) -> dict[str, Any]:
        """The JSON object at a path. Raises `Lost` and `StreamRefused`."""
        asked = f"{self._url}{path}?{urlencode(query)}"
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._read, asked)

    def close(self) -> None:
        """Ask no more; a question that is under way ends within seconds by itself."""
        self._thread.shutdown(wait=False, cancel_futures=True)

    def _read(self, url: str) -> dict[str, Any]:
        request = urllib.request.Request(url, headers=self._headers)  # noqa: S310 - http(s) only
        try:
            with self._opener.open(request, timeout=_PATIENCE) as answer:
                body = answer.read(_LARGEST)
        except urllib.error.HTTPError as error:
            with error:
                found = refusal(self._url, error.code, dict(error.headers), _body(error))
            raise found from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", None) or error
            raise Lost(f"{self._url} cannot be asked: {reason}") from None
        return _object(body)


class _Here(urllib.request.HTTPRedirectHandler):
    """Goes nowhere else: the token would go along."""

    def redirect_request(self, *_: Any) -> None:
        """None: the redirect is the answer."""


def _body(error: urllib.error.HTTPError) -> bytes:
    try:
        return error.read(_LARGEST)
    except (OSError, http.client.HTTPException):
        return b""


def _object(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Lost("the API does not answer in JSON")
    return found
