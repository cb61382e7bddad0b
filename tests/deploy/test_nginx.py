"""The nginx configuration that we ship, run by a real nginx before real servers."""

from __future__ import annotations

import asyncio
import copy
import functools
import gzip
import http.client
import os
import secrets
import signal
import socket
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from tornado.httpclient import HTTPClientError

from alphapulse_nb.widgets import assets
from tests.conftest import Desk, Served, wait_until
from tests.deploy.conftest import PASSWORD, Front, Pair, configuration, needed, nginx, pair
from tests.visitor import Answer, Visitor, message

ROUTE = "alphapulse_route"
STATES = {"comm_id": "c", "target_name": "jupyter.widget.control", "data": {}}


def rerouted(pair: Pair, visitor: Visitor, owner: Served) -> dict[str, str]:
    """The visitor's cookies with the route of a browser that uses the server beside the owner."""
    kept = "; ".join(c for c in visitor.cookies().split("; ") if not c.startswith(ROUTE))
    for _ in range(100):
        changed = {"Cookie": f"{kept}; {ROUTE}={secrets.token_hex(16)}"}
        if pair.front.upstream(visitor, "api/symbols", **changed) != urlsplit(owner.url).netloc:
            return changed
    raise AssertionError("every route leads to the same server")


async def hears(visitor: Visitor, kernel_id: str, **headers: str) -> bool:
    """Whether the page's socket brings an answer of its kernel."""
    asking = copy.copy(visitor)
    asking.headers = visitor.headers | headers
    async with asking.socket(kernel_id) as link:
        await link.write_message(message("comm_open", STATES), binary=True)
        async with asyncio.timeout(20):
            return isinstance(await link.read_message(), bytes)


def opened(front: Front) -> tuple[Visitor, Answer]:
    visitor = front.member()
    return visitor, visitor.get()


def test_nginx_accepts_the_configuration(certificate: Path, tmp_path: Path) -> None:
    main, _, _ = configuration(tmp_path, certificate, ["http://127.0.0.1:8050"])
    command = [needed("nginx"), "-t", "-e", str(tmp_path / "start.log"), "-c", str(main)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "test is successful" in done.stderr


def test_the_page_its_socket_and_its_good_bye_work_behind_nginx(two: Pair) -> None:
    visitor, page = opened(two.front)
    assert page.status == 200
    assert asyncio.run(hears(visitor, page.kernel_id))
    assert visitor.get(f"api/kernels/{page.kernel_id}").status == 200
    assert visitor.post(f"voila/api/shutdown/{page.kernel_id}", {}).status < 300
    assert visitor.get(f"api/kernels/{page.kernel_id}").status == 404


def test_cookies_are_for_tls_only_and_tls_is_asked_for_from_then_on(two: Pair) -> None:
    visitor, page = opened(two.front)
    ours = [cookie for cookie in visitor.jar if cookie.name.startswith("alphapulse")]
    assert {cookie.secure for cookie in ours} == {True}
    assert {cookie.name.rpartition("-")[2] for cookie in ours} >= {"session", ROUTE}
    assert page.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_a_page_stays_with_the_server_that_has_its_kernel(two: Pair) -> None:
    owners = set()
    for _ in range(12):
        visitor, page = opened(two.front)
        path = f"api/kernels/{page.kernel_id}"
        owner = two.owner(visitor, page.kernel_id)
        assert {visitor.get(path).status for _ in range(20)} == {200}
        assert two.front.upstream(visitor, path) == urlsplit(owner.url).netloc
        assert set(two.front.upstreams(f"/{path}")) == {urlsplit(owner.url).netloc}
        owners.add(owner.url)
        if len(owners) == 2:
            return
    raise AssertionError("twelve browsers were all sent to the same server")


def test_a_browser_whose_route_changes_still_reaches_its_kernel(two: Pair) -> None:
    visitor, page = opened(two.front)
    owner = two.owner(visitor, page.kernel_id)
    other = rerouted(two, visitor, owner)
    tried = two.front.upstream(visitor, f"api/kernels/{page.kernel_id}", **other).split(", ")
    assert len(tried) == 2
    assert tried[1] == urlsplit(owner.url).netloc
    assert asyncio.run(hears(visitor, page.kernel_id, **other))


def test_a_good_bye_finds_the_kernel_on_whichever_server_it_is(two: Pair) -> None:
    visitor, page = opened(two.front)
    other = rerouted(two, visitor, two.owner(visitor, page.kernel_id))
    assert visitor.post(f"voila/api/shutdown/{page.kernel_id}", {}, **other).status < 300
    assert visitor.get(f"api/kernels/{page.kernel_id}").status == 404


def test_nobody_reaches_the_kernel_of_another_on_either_server(two: Pair) -> None:
    visitor, page = opened(two.front)
    stranger, _ = opened(two.front)
    path = f"api/kernels/{page.kernel_id}"
    assert stranger.get(path).status == 404
    assert len(two.front.upstream(stranger, path).split(", ")) == 2
    with pytest.raises(HTTPClientError, match="404"):
        asyncio.run(hears(stranger, page.kernel_id))
    assert visitor.get(path).status == 200


def test_signing_in_on_one_server_counts_on_both(two: Pair) -> None:
    visitor = two.front.member()
    headers = two.as_nginx(visitor)
    assert [Visitor(one.url).get("api/symbols", **headers).status for one in two.servers] == [
        200,
        200,
    ]
    without = two.as_nginx(two.front.visitor())
    assert {Visitor(one.url).get("api/symbols", **without).status for one in two.servers} == {401}


def test_what_a_stranger_says_of_himself_counts_for_nothing(two: Pair) -> None:
    claims = {
        "X_Forwarded_For": "198.51.100.7",
        "X_Forwarded_Proto": "http",
        "Forwarded": "for=198.51.100.7",
        "X_Remote_User": "ann",
    }
    visitor = two.front.visitor(**claims)
    assert visitor.get("api/symbols").status == 401
    assert visitor.sign_in(PASSWORD).status == 200
    assert all(c.secure for c in visitor.jar if c.name.startswith("alphapulse"))
    # Of nginx itself a server believes the same words.
    believed = {"Host": "localhost", "X_Remote_User": "ann", "X_Forwarded_For": "198.51.100.8"}
    for server in two.servers:
        assert Visitor(server.url).get("api/symbols", **believed).status == 200
        wait_until(functools.partial(_tells, server, "198.51.100.8"))
        assert "198.51.100.7" not in server.output()


def _tells(server: Served, text: str) -> bool:
    return text in server.output()


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("https://localhost:{port}", 200),
        ("http://localhost:{port}", 403),
        ("https://x.example", 403),
    ],
)
def test_the_origin_is_compared_with_what_the_browser_sees(
    two: Pair, origin: str, status: int
) -> None:
    given = {"Origin": origin.format(port=two.front.port)}
    visitor, page = opened(two.front)
    fresh = two.front.visitor()
    fresh.get("login")
    assert fresh.post("login", {"name": "", "password": PASSWORD}, **given).status == status
    if status == 200:
        assert asyncio.run(hears(visitor, page.kernel_id, **given))
    else:
        with pytest.raises(HTTPClientError, match=str(status)):
            asyncio.run(hears(visitor, page.kernel_id, **given))


def test_scripts_come_packed_as_the_server_packed_them(two: Pair) -> None:
    path = f"alphapulse/static/plotly-{assets.plotly_hash()}.js"
    answer = two.front.visitor().get(path, Accept_Encoding="gzip")
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.body == assets.plotly_gzip()
    assert gzip.decompress(answer.body) == assets.plotly_script()


def test_without_tls_there_is_only_a_way_to_it(two: Pair) -> None:
    connection = http.client.HTTPConnection("localhost", two.front.plain_port, timeout=10)
    connection.request("GET", "/?symbol=BTC/USDT")
    answer = connection.getresponse()
    assert answer.status == 301
    assert answer.headers["Location"] == "https://localhost/?symbol=BTC/USDT"
    connection.close()


def test_another_name_gets_no_answer(two: Pair) -> None:
    connection = http.client.HTTPConnection("localhost", two.front.plain_port, timeout=10)
    connection.request("GET", "/", headers={"Host": "evil.example"})
    with pytest.raises(http.client.RemoteDisconnected):
        connection.getresponse()
    connection.close()
    context = ssl.create_default_context(cafile=two.front.ca)
    context.check_hostname = False
    with (
        socket.create_connection(("127.0.0.1", two.front.port), timeout=10) as raw,
        pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"),
    ):
        context.wrap_socket(raw, server_hostname="evil.example")


def test_a_browser_that_speaks_http_2_is_understood(two: Pair) -> None:
    context = ssl.create_default_context(cafile=two.front.ca)
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", two.front.port), timeout=10) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as secure,
    ):
        assert secure.selected_alpn_protocol() == "h2"


def test_viewers_of_a_server_that_stops_get_a_page_from_the_other(
    desk: Desk, certificate: Path, tmp_path: Path
) -> None:
    needed("nginx")
    with pair(tmp_path, certificate, desk, DASHBOARD_MAX_KERNELS="1") as made:
        front = made.front
        visitor, page = opened(front)
        owner = made.owner(visitor, page.kernel_id)
        path = f"api/kernels/{page.kernel_id}"

        # Its one place is taken: the same browser's next page comes from the other server.
        second = visitor.get()
        assert second.status == 200
        assert made.owner(visitor, second.kernel_id) is not owner
        assert asyncio.run(hears(visitor, second.kernel_id))
        busy = visitor.get()
        assert busy.status == 503
        assert "tries again by itself" in busy.text
        assert visitor.post(f"voila/api/shutdown/{second.kernel_id}", {}).status < 300

        assert asyncio.run(_told(visitor, page.kernel_id, owner.process.pid)) == 1001
        assert owner.process.wait(30) == 0
        assert visitor.get(path).status == 404
        again = visitor.get()
        assert again.status == 200
        assert asyncio.run(hears(visitor, again.kernel_id))


async def _told(visitor: Visitor, kernel_id: str, pid: int) -> int | None:
    """The code with which a page's socket is closed when its server is asked to stop."""
    async with visitor.socket(kernel_id) as link:
        os.kill(pid, signal.SIGTERM)
        async with asyncio.timeout(30):
            while await link.read_message() is not None:
                pass
        return link.close_code


def test_a_token_in_an_address_is_in_none_of_nginx_logs(
    two: Pair, certificate: Path, tmp_path: Path
) -> None:
    token = "not-for-any-log"
    two.front.visitor().get(f"?token={token}")
    wait_until(lambda: two.front.upstreams("/"))
    assert token not in two.front.said()
    # Nobody listens there: nginx has an error to write about.
    with nginx(tmp_path / "alone", certificate, ["http://127.0.0.1:1"]) as alone:
        assert alone.visitor().get(f"?token={token}").status == 502
        assert alone.visitor().get("?no=token").status == 502
        wait_until(lambda: "Connection refused" in alone.said(), 10)
        assert "no=token" in alone.said()
        assert token not in alone.said()


class _Slow(BaseHTTPRequestHandler):
    """A server that sends the second half of its page once it is told to."""

    protocol_version = "HTTP/1.1"
    go = threading.Event()

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        self.wfile.write(b"5\r\nfirst\r\n")
        self.go.wait(20)
        self.wfile.write(b"6\r\nsecond\r\n0\r\n\r\n")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def slow() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Slow)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    _Slow.go.set()
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_page_passes_through_nginx_as_it_is_made(
    slow: str, certificate: Path, tmp_path: Path
) -> None:
    with nginx(tmp_path / "nginx", certificate, [slow]) as front:
        context = ssl.create_default_context(cafile=certificate)
        with urllib.request.urlopen(front.url, timeout=10, context=context) as page:  # noqa: S310
            assert page.read1(5) == b"first"
            _Slow.go.set()
            assert page.read() == b"second"
