"""A browser's manners without a browser: cookies, redirects, forms, and a page's websocket."""

from __future__ import annotations

import base64
import http.client
import itertools
import json
import re
import ssl
import urllib.error
import urllib.request
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

from tornado.httpclient import HTTPRequest, _RequestProxy
from tornado.httputil import HTTPHeaders
from tornado.websocket import WebSocketClientConnection

from alphapulse_nb.server.messages import PROTOCOL


@dataclass(frozen=True)
class Answer:
    """What came back, after redirects."""

    status: int
    headers: Any
    body: bytes
    url: str

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    @property
    def kernel_id(self) -> str:
        """The kernel of a dashboard page."""
        found = re.search(r'"kernelId": "([0-9a-f-]{36})"', self.text)
        assert found, self.text[:500]
        return found[1]


class Visitor:
    """Somebody at a server. `base` ends with a slash; paths are relative to it.

    `ca`: the certificate that an https server must be able to show, or its authority's.
    """

    def __init__(self, base: str, ca: Path | None = None, **headers: str) -> None:
        self.base = base
        self.headers = headers
        self.jar = CookieJar()
        self._ca = None if ca is None else str(ca)
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(self.jar),
            urllib.request.HTTPSHandler(context=ssl.create_default_context(cafile=self._ca)),
        )

    def get(self, path: str = "", **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def ask(self, method: str, path: str = "", body: bytes | None = None, **headers: str) -> Answer:
        """One request. Header names are written with underscores."""
        request = urllib.request.Request(self.base + path, body, method=method)  # noqa: S310
        for name, value in (self.headers | headers).items():
            request.add_header(name.replace("_", "-"), value)
        try:
            with self._opener.open(request, timeout=60) as answer:
                return Answer(answer.status, answer.headers, answer.read(), answer.url)
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read(), error.url)

    def post(self, path: str, fields: dict[str, str], **headers: str) -> Answer:
        """Send a form, with the XSRF token that the browser holds."""
        body = urlencode({"_xsrf": self.cookie("_xsrf"), **fields}).encode()
        return self.ask("POST", path, body, **headers)

    def sign_in(self, password: str, name: str = "") -> Answer:
        """Ask for the form, which brings the XSRF cookie, and send it."""
        self.get("login")
        return self.post("login", {"name": name, "password": password})

    def cookie(self, name: str) -> str:
        return next((str(cookie.value) for cookie in self.jar if cookie.name == name), "")

    def cookies(self) -> str:
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.jar)

    def knock(self, kernel_id: str, protocol: str | None = PROTOCOL) -> int:
        """The status with which the server answers a request for a kernel's websocket."""
        address = urlsplit(self.base)
        headers = {
            "Cookie": self.cookies(),
            "Connection": "Upgrade",
            "Upgrade": "websocket",
            "Sec-WebSocket-Key": base64.b64encode(uuid.uuid4().bytes).decode(),
            "Sec-WebSocket-Version": "13",
            **({"Sec-WebSocket-Protocol": protocol} if protocol else {}),
            **self.headers,
        }
        link = http.client.HTTPConnection(address.netloc, timeout=30)
        try:
            link.request("GET", f"{address.path}api/kernels/{kernel_id}/channels", headers=headers)
            return link.getresponse().status
        finally:
            link.close()

    @asynccontextmanager
    async def socket(
        self, kernel_id: str, session: str = "t"
    ) -> AsyncIterator[WebSocketClientConnection]:
        """The websocket of a page's kernel, which the server must accept; see `knock`."""
        address = urlsplit(self.base)
        scheme = "wss" if address.scheme == "https" else "ws"
        path = f"{address.path}api/kernels/{kernel_id}/channels?session_id={session}"
        url = f"{scheme}://{address.netloc}{path}"
        given = HTTPHeaders({"Cookie": self.cookies()})
        for name, value in self.headers.items():
            given[name.replace("_", "-")] = value
        request = HTTPRequest(url, headers=given, request_timeout=30, ca_certs=self._ca)
        made = WebSocketClientConnection(
            _RequestProxy(request, HTTPRequest._DEFAULTS),  # type: ignore[arg-type]
            subprotocols=[PROTOCOL],
        )
        await made.connect_future
        stream = made.protocol.stream
        try:
            yield made
        finally:
            made.close()
            stream.close()


def message(kind: str, content: dict[str, Any], channel: str = "shell") -> bytes:
    """A message as a page sends it."""
    named = {
        "msg_id": uuid.uuid4().hex,
        "msg_type": kind,
        "session": "t",
        "username": "",
        "version": "5.3",
        "date": "2026-01-01T00:00:00Z",
    }
    said = (named, {}, {"version": "1.0.0"}, content)
    parts = [channel.encode(), *(json.dumps(part).encode() for part in said)]
    return framed(parts)


def framed(parts: list[bytes]) -> bytes:
    """The parts behind their count and offsets, as `v1.kernel.websocket.jupyter.org` has it."""
    count = len(parts) + 1
    at = 8 * (count + 1)
    offsets = [at]
    for part in parts:
        at += len(part)
        offsets.append(at)
    head = b"".join(number.to_bytes(8, "little") for number in (count, *offsets))
    return head + b"".join(parts)


def unframed(raw: bytes) -> tuple[str, dict[str, Any], dict[str, Any], dict[str, Any]]:
    """Channel, header, parent header and content of a message from the server."""
    count = int.from_bytes(raw[:8], "little")
    at = [int.from_bytes(raw[8 * n : 8 * n + 8], "little") for n in range(1, count + 1)]
    parts = [raw[start:stop] for start, stop in itertools.pairwise(at)]
    header, parent, _, content = (json.loads(part) for part in parts[1:5])
    return parts[0].decode(), header, parent, content
