"""The watchman: who says that nobody evaluates, or that the database is away, and how often."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from alphapulse_nb.alerts.store import Store
from alphapulse_nb.errors import DatabaseError, DatabaseUnavailable
from alphapulse_nb.notify import deliveries, telling
from alphapulse_nb.notify.channels import Reach
from alphapulse_nb.notify.deliveries import Kept
from alphapulse_nb.notify.notification import Notification, Priority, Type
from alphapulse_nb.notify.watchman import EVERY, LOOKS, PATIENCE, Seen, Watchman
from alphapulse_nb.state.alert_tables import evaluator
from tests.notify.house import NIGHT, NOON, SECOND, House
from tests.notify.receivers import NEAR, SECRET, Receiver, answer, raw, receiving
from tests.relay.rows import until

WHERE = "db.example:5432/desk"
LOOK = timedelta(seconds=EVERY)


def hook(name: str, place: str = "127.0.0.1:9", **others: Any) -> Kept:
    values = {"enabled": True, "watch": True, "version": 1, "changed_at": NOON, "changed_by": ""}
    return Kept(name, f"webhook+http://{place}/{SECRET}", SECRET, **{**values, **others})


@dataclass
class Post:
    """A watchman's surroundings: a clock, a database that may be away, and what was told."""

    channels: Sequence[Kept] = ()
    reach: Reach = NEAR
    now: datetime = NOON
    beat: datetime | None = NOON
    away: bool = False
    mute: bool = False
    told: list[tuple[Notification, Sequence[str]]] = field(default_factory=list)
    watchman: Watchman = field(init=False)

    def __post_init__(self) -> None:
        self.watchman = self.another()

    def another(self) -> Watchman:
        return Watchman(self._look, self._tell, self.reach, WHERE, now=lambda: self.now)

    def _look(self) -> Seen:
        if self.away:
            raise DatabaseUnavailable("the database cannot be reached")
        return Seen(self.beat, self.now, self.channels)

    def _tell(self, found: Notification, channels: Sequence[str]) -> None:
        if self.mute:
            raise DatabaseUnavailable("the database cannot be reached")
        self.told.append((found, channels))

    def passes(self, length: timedelta, *, beats: bool = False) -> None:
        """The watchman looks as often as he does in such a time."""
        end = self.now + length
        while self.now < end:
            self.now += LOOK
            self.beat = self.now if beats else self.beat
            self.watchman.watch()

    @property
    def titles(self) -> list[str]:
        return [found.title for found, _ in self.told]


EVALUATED = "Alerts are not evaluated"
AGAIN = "The database can be reached again"


def test_an_evaluator_that_is_heard_of_is_no_news() -> None:
    post = Post()
    post.passes(timedelta(hours=1), beats=True)
    assert post.told == []


def test_that_nobody_evaluates_is_told_once_however_long_it_lasts() -> None:
    post = Post([hook("a"), hook("b")])
    post.passes(PATIENCE - LOOK)
    assert post.told == []
    post.passes(timedelta(hours=1))
    ((found, channels),) = post.told
    assert channels == ["a", "b"]
    assert (found.title, found.type, found.priority) == (EVALUATED, Type.SYSTEM, Priority.URGENT)
    assert found.at == NOON + PATIENCE
    assert found.message == (
        f"In {WHERE}, since 2026-01-31 12:00:00 UTC nobody evaluates the rules. "
        "Is a dashboard's server or `alphapulse worker` running?"
    )


def test_each_time_that_nobody_evaluates_is_told() -> None:
    post = Post()
    for _ in range(2):
        post.passes(timedelta(hours=1))
        post.passes(timedelta(hours=1), beats=True)
    assert post.titles == [EVALUATED] * 2
    assert len({found.key for found, _ in post.told}) == 2


def test_where_nobody_ever_evaluated_nobody_is_missed() -> None:
    post = Post(beat=None)
    post.passes(timedelta(hours=1))
    assert post.told == []


@pytest.mark.parametrize(("looks", "told"), [(LOOKS - 1, []), (LOOKS, [EVALUATED])])
def test_a_server_that_begins_waits_for_the_evaluator_to_begin(looks: int, told: list[str]) -> None:
    post = Post(now=NOON + timedelta(hours=8))
    post.passes(looks * LOOK)
    assert post.titles == told


def test_a_machine_that_slept_says_nothing() -> None:
    post = Post()
    for _ in range(20):
        post.passes(2 * LOOK, beats=True)
        post.now += timedelta(hours=8)
        post.passes(LOOK)
    assert post.told == []


def test_a_notice_that_could_not_be_written_is_told_by_a_later_look() -> None:
    post = Post(now=NOON + PATIENCE, mute=True)
    post.passes((LOOKS - 1) * LOOK)
    for _ in range(3):
        with pytest.raises(DatabaseError):
            post.watchman.watch()
    post.mute = False
    post.passes(timedelta(hours=1))
    assert post.titles == [EVALUATED]


def test_channels_that_are_off_or_not_for_this_get_no_notice() -> None:
    with receiving() as receiver:
        off = hook("off", receiver.place, enabled=False)
        unwatched = hook("unwatched", receiver.place, watch=False)
        post = Post([off, unwatched, hook("on", receiver.place)])
        post.passes(PATIENCE)
        post.away = True
        post.passes(PATIENCE * 2)
        assert len(receiver.requests) == 1
        post.away = False
        post.watchman.watch()
    assert [channels for _, channels in post.told] == [["on"], ["on"]]


def lost(post: Post) -> None:
    """The database is seen once more, and then no longer."""
    post.passes(LOOK, beats=True)
    post.away = True


def titles(receiver: Receiver) -> list[str]:
    return [request.json["title"] for request in receiver.requests]


def test_that_the_database_is_away_is_told_once_by_each_channel(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with receiving() as receiver:
        post = Post([hook("a", receiver.place), hook("b", receiver.place)])
        lost(post)
        post.passes(PATIENCE - LOOK)
        assert receiver.requests == []
        post.passes(timedelta(hours=5))
        assert titles(receiver) == ["Alerts are not evaluated: the database is away"] * 2
        body = receiver.requests[0].json
    assert body["body"] == (
        f"{WHERE} cannot be reached since 2026-01-31 12:00:15 UTC. "
        "Until it is back, no rule is evaluated and nothing else is sent."
    )
    assert (body["priority"], body["type"], body["repeat"]) == ("urgent", "system", False)
    assert post.told == []
    assert len([one for one in caplog.records if one.levelname == "ERROR"]) == 1


def test_that_the_database_is_back_is_told_once() -> None:
    with receiving() as receiver:
        post = Post([hook("a", receiver.place)])
        lost(post)
        post.passes(PATIENCE * 2)
        post.away = False
        post.passes(timedelta(hours=1), beats=True)
    ((found, channels),) = post.told
    assert (found.title, channels) == (AGAIN, ["a"])
    assert (found.type, found.priority) == (Type.SUCCESS, Priority.MEDIUM)
    assert found.message == f"{WHERE} was away since 2026-01-31 12:00:15 UTC."


def test_a_short_outage_is_no_news() -> None:
    with receiving() as receiver:
        post = Post([hook("a", receiver.place)])
        for _ in range(5):
            lost(post)
            post.passes(PATIENCE - 2 * LOOK)
            post.away = False
            post.passes(LOOK, beats=True)
        assert receiver.requests == []
    assert post.told == []


def test_after_an_outage_the_evaluator_has_time_to_begin() -> None:
    post = Post()
    lost(post)
    post.passes(timedelta(hours=1))
    post.away = False
    post.passes(2 * LOOK)
    assert post.titles == [AGAIN]


def test_a_machine_that_slept_does_not_miss_the_database_at_once() -> None:
    with receiving() as receiver:
        post = Post([hook("a", receiver.place)])
        for _ in range(LOOKS):
            lost(post)
            post.passes(LOOK)
            post.away = False
        lost(post)
        post.now += timedelta(hours=8)
        post.passes(LOOK * (LOOKS - 1))
        assert receiver.requests == []
        post.away = False
        post.watchman.watch()
    assert post.told == []


def test_that_it_is_back_is_told_by_a_later_look_if_it_cannot_be_written() -> None:
    post = Post()
    lost(post)
    post.passes(PATIENCE * 2)
    post.away, post.mute = False, True
    for _ in range(2):
        with pytest.raises(DatabaseError):
            post.watchman.watch()
    post.mute = False
    post.passes(timedelta(minutes=1), beats=True)
    assert post.titles == [AGAIN]
    assert "12:00:15" in post.told[0][0].message


def test_a_server_that_never_saw_the_database_says_when_it_does() -> None:
    post = Post(away=True)
    post.passes(timedelta(hours=1))
    post.away = False
    post.passes(LOOK, beats=True)
    assert post.titles == [AGAIN]


def test_a_channel_that_fails_is_tried_again_ever_later_and_the_others_are_not() -> None:
    with receiving() as good, receiving(*[answer(429)] * 4, answer(200)) as busy:
        post = Post([hook("busy", busy.place), hook("good", good.place)])
        lost(post)
        post.passes(PATIENCE)
        counts = []
        for _ in range(10):
            counts.append(len(busy.requests))
            post.passes(LOOK)
        # After 5, 10, 20 and 40 s, at looks that are 15 s apart.
        assert counts == [1, 2, 3, 3, 4, 4, 4, 5, 5, 5]
        assert len(good.requests) == 1
        assert [request.json["attempt"] for request in busy.requests] == [1, 2, 3, 4, 5]
        assert len({request.json["key"] for request in busy.requests}) == 1
        assert not any(request.json["repeat"] for request in busy.requests)


def test_a_channel_that_asks_for_time_gets_it() -> None:
    with receiving(answer(429, Retry_After="600"), answer(200)) as busy:
        post = Post([hook("busy", busy.place)])
        lost(post)
        post.passes(PATIENCE + timedelta(minutes=9))
        assert len(busy.requests) == 1
        post.passes(timedelta(minutes=2))
        assert len(busy.requests) == 2


def test_a_notice_that_may_have_arrived_comes_again_with_a_mark() -> None:
    with receiving(raw(b""), answer(429), answer(200)) as receiver:
        post = Post([hook("a", receiver.place)])
        lost(post)
        post.passes(timedelta(hours=1))
        assert [request.json["repeat"] for request in receiver.requests] == [False, True, True]


@pytest.mark.parametrize("status", [301, 401, 404])
def test_a_channel_that_refuses_is_not_asked_again(status: int) -> None:
    with receiving(answer(status)) as receiver:
        post = Post([hook("a", receiver.place)])
        lost(post)
        post.passes(timedelta(hours=1))
        assert len(receiver.requests) == 1


def test_an_address_that_cannot_be_used_holds_up_no_other(caplog: pytest.LogCaptureFixture) -> None:
    with receiving() as receiver:
        bad = replace(hook("bad"), address=f"nothing://{SECRET}")
        post = Post([bad, hook("a", receiver.place)])
        lost(post)
        post.passes(timedelta(hours=1))
        assert len(receiver.requests) == 1
    assert "bad did not take the notice: it cannot be used" in caplog.text
    assert SECRET not in caplog.text


def test_a_fault_of_ours_makes_no_channel_ring_again_and_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    tried: list[str] = []
    with receiving() as receiver:

        def resolve(host: str) -> list[str]:
            if host == "broken.example":
                tried.append(host)
                raise RuntimeError(SECRET)
            return [host]

        channels = [
            hook("first", receiver.place),
            hook("broken", "broken.example"),
            hook("last", receiver.place),
        ]
        post = Post(channels, replace(NEAR, resolve=resolve))
        lost(post)
        for _ in range(20):
            post.passes(LOOK)
        assert len(receiver.requests) == 2
        assert 0 < len(tried) < 6
    assert "broken did not take the notice: sending failed with RuntimeError" in caplog.text
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("seconds", "same"), [(0, True), (1, True), (14, True), (PATIENCE.total_seconds(), False)]
)
def test_servers_that_lose_the_database_together_say_so_with_one_key(
    seconds: float, same: bool
) -> None:
    with receiving() as receiver:
        for later in (0, seconds):
            post = Post([hook("a", receiver.place)], now=NOON + timedelta(seconds=later))
            lost(post)
            post.passes(PATIENCE * 2)
            post.away = False
            post.watchman.watch()
        keys = {request.json["key"] for request in receiver.requests}
    assert len(keys) == (1 if same else 2)


def test_two_outages_never_have_the_same_key() -> None:
    with receiving() as receiver:
        post = Post([hook("a", receiver.place)])
        for _ in range(20):
            lost(post)
            post.passes(PATIENCE)
            post.away = False
            post.passes(LOOK, beats=True)
        keys = {request.json["key"] for request in receiver.requests}
        assert len(receiver.requests) == len(keys) == 20
    assert len({found.key for found, _ in post.told}) == len(post.told) == 20


def test_nobody_evaluates_is_there_once_however_many_watchmen_find_it(house: House) -> None:
    store = Store(house.state)

    def look() -> Seen:
        return Seen(store.standing().beat_at, store.now(), house.deliveries.channels())

    def tell(found: Notification, channels: Sequence[str]) -> None:
        with house.state.writing() as link:
            told = telling.keep(link, [found], NIGHT)
            deliveries.ask(link, [(new, channels) for new in told])

    house.channel("hook")
    house.channel("other", watch=False)
    house.run(sa.update(evaluator).values(beat_at=NOON))
    watchmen = [Watchman(look, tell, NEAR, WHERE, now=lambda: datetime.now(UTC)) for _ in range(3)]
    for _ in range(LOOKS + 2):
        for watchman in watchmen:
            watchman.watch()
    assert house.titles() == [EVALUATED]
    assert set(house.sent) == {f"{EVALUATED} hook"}


def test_a_watchman_goes_on_looking_whatever_he_finds(caplog: pytest.LogCaptureFixture) -> None:
    looks: list[Exception | None] = [ZeroDivisionError(), DatabaseError("away"), None]
    seen: list[int] = []

    def look() -> Seen:
        seen.append(len(seen))
        error = looks[len(seen) - 1] if len(seen) <= len(looks) else None
        if error is not None:
            raise error
        return Seen(NOON, NOON + PATIENCE, ())

    told: list[Notification] = []

    def tell(found: Notification, _: Sequence[str]) -> None:
        if len(seen) < LOOKS + 4:
            raise DatabaseUnavailable("not now")
        told.append(found)

    async def main() -> None:
        watchman = Watchman(look, tell, NEAR, WHERE, now=lambda: NOON + SECOND, every=0.01)
        watchman.start()
        await until(lambda: told)
        await until(lambda: len(seen) > LOOKS + 10)
        await watchman.stop()

    asyncio.run(main())
    assert [found.title for found in told] == [EVALUATED]
    assert "watching the evaluator failed" in caplog.text
    assert "the evaluator cannot be watched: not now" in caplog.text


def test_a_watchman_who_never_began_can_be_stopped() -> None:
    asyncio.run(Post().watchman.stop())
