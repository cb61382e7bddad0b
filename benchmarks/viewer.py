"""A viewer without a browser: gets the page, mounts its charts over the kernel's websocket, and
answers as the page's scripts do.

With a stream its charts are watched there, and the kernel is left alone. Without one every chart
is asked for its snapshot, every patch is acknowledged, a gap in the numbers is answered with a
question for a new snapshot, and the kernel's lease is renewed. What goes wrong is kept.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from http.cookies import SimpleCookie
from typing import Any, Literal
from urllib.parse import quote, urljoin, urlsplit

from tornado.httpclient import AsyncHTTPClient, HTTPRequest, HTTPResponse
from tornado.httputil import HTTPHeaders
from tornado.websocket import WebSocketClientConnection, WebSocketError, websocket_connect

from alphapulse_nb.server.messages import PROTOCOL
from tests.visitor import message

ALIVE_EVERY = 50.0
"""Seconds between a chart's signs of life, as the page sends them."""

_PATIENCE = 120.0
_KERNEL = re.compile(r'"kernelId": "([0-9a-f-]{36})"')
_CONTROL = "jupyter.widget.control"

How = Literal["farewell", "close"]


class ViewerError(Exception):
    """The viewer did not get the dashboard; the message says what came instead."""


@dataclass(frozen=True)
class News:
    """A chart's message: when it came, and when its data was looked at (epoch seconds)."""

    chart: str
    came: float
    at: float


@dataclass
class Chart:
    """One chart of the page, as far as a viewer must know it."""

    comm: str
    seq: int = 0
    shown: bool = False


@dataclass
class Seen:
    """What a viewer has seen. Times are seconds from the page's request."""

    first_byte: float = 0.0
    last_byte: float = 0.0
    first_chart: float = 0.0
    all_charts: float = 0.0
    html: int = 0
    received: int = 0
    """Bytes over the websocket; `load` of them until every chart was there."""
    load: int = 0
    news: list[News] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def client() -> AsyncHTTPClient:
    """What gets the pages, as many at a time as there are viewers."""
    return AsyncHTTPClient(force_instance=True, max_clients=1_000)


class Viewer:
    """Somebody who looks at the dashboard at `url`.

    Parameters
    ----------
    http: from `client()`.
    by_comm: whether the page loads scripts through the kernel, as in plain Voila.
    through: where the websockets connect instead of at the server.
    streamed: whether the page's stream can be reached.
    """

    def __init__(
        self,
        http: AsyncHTTPClient,
        url: str,
        *,
        by_comm: bool = False,
        through: tuple[str, int] | None = None,
        streamed: bool = False,
    ) -> None:
        self.url = url
        self.kernel_id = ""
        self.seen = Seen()
        self.charts: dict[str, Chart] = {}
        self._http = http
        self._by_comm = by_comm
        self._through = through
        self._cookies: dict[str, str] = {}
        self._streamed = streamed
        self._socket: WebSocketClientConnection | None = None
        self._stream: WebSocketClientConnection | None = None
        self._span = ""
        self._began = 0.0
        self._mounted = asyncio.Event()
        self._scripts: set[str] = set()
        self._leaving = False
        self._sending: set[asyncio.Task[None]] = set()
        self._alive: asyncio.Task[None] | None = None

    async def arrive(self) -> None:
        """Open the page, until every chart is there. Raises `ViewerError`."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._open()
                await self._connect()
                await self._mounted.wait()
        except TimeoutError:
            raise ViewerError(f"no charts within {_PATIENCE:g} s") from None
        except OSError as error:
            raise ViewerError(f"{type(error).__name__}: {error}") from None
        if self.seen.faults:
            raise ViewerError(self.seen.faults[-1])
        self._alive = asyncio.create_task(self._live())

    async def leave(self, how: How = "farewell") -> None:
        """Close the page: with its good-bye, or only its socket."""
        self.vanish()
        if how == "farewell":
            await self._farewell()
        for socket in (self._stream, self._socket):
            if socket is not None:
                socket.close()

    def vanish(self) -> None:
        """Do nothing any more."""
        self._leaving = True
        if self._alive is not None:
            self._alive.cancel()

    async def _open(self) -> None:
        self._began = time.monotonic()
        answer = await self._get(self.url)
        for _ in range(4):
            if answer.code not in (301, 302):
                break
            answer = await self._get(urljoin(answer.request.url, answer.headers["Location"]))
        self.seen.last_byte = self._since()
        body = b"".join(self._body)
        found = _KERNEL.search(body.decode("utf-8", "replace"))
        if answer.code != 200 or found is None:
            raise ViewerError(f"the page answered {answer.code}")
        self.seen.html = len(body)
        self.kernel_id = found[1]

    async def _get(self, url: str) -> HTTPResponse:
        self._body: list[bytes] = []

        def take(part: bytes) -> None:
            if not self._body:
                self.seen.first_byte = self._since()
            self._body.append(part)

        answer = await self._http.fetch(
            HTTPRequest(
                url,
                headers=HTTPHeaders({"Cookie": self._written()}),
                follow_redirects=False,
                connect_timeout=_PATIENCE,
                request_timeout=_PATIENCE,
                streaming_callback=take,
            ),
            raise_error=False,
        )
        if answer.code == 599:
            raise ViewerError(f"the page did not come: {answer.error}")
        for line in answer.headers.get_list("Set-Cookie"):
            self._cookies |= {name: part.value for name, part in SimpleCookie(line).items()}
        return answer

    def _written(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self._cookies.items())

    async def _connect(self) -> None:
        path = f"api/kernels/{self.kernel_id}/channels?session_id=viewer"
        self._socket = await websocket_connect(
            self._request(path), subprotocols=[PROTOCOL], on_message_callback=self._take
        )
        self._send("kernel_info_request", {})
        comm = "control"
        self._send("comm_open", {"comm_id": comm, "target_name": _CONTROL, "data": {}})
        self._send("comm_msg", {"comm_id": comm, "data": {"method": "request_states"}})

    def _request(self, path: str) -> HTTPRequest:
        address = urlsplit(self.url)
        host = address.netloc
        if self._through is not None:
            host = "{}:{}".format(*self._through)
        headers = {
            "Cookie": self._written(),
            "Host": address.netloc,
            "Origin": f"{address.scheme}://{address.netloc}",
        }
        return HTTPRequest(
            f"ws://{host}{address.path}{path}",
            headers=HTTPHeaders(headers),
            request_timeout=_PATIENCE,
        )

    async def _follow(self, charts: list[str], span: str) -> None:
        """Watch by the stream, as the page does: the symbols, then the charts of the first."""
        self._span = span
        self.charts = {name: Chart(name) for name in charts}
        self._stream = await websocket_connect(
            self._request("stream"), on_message_callback=self._told
        )
        await self._watch("symbols", "")

    async def _watch(self, feed: str, symbol: str) -> None:
        asked = {"feed": feed, "symbol": symbol, "range": self._span}
        if self._stream is not None and self._stream.protocol is not None:
            said = json.dumps({"type": "watch", "data": asked})
            await _sent(self._stream, said)

    def _told(self, raw: str | bytes | None) -> None:
        if raw is None:
            if not self._leaving:
                self._wrong("the stream was closed")
            return
        self.seen.received += len(raw)
        if isinstance(raw, str):
            said = json.loads(raw)
            if said["type"] == "error":
                self._wrong(said["data"]["message"])
            if said["type"] != "feed":
                return
            content = said["data"]
        else:
            length = int.from_bytes(raw[:4], "little")
            content = json.loads(raw[4 : 4 + length])
        name = content["feed"][0]
        if name in self.charts:
            self._hear(self.charts[name], content)
        elif name == "symbols" and content["kind"] == "value":
            for feed in (*self.charts, "headline", "alerts"):
                self._later(self._watch(feed, content["value"][0]))

    def _send(self, kind: str, content: dict[str, Any]) -> None:
        if self._socket is not None and self._socket.protocol is not None:
            self._later(_sent(self._socket, message(kind, content)))

    def _later(self, call: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(call)
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    def _say(self, chart: Chart, **content: Any) -> None:
        if self._stream is not None:
            return
        data = {"method": "custom", "content": content}
        self._send("comm_msg", {"comm_id": chart.comm, "data": data})

    def _take(self, raw: str | bytes | None) -> None:
        if raw is None:
            if not self._leaving:
                self._wrong("the socket was closed")
            return
        self.seen.received += len(raw)
        if isinstance(raw, str):
            self._wrong("a message is text")
            return
        header, content = _parsed(raw)
        if header["msg_type"] != "comm_msg":
            return
        data = content["data"]
        if data.get("method") == "update_states":
            self._mount(data["states"])
        elif data.get("method") == "custom" and content["comm_id"] in self.charts:
            self._hear(self.charts[content["comm_id"]], data["content"])

    def _mount(self, states: dict[str, Any]) -> None:
        parts = {comm: model["state"].get("_part") for comm, model in states.items()}
        feeds = [model["state"].get("_feed_name") for model in states.values()]
        spans = [model["state"]["span"] for model in states.values() if "spans" in model["state"]]
        self.charts = {comm: Chart(comm) for comm, part in parts.items() if part == "liveChart"}
        if self._streamed:
            others = {"headline", "alerts"}
            self._later(
                self._follow([feed for feed in feeds if feed and feed not in others], spans[0])
            )
            return
        if not self.charts:
            self._wrong("the page has no charts")
        for chart in self.charts.values():
            if self._by_comm and chart is next(iter(self.charts.values())):
                self._scripts = {"bundle", "script"}
                self._say(chart, kind="bundle")
                self._say(chart, kind="script")
            self._say(chart, kind="ready")

    def _hear(self, chart: Chart, content: dict[str, Any]) -> None:
        kind = content["kind"]
        self.seen.counts[kind] += 1
        if kind in ("bundle", "script"):
            self._scripts.discard(kind)
        elif kind == "fault":
            self._wrong(f"{content['component']}: {content['message']}")
        elif kind == "patch" and content["base"] != chart.seq:
            self.seen.counts["gap"] += 1
            self._say(chart, kind="ready")
        elif kind in ("snapshot", "patch", "beat"):
            self._show(chart, content)
        if not self._mounted.is_set() and not self._scripts and self._complete():
            self.seen.all_charts, self.seen.load = self._since(), self.seen.received
            self._mounted.set()

    def _show(self, chart: Chart, content: dict[str, Any]) -> None:
        if content["kind"] != "beat":
            chart.seq = content["seq"]
            chart.shown = True
            self._say(chart, kind="ack", seq=chart.seq)
        self.seen.first_chart = self.seen.first_chart or self._since()
        self.seen.news.append(News(chart.comm, time.time(), content["at"] / 1e3))

    def _complete(self) -> bool:
        return all(chart.shown for chart in self.charts.values())

    async def _live(self) -> None:
        while True:
            await asyncio.sleep(ALIVE_EVERY)
            for chart in self.charts.values():
                self._say(chart, kind="alive")

    async def _farewell(self) -> None:
        token = quote(self._cookies.get("_xsrf", ""))
        answer = await self._http.fetch(
            HTTPRequest(
                f"{self.url.partition('?')[0]}voila/api/shutdown/{self.kernel_id}?_xsrf={token}",
                method="POST",
                body=b"",
                headers=HTTPHeaders({"Cookie": self._written()}),
                request_timeout=_PATIENCE,
            ),
            raise_error=False,
        )
        if answer.code != 204:
            self.seen.faults.append(f"the good-bye answered {answer.code}")

    def _wrong(self, what: str) -> None:
        self.seen.faults.append(what)
        self._mounted.set()

    def _since(self) -> float:
        return time.monotonic() - self._began


async def _sent(socket: WebSocketClientConnection, raw: bytes | str) -> None:
    """Send; what cannot be sent any more is told by the socket's end."""
    try:
        await socket.write_message(raw, binary=isinstance(raw, bytes))
    except (OSError, RuntimeError, WebSocketError):
        return


def _parsed(raw: bytes) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and content of a message from the server."""
    count = int.from_bytes(raw[:8], "little")
    at = [int.from_bytes(raw[8 * n : 8 * n + 8], "little") for n in range(1, count + 1)]
    parts = [raw[start:stop] for start, stop in itertools.pairwise(at)]
    return json.loads(parts[1]), json.loads(parts[4])


def lateness(news: list[News], charts: int, every: float, since: float) -> tuple[list[float], int]:
    """How late each refresh was complete on the page, in seconds, and how many never came.

    A refresh is due when the earliest of all began, plus a whole number of intervals. Only those
    due after `since` (epoch seconds) count; the one under way at the end does not.
    """
    if not news:
        return [], 0
    turns = sorted(item.at for item in news)
    phase = min(at - round((at - turns[0]) / every) * every for at in turns)
    came: dict[int, dict[str, float]] = {}
    for item in news:
        came.setdefault(round((item.at - phase) / every), {})[item.chart] = item.came
    end = max(came)
    begin = int((since - phase) // every) + 1
    whole = {turn: seen for turn, seen in came.items() if len(seen) == charts and turn >= begin}
    late = [max(seen.values()) - phase - turn * every for turn, seen in whole.items() if turn < end]
    return late, max(end - begin, 0) - len(late)
