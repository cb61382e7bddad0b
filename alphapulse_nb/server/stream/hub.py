"""The feeds that somebody watches, each refreshed once for all who do.

A feed is a chart, the headline cards, the alerts, the periods in which alerts fire, or the list of
symbols, for one symbol and range. It is refreshed when an event touches its tables (or is of one of
its types) and its symbol, at most once a second, or when its interval has passed: one query, one
figure, one patch, and one frame for everybody. Whoever has the number before it gets the patch,
whoever has not gets a snapshot: a slow reader never has a queue.

Queries run in a few threads over connections of the hub's own. A feed that was slow the last time
runs in another lane, so that it delays none that is not.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, Final, NamedTuple

from alphapulse_nb import charts, queries
from alphapulse_nb.alerts.periods import firing
from alphapulse_nb.catalog import Drawing, catalog
from alphapulse_nb.db.connection import Database, spending
from alphapulse_nb.errors import AlphaPulseError, DatabaseError
from alphapulse_nb.events import NOTIFICATION, Event
from alphapulse_nb.feeds import Feed, Message
from alphapulse_nb.queries import RANGES, Window
from alphapulse_nb.reports import Load, Refresh, outcome
from alphapulse_nb.server.answers import Fault, unknown
from alphapulse_nb.server.api.known import KnownSymbols
from alphapulse_nb.server.stream import frames, protocol
from alphapulse_nb.server.stream.protocol import Watch

USUAL_SECONDS: Final = 10.0
_LEAST_SECONDS: Final = 1.0
_UNWATCHED_SECONDS: Final = 60.0
"""A feed that nobody watches is kept for this long."""
_SLOW_SECONDS: Final = 1.0
_MOST: Final = 500
"""Feeds at a time."""
_FAST_THREADS: Final = 4
_SLOW_THREADS: Final = 2

_QUERIES: Final = {"alerts": "breaches"}
"""Names of feeds' queries, where they differ from the feed's."""

_log = logging.getLogger(__name__)


class Key(NamedTuple):
    """What a feed is of."""

    feed: str
    symbol: str
    span: str


_SYMBOLS: Final = Key("symbols", "", "")


class Source(NamedTuple):
    """Where a feed comes from.

    `load(db, symbol, window)` gives a figure (`is_chart`) or a JSON-able value; `tables` are those
    whose events concern it, `types` the types of events that do whatever their table; `every` is in
    seconds where the usual interval does not fit.
    """

    title: str
    load: Callable[[Database, str, Window], Any]
    tables: tuple[str, ...]
    by_symbol: bool = True
    by_span: bool = True
    fresh_for: float = 0.0
    is_chart: bool = False
    every: float = 0.0
    types: tuple[str, ...] = ()


def sources() -> dict[str, Callable[[], Source]]:
    """The feeds that there are, by name; each call makes one of its own."""
    found: dict[str, Callable[[], Source]] = {name: _chart_maker(name) for name in catalog()}
    tables = tuple({table for spec in catalog().values() for table in spec.tables})
    return found | {
        "headline": lambda: Source("Headline", _headline, tables),
        "alerts": lambda: Source("Alerts", _breaches, ("anomalies",), by_symbol=False),
        "firing": lambda: Source("Alerts on the charts", _firing, (), types=(NOTIFICATION,)),
        "symbols": lambda: Source(
            "Symbols", _symbols, (), by_symbol=False, by_span=False, every=60.0
        ),
    }


class Hub:
    """See the top of this file. Lives on one event loop.

    Parameters
    ----------
    db: where the data is; the hub has connections of its own.
    clock: what time it is.
    usual: seconds between two refreshes of a feed, unless its readers ask for less.
    report: takes what each refresh cost, on the loop; must not raise.
    """

    def __init__(
        self,
        db: Database,
        clock: Callable[[], datetime],
        usual: float = USUAL_SECONDS,
        report: Callable[[Refresh], None] = lambda _: None,
    ) -> None:
        self._db = Database(db.url, statement_timeout=db.statement_timeout, embedded=db.embedded)
        self._clock = clock
        self._usual = usual
        self.report = report
        self._feeds: dict[Key, Watched] = {}
        self._symbols = KnownSymbols()
        self._fast = ThreadPoolExecutor(_FAST_THREADS, "feeds")
        self._slow = ThreadPoolExecutor(_SLOW_THREADS, "slow-feeds")
        self._open = contextlib.ExitStack()
        self._sources = sources()
        self._loop: asyncio.AbstractEventLoop | None = None

    def __len__(self) -> int:
        return len(self._feeds)

    @property
    def readers(self) -> int:
        """Places that are taken in all feeds."""
        return sum(len(watched.readers) for watched in self._feeds.values())

    async def watch(self, asked: Watch, wake: Callable[[], None]) -> Place:
        """A new place in a feed. Raises `Fault`, see `session.Hub`."""
        self._loop = asyncio.get_running_loop()
        key, source = await self._checked(asked)
        watched = self._feeds.get(key)
        if watched is None:
            if len(self._feeds) >= _MOST:
                raise Fault("busy", "Too many different feeds are watched just now.", after=10)
            if not self._feeds:
                self._open.enter_context(self._db.session())
            watched = self._feeds[key] = Watched(key, source, self)
            watched.start()
        elif watched.failed:
            watched.poke()
        return Place(watched, wake, asked.every or source.every or self._usual)

    def heard(self, events: Sequence[Event]) -> None:
        """Refresh what these events concern, and the list of symbols for a new one."""
        touched = {(event.type, event.data.get("table"), event.symbol) for event in events}
        for watched in self._feeds.values():
            if any(watched.concerns(*one) for one in touched):
                watched.poke()
        listed = self._feeds.get(_SYMBOLS)
        if listed is not None:
            listed.seek({symbol for _, _, symbol in touched if symbol is not None})

    def refresh(self) -> None:
        """Refresh every feed: the database has gone or come back."""
        for watched in self._feeds.values():
            watched.poke()

    def rules_changed(self) -> None:
        """Refresh what shows the alerts of rules. Any thread may call."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._poke, "firing")

    def _poke(self, feed: str) -> None:
        for watched in self._feeds.values():
            if watched.key.feed == feed:
                watched.poke()

    def close(self) -> None:
        """End every feed."""
        for watched in list(self._feeds.values()):
            watched.stop()
        self._fast.shutdown(wait=False, cancel_futures=True)
        self._slow.shutdown(wait=False, cancel_futures=True)
        self._open.close()
        self._db.engine.dispose()

    def forget(self, watched: Watched) -> None:
        """A feed that nobody watches any more is over."""
        self._feeds.pop(watched.key, None)
        if not self._feeds:
            self._open.close()

    async def load(self, watched: Watched, due: float) -> Loaded:
        """Read one feed in a thread. Raises what the source raises."""
        pool = self._slow if watched.took > _SLOW_SECONDS else self._fast
        now = self._clock()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(pool, watched.loaded, self._db, now, due)

    async def _checked(self, asked: Watch) -> tuple[Key, Source]:
        make = self._sources.get(asked.feed)
        if make is None:
            raise unknown("feed", asked.feed, self._sources)
        source = make()
        if source.by_span and asked.span not in RANGES:
            raise unknown("range", asked.span, RANGES)
        if source.by_symbol and asked.symbol:  # none is what an empty desk has
            await self._check_symbol(asked.symbol)
        key = Key(
            asked.feed,
            asked.symbol if source.by_symbol else "",
            asked.span if source.by_span else "",
        )
        return key, source

    async def _check_symbol(self, symbol: str) -> None:
        if any(key.symbol == symbol for key in self._feeds):
            return
        loop = asyncio.get_running_loop()
        with contextlib.suppress(DatabaseError):  # the feed will say so
            await loop.run_in_executor(self._fast, self._symbols.check, self._db, symbol)


class Loaded(NamedTuple):
    """What a refresh brought: the feed's change (None for none), or its value, and when."""

    message: Message | None
    value: Any
    now: datetime


class Watched:
    """One feed: its content, those who read it, and the task that refreshes it."""

    def __init__(self, key: Key, source: Source, hub: Hub) -> None:
        self.key = key
        self.source = source
        self.readers: set[Place] = set()
        self.version = 0
        self.seq = 0
        self._hub = hub
        self._feed = Feed()
        # A worker changes the feed while the loop may read it.
        self._guard = threading.Lock()
        self._label = Window.last(key.span, hub._clock()).label if key.span else ""
        self._at = 0.0
        self._every = hub._usual
        self._patch: tuple[int, bytes] | None = None
        self._whole: tuple[int, bytes] | None = None
        self._value: Any = None
        self._sought: set[str] = set()
        self._note = b""
        self._fault = b""
        self._poked = asyncio.Event()
        self._poked_at = 0.0
        self._cost = Load(_QUERIES.get(key.feed, key.feed), 0.0)
        self._late = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to refresh."""
        self._task = asyncio.create_task(self._run())

    def stop(self) -> None:
        """End it."""
        if self._task is not None:
            self._task.cancel()

    @property
    def took(self) -> float:
        """Seconds that the last load took, also where it brought nothing."""
        return self._cost.seconds

    @property
    def failed(self) -> bool:
        """Whether the last refresh brought nothing."""
        return bool(self._fault)

    def poke(self) -> None:
        """Refresh soon."""
        if not self._poked.is_set():
            self._poked_at = time.monotonic()
            self._poked.set()

    def concerns(self, kind: str, table: object, symbol: str | None) -> bool:
        """Whether an event of that type, table and symbol may change what this shows."""
        if table not in self.source.tables and kind not in self.source.types:
            return False
        return not self.source.by_symbol or symbol is None or symbol == self.key.symbol

    def seek(self, names: set[str]) -> None:
        """Refresh soon if the list that this feed is lacks any of these; once for each name."""
        new = names.difference(self._value or (), self._sought)
        if new:
            self._sought |= new
            self.poke()

    def loaded(self, db: Database, now: datetime, due: float) -> Loaded:
        """Query and compare with what was there. Runs in a thread, one call at a time."""
        began = time.monotonic()
        self._late = max(0.0, began - due)
        window = Window.last(self.key.span or queries.DEFAULT_RANGE, now)
        message = None
        with spending() as spent:
            try:
                found = self.source.load(db, self.key.symbol, window)
                if self.source.is_chart:
                    with self._guard:
                        message = self._feed.update(found)
            finally:
                took = time.monotonic() - began
                self._cost = Load(self._cost.name, took, spent.seconds, spent.rows)
        return Loaded(message, found, now)

    def news(self, seq: int) -> tuple[bytes, int] | None:
        """Frames for a reader who has that number, and the number it then has.

        None while the next number is being made: the reader is woken in a moment.
        """
        if seq == self.seq:
            return self._fault or self._note, seq
        if self._patch is not None and self._patch[0] == seq:
            return self._patch[1] + self._fault, self.seq
        whole = self._snapshot()
        return None if whole is None else (whole + self._fault, self.seq)

    def _snapshot(self) -> bytes | None:
        if self._whole is None or self._whole[0] != self.seq:
            frame = self._whole_chart() if self.source.is_chart else self._whole_value()
            if frame is None:
                return None
            self._whole = (self.seq, frame)
        return self._whole[1]

    def _whole_value(self) -> bytes:
        return self._told("value", value=self._value)

    def _whole_chart(self) -> bytes | None:
        if not self._guard.acquire(blocking=False):
            return None
        try:
            if self._feed.seq != self.seq:
                return None
            message = self._feed.snapshot()
        finally:
            self._guard.release()
        return b"" if message is None else self._framed(message)

    async def _run(self) -> None:
        idle_since: float | None = None
        due = time.monotonic()
        while True:
            began = time.monotonic()
            await self._refresh(due)
            if self.readers:
                idle_since = None
            elif idle_since is None:
                idle_since = began
            elif began - idle_since > _UNWATCHED_SECONDS:
                self._hub.forget(self)
                return
            due = await self._rest(began)

    async def _rest(self, began: float) -> float:
        """Until the interval has passed or something has happened, and a second at least.

        Returns when the next refresh was due.
        """
        self._every = max(
            min((place.every for place in self.readers), default=self._hub._usual), _LEAST_SECONDS
        )
        due = asyncio.get_running_loop().time() + self._every
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(due):
                await self._poked.wait()
                due = self._poked_at
        due = max(due, began + _LEAST_SECONDS)
        left = due - time.monotonic()
        if left > 0:
            await asyncio.sleep(left)
        self._poked.clear()
        return due

    async def _refresh(self, due: float) -> None:
        asked, ended = time.monotonic(), "ok"
        try:
            loaded = await self._hub.load(self, due)
        except AlphaPulseError as error:
            ended = outcome(error)
            self._failed(str(error), type(error).__name__)
        except Exception as error:  # noqa: BLE001 - an analyst's chart; its panel shows it
            ended = outcome(error)
            _log.warning("the feed %s failed", self.key.feed, exc_info=True)
            with self._guard:
                self._feed.reset()
            self._failed(f"{type(error).__name__}: {error}", "ChartError")
        else:
            self._take(loaded)
        load = replace(self._cost, outcome=ended)
        self._hub.report(Refresh(time.monotonic() - asked, self._late, (load,)))
        self.version += 1
        for place in self.readers:
            place.wake()

    def _take(self, loaded: Loaded) -> None:
        self._at = loaded.now.timestamp() * 1e3
        self._fault = b""
        if loaded.message is not None:
            kind = loaded.message.header["kind"]
            frame = self._framed(loaded.message)
            self._patch = (self.seq, frame) if kind == "patch" else None
            self.seq = self._feed.seq
            self._whole = (self.seq, frame) if kind == "snapshot" else None
        elif not self.source.is_chart and (loaded.value != self._value or not self.seq):
            self._value = loaded.value
            self.seq += 1
        self._note = self._told("beat")

    def _failed(self, message: str, kind: str) -> None:
        self._at = self._hub._clock().timestamp() * 1e3
        self._fault = self._told("fault", component=self.source.title, message=message, error=kind)

    def _framed(self, message: Message) -> bytes:
        about = {**self._about(), "fresh_for": self.source.fresh_for}
        return frames.binary(message.header | about, message.buffer)

    def _told(self, kind: str, **more: Any) -> bytes:
        said = protocol.told("feed", {"kind": kind, **self._about(), **more})
        return frames.text(said.encode())

    def _about(self) -> dict[str, Any]:
        return {
            "feed": list(self.key),
            "view": {"symbol": self.key.symbol, "span": self._label},
            "at": self._at,
            "every": self._every,
        }


class Place:
    """A client's place in one feed."""

    def __init__(self, watched: Watched, wake: Callable[[], None], every: float) -> None:
        self.wake = wake
        self.every = every
        self._watched = watched
        self._version = 0
        self._seq = 0
        watched.readers.add(self)
        if watched.version:
            wake()

    @property
    def key(self) -> Key:
        return self._watched.key

    def take(self) -> bytes:
        """Frames for what is new since the last call."""
        watched = self._watched
        if self._version == watched.version:
            return b""
        news = watched.news(self._seq)
        if news is None:
            return b""
        self._version = watched.version
        data, self._seq = news
        return data

    def close(self) -> None:
        """Watch no more."""
        self._watched.readers.discard(self)


def _chart_maker(name: str) -> Callable[[], Source]:
    def make() -> Source:
        spec = catalog()[name]
        return Source(
            spec.title,
            Drawing(spec).figure,
            spec.tables,
            by_symbol=spec.by_symbol,
            fresh_for=spec.fresh_for,
            is_chart=True,
        )

    return make


def _headline(db: Database, symbol: str, window: Window) -> Any:
    frame = queries.headline(db, symbol, window)
    cards = charts.headline(frame, charts.View(symbol, window.label))
    return [asdict(card) for card in cards]


def _breaches(db: Database, _symbol: str, window: Window) -> Any:
    return [asdict(alert) for alert in charts.breaches(queries.breaches(db, window))]


def _firing(db: Database, symbol: str, window: Window) -> Any:
    return firing(db, symbol, window.start, window.end, catalog().values())


def _symbols(db: Database, _symbol: str, _window: Window) -> Any:
    return json.loads(json.dumps(queries.symbols(db)))
