"""Feeds: one refresh for all who watch; a patch or a snapshot, whichever a reader needs."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pandas as pd
import plotly.graph_objects as go
import pytest

from alphapulse_nb.catalog import catalog
from alphapulse_nb.db.connection import Database
from alphapulse_nb.errors import DatabaseUnavailable, QueryTimeout
from alphapulse_nb.events import Event
from alphapulse_nb.reports import Refresh
from alphapulse_nb.server.answers import Fault
from alphapulse_nb.server.stream import hub as hub_module
from alphapulse_nb.server.stream.hub import Hub, Place, Source
from alphapulse_nb.server.stream.protocol import Watch
from tests.conftest import Desk

BTC, ETH = "BTC/USDT", "ETH/USDT"
Scenario = Callable[[Hub], Awaitable[None]]


class Frames:
    """What a place gave, in order."""

    def __init__(self, data: bytes) -> None:
        self.patches: list[tuple[dict[str, Any], bytes]] = []
        self.told: list[dict[str, Any]] = []
        at = 0
        while at < len(data):
            kind, size, at = data[at], data[at + 1], at + 2
            wide = {126: 2, 127: 8}.get(size, 0)
            if wide:
                size, at = int.from_bytes(data[at : at + wide], "big"), at + wide
            payload, at = data[at : at + size], at + size
            if kind == 0x81:
                self.told.append(json.loads(payload)["data"])
                continue
            head = int.from_bytes(payload[:4], "little")
            assert (4 + head) % 8 == 0
            self.patches.append((json.loads(payload[4 : 4 + head]), payload[4 + head :]))


class Counted:
    """A source of a test's own: counts its loads, and fails or waits when told to."""

    def __init__(self) -> None:
        self.loads = 0
        self.rows = 5
        self.error: Exception | None = None
        self.goes = threading.Event()
        self.goes.set()

    def load(self, *_: Any) -> go.Figure:
        self.loads += 1
        self.goes.wait(20)
        if self.error is not None:
            raise self.error
        return go.Figure({"data": [{"type": "scatter", "y": pd.Series(range(self.rows))}]})

    @property
    def source(self) -> Source:
        return Source("Counted", self.load, ("anomalies",), is_chart=True)


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Counted]]:
    """Feeds named `one` and `two`, instead of the real ones."""
    made = {"one": Counted(), "two": Counted()}
    monkeypatch.setattr(
        hub_module,
        "sources",
        lambda: {name: lambda one=one: one.source for name, one in made.items()},
    )
    monkeypatch.setattr(hub_module, "_LEAST_SECONDS", 0.01)
    yield made
    for one in made.values():
        one.goes.set()


def run(
    db: Database,
    scenario: Scenario,
    usual: float = 10.0,
    report: Callable[[Refresh], None] = lambda _: None,
) -> None:
    async def whole() -> None:
        hub = Hub(db, lambda: datetime.now(UTC), usual, report)
        try:
            await scenario(hub)
        finally:
            hub.close()

    asyncio.run(whole())


def nothing() -> None:
    """For a reader who looks by himself."""


async def watch(
    hub: Hub, feed: str, symbol: str = BTC, span: str = "24h", every: float = 0
) -> Place:
    return await hub.watch(Watch(feed, symbol, span, every), nothing)


async def next_of(place: Place) -> Frames:
    """What a place gives next."""
    async with asyncio.timeout(20):
        while not (data := place.take()):
            await asyncio.sleep(0.002)
    return Frames(data)


def touch(table: str, symbol: str | None) -> list[Event]:
    data = {"table": table} | ({} if symbol is None else {"symbol": symbol})
    return [Event(1, "data_update", data, datetime.now(UTC))]


def test_every_feed_of_a_desk_can_be_watched(db: Database) -> None:
    async def scenario(hub: Hub) -> None:
        for name in [*catalog(), "headline", "alerts", "firing", "symbols"]:
            place = await watch(hub, name)
            frames = await next_of(place)
            if name in catalog():
                ((header, buffer),) = frames.patches
                assert header["kind"] == "snapshot"
                assert header["feed"] == list(place.key)
                assert header["view"]["span"] == "last 24 h"
                assert len(buffer) > 200
            else:
                (told,) = frames.told
                assert told["kind"] == "value"
                # This desk has no rules, and so no schema of ours.
                assert bool(told["value"]) is (name != "firing")
        assert hub.readers == len(catalog()) + 4
        assert (await watch(hub, "system")).key == ("system", "", "24h")
        assert (await watch(hub, "symbols")).key == ("symbols", "", "")

    run(db, scenario)


def test_a_hundred_readers_cost_one_load_and_get_the_same_bytes(
    db: Database, counted: dict[str, Counted]
) -> None:
    async def scenario(hub: Hub) -> None:
        one = counted["one"]
        places = [await watch(hub, "one") for _ in range(100)]
        first = await next_of(places[0])
        assert one.loads == 1
        assert {places[n].take() for n in range(1, 100)} != {b""}
        one.rows = 6
        hub.heard(touch("anomalies", BTC))
        changed = await next_of(places[0])
        assert [header["kind"] for header, _ in (*first.patches, *changed.patches)] == [
            "snapshot",
            "patch",
        ]
        assert len({place.take() for place in places[1:]}) == 1
        assert one.loads == 2
        late = await watch(hub, "one")
        ((header, _),) = (await next_of(late)).patches
        assert (header["kind"], header["seq"]) == ("snapshot", 2)
        assert one.loads == 2

    run(db, scenario)


def test_who_fell_behind_gets_one_snapshot(db: Database, counted: dict[str, Counted]) -> None:
    async def scenario(hub: Hub) -> None:
        one = counted["one"]
        quick, slow = await watch(hub, "one"), await watch(hub, "one")
        await next_of(quick)
        await next_of(slow)
        for rows in range(6, 20):
            one.rows = rows
            hub.heard(touch("anomalies", BTC))
            ((header, _),) = (await next_of(quick)).patches
            assert header["kind"] == "patch"
        ((header, _),) = (await next_of(slow)).patches
        assert (header["kind"], header["seq"]) == ("snapshot", 15)

    run(db, scenario)


def test_nothing_new_is_a_beat(db: Database, counted: dict[str, Counted]) -> None:
    async def scenario(hub: Hub) -> None:
        place = await watch(hub, "one", every=1.0)
        await next_of(place)
        frames = await next_of(place)
        assert frames.patches == []
        assert [told["kind"] for told in frames.told] == ["beat"]
        assert counted["one"].loads == 2

    run(db, scenario)


def test_only_what_concerns_a_feed_refreshes_it(db: Database, counted: dict[str, Counted]) -> None:
    async def scenario(hub: Hub) -> None:
        place = await watch(hub, "one")
        await next_of(place)
        hub.heard([*touch("signals", BTC), *touch("anomalies", ETH)])
        await asyncio.sleep(0.1)
        assert counted["one"].loads == 1
        hub.heard(touch("anomalies", None))
        await next_of(place)
        assert counted["one"].loads == 2

    run(db, scenario)


def test_a_symbol_of_its_first_row_joins_the_list_at_once(db: Database, desk: Desk) -> None:
    insert = (
        "INSERT INTO funding_rates (timestamp, symbol, exchange, funding_rate) "
        "VALUES (now(), 'FIRST/USDT', 'binance', 0.0001)"
    )

    async def scenario(hub: Hub) -> None:
        place = await watch(hub, "symbols")
        (told,) = (await next_of(place)).told
        assert "FIRST/USDT" not in told["value"]
        desk.run(insert)
        hub.heard(touch("funding_rates", "FIRST/USDT"))
        (told,) = (await next_of(place)).told
        assert "FIRST/USDT" in told["value"]
        # A name that the list never gets costs one look.
        hub.heard(touch("signals", "NEVER/USDT"))
        (told,) = (await next_of(place)).told
        assert told["kind"] == "beat"
        hub.heard(touch("signals", "NEVER/USDT"))
        await asyncio.sleep(1.5)
        assert not place.take()

    try:
        run(db, scenario)
    finally:
        desk.run("DELETE FROM funding_rates WHERE symbol = 'FIRST/USDT'")


def test_each_refresh_is_told_with_its_cost_and_how_late_it_was(
    db: Database, counted: dict[str, Counted]
) -> None:
    told: list[Refresh] = []

    async def scenario(hub: Hub) -> None:
        place = await watch(hub, "one")
        await next_of(place)
        assert told[-1].loads[0].name == "one"
        assert told[-1].loads[0].outcome == "ok"
        assert told[-1].late < 0.5
        counted["one"].error = DatabaseUnavailable("away")
        hub.heard(touch("anomalies", BTC))
        await next_of(place)
        assert told[-1].loads[0].outcome == "unreachable"
        # It waits for a thread: the others are taken.
        counted["one"].error = None
        counted["two"].goes.clear()
        busy = [await watch(hub, "two", span=span) for span in ("1h", "6h", "24h", "7d")]
        while counted["two"].loads < 4:
            await asyncio.sleep(0.01)
        hub.heard(touch("anomalies", BTC))
        await asyncio.sleep(0.6)
        counted["two"].goes.set()
        await next_of(place)
        assert [refresh.late for refresh in told if refresh.loads[0].name == "one"][-1] > 0.5
        assert len(busy) == 4

    run(db, scenario, report=told.append)


def test_a_storm_of_events_is_one_refresh_a_second(
    db: Database, counted: dict[str, Counted], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "_LEAST_SECONDS", 0.3)

    async def scenario(hub: Hub) -> None:
        place = await watch(hub, "one")
        await next_of(place)
        began = time.monotonic()
        while time.monotonic() - began < 1.0:
            hub.heard(touch("anomalies", BTC))
            await asyncio.sleep(0.001)
        assert 3 <= counted["one"].loads <= 5

    run(db, scenario)


def test_a_feed_that_fails_says_so_keeps_its_data_and_recovers(
    db: Database, counted: dict[str, Counted]
) -> None:
    async def scenario(hub: Hub) -> None:
        one, place = counted["one"], await watch(hub, "one")
        await next_of(place)
        for error, words in (
            (DatabaseUnavailable("The database cannot be reached."), "cannot be reached"),
            (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero"),
        ):
            one.error = error
            hub.heard(touch("anomalies", BTC))
            (told,) = (await next_of(place)).told
            assert told["kind"] == "fault"
            assert words in told["message"]
            assert told["component"] == "Counted"
        late = Frames((await watch(hub, "one")).take())
        assert late.told[-1]["kind"] == "fault"
        one.error = None
        hub.heard(touch("anomalies", BTC))
        ((header, _),) = (await next_of(place)).patches
        assert header["kind"] == "snapshot"

    run(db, scenario)


def test_a_slow_feed_delays_no_other(db: Database, counted: dict[str, Counted]) -> None:
    async def scenario(hub: Hub) -> None:
        slow, quick = counted["one"], counted["two"]
        slow.goes.clear()
        await watch(hub, "one")
        place = await watch(hub, "two")
        await next_of(place)
        for _ in range(20):
            hub.heard(touch("anomalies", BTC))
            await next_of(place)
        assert slow.loads == 1
        assert quick.loads >= 20
        slow.goes.set()

    run(db, scenario)


def test_feeds_that_fail_slowly_delay_no_other(
    db: Database, counted: dict[str, Counted], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "_SLOW_SECONDS", 0.1)

    async def scenario(hub: Hub) -> None:
        slow = counted["one"]
        slow.error = QueryTimeout("cancelled")
        slow.goes.clear()
        # As many as there are threads for the quick ones.
        places = [await watch(hub, "one", span=span) for span in ("1h", "6h", "24h", "7d")]
        await asyncio.sleep(0.3)
        slow.goes.set()
        for place in places:
            await next_of(place)
        slow.goes.clear()
        hub.heard(touch("anomalies", BTC))
        await asyncio.sleep(0.1)
        assert (await next_of(await watch(hub, "two"))).patches
        slow.goes.set()

    run(db, scenario)


def test_a_feed_nobody_watches_ends_and_gives_its_connections_back(
    desk: Desk, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "_UNWATCHED_SECONDS", 0.05)
    monkeypatch.setattr(hub_module, "_LEAST_SECONDS", 0.01)
    count = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'alphapulse-nb'"

    async def scenario(hub: Hub) -> None:
        before = desk.run(count)
        place = await watch(hub, "anomalies", every=0.02)
        await next_of(place)
        assert desk.run(count) > before
        place.close()
        async with asyncio.timeout(20):
            while len(hub):
                await asyncio.sleep(0.02)
        assert desk.run(count) <= before

    run(db, scenario, usual=0.02)


@pytest.mark.parametrize(
    ("feed", "symbol", "span", "field"),
    [
        ("anomaly", BTC, "24h", "feed"),
        ("anomalies", "BTC/USD", "24h", "symbol"),
        ("anomalies", BTC, "25h", "range"),
        ("anomalies", "x" * 10_000, "24h", "symbol"),
    ],
)
def test_what_there_is_not_is_refused_with_the_nearest(
    db: Database, feed: str, symbol: str, span: str, field: str
) -> None:
    async def scenario(hub: Hub) -> None:
        with pytest.raises(Fault) as refused:
            await watch(hub, feed, symbol, span)
        assert refused.value.code == "unknown_name"
        assert refused.value.more["field"] == field
        assert len(hub) == 0

    run(db, scenario)


def test_there_are_only_so_many_feeds(
    db: Database, counted: dict[str, Counted], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub_module, "_MOST", 1)

    async def scenario(hub: Hub) -> None:
        await watch(hub, "one")
        await watch(hub, "one")
        with pytest.raises(Fault, match="Too many different feeds"):
            await watch(hub, "two")

    run(db, scenario)


def notified(symbol: str | None) -> list[Event]:
    return [Event(1, "notification", {"symbol": symbol, "title": "t"}, datetime.now(UTC))]


def test_what_fires_is_looked_at_when_somebody_is_told_or_a_rule_changes(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = hub_module.sources()["firing"]()
    loads: list[str] = []

    def load(db: Database, symbol: str, window: Any) -> Any:
        loads.append(symbol)
        return real.load(db, symbol, window)

    monkeypatch.setattr(hub_module, "_LEAST_SECONDS", 0.01)
    monkeypatch.setattr(hub_module, "sources", lambda: {"firing": lambda: real._replace(load=load)})

    async def scenario(hub: Hub) -> None:
        hub.rules_changed()
        place = await watch(hub, "firing")
        assert place.key == ("firing", BTC, "24h")
        (told,) = (await next_of(place)).told
        assert (told["kind"], told["value"]) == ("value", [])
        for count, happens in enumerate(
            (
                lambda: hub.heard(notified(BTC)),
                lambda: hub.heard(notified(None)),
                hub.rules_changed,
            ),
            2,
        ):
            happens()
            (told,) = (await next_of(place)).told
            assert told["kind"] == "beat"
            assert len(loads) == count
        # Rows are no alerts yet, and those of another symbol are not shown here.
        hub.heard([*touch("funding_rates", BTC), *notified(ETH)])
        await asyncio.sleep(0.1)
        assert loads == [BTC] * 4

    run(db, scenario, usual=1_000)


def test_a_change_of_rules_concerns_no_other_feed(
    db: Database, counted: dict[str, Counted]
) -> None:
    async def scenario(hub: Hub) -> None:
        await next_of(await watch(hub, "one"))
        hub.rules_changed()
        hub.heard(notified(BTC))
        await asyncio.sleep(0.1)
        assert counted["one"].loads == 1

    run(db, scenario)
