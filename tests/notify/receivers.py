"""Real servers for the tests of channels: one of HTTP that misbehaves as told, and one of SMTP."""

from __future__ import annotations

import contextlib
import email
import email.policy
import json
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from alphapulse_nb.notify.channels import Message, Reach

NEAR = Reach(local=True, connect=2, whole=5)
"""The reach of channels in tests that succeed."""
HASTY = Reach(local=True, connect=2, whole=0.4)
"""The reach of channels in tests of servers that do not answer."""

SECRET = "S3CRETs3cretS3CRETs3cret"
AT = datetime(2026, 1, 31, 12, tzinfo=UTC)


def message(**changes: Any) -> Message:
    values: dict[str, Any] = {
        "key": "rule-7/BTC/1",
        "title": "BTC above 100,000",
        "body": "value 100,250\nthreshold 100,000",
        "type": "signal",
        "priority": "high",
        "at": AT,
        "data": {"rule": "breakout", "symbol": "BTC/USDT", "value": 100_250.5},
    }
    return Message(**values | changes)


@dataclass(frozen=True)
class Request:
    """What came in: names of headers in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Script = Callable[[socket.socket, threading.Event], object]


def answer(status: int, body: bytes = b"", **headers: str) -> Script:
    """Answer as asked; `_` in a header's name is a hyphen."""
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}", "Connection: close"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    whole = "\r\n".join(lines).encode() + b"\r\n\r\n" + body
    return lambda link, _: link.sendall(whole)


def raw(data: bytes) -> Script:
    """Send these bytes and close."""
    return lambda link, _: link.sendall(data)


def silent(_: socket.socket, over: threading.Event) -> None:
    """Say nothing until the test is over."""
    over.wait(60)


def dripping(link: socket.socket, over: threading.Event) -> None:
    """Begin an answer that takes a minute, a byte at a time."""
    link.sendall(b"HTTP/1.1 200 OK\r\nX-Slow: ")
    for _ in range(1_200):
        if over.wait(0.05):
            return
        link.sendall(b"x")


def endless(link: socket.socket, over: threading.Event) -> None:
    """Answer 200 with a body that has no end."""
    link.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while not over.is_set():
        link.sendall(b"x" * 65_536)


@dataclass
class Receiver:
    """A server that answers requests by its scripts, the last one again and again."""

    port: int
    scripts: list[Script]
    requests: list[Request] = field(default_factory=list)

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    def serve(self, link: socket.socket, over: threading.Event) -> None:
        with link, contextlib.suppress(OSError):
            self.requests.append(_request(link))
            script = self.scripts.pop(0) if len(self.scripts) > 1 else self.scripts[0]
            script(link, over)
            link.shutdown(socket.SHUT_WR)


def _request(link: socket.socket) -> Request:
    with link.makefile("rb") as lines:
        method, target, _ = lines.readline().decode().split()
        headers = {}
        while line := lines.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        return Request(method, target, headers, lines.read(int(headers.get("content-length", 0))))


@contextlib.contextmanager
def receiving(*scripts: Script, tls: ssl.SSLContext | None = None) -> Iterator[Receiver]:
    over, threads = threading.Event(), []
    with socket.create_server(("127.0.0.1", 0)) as door:
        receiver = Receiver(door.getsockname()[1], list(scripts) or [answer(200, b"ok")])

        def one(link: socket.socket) -> None:
            with link, contextlib.suppress(OSError, ValueError):
                wrapped = tls.wrap_socket(link, server_side=True) if tls else link
                receiver.serve(wrapped, over)

        def accept() -> None:
            while True:
                try:
                    link, _ = door.accept()
                except OSError:
                    return
                thread = threading.Thread(target=one, args=(link,), daemon=True)
                threads.append(thread)
                thread.start()

        porter = threading.Thread(target=accept, daemon=True)
        porter.start()
        try:
            yield receiver
        finally:
            over.set()
            door.shutdown(socket.SHUT_RDWR)
            for thread in (porter, *threads):
                thread.join(10)


@dataclass
class Mailbox:
    """What an SMTP server has taken: envelope recipients and the mail as it came."""

    port: int
    mails: list[tuple[list[str], bytes]] = field(default_factory=list)

    @property
    def only(self) -> EmailMessage:
        ((_, data),) = self.mails
        found = email.message_from_bytes(data, policy=email.policy.default)
        return cast("EmailMessage", found)


class _Taking:
    def __init__(self, box: Mailbox, refusals: dict[str, str], after: str, closed: bool) -> None:
        self._box, self._refusals, self._after, self._closed = box, refusals, after, closed

    async def handle_MAIL(  # noqa: N802 - the name is aiosmtpd's
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if self._closed and not session.authenticated:
            return "530 5.7.0 say who you are"
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, server: Any, session: Any, envelope: Any, address: str, options: Any
    ) -> str:
        if address in self._refusals:
            return self._refusals[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self._after.startswith("2"):
            self._box.mails.append((list(envelope.rcpt_tos), envelope.content))
        return self._after


@contextlib.contextmanager
def mailbox(
    password: str = "",
    refusals: dict[str, str] | None = None,
    after: str = "250 OK",
    tls: ssl.SSLContext | None = None,
    at_once: bool = False,
) -> Iterator[Mailbox]:
    """An SMTP server; with a password it wants a login, with `tls` it offers STARTTLS.

    With `at_once` its connections begin with TLS.
    """
    with socket.create_server(("127.0.0.1", 0)) as door:
        box = Mailbox(door.getsockname()[1])

    def check(*arguments: Any) -> AuthResult:
        given = arguments[-1]
        right = isinstance(given, LoginPassword) and given.password == password.encode()
        # Like servers that mean it too well.
        words = None if right else f"535 5.7.8 no user with password {given.password.decode()}"
        return AuthResult(success=right, handled=False, message=words)

    options: dict[str, Any] = {"auth_require_tls": False}
    if tls:
        options = {"ssl_context" if at_once else "tls_context": tls}
    if password:
        options |= {"authenticator": check}
    controller = Controller(
        _Taking(box, refusals or {}, after, bool(password)),
        hostname="127.0.0.1",
        port=box.port,
        **options,
    )
    controller.start()
    try:
        yield box
    finally:
        controller.stop()


def certificate(folder: Path) -> tuple[Path, ssl.SSLContext]:
    """A certificate for localhost that nobody has signed, and a server's side of it."""
    key, found = folder / "key.pem", folder / "certificate.pem"
    names = "subjectAltName=DNS:localhost"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=localhost", "-addext", names, "-keyout", key, "-out", found),
        ],
        check=True,
        capture_output=True,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(found, key)
    return found, context


@contextlib.contextmanager
def speaking(*lines: bytes, hold: bool = False) -> Iterator[int]:
    """A server that says one line to each that it hears, unasked the first; gives its port.

    After the last it hangs up, or with `hold` says nothing more.
    """
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as door:

        def speak() -> None:
            with contextlib.suppress(OSError):
                link, _ = door.accept()
                with link, link.makefile("rb") as heard:
                    for number, line in enumerate(lines):
                        if number:
                            heard.readline()
                        link.sendall(line)
                    over.wait(60 if hold else 0)

        thread = threading.Thread(target=speak, daemon=True)
        thread.start()
        try:
            yield door.getsockname()[1]
        finally:
            over.set()
            door.shutdown(socket.SHUT_RDWR)
            thread.join(10)
