"""Attempts on a running server: to get in, to reach what is another's, to exhaust it, to learn."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import re
import socket
from collections.abc import Iterator
from http.cookiejar import Cookie
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
import sqlalchemy as sa

from alphapulse_nb.db.connection import connect
from alphapulse_nb.server.budget import EACH_SECOND, MOST, Budget
from alphapulse_nb.server.connections import PATIENCE, Connections
from alphapulse_nb.server.messages import PROTOCOL, UnwelcomeError
from alphapulse_nb.state import State, Users, prepare
from alphapulse_nb.state.passwords import LONGEST
from tests.conftest import Desk, Served, serve, wait_until
from tests.visitor import Answer, Visitor, message, unframed

OUTLINE = 'id="ap-skeleton"'
TOKEN = "a-token-for-everybody"
ANN = "p" * LONGEST


@pytest.fixture(scope="module")
def guarded(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, Users]]:
    """A server with a token and the user ann, and what can be done to its users."""
    with desk.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as link:
        link.exec_driver_sql("CREATE DATABASE attacked")
    url = sa.make_url(desk.server.url).set(database="attacked").render_as_string(False)
    folder = tmp_path_factory.mktemp("attacked")
    with connect(url) as db, State(db) as state:
        prepare(state)
        users = Users(state)
        users.add("ann", ANN)
        with serve(folder, url, DASHBOARD_TOKEN=TOKEN) as served:
            yield served, users
    with desk.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as link:
        link.exec_driver_sql("DROP DATABASE attacked WITH (FORCE)")


def memory(served: Served) -> int:
    return psutil.Process(served.process.pid).memory_info().rss


def kernels(served: Served) -> int:
    children = psutil.Process(served.process.pid).children(recursive=True)
    return sum(child.name() == "ap-kernel" for child in children)


def address(served: Served) -> tuple[str, int]:
    parts = urlsplit(served.url)
    return str(parts.hostname), int(parts.port or 0)


def raw(served: Served, request: bytes) -> bytes:
    """What comes back for these bytes, `%H` being the server's name, until it closes."""
    host, port = address(served)
    with socket.create_connection((host, port), timeout=5) as link:
        link.sendall(request.replace(b"%H", f"{host}:{port}".encode()))
        found = b""
        with contextlib.suppress(TimeoutError, ConnectionResetError):
            while part := link.recv(65_536):
                found += part
    return found


HOSTILE = {
    "an origin that is no address": b"GET /login HTTP/1.1\r\nHost: %H\r\nOrigin: http://[\r\n",
    "a post from such an origin": b"POST /login HTTP/1.1\r\nHost: %H\r\nOrigin: http://[\r\n"
    b"Content-Length: 0\r\n",
    "a host that is no name": b"GET /login HTTP/1.1\r\nHost: [\r\n",
    "a port that is no number": b"GET / HTTP/1.1\r\nHost: 127.0.0.1:\xb2\r\n",
    "a port of 3000 digits": b"GET / HTTP/1.1\r\nHost: 127.0.0.1:" + b"9" * 3_000 + b"\r\n",
    "two hosts": b"GET /login HTTP/1.1\r\nHost: %H\r\nHost: evil.example\r\n",
    "an absolute address": b"GET http://evil.example/ HTTP/1.1\r\nHost: %H\r\n",
    "two lengths of one body": b"POST /login HTTP/1.1\r\nHost: %H\r\nContent-Length: 4\r\n"
    b"Content-Length: 5\r\n",
    "a length and chunks": b"POST /login HTTP/1.1\r\nHost: %H\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n",
    "chunks that are none": b"POST /login HTTP/1.1\r\nHost: %H\r\nTransfer-Encoding: xchunked\r\n",
    "a folded header": b"GET /login HTTP/1.1\r\nHost: %H\r\nX-A: b\r\n Origin: x\r\n",
    "a space before the colon": b"GET /login HTTP/1.1\r\nHost: %H\r\nOrigin : x\r\n",
    "an unknown method": b"FOO / HTTP/1.1\r\nHost: %H\r\n",
    "a trace": b"TRACE / HTTP/1.1\r\nHost: %H\r\n",
    "a put": b"PUT / HTTP/1.1\r\nHost: %H\r\nContent-Length: 0\r\n",
    "two slashes before the API": b"GET //api/symbols HTTP/1.1\r\nHost: %H\r\n",
    "kernels in capitals": b"GET /API/kernels HTTP/1.1\r\nHost: %H\r\n",
    "kernels behind an encoded slash": b"GET /api%2fkernels HTTP/1.1\r\nHost: %H\r\n",
    "a token that is no text": b"GET /?token=%ed%a0%80 HTTP/1.1\r\nHost: %H\r\n",
    "a path that is no text": b"GET /voila/static/%ff HTTP/1.1\r\nHost: %H\r\n",
    "an absolute path": b"GET /voila/static//etc/passwd HTTP/1.1\r\nHost: %H\r\n",
    "a theme elsewhere": b"GET /voila/api/themes/..%2f..%2f..%2fetc/passwd HTTP/1.1\r\n"
    b"Host: %H\r\n",
    "a form without a boundary": b"POST /login HTTP/1.1\r\nHost: %H\r\n"
    b"Content-Type: multipart/form-data; boundary=\r\nContent-Length: 0\r\n",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_request_is_one_request_and_gets_no_server_error(
    served: Served, name: str
) -> None:
    hidden = b"GET /alphapulse/hidden HTTP/1.1\r\nHost: %H\r\nConnection: close\r\n\r\n"
    ending = b"Connection: close\r\n\r\n"
    answer = raw(
        served,
        HOSTILE[name] + ending + (b"0\r\n\r\n" + hidden if b"chunk" in HOSTILE[name] else b""),
    )
    assert len(re.findall(rb"HTTP/1\.1 \d", answer)) == 1
    status = int(answer.split()[1])
    assert 300 <= status < 500
    assert b"root:" not in answer
    assert OUTLINE.encode() not in answer
    assert not re.search(rb"Set-Cookie: [^=]{100}", answer)


def test_cookies_that_prove_nothing_do_not_hide_the_one_that_does(served: Served) -> None:
    """Another key signed them, or a page on another port of this machine planted them."""
    visitor = Visitor(served.url)
    assert OUTLINE in visitor.get().text
    port = address(served)[1]
    planted = "; ".join(f"alphapulse-{port}-visit-{n:08x}=2|1:0|x|y" for n in range(60))
    held = Visitor(served.url, Cookie=f"{planted}; {visitor.cookies()}").get()
    assert OUTLINE in held.text
    fresh = Visitor(served.url)
    for n in range(60):
        fresh.jar.set_cookie(_cookie(f"alphapulse-{port}-visit-{n:08x}", "2|1:0|x|y"))
    assert OUTLINE in fresh.get().text
    assert len([cookie for cookie in fresh.jar if "-visit-" in cookie.name]) <= 11


def _cookie(name: str, value: str) -> Cookie:
    return Cookie(
        0, name, value, None, False, "127.0.0.1", False, False, "/", True, False,
        None, True, None, None, {},
    )  # fmt: skip


def test_what_nobody_looks_at_starts_no_kernel(served: Served) -> None:
    visitor = Visitor(served.url)
    visitor.get("login")
    before = kernels(served)
    for headers, status in (
        ({"Sec_Fetch_Dest": "image", "Sec_Fetch_Site": "same-site"}, 403),
        ({"Sec_Fetch_Dest": "iframe", "Sec_Fetch_Site": "same-site"}, 403),
        ({"Sec_Fetch_Dest": "empty", "Sec_Fetch_Site": "same-origin"}, 403),
        ({"Sec_Fetch_Dest": "document", "Sec_Purpose": "prefetch;prerender"}, 503),
    ):
        assert visitor.get(**headers).status == status
    assert kernels(served) <= before
    shown = {"Sec_Fetch_Dest": "document", "Sec_Fetch_Site": "cross-site"}
    assert OUTLINE in visitor.get(**shown).text


def test_who_asks_for_much_and_reads_nothing_takes_no_memory(served: Served) -> None:
    page = Visitor(served.url).get().text
    script = re.search(r"/alphapulse/static/plotly-\w+\.js", page)
    assert script is not None
    before = memory(served)
    with contextlib.ExitStack() as stack:
        for _ in range(40):
            link = stack.enter_context(socket.socket())
            link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            link.connect(address(served))
            link.sendall(f"GET {script[0]} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        whole = Visitor(served.url).get(script[0][1:])
        assert len(whole.body) == int(whole.headers["Content-Length"]) > 3_000_000
        assert memory(served) - before < 40_000_000


def test_more_connections_than_fit_cost_their_owner_the_oldest(desk: Desk, tmp_path: Path) -> None:
    fit = 300
    with (
        serve(tmp_path, desk.server.url, program="tests.impatient", CONNECTIONS=str(fit)) as narrow,
        contextlib.ExitStack() as stack,
    ):
        before = psutil.Process(narrow.process.pid).num_fds()
        links = [
            stack.enter_context(socket.create_connection(address(narrow))) for _ in range(fit + 100)
        ]
        wait_until(lambda: "too many connections" in narrow.output())
        assert psutil.Process(narrow.process.pid).num_fds() < before + fit + 50
        assert OUTLINE in Visitor(narrow.url).get().text
        links[0].settimeout(5)
        assert links[0].recv(1) == b""


class _Stream:
    """A stream of which somebody has read so much."""

    def __init__(self) -> None:
        self._total_write_done_index = 0
        self.waits = True
        self.closed = False

    def writing(self) -> bool:
        return self.waits

    def close(self) -> None:
        self.closed = True


def test_only_a_client_that_reads_nothing_is_cut_off() -> None:
    now = [0.0]
    kept = Connections(9, lambda: now[0])
    slow, stuck, idle = _Stream(), _Stream(), _Stream()
    idle.waits = False
    for stream in (slow, stuck, idle):
        kept.admit(stream, "10.0.0.1")  # type: ignore[arg-type]
    for _ in range(10):
        now[0] += PATIENCE / 3
        slow._total_write_done_index += 1
        kept.look()
    assert [stream.closed for stream in (slow, stuck, idle)] == [False, True, False]
    assert len(kept) == 2


def test_a_crowd_is_not_shut_out_by_one_with_many_connections() -> None:
    kept = Connections(6)
    few = [_Stream(), _Stream()]
    many = [_Stream() for _ in range(20)]
    kept.admit(few[0], "10.0.0.1")  # type: ignore[arg-type]
    for number, stream in enumerate(many):
        # One network of IPv6 is one client, whichever of its addresses it takes.
        kept.admit(stream, f"2001:db8::{number:x}")  # type: ignore[arg-type]
    kept.admit(few[1], "10.0.0.2")  # type: ignore[arg-type]
    assert len(kept) == 6
    assert not any(stream.closed for stream in few)
    assert [stream.closed for stream in many] == [True] * 16 + [False] * 4


def test_a_page_may_not_shake_hands_without_end(served: Served) -> None:
    visitor = Visitor(served.url)
    kernel_id = visitor.get().kernel_id
    headers = {"Cookie": visitor.cookies(), "Sec-WebSocket-Protocol": PROTOCOL}

    def shake(session: str) -> int:
        link = http.client.HTTPConnection(*address(served), timeout=30)
        path = f"/api/kernels/{kernel_id}/channels?session_id={session}"
        try:
            link.request("GET", path, headers=headers)
            return link.getresponse().status
        finally:
            link.close()

    assert shake("x" * 20_000) == 400
    before = memory(served)
    assert [shake(str(number)) for number in range(400)][-1] == 429
    assert memory(served) - before < 20_000_000
    wait_until(lambda: visitor.knock(kernel_id) == 101)


def test_a_page_has_a_few_sockets_and_no_more(served: Served) -> None:
    visitor = Visitor(served.url)
    kernel_id = visitor.get().kernel_id

    async def run() -> None:
        async with contextlib.AsyncExitStack() as stack:
            for session in "abcdefgh":
                await stack.enter_async_context(visitor.socket(kernel_id, session))
            assert await asyncio.to_thread(visitor.knock, kernel_id) == 429

    asyncio.run(run())
    wait_until(lambda: visitor.knock(kernel_id) == 101)


async def _told(
    visitor: Visitor, kernel_id: str, sent: list[bytes]
) -> tuple[list[Any], int | None]:
    """What a page hears after these messages, up to the state of its widgets, or the end."""
    heard = []
    async with visitor.socket(kernel_id) as link:
        for one in sent:
            with contextlib.suppress(Exception):  # closed while we were sending
                await link.write_message(one, binary=True)
        ask = {"comm_id": "last", "target_name": "jupyter.widget.control", "data": {}}
        with contextlib.suppress(Exception):
            await link.write_message(message("comm_open", ask), binary=True)
            data = {"comm_id": "last", "data": {"method": "request_states"}}
            await link.write_message(message("comm_msg", data), binary=True)
        async with asyncio.timeout(30):
            while (got := await link.read_message()) is not None:
                assert isinstance(got, bytes)
                _, header, _, content = unframed(got)
                heard.append((header["msg_type"], content))
                if "states" in str(content.get("data"))[:400]:
                    break
        return heard, link.close_code


def test_no_page_hears_of_the_insides_of_its_kernel(served: Served) -> None:
    visitor = Visitor(served.url)
    kernel_id = visitor.get().kernel_id
    heard, _ = asyncio.run(_told(visitor, kernel_id, []))
    states = next(content["data"]["states"] for _, content in heard if "states" in str(content))
    box = next(name for name, one in states.items() if one["model_name"] == "VBoxModel")
    bad = [
        {"comm_id": box, "data": {"method": "update", "state": {"children": 5}}},
        {"comm_id": box, "data": {"method": "none\nof these"}},
        {"comm_id": box, "data": {}},
        {"comm_id": "nobody", "data": {}},
    ]
    heard, _ = asyncio.run(_told(visitor, kernel_id, [message("comm_msg", one) for one in bad]))
    assert {kind for kind, _ in heard} <= {"status", "comm_msg", "comm_close", "comm_open"}
    assert "site-packages" not in str(heard)
    assert "kernel complained" in served.output()


def test_a_page_that_sends_without_end_is_cut_off(served: Served) -> None:
    visitor = Visitor(served.url)
    kernel_id = visitor.get().kernel_id
    opening = {"target_name": "jupyter.widget.control", "data": {}}
    flood = [message("comm_open", opening | {"comm_id": f"c{n}"}) for n in range(800)]
    assert asyncio.run(_told(visitor, kernel_id, flood))[1] == 1008
    assert OUTLINE in Visitor(served.url).get().text


def test_a_budget_is_spent_and_grows_back() -> None:
    now = [0.0]
    budget = Budget(lambda: now[0])
    for _ in range(3):
        budget.spend("comm_msg", 1 << 20)
    with pytest.raises(UnwelcomeError, match="too much"):
        budget.spend("comm_msg", 1 << 20)
    now[0] += MOST / EACH_SECOND
    for _ in range(1_000):
        budget.spend("comm_msg", 500)


def test_nobody_who_was_removed_goes_on_watching(guarded: tuple[Served, Users]) -> None:
    served, users = guarded
    users.add("bob", "a password of bob")
    bob, ann = Visitor(served.url), Visitor(served.url)
    page = bob.sign_in("a password of bob", "bob")
    hers = ann.sign_in(ANN, "ann")

    async def watch() -> tuple[int | None, str | None]:
        async with bob.socket(page.kernel_id) as link:
            users.remove("bob")
            async with asyncio.timeout(40):
                while await link.read_message() is not None:
                    pass
            return link.close_code, link.close_reason

    assert asyncio.run(watch()) == (4003, "you are not signed in any more")
    assert ann.get(f"api/kernels/{hers.kernel_id}").status == 200


def test_signing_out_ends_the_pages_of_that_browser_and_no_other(
    guarded: tuple[Served, Users],
) -> None:
    served, _ = guarded
    here, there = Visitor(served.url), Visitor(served.url)
    mine, other = (visitor.sign_in(ANN, "ann") for visitor in (here, there))

    async def watch() -> int | None:
        async with here.socket(mine.kernel_id) as link:
            await asyncio.to_thread(here.post, "logout", {})
            async with asyncio.timeout(20):
                while await link.read_message() is not None:
                    pass
            return link.close_code

    assert asyncio.run(watch()) == 4003
    assert there.get(f"api/kernels/{other.kernel_id}").status == 200


def test_a_link_with_a_token_does_not_make_somebody_else_of_who_is_signed_in(
    guarded: tuple[Served, Users],
) -> None:
    visitor = Visitor(guarded[0].url)
    visitor.sign_in(ANN, "ann")
    assert OUTLINE in visitor.get(f"?token={TOKEN}").text
    assert "You are signed in as <b>ann</b>" in visitor.get("logout").text


def test_each_spelling_of_a_name_has_not_attempts_of_its_own(tmp_path: Path) -> None:
    from alphapulse_nb.server.attempts import Attempts

    attempts = Attempts()
    for number in range(10):
        name = ("ann", "ANN", " ann", "\uff41nn")[number % 4]
        attempts.failed(f"10.0.0.{number}", name)
    assert attempts.wait("10.0.1.1", "Ann") > 0
    assert attempts.wait("10.0.1.1", "bob") == 0
    for number in range(10):
        attempts.failed(f"2001:db8:0:1::{number}", "")
    assert attempts.wait("2001:db8:0:1:ffff::1", "") > 0
    assert attempts.wait("2001:db8:0:2::1", "") == 0
    assert attempts.wait("::ffff:10.0.1.1", "") == 0


def test_a_proxy_without_access_control_lets_nobody_be_the_administrator(
    desk: Desk, tmp_path: Path
) -> None:
    """Whoever comes by way of a proxy on this machine is not on this machine."""
    with (
        pytest.raises(AssertionError, match=r"there is a proxy.*--no-auth"),
        serve(tmp_path, desk.server.url, DASHBOARD_TRUSTED_PROXIES="127.0.0.1"),
    ):
        pass


def test_no_process_of_a_page_was_given_a_secret_of_the_server(
    guarded: tuple[Served, Users],
) -> None:
    served, _ = guarded
    page: Answer = Visitor(served.url, Authorization=f"Bearer {TOKEN}").get()
    assert page.kernel_id
    for child in psutil.Process(served.process.pid).children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            told = child.environ()
            assert TOKEN not in str(told), child.name()
            assert not [
                name for name in told if name.startswith("DASHBOARD_") and "HOST" not in name
            ]
    assert TOKEN not in served.output()
