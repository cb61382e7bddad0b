"""nginx with the configuration that we ship, in front of servers on this machine."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import pytest

from tests.conftest import ROOT, Desk, Served, free_port, serve, wait_until
from tests.programs import program
from tests.visitor import Visitor

DEPLOY: Final = ROOT / "deploy"
PASSWORD: Final = "a horse, a battery and a staple"
SETTINGS: Final = {
    "DASHBOARD_PASSWORD": PASSWORD,
    "DASHBOARD_COOKIE_SECRET": "0123456789abcdef" * 4,
    "DASHBOARD_TRUSTED_PROXIES": "127.0.0.1",
    "DASHBOARD_REMOTE_USER_HEADER": "X-Remote-User",
    "DASHBOARD_LOG_FORMAT": "json",
}

_MAIN: Final = """
{user}
daemon off;
worker_processes 2;
pid {folder}/nginx.pid;
error_log {folder}/main.log;
events {{ worker_connections 256; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/alphapulse.conf;
}}
"""


def needed(name: str) -> str:
    """The path of a program; without it the test is skipped, and fails where CI should have it."""
    found = program(name)
    if found is None and os.environ.get("CI"):
        pytest.fail(f"{name} is missing; `python -m tests.programs --install` fetches it")
    if found is None:
        pytest.skip(f"{name} is not on this machine")
    return str(found)


@dataclass(frozen=True)
class Front:
    """nginx, and what it writes."""

    folder: Path
    ca: Path
    port: int
    plain_port: int

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}/"

    def visitor(self, **headers: str) -> Visitor:
        return Visitor(self.url, self.ca, **headers)

    def member(self) -> Visitor:
        """A visitor who has signed in, and has no page yet."""
        visitor = self.visitor()
        visitor.get("login")
        fields = {"name": "", "password": PASSWORD, "next": "/api/health"}
        assert visitor.post("login", fields).status == 200
        return visitor

    def upstreams(self, path: str) -> list[str]:
        """Which servers each request of that path was given to, as its log says."""
        wanted = re.compile(rf'"[A-Z]+ {re.escape(path)}" \d+ \d+ [\d.]+ (.+)$')
        lines = (self.folder / "alphapulse.log").read_text().splitlines()
        return [found[1] for line in lines if (found := wanted.search(line))]

    def upstream(self, visitor: Visitor, path: str, **headers: str) -> str:
        """Which servers a request of that path is given to; nginx writes it after its answer."""
        before = len(self.upstreams(f"/{path}"))
        visitor.get(path, **headers)
        wait_until(lambda: len(self.upstreams(f"/{path}")) > before)
        return self.upstreams(f"/{path}")[-1]

    def said(self) -> str:
        """Everything in its logs."""
        return "".join(path.read_text() for path in self.folder.glob("*.log"))


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for `localhost`; its key lies beside it."""
    made = tmp_path_factory.mktemp("tls") / "localhost.crt"
    command = [needed("openssl"), "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1"]
    command += ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    command += ["-keyout", str(made.with_suffix(".key")), "-out", str(made)]
    subprocess.run(command, check=True, capture_output=True)
    return made


def configuration(folder: Path, certificate: Path, servers: list[str]) -> tuple[Path, int, int]:
    """Ours, on free ports of this machine and before these servers; and the two ports."""
    secure, plain = free_port(), free_port()
    text = (DEPLOY / "nginx.conf").read_text()
    addresses = [urlsplit(server).netloc for server in servers]
    changes = [
        (r"\n *listen \[::\]:\S+.*;", ""),
        (r"listen 443", f"listen 127.0.0.1:{secure}"),
        (r"listen 80\b", f"listen 127.0.0.1:{plain}"),
        (r"dashboard\.example", "localhost"),
        (r"/etc/nginx/tls/dashboard\.crt", str(certificate)),
        (r"/etc/nginx/tls/dashboard\.key", str(certificate.with_suffix(".key"))),
        (r"/var/log/nginx", str(folder)),
        (r"\n +# server 10\..*", ""),
        (r"server 127\.0\.0\.1:8050 (.*;)", "\n".join(rf"server {one} \1" for one in addresses)),
    ]
    for pattern, wanted in changes:
        text, times = re.subn(pattern, wanted, text)
        assert times, pattern
    (folder / "alphapulse.conf").write_text(text)
    main = folder / "nginx.conf"
    user = "user root;" if os.geteuid() == 0 else ""
    main.write_text(_MAIN.format(folder=folder, user=user))
    return main, secure, plain


@contextlib.contextmanager
def nginx(folder: Path, certificate: Path, servers: list[str]) -> Iterator[Front]:
    """nginx before the servers with these addresses."""
    folder.mkdir()
    main, secure, plain = configuration(folder, certificate, servers)
    front = Front(folder, certificate, secure, plain)
    command = [needed("nginx"), "-e", str(folder / "start.log"), "-c", str(main)]
    process = subprocess.Popen(command)
    try:
        wait_until(lambda: process.poll() is not None or _listens(secure), 20)
        assert process.poll() is None, front.said()
        yield front
    finally:
        process.terminate()
        process.wait(20)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


@dataclass(frozen=True)
class Pair:
    """Two servers behind one nginx."""

    front: Front
    servers: list[Served]

    def owner(self, visitor: Visitor, kernel_id: str) -> Served:
        """The server that has the visitor's kernel, asked past nginx."""
        headers = self.as_nginx(visitor)
        path = f"api/kernels/{kernel_id}"
        found = [one for one in self.servers if Visitor(one.url).get(path, **headers).status == 200]
        assert len(found) == 1
        return found[0]

    def as_nginx(self, visitor: Visitor) -> dict[str, str]:
        """The headers with which nginx hands a visitor's request on."""
        host = urlsplit(self.front.url).netloc
        return {"Cookie": visitor.cookies(), "Host": host, "X_Forwarded_Proto": "https"}


@contextlib.contextmanager
def pair(folder: Path, certificate: Path, desk: Desk, **settings: str) -> Iterator[Pair]:
    given = SETTINGS | settings
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(2) as threads:
        both = [serve(folder, desk.server.url, **given) for _ in range(2)]
        servers = list(threads.map(stack.enter_context, both))
        front = nginx(folder / "nginx", certificate, [server.url for server in servers])
        yield Pair(stack.enter_context(front), servers)


@pytest.fixture(scope="package")
def two(desk: Desk, certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    """Two servers behind nginx that no test stops."""
    needed("nginx")
    with pair(tmp_path_factory.mktemp("two"), certificate, desk) as made:
        yield made
