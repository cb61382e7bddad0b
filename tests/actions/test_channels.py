"""Channels: kept, tried, and sent by, without anybody seeing their secrets again."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest

from alphapulse_nb.errors import InputError, UnknownName
from alphapulse_nb.notify import courier, deliveries
from alphapulse_nb.notify.channels import Reach
from alphapulse_nb.notify.channels.webhook import Webhook
from alphapulse_nb.notify.courier import Courier
from alphapulse_nb.people import Person, Role
from tests.actions.asking import Asking
from tests.notify.receivers import answer, receiving, silent

OLGA = Person("olga", Role.OPERATOR)
PATH = "T0pSecretPath"
SECRET = "S3cretThatSignsAllOfIt"


def hook(place: str) -> str:
    return f"webhook+http://{place}/{PATH}?key={PATH}"


@pytest.fixture
def heard(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """Everything that is logged, also what the database's driver is told."""
    for name in ("", "sqlalchemy", "sqlalchemy.engine", "apprise"):
        caplog.set_level(logging.DEBUG, name)
    return caplog


def test_a_channel_says_where_it_goes_and_none_of_its_secrets(
    ask: Asking, heard: pytest.LogCaptureFixture
) -> None:
    with receiving(answer(200)) as there:
        made = ask("connect", {"address": hook(there.place), "secret": SECRET}, OLGA, name="hook")
        assert made["masked"] == f"webhook+http://{there.place}/…"
        assert (made["kind"], made["enabled"], made["watch"]) == ("webhook", True, True)
        changed = ask("connect", {"watch": False}, OLGA, name="hook")
        assert (changed["version"], changed["watch"], changed["enabled"]) == (2, False, True)
        assert ask("try_channel", {}, OLGA, name="hook") == {"sent": True, "error": ""}
        (request,) = there.requests
    assert request.target == f"/{PATH}?key={PATH}"
    assert request.json["test"] is True
    said = [made, changed, ask("channels", None, OLGA), ask("vocabulary")]
    # What is written of its rows by a verbose log are their secrets' stand-ins.
    assert "UPDATE" in heard.text or "INSERT" in heard.text
    for secret in (PATH, SECRET):
        assert secret not in json.dumps(said) + heard.text


BAD: list[dict[str, Any]] = [
    {"address": f"{PATH}://{SECRET}"},
    {"address": SECRET},
    {"address": f"slack://{SECRET}"},
    {"address": f"webhook+https://me:{SECRET}@hooks.example/"},
    {"address": f"webhook+https://hooks.example/{SECRET}\n", "secret": SECRET[:3]},
    {"address": f"webhook+https://hooks.example/{PATH}"},
    {"address": f"mailtos://me:{SECRET}@mail.example", "secret": SECRET},
    {"address": f"json://h/?template={SECRET}"},
    {"address": f"{SECRET}\0"},
    {"address": [SECRET]},
    {"address": {SECRET: 1}},
    {"secret": SECRET},
    {"address": hook("a.example"), "secret": SECRET, "enabled": "no"},
]


@pytest.mark.parametrize("body", BAD, ids=range(len(BAD)))
def test_a_refused_channel_is_not_repeated(
    still: Asking, heard: pytest.LogCaptureFixture, body: dict[str, Any]
) -> None:
    with pytest.raises(InputError) as refused:
        still("connect", body, OLGA, name="refused")
    assert SECRET not in str(refused.value) + heard.text
    assert PATH not in str(refused.value) + heard.text
    assert still("channels", None, OLGA)["channels"] == []


@pytest.mark.parametrize("name", ["", " a", "a\nb", "a\u2028", "x" * 81, None])
def test_a_channel_has_a_name_that_can_be_seen(still: Asking, name: str) -> None:
    with pytest.raises(InputError, match="name"):
        still("connect", {"address": hook("a.example"), "secret": SECRET}, OLGA, name=name)


def test_a_new_address_does_not_keep_the_old_ones_secret(ask: Asking) -> None:
    ask("connect", {"address": hook("a.example"), "secret": SECRET}, OLGA, name="hook")
    with pytest.raises(InputError):
        ask("connect", {"address": hook("thief.example")}, OLGA, name="hook")
    (kept,) = ask.house.deliveries.channels()
    assert (kept.address, kept.secret) == (hook("a.example"), SECRET)
    ask("connect", {"secret": f"{SECRET}!"}, OLGA, name="hook")
    assert ask.house.deliveries.channel("hook").secret == f"{SECRET}!"
    assert ask.house.deliveries.channel("hook").address == hook("a.example")


def test_a_test_that_fails_says_why_and_no_secret(
    ask: Asking, heard: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving(answer(404, f"no /{PATH}".encode())) as there:
        ask("connect", {"address": hook(there.place), "secret": SECRET}, OLGA, name="hook")
        told = [ask("try_channel", {}, OLGA, name="hook")]
    told.append(ask("try_channel", {}, OLGA, name="hook"))

    def fails(_: Webhook, __: object) -> None:
        raise ZeroDivisionError(f"{hook('a.example')} {SECRET}")

    monkeypatch.setattr(Webhook, "send", fails)
    told.append(ask("try_channel", {}, OLGA, name="hook"))
    ask.house.deliveries.save("broken", f"nonsense://{SECRET}")
    told.append(ask("try_channel", {}, OLGA, name="broken"))
    assert [one["sent"] for one in told] == [False] * 4
    assert "404" in told[0]["error"]
    assert "refuses connections" in told[1]["error"]
    assert told[2]["error"] == "sending failed with ZeroDivisionError"
    assert told[3]["error"].startswith("it cannot be used: ")
    listed = ask("channels", None, OLGA)
    assert "broken" in str(listed)
    for secret in (PATH, SECRET):
        assert secret not in json.dumps([told, listed]) + heard.text
    with pytest.raises(UnknownName, match="did you mean hook"):
        ask("try_channel", {}, OLGA, name="hok")


def test_a_channel_reaches_this_machine_only_where_that_is_allowed(ask: Asking) -> None:
    with receiving(silent) as there:
        ask("connect", {"address": hook(there.place), "secret": SECRET}, OLGA, name="hook")
        object.__setattr__(ask.means, "local", False)
        told = ask("try_channel", {}, OLGA, name="hook")
        assert there.requests == []
    assert "the server itself, to which channels do not send" in told["error"]


def test_what_was_given_up_is_sent_again(ask: Asking, heard: pytest.LogCaptureFixture) -> None:
    with receiving(answer(410, PATH.encode()), answer(200)) as there:
        ask("connect", {"address": hook(there.place), "secret": SECRET}, OLGA, name="hook")
        ask.house.ask("hook")
        sender = Courier(ask.house.state, Reach(local=True))
        for attempt in ask.house.deliveries.take():
            sender.send(attempt)
        (dead,) = ask("deliveries", None, OLGA, state="dead")["deliveries"]
        assert (dead["channel"], dead["attempts"], dead["title"]) == ("hook", 1, "a")
        assert "410" in dead["error"]
        hurried = ask.hurried
        assert ask("resend", {}, OLGA, id=dead["id"]) == {}
        assert ask.hurried == hurried + 1
        with pytest.raises(UnknownName, match="that was given up"):
            ask("resend", {}, OLGA, id=dead["id"])
        for attempt in ask.house.deliveries.take():
            sender.send(attempt)
        keys = {request.json["key"] for request in there.requests}
    (sent,) = ask("deliveries", None, OLGA)["deliveries"]
    assert (sent["state"], sent["error"], len(keys)) == ("sent", "", 1)
    for secret in (PATH, SECRET):
        assert secret not in json.dumps([dead, sent]) + heard.text
    for number in (0, 2**63 - 1):
        with pytest.raises(UnknownName):
            ask("resend", {}, OLGA, id=number)


def test_there_is_room_for_so_many_channels(ask: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deliveries, "MOST_CHANNELS", 1)
    ask("connect", {"address": hook("a.example"), "secret": SECRET}, OLGA, name="a")
    with pytest.raises(InputError, match="remove one first"):
        ask("connect", {"address": hook("a.example"), "secret": SECRET}, OLGA, name="b")
    ask("connect", {"enabled": False}, OLGA, name="a")
    ask("disconnect", None, OLGA, name="a")
    with pytest.raises(UnknownName):
        ask("disconnect", None, OLGA, name="a")


def test_every_trial_is_a_message_of_its_own(ask: Asking) -> None:
    assert courier.trial(ask.now).key != courier.trial(ask.now).key
