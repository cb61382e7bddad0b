"""Who somebody is while the database that knows them is silent, and when many ask at once."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator

import pytest

from alphapulse_nb.server import access as access_module
from alphapulse_nb.server.access import Access, Refused, Rules
from alphapulse_nb.server.attempts import Attempts
from alphapulse_nb.server.proxy import Proxies


class _Silent:
    """Users in a database that gives no answer once it is told to."""

    def __init__(self) -> None:
        self.answers = threading.Event()
        self.answers.set()

    def any(self) -> bool:
        return self.answers.wait(20)

    def verify(self, *_given: str) -> None:
        self.answers.wait(20)


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Access, _Silent]]:
    monkeypatch.setattr(access_module, "_KEPT_SECONDS", 0.0)
    users = _Silent()
    made = Access(Rules(key="k" * 32), users, Proxies(()), Attempts())  # type: ignore[arg-type]
    yield made, users
    users.answers.set()
    made.close()


def test_while_the_database_is_silent_what_it_said_last_counts(
    silent: tuple[Access, _Silent],
) -> None:
    access, users = silent

    async def ask_twice() -> list[bool]:
        first = await access.has_users()
        users.answers.clear()
        async with asyncio.timeout(10):
            return [first, await access.has_users()]

    assert asyncio.run(ask_twice()) == [True, True]


def test_those_who_sign_in_do_not_queue_without_end(silent: tuple[Access, _Silent]) -> None:
    access, users = silent
    users.answers.clear()

    async def crowd() -> list[object]:
        tries = [access.sign_in(f"192.0.2.{n}", f"name {n}", "x") for n in range(20)]
        going = asyncio.gather(*tries, return_exceptions=True)
        await asyncio.sleep(0)
        users.answers.set()
        return list(await going)

    outcomes = asyncio.run(crowd())
    refused = [one for one in outcomes if isinstance(one, Refused)]
    assert len(refused) == 12
    assert {(one.status_code, one.after) for one in refused} == {(503, 2)}
    assert outcomes.count(None) == 8
