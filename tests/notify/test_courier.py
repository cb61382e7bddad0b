"""The courier: what waits arrives, marked where it may come twice, and nobody waits for others."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from alphapulse_nb.db.connection import connect
from alphapulse_nb.errors import DatabaseError
from alphapulse_nb.notify import courier as couriers
from alphapulse_nb.notify.channels import MOST_ATTEMPTS, Message, Reach
from alphapulse_nb.notify.courier import Courier, message
from alphapulse_nb.notify.deliveries import Attempt, Kept
from alphapulse_nb.state import State
from alphapulse_nb.state.notification_tables import deliveries as queue
from tests.conftest import wait_until
from tests.db.conftest import execute
from tests.notify.house import NOON, House, one
from tests.notify.receivers import (
    HASTY,
    NEAR,
    SECRET,
    Script,
    answer,
    mailbox,
    raw,
    receiving,
    silent,
)
from tests.relay.rows import until

ECHO = json.dumps({"error": f"no {SECRET}"}).encode()
FOREVER = 3_600.0


def courier(house: House, reach: Reach = NEAR, spread: float = 0.0) -> Courier:
    return Courier(house.state, reach, spread=lambda: spread)


def send(house: House, reach: Reach = NEAR, **others: Any) -> None:
    """Have a courier send all that is due, without a loop."""
    made = courier(house, reach, **others)
    for attempt in house.deliveries.take():
        made.send(attempt)


def attempt(**others: Any) -> Attempt:
    kept = Kept("hook", "", "", True, True, 1, NOON, "")
    return Attempt(7, "a\nhook", kept, one(**others), 3, True)


@asynccontextmanager
async def running(*made: Courier) -> AsyncIterator[None]:
    for each in made:
        each.start()
    try:
        yield
    finally:
        for each in made:
            await each.stop()


@pytest.fixture
def _asleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """A courier that looks only when it is woken."""
    monkeypatch.setattr(couriers, "_PAUSE", FOREVER)


def test_a_message_says_what_the_notification_says() -> None:
    assert message(attempt()) == Message(
        key="a\nhook",
        title="a",
        body="confidence 90 %, entry at 64,000\nIt happened at 2026-01-31 12:00:00 UTC.",
        type="signal",
        priority="high",
        at=NOON,
        data={
            "rule": "strong signals",
            "symbol": "BTC/USDT",
            "labels": {"exchange": "binance", "symbol": "BTC/USDT"},
            "confidence": 0.9,
            "risk_reward_ratio": 2.5,
            "late": False,
            "alert": "alert a",
            "resolved": False,
        },
        attempt=3,
        repeat=True,
    )


def test_a_message_that_is_late_says_so_and_one_without_words_when_it_was() -> None:
    assert message(attempt(late=True, message="")).body == (
        "It happened at 2026-01-31 12:00:00 UTC.\nIt is told late: nobody looked when it happened."
    )


def test_what_is_sent_arrives_once_and_is_noted(house: House) -> None:
    with receiving() as receiver:
        house.channel("hook", receiver.place)
        house.ask("hook")
        send(house)
        send(house)
        (request,) = receiver.requests
    assert (request.json["title"], request.json["repeat"]) == ("a", False)
    assert house.sent["a hook"].state == "sent"


def test_a_message_to_two_channels_has_a_key_for_each(house: House) -> None:
    with receiving() as receiver:
        for name in ("hook", "pager"):
            house.channel(name, receiver.place)
        house.ask("hook", "pager")
        send(house)
        assert len({request.json["key"] for request in receiver.requests}) == 2


def test_mail_arrives(house: House) -> None:
    with mailbox() as box:
        address = f"mailto://127.0.0.1:{box.port}?from=desk@example.com&to=ann@example.com"
        house.deliveries.save("mail", address)
        house.ask("mail")
        send(house)
    assert box.only["Subject"] == "a"
    assert house.sent["a mail"].state == "sent"


@pytest.mark.parametrize(
    ("script", "spread", "seconds", "doubtful"),
    [
        (answer(503), 0, 5, True),
        (answer(503), 1, 6, True),
        (answer(503), -1, 4, True),
        (answer(429, Retry_After="600"), 0, 600, False),
        (answer(408), 0, 5, False),
        (raw(b""), 0, 5, True),
    ],
)
def test_what_may_pass_is_tried_again_after_a_while(
    house: House, script: Script, spread: float, seconds: float, doubtful: bool
) -> None:
    with receiving(script, answer(200)) as receiver:
        house.channel("hook", receiver.place)
        house.ask("hook")
        send(house, spread=spread)
        found = house.sent["a hook"]
        assert (found.state, found.attempts) == ("waiting", 1)
        assert receiver.place in found.error
        house.pass_time(seconds=seconds - 1.5)
        assert house.deliveries.take() == []
        house.pass_time(seconds=1.5)
        send(house)
        first, second = receiver.requests
    assert first.json["key"] == second.json["key"]
    assert (second.json["attempt"], second.json["repeat"]) == (2, doubtful)
    assert house.sent["a hook"].state == "sent"


@pytest.mark.parametrize("status", [301, 400, 401, 404])
def test_what_will_not_pass_is_given_up(house: House, status: int) -> None:
    with receiving(answer(status)) as receiver:
        house.channel("hook", receiver.place)
        house.ask("hook")
        send(house)
        assert len(receiver.requests) == 1
    found = house.sent["a hook"]
    assert found.state == "dead"
    assert f"answered {status}" in found.error


@pytest.mark.parametrize(
    ("before", "after"), [(MOST_ATTEMPTS - 2, "waiting"), (MOST_ATTEMPTS - 1, "dead")]
)
def test_after_many_attempts_it_is_given_up_until_somebody_has_it_sent_again(
    house: House, before: int, after: str
) -> None:
    with receiving(answer(503), answer(200)) as receiver:
        house.channel("hook", receiver.place)
        house.ask("hook")
        house.run(sa.update(queue).values(attempts=before))
        send(house)
        found = house.sent["a hook"]
        assert found.state == after
        if after == "dead":
            house.deliveries.resend(found.id)
            send(house)
            assert receiver.requests[1].json["repeat"] is True
            assert house.sent["a hook"].state == "sent"


def test_what_a_courier_left_when_it_died_is_sent_by_another_with_a_mark(house: House) -> None:
    with receiving() as receiver:
        house.channel("hook", receiver.place)
        house.ask("hook")
        assert len(house.deliveries.take()) == 1
        send(house)
        assert receiver.requests == []
        house.pass_time(minutes=3)
        send(house)
        (request,) = receiver.requests
    assert request.json["title"] == "a (repeated)"
    assert (request.json["repeat"], request.json["attempt"]) == (True, 2)


def test_what_arrived_but_could_not_be_noted_comes_again_with_a_mark(
    house: House, filled: sa.URL
) -> None:
    with receiving() as receiver:
        house.channel("hook", receiver.place)
        house.ask("hook")
        (taken,) = house.deliveries.take()
        with connect(filled.set(database="nowhere")) as db, State(db) as away:
            made = Courier(away, NEAR)
            with pytest.raises(DatabaseError):
                made.send(taken)
        house.pass_time(minutes=3)
        send(house)
        assert [request.json["repeat"] for request in receiver.requests] == [False, True]


@pytest.mark.parametrize(
    ("address", "secret", "why"),
    [
        (f"nothing://{SECRET}", "", "it cannot be used: "),
        (SECRET, "", "an address begins with its kind"),
        (f"webhook+https://hooks.example.com/{SECRET}", "", "secret of 16 characters"),
        (f"gotify://127.0.0.1/{SECRET}", SECRET, "only a webhook is signed"),
        (f"webhook+http://169.254.169.254/{SECRET}", SECRET, "to which channels do not send"),
    ],
)
def test_an_address_that_cannot_be_used_is_given_up_without_repeating_it(
    house: House, address: str, secret: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    house.deliveries.save("hook", address, secret)
    house.ask("hook")
    send(house)
    found = house.sent["a hook"]
    assert found.state == "dead"
    assert why in found.error
    assert SECRET not in found.error + caplog.text


def test_a_fault_of_ours_is_noted_and_tried_again_with_a_mark(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    def resolve(_: str) -> list[str]:
        raise RuntimeError(SECRET)

    house.channel("hook")
    house.ask("hook")
    send(house, replace(NEAR, resolve=resolve))
    found = house.sent["a hook"]
    assert (found.state, found.error) == ("waiting", "sending failed with RuntimeError")
    assert "in resolve" in caplog.text
    assert SECRET not in caplog.text
    house.pass_time(minutes=1)
    assert house.deliveries.take()[0].doubtful


@pytest.mark.parametrize(
    "script",
    [
        answer(200, ECHO),
        answer(403, ECHO),
        answer(500, ECHO),
        answer(302, ECHO, Location=f"http://x.example/{SECRET}"),
        raw(b"500 " + ECHO + b"\r\n"),
        silent,
    ],
)
def test_no_secret_is_logged_or_kept_with_a_delivery(
    house: House, script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(1)
    for name in list(logging.Logger.manager.loggerDict):
        caplog.set_level(1, logger=name)
    with receiving(script) as receiver:
        house.deliveries.save("hook", f"webhook+http://{receiver.place}/{SECRET}", SECRET)
        house.deliveries.save("json", f"json://desk:{SECRET}@{receiver.place}/{SECRET}")
        house.ask("hook", "json")
        send(house, HASTY)
        assert len(receiver.requests) == 2
    for found in house.deliveries.listed():
        assert found.attempts == 1
        assert SECRET not in f"{found!r}"
    assert all(SECRET not in f"{record.getMessage()}{record.exc_text}" for record in caplog.records)


@pytest.mark.usefixtures("_asleep")
def test_a_courier_sends_what_waits_and_what_it_is_woken_for(house: House) -> None:
    async def main() -> None:
        with receiving() as receiver:
            house.channel("hook", receiver.place)
            house.ask("hook")
            made = courier(house)
            async with running(made):
                await until(lambda: len(receiver.requests) == 1)
                await until(lambda: house.sent["a hook"].state == "sent")
                house.ask("hook", key="b")
                made.wake()
                await until(lambda: len(receiver.requests) == 2)

    asyncio.run(main())


@pytest.mark.usefixtures("_asleep")
def test_a_channel_gets_one_at_a_time_and_the_next_without_a_pause(house: House) -> None:
    at_once, most = threading.Semaphore(), list[bool]()

    def slow(link: socket.socket, over: threading.Event) -> None:
        most.append(at_once.acquire(blocking=False))
        over.wait(0.05)
        at_once.release()
        answer(200)(link, over)

    async def main() -> None:
        with receiving(slow) as receiver:
            house.channel("hook", receiver.place)
            for key in "abcdef":
                house.ask("hook", key=key)
            async with running(courier(house)):
                await until(lambda: len(receiver.requests) == 6)
                titles = [request.json["title"] for request in receiver.requests]
        assert (titles, most) == (list("abcdef"), [True] * 6)

    asyncio.run(main())


@pytest.mark.usefixtures("_asleep")
def test_a_channel_that_hangs_holds_up_no_other(house: House) -> None:
    async def main() -> None:
        with receiving(silent) as stuck, receiving() as receiver:
            house.channel("stuck", stuck.place)
            house.channel("hook", receiver.place)
            house.ask("stuck", key="x")
            for key in "abcde":
                house.ask("hook", key=key)
            async with running(courier(house, replace(NEAR, whole=3))):
                await until(lambda: len(receiver.requests) == 5)
                await until(lambda: stuck.requests)
                assert house.sent["x stuck"].error == ""
                await until(lambda: house.sent["x stuck"].error)
        found = house.sent["x stuck"]
        assert found.error == f"{stuck.place} did not answer in 3 s"
        assert found.state == "waiting"

    asyncio.run(main())


@pytest.mark.usefixtures("_asleep")
def test_more_channels_than_threads_hang_and_all_are_tried(house: House) -> None:
    async def main() -> None:
        with receiving(silent) as stuck, receiving() as receiver:
            for number in range(10):
                house.channel(f"stuck {number}", stuck.place)
            house.channel("hook", receiver.place)
            house.ask(*(f"stuck {number}" for number in range(10)), "hook")
            async with running(courier(house, HASTY)):
                await until(lambda: receiver.requests)
                await until(lambda: all(found.attempts for found in house.sent.values()))
                await until(
                    lambda: all(
                        found.error or found.state == "sent" for found in house.sent.values()
                    )
                )

    asyncio.run(main())


def test_two_couriers_send_each_message_once(house: House) -> None:
    async def main() -> None:
        with receiving() as receiver:
            for name in "xyz":
                house.channel(name, receiver.place)
            for number in range(15):
                house.ask(*"xyz", key=f"{number}")
            with State(house.state._database) as another:
                pair = [courier(house), Courier(another, NEAR)]
                async with running(*pair):
                    await until(lambda: len(receiver.requests) >= 45)
                    await until(lambda: all(found.state == "sent" for found in house.sent.values()))
            counts = Counter(request.json["key"] for request in receiver.requests)
        assert len(counts) == 45
        assert set(counts.values()) == {1}

    asyncio.run(main())


def test_stopping_waits_for_no_channel(house: House) -> None:
    async def main() -> None:
        with receiving(silent) as stuck:
            house.channel("stuck", stuck.place)
            house.ask("stuck")
            async with running(courier(house, Reach(local=True, whole=60))):
                await until(lambda: stuck.requests)
            assert (house.sent["a stuck"].state, house.sent["a stuck"].error) == ("waiting", "")

    asyncio.run(main())
    # What was being sent when it stopped is still written down, if the process lasts that long.
    wait_until(lambda: house.sent["a stuck"].error)


def test_a_courier_says_why_it_sends_nothing_and_goes_on(
    house: House, filled: sa.URL, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(couriers, "_PAUSE", 0.05)

    async def main() -> None:
        made = courier(house)
        execute(filled, "ALTER TABLE alphapulse.deliveries RENAME TO away")
        async with running(made):
            await until(lambda: "not made, or older" in made.trouble)
            execute(filled, "ALTER TABLE alphapulse.away RENAME TO deliveries")
            await until(lambda: made.trouble == "")
            with receiving() as receiver:
                house.channel("hook", receiver.place)
                house.ask("hook")
                await until(lambda: receiver.requests)
                await until(lambda: house.sent["a hook"].state == "sent")

    asyncio.run(main())
    said = [record.getMessage() for record in caplog.records]
    assert len([text for text in said if text.startswith("nothing is sent")]) == 1


def test_a_courier_that_never_began_can_be_stopped(house: House) -> None:
    asyncio.run(courier(house).stop())
