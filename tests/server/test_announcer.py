from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from alphapulse_nb.errors import DatabaseUnavailable
from alphapulse_nb.server.announcer import Announcer
from alphapulse_nb.server.parts import Part, State

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
OK, DEGRADED, FAILED = State.OK, State.DEGRADED, State.FAILED


class Server:
    """Parts that change from look to look, and a log that can be away."""

    def __init__(self, *looks: Mapping[str, State]) -> None:
        self.looks = iter(looks)
        self.now = NOON
        self.away = False
        self.told: list[tuple[str, str, str, datetime]] = []
        self.announcer = Announcer(self.look, self.post, "host:8050", now=lambda: self.now)

    async def look(self) -> Sequence[Part]:
        return [Part(name, state, "why") for name, state in next(self.looks).items()]

    async def post(self, kind: str, data: Mapping[str, Any], at: datetime) -> None:
        if self.away:
            raise DatabaseUnavailable("away")
        assert kind == "system_status"
        assert data["server"] == "host:8050"
        assert data["detail"] == "why"
        self.told.append((data["part"], data["before"], data["status"], at))

    def announce(self, times: int = 1) -> None:
        for _ in range(times):
            asyncio.run(self.announcer.announce())
            self.now += timedelta(seconds=5)


@pytest.mark.parametrize(
    ("looks", "told"),
    [
        ([{"zygote": OK}], []),
        ([{"zygote": FAILED}], []),
        ([{"zygote": OK}, {"zygote": OK}], []),
        # What is not ready at first is no change, unless it stays so.
        ([{"events": DEGRADED}, *[{"events": OK}] * 3], []),
        ([*[{"events": DEGRADED}] * 3, *[{"events": OK}] * 2], [("events", "degraded", "ok")]),
        # Once is not enough.
        ([{"zygote": OK}, {"zygote": FAILED}], []),
        ([{"zygote": OK}, {"zygote": FAILED}, {"zygote": OK}, {"zygote": FAILED}], []),
        ([{"zygote": OK}, *[{"zygote": FAILED}] * 2], [("zygote", "ok", "error")]),
        ([{"zygote": OK}, *[{"zygote": DEGRADED}] * 3], [("zygote", "ok", "degraded")]),
        (
            [{"events": OK}, *[{"events": FAILED}] * 2, *[{"events": OK}] * 2],
            [("events", "ok", "error"), ("events", "error", "ok")],
        ),
        # Of what hangs on the database nothing is known while it is away.
        (
            [{"database": OK, "tables": OK}, *[{"database": FAILED, "tables": DEGRADED}] * 2],
            [("database", "ok", "error")],
        ),
        (
            [
                {"database": OK, "tables": OK},
                *[{"database": FAILED, "tables": DEGRADED}] * 2,
                *[{"database": OK, "tables": OK}] * 2,
            ],
            [("database", "ok", "error"), ("database", "error", "ok")],
        ),
    ],
)
def test_each_change_is_told_once(
    looks: list[dict[str, State]], told: list[tuple[str, str, str]]
) -> None:
    server = Server(*looks)
    server.announce(len(looks))
    assert [entry[:3] for entry in server.told] == told


def test_an_outage_is_told_of_when_it_is_over_with_the_moment_at_which_it_began() -> None:
    server = Server({"database": OK}, *[{"database": FAILED}] * 2, *[{"database": OK}] * 2)
    server.announce()
    server.away = True
    server.announce(2)
    assert server.told == []
    server.away = False
    server.announce(2)
    assert server.told == [
        ("database", "ok", "error", NOON + timedelta(seconds=5)),
        ("database", "error", "ok", NOON + timedelta(seconds=15)),
    ]


def test_a_look_that_fails_does_not_end_it(caplog: pytest.LogCaptureFixture) -> None:
    looks = 0

    async def look() -> Sequence[Part]:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise RuntimeError("out of order")
        return []

    async def scenario() -> None:
        async def post(*_: Any) -> None:
            raise AssertionError

        announcer = Announcer(look, post, "", now=lambda: NOON, every=0.01)
        announcer.start()
        async with asyncio.timeout(10):
            while looks < 3:
                await asyncio.sleep(0.01)
        announcer.stop()

    asyncio.run(scenario())
    assert "could not be looked at" in caplog.text
