"""Deliveries: each message to each channel once, and twice only with a mark."""

from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from alphapulse_nb.errors import InputError
from alphapulse_nb.notify import deliveries, telling
from alphapulse_nb.notify.channels import MOST_ATTEMPTS
from alphapulse_nb.notify.deliveries import MOST_CHANNELS, Attempt, Deliveries
from alphapulse_nb.state.notification_tables import channels, notifications
from alphapulse_nb.state.notification_tables import deliveries as queue
from tests.notify.house import NOON, House, one
from tests.notify.receivers import SECRET

ADDRESS = f"webhook+https://hooks.example.com/{SECRET}"
OFF = "there is no channel {}, or it is off"


@pytest.fixture
def office(house: House) -> Deliveries:
    house.channel("hook")
    house.channel("mail")
    return house.deliveries


def taken(office: Deliveries, **others: Any) -> list[str]:
    """What is taken now, as title and channel."""
    return [f"{each.notification.title} {each.channel.name}" for each in office.take(**others)]


def only(office: Deliveries) -> Attempt:
    (attempt,) = office.take()
    return attempt


def test_what_is_new_goes_by_each_of_its_channels_once(house: House, office: Deliveries) -> None:
    house.ask("hook", "mail", "hook")
    house.ask("hook", "mail")
    assert taken(office) == ["a hook", "a mail"]
    assert taken(office) == []


def test_what_is_written_is_asked_for_only_if_that_succeeds(
    house: House, office: Deliveries
) -> None:
    with house.state.writing() as link:
        told = telling.keep(link, [one()], NOON)
        deliveries.ask(link, [(told[0], ["hook"])])
        deliveries.ask(link, [])
        deliveries.ask(link, [(told[0], [])])
        link.rollback()
    assert taken(office) == []
    house.ask("hook")
    assert taken(office) == ["a hook"]


def test_a_channel_is_given_one_at_a_time_in_the_order_in_which_they_came(
    house: House, office: Deliveries
) -> None:
    for key in "abc":
        house.ask("hook", key=key)
    house.ask("mail", key="d")
    assert taken(office) == ["a hook", "d mail"]
    assert taken(office, without=["hook", "mail"]) == []
    # Another server takes the next.
    assert taken(office, without=["mail"]) == ["b hook"]
    assert taken(office) == ["c hook"]


def test_no_more_are_taken_than_asked_for(house: House, office: Deliveries) -> None:
    house.ask("hook", key="a")
    house.ask("mail", key="b")
    assert taken(office, most=1) == ["a hook"]
    assert taken(office, most=1) == ["b mail"]


def test_a_channel_with_much_to_send_holds_up_no_other(house: House, office: Deliveries) -> None:
    (told,) = house.tell(one())
    many = [
        {"key": f"{n}", "channel": "hook", "notification": told.id, "due_at": NOON}
        for n in range(1_000)
    ]
    house.run(sa.insert(queue).values(many))
    house.ask("mail", key="b")
    assert taken(office) == ["a hook", "b mail"]


def test_what_has_waited_longest_is_taken_first(house: House, office: Deliveries) -> None:
    house.ask("mail", key="a")
    house.ask("hook", key="b")
    later = sa.update(queue).where(queue.c.channel == "mail")
    house.run(later.values(due_at=sa.func.now() - timedelta(seconds=1)))
    house.run(sa.update(queue).where(queue.c.channel == "hook").values(due_at=NOON))
    assert taken(office, most=1) == ["b hook"]


def test_servers_that_take_at_once_never_take_the_same(house: House, office: Deliveries) -> None:
    for key in range(40):
        house.ask("hook", key=f"{key}")
    start = threading.Barrier(4)

    def take() -> list[str]:
        start.wait(30)
        found: list[str] = []
        while new := taken(office):
            found += new
        return found

    with ThreadPoolExecutor(4) as servers:
        found = [servers.submit(take) for _ in range(4)]
        each = Counter(title for server in found for title in server.result(60))
    # One that another was just writing down may be left for the next look.
    each.update(taken(office))
    assert set(each.values()) == {1}
    assert len(each) == 40


def test_one_that_another_is_taking_is_passed_over(house: House, office: Deliveries) -> None:
    house.ask("hook", key="a")
    house.ask("hook", key="b")
    with house.state.writing() as link:
        row = sa.select(queue.c.id).where(queue.c.key == "a\nhook")
        assert link.execute(row.with_for_update()).all()
        # It waits for nobody.
        assert taken(office) == ["b hook"]
    assert taken(office) == ["a hook"]


def test_no_transaction_is_open_while_a_message_is_sent(house: House, office: Deliveries) -> None:
    house.ask("hook")
    attempt = only(office)
    with house.state.looking() as link:
        idle = sa.text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND state LIKE 'idle in transaction%' AND pid != pg_backend_pid()"
        )
        assert link.execute(idle).scalar() == 0
    office.sent(attempt)


def test_what_has_arrived_is_over(house: House, office: Deliveries) -> None:
    house.ask("hook")
    attempt = only(office)
    assert (attempt.number, attempt.doubtful) == (1, False)
    office.sent(attempt)
    house.pass_time(days=1)
    assert taken(office) == []
    (found,) = office.listed()
    assert (found.state, found.attempts, found.error) == ("sent", 1, "")
    assert found.sent_at is not None
    with pytest.raises(InputError, match="no delivery"):
        office.resend(found.id)


def test_what_a_process_took_before_it_died_is_repeated_with_a_mark(
    house: House, office: Deliveries
) -> None:
    house.ask("hook")
    first = only(office)
    house.pass_time(seconds=30)
    assert taken(office) == []
    house.pass_time(seconds=16)
    second = only(office)
    assert (second.key, second.number, second.doubtful) == (first.key, 2, True)
    # The first was only slow: how it ended is not for it to say any more.
    office.failed(first, "too slow", False, None)
    states = [house.sent["a hook"].state]
    office.sent(second)
    office.failed(first, "too slow", False, None)
    states.append(house.sent["a hook"].state)
    assert states == ["waiting", "sent"]


def test_what_ends_each_process_that_sends_it_is_given_up(house: House, office: Deliveries) -> None:
    house.ask("hook")
    for number in range(1, MOST_ATTEMPTS + 1):
        assert only(office).number == number
        house.pass_time(minutes=3)
    assert taken(office) == []
    found = house.sent["a hook"]
    assert (found.state, found.attempts) == ("dead", MOST_ATTEMPTS)
    assert found.error == "16 attempts began, and nobody knows how the last one ended"


def test_the_last_attempt_is_not_given_up_while_it_is_made(
    house: House, office: Deliveries
) -> None:
    house.ask("hook")
    house.run(sa.update(queue).values(attempts=MOST_ATTEMPTS - 1))
    attempt = only(office)
    assert taken(office) == []
    office.sent(attempt)
    assert house.sent["a hook"].state == "sent"


def test_what_failed_comes_again_after_its_wait(house: House, office: Deliveries) -> None:
    house.ask("hook")
    office.failed(only(office), "busy", False, 30)
    found = house.sent["a hook"]
    assert (found.state, found.attempts, found.error) == ("waiting", 1, "busy")
    house.pass_time(seconds=25)
    assert taken(office) == []
    house.pass_time(seconds=10)
    second = only(office)
    assert (second.number, second.doubtful) == (2, False)
    office.sent(second)
    assert house.sent["a hook"].error == ""


@pytest.mark.parametrize("wait", [0, None])
@pytest.mark.parametrize(
    ("first", "second", "marked"),
    [(False, False, False), (True, False, True), (False, True, True), (True, True, True)],
)
def test_once_it_may_have_arrived_every_other_is_marked(
    house: House, office: Deliveries, first: bool, second: bool, marked: bool, wait: int | None
) -> None:
    house.ask("hook")
    office.failed(only(office), "first", first, 0)
    office.failed(only(office), "second", second, wait)
    if wait is None:
        office.resend(house.sent["a hook"].id)
    assert only(office).doubtful is marked


def test_what_is_dead_waits_for_somebody_who_has_it_sent_again(
    house: House, office: Deliveries
) -> None:
    house.ask("hook")
    house.ask("hook", key="b")
    office.failed(only(office), "x" * 1_000, False, None)
    house.pass_time(days=1)
    (found,) = office.listed("dead")
    assert found.error == "x" * 500
    assert taken(office) == ["b hook"]
    office.resend(found.id)
    assert house.sent["a hook"].error == ""
    attempt = only(office)
    assert (attempt.id, attempt.number) == (found.id, 1)
    with pytest.raises(InputError, match=f"no delivery {found.id} that was given up"):
        office.resend(found.id)


def test_deliveries_are_listed_by_state_the_newest_first(house: House, office: Deliveries) -> None:
    for key in "abcd":
        house.ask("hook", key=key)
    office.sent(only(office))
    office.failed(only(office), "no", False, None)
    titles = {
        state: [found.notification.title for found in office.listed(state)]
        for state in (None, "sent", "dead", "waiting")
    }
    assert titles == {
        None: ["d", "c", "b", "a"],
        "sent": ["a"],
        "dead": ["b"],
        "waiting": ["d", "c"],
    }
    assert len(office.listed(most=2)) == 2


def test_a_channel_that_is_not_there_or_off_takes_nothing(house: House, office: Deliveries) -> None:
    house.channel("mail", enabled=False)
    house.ask("nowhere", "mail", "hook")
    assert taken(office) == ["a hook"]
    for name in ("nowhere", "mail"):
        found = house.sent[f"a {name}"]
        assert (found.state, found.attempts, found.error) == ("dead", 0, OFF.format(name))
    # Turned on, it takes what somebody has sent again.
    house.channel("mail")
    office.resend(house.sent["a mail"].id)
    assert taken(office) == ["a mail"]


def test_all_for_a_channel_that_is_off_is_given_up_at_once(
    house: House, office: Deliveries
) -> None:
    for key in "abc":
        house.ask(*(f"nowhere {n}" for n in range(20)), key=key)
    house.ask("hook", key="d")
    assert taken(office, most=1) == ["d hook"]
    assert len(office.listed("dead")) == 60


def test_what_waits_for_a_channel_is_dead_when_that_is_removed(
    house: House, office: Deliveries
) -> None:
    house.ask("hook", "mail")
    office.failed(next(iter(office.take(1))), "busy", True, 3_600)
    office.remove("hook")
    found = house.sent["a hook"]
    assert (found.state, found.error) == ("dead", "its channel was removed")
    assert house.sent["a mail"].state == "waiting"
    house.channel("hook")
    office.resend(found.id)
    assert {each.channel.name: each.doubtful for each in office.take()} == {
        "hook": True,
        "mail": False,
    }


def test_what_arrives_while_its_channel_is_removed_has_arrived(
    house: House, office: Deliveries
) -> None:
    house.ask("hook")
    attempt = only(office)
    office.remove("hook")
    office.sent(attempt)
    assert house.sent["a hook"].state == "sent"


def test_what_waits_goes_to_the_address_that_the_channel_has_by_then(
    house: House, office: Deliveries
) -> None:
    house.ask("hook")
    office.failed(only(office), "wrong address", False, 0)
    office.save("hook", ADDRESS, SECRET, by="ann")
    kept = only(office).channel
    assert (kept.address, kept.version, kept.changed_by) == (ADDRESS, 2, "ann")


def test_a_notification_that_cannot_be_read_holds_up_no_other(
    house: House, office: Deliveries, caplog: pytest.LogCaptureFixture
) -> None:
    house.ask("hook")
    newer = one().plain() | {"colour": "red"}
    house.run(sa.update(notifications).values(record=newer))
    house.ask("mail", key="b")
    assert taken(office) == ["b mail"]
    (dead,) = house.rows(sa.select(queue).where(queue.c.state == "dead"))
    assert dead.error.startswith("it cannot be read: a notification has no field 'colour'")
    assert "cannot be read" in caplog.text


def test_channels_are_found_by_name(house: House, office: Deliveries) -> None:
    assert [kept.name for kept in office.channels()] == ["hook", "mail"]
    kept = office.channel("hook")
    assert (kept.enabled, kept.watch, kept.version, kept.secret) == (True, True, 1, SECRET)
    for change in (office.channel, office.remove):
        with pytest.raises(InputError, match="no channel 'hok'; did you mean hook"):
            change("hok")


def test_a_channel_that_is_there_can_be_changed_when_no_more_can_be_added(
    house: House, office: Deliveries
) -> None:
    new = [{"name": f"{n}", "address": "x"} for n in range(MOST_CHANNELS - 2)]
    house.run(sa.insert(channels).values(new))
    with pytest.raises(InputError, match="there are 100 channels"):
        house.channel("one more")
    house.channel("hook", enabled=False)
    assert not office.channel("hook").enabled
    office.remove("mail")
    house.channel("one more")


def test_nothing_that_is_printed_shows_a_secret(house: House, office: Deliveries) -> None:
    office.save("hook", ADDRESS, SECRET)
    house.ask("hook")
    attempt = only(office)
    assert SECRET in attempt.channel.address
    for thing in (attempt, attempt.channel, office, *office.channels(), *office.listed()):
        assert SECRET not in f"{thing!r} {thing}"
