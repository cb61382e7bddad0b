"""Pages and their kernels: whose they are, how many, when they end, and what a page may send."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Iterator
from http.cookiejar import DefaultCookiePolicy
from pathlib import Path

import psutil
import pytest

from alphapulse_nb.people import SHARED, Person
from alphapulse_nb.server import messages, visits
from alphapulse_nb.server.figures import Figures
from alphapulse_nb.server.visits import Visits
from tests.conftest import Desk, Served, serve, wait_until
from tests.kernel import ask
from tests.visitor import Answer, Visitor, framed, message, unframed

STATES = message(
    "comm_open",
    {
        "comm_id": "c1",
        "target_name": "jupyter.widget.control",
        "data": {"method": "request_states"},
    },
)


def opened(served: Served) -> tuple[Visitor, Answer]:
    visitor = Visitor(served.url)
    return visitor, visitor.get()


async def states_of(visitor: Visitor, kernel_id: str) -> dict[str, object]:
    """Ask a kernel for its widgets, as a page does first."""
    async with visitor.socket(kernel_id) as link:
        await link.write_message(STATES, binary=True)
        asked = {"method": "request_states"}
        data = {"comm_id": "c1", "data": asked}
        await link.write_message(message("comm_msg", data), binary=True)
        async with asyncio.timeout(20):
            while True:
                raw = await link.read_message()
                assert isinstance(raw, bytes), "the server closed the socket"
                _, header, _, content = unframed(raw)
                if header["msg_type"] == "comm_msg" and "states" in content["data"]:
                    states: dict[str, object] = content["data"]["states"]
                    return states


async def closed(visitor: Visitor, kernel_id: str, sent: list[bytes | str]) -> tuple[int, str]:
    """Send messages until the server closes the socket; its code and reason."""
    async with visitor.socket(kernel_id) as link:
        for one in sent:
            with contextlib.suppress(Exception):  # closed while we were sending
                await link.write_message(one, binary=isinstance(one, bytes))
        async with asyncio.timeout(30):
            while await link.read_message() is not None:
                pass
        return link.close_code or 0, link.close_reason or ""


def test_a_page_reaches_its_own_kernel(served: Served) -> None:
    visitor, page = opened(served)
    states = asyncio.run(states_of(visitor, page.kernel_id))
    assert len(states) > 10
    assert visitor.get(f"api/kernels/{page.kernel_id}").status == 200


def test_nobody_reaches_the_kernel_of_another(served: Served) -> None:
    owner, page = opened(served)
    other, _ = opened(served)
    path = f"api/kernels/{page.kernel_id}"
    assert other.get(path).status == 404
    xsrf = {"X_Xsrftoken": other.cookie("_xsrf")}
    assert other.ask("DELETE", path, **xsrf).status == 404
    assert other.post(f"voila/api/shutdown/{page.kernel_id}", {}).status == 404
    assert other.knock(page.kernel_id) == 404
    assert owner.get(path).status == 200
    for method, where in (
        ("POST", "api/kernels"),
        ("GET", "api/kernels"),
        ("POST", f"{path}/restart"),
        ("POST", f"{path}/interrupt"),
    ):
        xsrf = {"X_Xsrftoken": owner.cookie("_xsrf")}
        assert owner.ask(method, where, b"{}" if method == "POST" else None, **xsrf).status == 404


def test_the_visit_of_one_person_is_not_the_visit_of_another_on_the_same_browser() -> None:
    kept = Visits({}, 5, Figures())
    owner = frozenset({"cookie"})
    visit = kept.enter(Person("ann"), owner)
    assert visit is not None
    kept.began(visit, "k")
    assert kept.find("k", Person("ann"), owner | {"another tab"}) is visit
    assert kept.find("k", Person("bob"), owner) is None
    assert kept.find("k", Person("ann"), frozenset()) is None


def test_two_first_tabs_at_once_both_work(served: Served) -> None:
    """Each answer sets a cookie before the other's request was sent with it."""
    visitor, first = opened(served)
    second = Visitor(served.url)
    page = second.get()
    for cookie in second.jar:
        if "visit" in cookie.name:
            visitor.jar.set_cookie(cookie)
    for kernel_id in (first.kernel_id, page.kernel_id):
        assert asyncio.run(states_of(visitor, kernel_id))


def test_a_browser_without_cookies_is_told_so_and_gets_no_kernel(served: Served) -> None:
    before = len(psutil.Process(served.process.pid).children(recursive=True))
    visitor = Visitor(served.url)
    visitor.jar.set_policy(_NoCookies())
    answer = visitor.get("?symbol=ETH/USDT")
    assert answer.status == 403
    assert "needs cookies" in answer.text
    assert len(psutil.Process(served.process.pid).children(recursive=True)) <= before


class _NoCookies(DefaultCookiePolicy):
    def set_ok(self, cookie: object, request: object) -> bool:
        return False


@pytest.mark.parametrize("protocol", [None, "v2.kernel.websocket.jupyter.org", "chat"])
def test_a_socket_of_another_protocol_is_refused_and_the_server_goes_on(
    served: Served, protocol: str | None
) -> None:
    visitor, page = opened(served)
    assert visitor.knock(page.kernel_id, protocol) == 400
    assert asyncio.run(states_of(visitor, page.kernel_id))


def test_a_socket_that_another_site_opens_is_refused(served: Served) -> None:
    visitor, page = opened(served)
    visitor.headers["Origin"] = "https://evil.example"
    assert visitor.knock(page.kernel_id) == 403
    visitor.headers["Origin"] = served.url.rstrip("/")
    assert asyncio.run(states_of(visitor, page.kernel_id))


CODE = {"code": "import os; os._exit(7)", "silent": False, "store_history": True}
OPEN = {"comm_id": "c9", "target_name": "jupyter.widget", "data": {"state": {}}}
HUGE = (1 << 62).to_bytes(8, "little")
NESTED: dict[str, object] = {}
for _ in range(400):
    NESTED = {"a": NESTED}
UNWELCOME: list[tuple[str, str, bytes | str]] = [
    ("code to run", "type", message("execute_request", CODE)),
    (
        "a request to complete",
        "type",
        message("complete_request", {"code": "os.", "cursor_pos": 3}),
    ),
    ("a look at an object", "type", message("inspect_request", {"code": "os", "cursor_pos": 1})),
    ("the history", "type", message("history_request", {"output": True, "raw": True})),
    ("an end of the kernel", "type", message("shutdown_request", {"restart": False}, "control")),
    ("a debugger", "type", message("debug_request", {}, "control")),
    ("an answer to input()", "type", message("input_reply", {"value": "x"}, "stdin")),
    ("no type", "type", message("", {})),
    ("a widget of any class", "target", message("comm_open", OPEN)),
    ("a comm without a name", "format", message("comm_msg", {"data": {}})),
    ("a comm with a long name", "format", message("comm_msg", {"comm_id": "x" * 999, "data": {}})),
    ("data that is a list", "format", message("comm_msg", {"comm_id": "x", "data": []})),
    ("text", "format", '{"channel": "shell"}'),
    ("nothing", "format", b""),
    ("seven bytes", "format", b"1234567"),
    ("more offsets than there is memory", "format", HUGE + b"x" * 100),
    ("offsets backwards", "format", framed([b"shell", b"{}"])[:16] + b"\0" * 64),
    ("too few parts", "format", framed([b"shell", b"{}", b"{}"])),
    ("no JSON", "format", framed([b"shell", b"{", b"{}", b"{}", b"{}"])),
    ("a list as header", "format", framed([b"shell", b"[]", b"{}", b"{}", b"{}"])),
    ("deep nesting", "format", message("comm_msg", {"comm_id": "x", "data": NESTED})),
    ("bytes that are no text", "format", framed([b"shell", b"\xff\xfe", b"{}", b"{}", b"{}"])),
    ("a channel that is none", "type", message("comm_msg", {"comm_id": "x"}, "iopub")),
]


@pytest.mark.parametrize(
    ("sent", "why"), [(row[2], row[1]) for row in UNWELCOME], ids=[row[0] for row in UNWELCOME]
)
def test_a_message_that_pages_do_not_send_is_unwelcome(sent: bytes | str, why: str) -> None:
    with pytest.raises(messages.UnwelcomeError) as caught:
        messages.check(sent)
    assert caught.value.why == why


def test_messages_of_widgets_are_welcome() -> None:
    assert messages.check(STATES) == "comm_open"
    assert messages.check(message("comm_msg", {"comm_id": "x", "data": {"a": 1}})) == "comm_msg"
    assert messages.check(message("comm_info_request", {})) == "comm_info_request"
    assert messages.check(message("kernel_info_request", {})) == "kernel_info_request"


def test_no_page_runs_code(served: Served) -> None:
    """Every unwelcome message, really sent: the kernel lives, unharmed, and other pages do too."""
    visitor, page = opened(served)
    ask(page.kernel_id, "__import__('builtins').__dict__.__setitem__('mark', 1)")
    for _, _, sent in UNWELCOME:

        async def send(sent: bytes | str = sent) -> None:
            async with visitor.socket(page.kernel_id) as link:
                await link.write_message(sent, binary=isinstance(sent, bytes))
                await link.write_message(STATES, binary=True)

        asyncio.run(send())
    assert asyncio.run(states_of(visitor, page.kernel_id))
    assert ask(page.kernel_id, "mark") == 1


def test_ten_thousand_malformed_messages_close_their_socket_and_nothing_else(
    served: Served,
) -> None:
    visitor, page = opened(served)
    noise = [os.urandom(size % 300) for size in range(10_000)]
    code, reason = asyncio.run(closed(visitor, page.kernel_id, [*noise]))
    assert (code, reason) == (1008, "too many messages that cannot be taken")
    assert asyncio.run(states_of(visitor, page.kernel_id))


def test_a_message_of_fifty_megabytes_closes_its_socket_and_takes_no_memory(
    served: Served,
) -> None:
    visitor, page = opened(served)
    server = psutil.Process(served.process.pid)
    before = server.memory_info().rss
    code, _ = asyncio.run(closed(visitor, page.kernel_id, [b"x" * 50_000_000]))
    assert code in {0, 1006, 1009}
    assert server.memory_info().rss - before < 30_000_000
    assert asyncio.run(states_of(visitor, page.kernel_id))


def test_headers_that_come_slowly_are_not_waited_for(served: Served) -> None:
    address = ("127.0.0.1", int(served.url.rsplit(":", 1)[1].strip("/")))
    slow = [socket.create_connection(address) for _ in range(50)]
    try:
        for link in slow:
            link.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-")
        began = time.monotonic()
        assert Visitor(served.url).get("login").status == 200
        assert time.monotonic() - began < 10
        for link in slow:
            link.settimeout(40)
            with contextlib.suppress(ConnectionResetError):
                assert link.recv(1) == b""
    finally:
        for link in slow:
            link.close()


@pytest.fixture
def small(desk: Desk, tmp_path: Path) -> Iterator[Served]:
    """A server with two places."""
    with serve(tmp_path, desk.server.url, DASHBOARD_MAX_KERNELS="2") as served:
        yield served


def test_when_all_places_are_taken_a_page_says_so_and_tries_again(small: Served) -> None:
    first, page = opened(small)
    opened(small)
    _, busy = opened(small)
    assert busy.status == 503
    assert "All places are taken (2)" in busy.text
    assert 'http-equiv="refresh"' in busy.text
    assert 8 <= int(busy.headers["Retry-After"]) <= 15
    assert first.post(f"voila/api/shutdown/{page.kernel_id}", {}).status == 204
    wait_until(lambda: opened(small)[1].status == 200, 20)


def test_a_kernel_that_dies_frees_its_place_and_tells_its_page(small: Served) -> None:
    visitor, page = opened(small)
    pid = ask(page.kernel_id, "__import__('os').getpid()")

    async def watch() -> tuple[int, str]:
        async with visitor.socket(page.kernel_id) as link:
            os.kill(pid, 9)
            async with asyncio.timeout(20):
                while await link.read_message() is not None:
                    pass
            return link.close_code or 0, link.close_reason or ""

    assert asyncio.run(watch()) == (4001, "the kernel ended")
    assert visitor.get(f"api/kernels/{page.kernel_id}").status == 404


class _Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class _Kernels(dict[str, bool]):
    """Kernels by id, and whether they live."""

    async def shutdown_kernel(self, kernel_id: str, now: bool) -> None:
        del self[kernel_id]

    def get_kernel(self, kernel_id: str) -> _Kernel:
        return _Kernel(self[kernel_id])


class _Kernel:
    def __init__(self, lives: bool) -> None:
        self._lives = lives

    async def is_alive(self) -> bool:
        return self._lives


class _Socket:
    def __init__(self) -> None:
        self.ended: tuple[int, str] | None = None

    def end(self, code: int, reason: str) -> None:
        self.ended = (code, reason)


def test_a_kernel_waits_ninety_seconds_for_its_page_however_busy_it_is() -> None:
    clock, kernels, figures = _Clock(), _Kernels(k=True), Figures()
    kept = Visits(kernels, 5, figures, clock)
    visit = kept.enter(Person("ann"), frozenset({"cookie"}))
    assert visit is not None
    kept.began(visit, "k")
    page = _Socket()
    kept.connected(visit, page)
    clock.now = 10_000.0
    asyncio.run(kept.look())
    assert kernels
    kept.disconnected(visit, page)
    clock.now += visits.AWAY_SECONDS - 1
    asyncio.run(kept.look())
    assert kernels
    clock.now += 2
    asyncio.run(kept.look())
    assert not kernels
    assert len(kept) == 0
    assert figures.value("kernels_ended", why="abandoned") == 1


def test_a_page_that_never_connects_is_given_five_minutes() -> None:
    clock, kernels = _Clock(), _Kernels(k=True)
    kept = Visits(kernels, 5, Figures(), clock)
    visit = kept.enter(Person("ann"), frozenset({"cookie"}))
    assert visit is not None
    kept.began(visit, "k")
    clock.now = 299
    asyncio.run(kept.look())
    assert kernels
    clock.now = 301
    asyncio.run(kept.look())
    assert not kernels


def test_a_page_that_was_left_gives_its_place_to_one_who_comes_when_none_is_free() -> None:
    clock, kernels, figures = _Clock(), _Kernels(a=True, b=True, c=True), Figures()
    kept = Visits(kernels, 2, figures, clock)
    owner = frozenset({"cookie"})

    async def crowd() -> None:
        for name in ("a", "b"):
            visit = kept.enter(Person("viewer"), owner)
            assert visit is not None
            kept.began(visit, name)
            clock.now += 1
        here = kept.find("a", Person("viewer"), owner)
        assert here is not None
        kept.connected(here, _Socket())
        clock.now += 17
        assert kept.enter(Person("viewer"), owner) is None
        clock.now += 2
        assert kept.enter(Person("viewer"), owner) is not None
        assert kept.find("b", Person("viewer"), owner) is None
        assert kept.find("a", Person("viewer"), owner) is here
        clock.now += 1_000
        assert kept.enter(Person("viewer"), owner) is None  # who starts, and who is here, stays
        await kept.close("over")

    asyncio.run(crowd())
    assert set(kernels) == {"c"}
    assert figures.value("kernels_ended", why="abandoned") == 1
    assert figures.value("kernels_refused") == 2


def test_one_person_has_so_many_places_and_those_without_a_name_all() -> None:
    kept = Visits({}, 100, Figures())
    owner = frozenset({"cookie"})
    for _ in range(visits.MOST_EACH):
        assert kept.enter(Person("ann"), owner)
    assert kept.enter(Person("ann"), frozenset({"another browser"})) is None
    assert kept.has_enough(Person("ann"))
    assert kept.enter(Person("bob"), owner)
    for _ in range(visits.MOST_EACH + 1):
        assert kept.enter(Person(SHARED), owner)
    assert not kept.has_enough(Person(SHARED))


def test_what_a_page_missed_while_it_was_away_is_not_kept(served: Served) -> None:
    """It comes back to the same kernel, which has gone on, and nothing waited in the server."""
    visitor, page = opened(served)
    asyncio.run(states_of(visitor, page.kernel_id))
    server = psutil.Process(served.process.pid)
    pid = ask(page.kernel_id, "__import__('os').getpid()")
    flood = (
        "[__import__('IPython').get_ipython().kernel.comm_manager.comms and "
        "next(iter(__import__('IPython').get_ipython().kernel.comm_manager.comms.values()))"
        ".send({'x': 'y' * 1_000_000}) for _ in range(60)] and 1"
    )
    before = server.memory_info().rss
    assert ask(page.kernel_id, flood) == 1
    assert server.memory_info().rss - before < 20_000_000
    assert psutil.pid_exists(pid)
    assert asyncio.run(states_of(visitor, page.kernel_id))
