"""Webhooks: signed requests to a real server, and what each of its answers means."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapulse_nb.errors import ChannelError
from alphapulse_nb.notify.channels import Reach, open_channel, verify
from alphapulse_nb.notify.channels.answer import LARGEST, asked, wait
from alphapulse_nb.notify.channels.channel import Channel
from alphapulse_nb.notify.channels.webhook import signed
from tests.notify.receivers import (
    AT,
    HASTY,
    NEAR,
    SECRET,
    Script,
    answer,
    dripping,
    endless,
    message,
    raw,
    receiving,
    silent,
)


def hook(port: int, reach: Reach = NEAR, target: str = "/hook?team=desk") -> Channel:
    return open_channel("hook", f"webhook+http://127.0.0.1:{port}{target}", SECRET, reach=reach)


def failing(*scripts: Script, reach: Reach = NEAR, target: str = "/hook") -> ChannelError:
    """What a webhook says of a server that answers so, and that it asked once."""
    with receiving(*scripts) as receiver:
        with pytest.raises(ChannelError) as failed:
            hook(receiver.port, reach, target).send(message())
        assert len(receiver.requests) == 1
    return failed.value


def test_a_message_arrives_as_signed_json() -> None:
    with receiving() as receiver:
        hook(receiver.port).send(message(test=True))
        (request,) = receiver.requests
    assert (request.method, request.target) == ("POST", "/hook?team=desk")
    assert request.json == message(test=True).plain()
    assert request.json["title"] == "TEST: BTC above 100,000"
    headers = request.headers
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert headers["idempotency-key"] == "rule-7/BTC/1"
    assert headers["host"] == f"127.0.0.1:{receiver.port}"
    stamp, signature = headers["x-alphapulse-timestamp"], headers["x-alphapulse-signature"]
    assert verify(SECRET, stamp, request.body, signature, datetime.now(UTC))


def test_a_message_sent_again_has_the_same_key_and_is_marked() -> None:
    with receiving() as receiver:
        channel = hook(receiver.port)
        channel.send(message())
        channel.send(message(attempt=2, repeat=True))
        first, second = receiver.requests
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]
    assert (first.json["repeat"], second.json["repeat"]) == (False, True)
    assert second.json["title"].endswith("(repeated)")


def test_text_of_any_kind_arrives_as_it_was() -> None:
    with receiving() as receiver:
        hook(receiver.port).send(message(body="≥ 1 € 👩‍💻\n\u202eend", data={"r": "é\ud800"}))
        (request,) = receiver.requests
    assert request.json["body"] == "≥ 1 € 👩‍💻\n end"
    assert request.json["data"] == {"r": "é\ud800"}


@pytest.mark.parametrize(
    ("status", "headers", "retry", "after", "words"),
    [
        (200, {}, None, None, ""),
        (201, {}, None, None, ""),
        (204, {}, None, None, ""),
        (301, {"Location": "http://127.0.0.1:1/x"}, False, None, "a redirect, and those"),
        (302, {"Location": "/elsewhere"}, False, None, "those are not followed"),
        (307, {"Location": "http://169.254.169.254/"}, False, None, "those are not followed"),
        (400, {}, False, None, "answered 400 Bad Request"),
        (401, {}, False, None, "answered 401 Unauthorized"),
        (404, {}, False, None, "answered 404 Not Found"),
        (408, {}, True, None, "answered 408"),
        (410, {}, False, None, "answered 410 Gone"),
        (425, {}, True, None, "answered 425"),
        (429, {}, True, None, "answered 429 Too Many Requests"),
        (429, {"Retry-After": "7"}, True, 7, "answered 429"),
        (429, {"Retry-After": "86400"}, True, 3_600, "answered 429"),
        (429, {"Retry-After": "soon"}, True, None, "answered 429"),
        (500, {}, True, None, "answered 500 Internal Server Error"),
        (503, {"Retry-After": "120"}, True, 120, "answered 503 Service Unavailable"),
        (599, {}, True, None, "answered 599"),
        (700, {}, True, None, "answered 700"),
    ],
)
def test_a_status_says_whether_to_try_again(
    status: int, headers: dict[str, str], retry: bool | None, after: float | None, words: str
) -> None:
    script = answer(status, **{name.replace("-", "_"): value for name, value in headers.items()})
    if retry is None:
        with receiving(script) as receiver:
            hook(receiver.port).send(message())
        return
    failed = failing(script)
    assert words in str(failed)
    assert (failed.retry, failed.after) == (retry, after)
    # What a server that failed has done with the message, nobody knows; a refusal is a refusal.
    assert failed.unknown is (status >= 500)


def test_a_redirect_is_not_followed() -> None:
    with receiving() as other:
        location = f"http://127.0.0.1:{other.port}/taken"
        failed = failing(answer(307, Location=location))
        assert other.requests == []
    assert not failed.retry


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (silent, "did not answer in 0.4 s"),
        (dripping, "did not answer in 0.4 s"),
        (raw(b""), "the connection ended"),
        (raw(b"HTTP/1.1 2"), "did not answer as HTTP demands"),
        (raw(b"SSH-2.0-OpenSSH_9.6\r\n"), "did not answer as HTTP demands"),
        (raw(b"HTTP/1.1 abc OK\r\n\r\n"), "did not answer as HTTP demands"),
        (raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500), "did not answer as HTTP demands"),
        (raw(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000), "did not answer as HTTP demands"),
    ],
)
def test_an_answer_that_does_not_come_may_have_been_none(script: Script, words: str) -> None:
    failed = failing(script, reach=HASTY)
    assert words in str(failed)
    assert (failed.retry, failed.unknown) == (True, True)


@pytest.mark.parametrize(
    "script",
    [
        endless,
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf"),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n"),
        raw(b"HTTP/1.1 200"),
        raw(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n"),
    ],
)
def test_a_message_whose_status_is_good_has_arrived_whatever_follows(script: Script) -> None:
    with receiving(script) as receiver:
        hook(receiver.port, HASTY).send(message())
        assert len(receiver.requests) == 1


def test_of_an_answer_no_more_is_read_than_a_person_would() -> None:
    failed = failing(answer(500, b"all is lost " * 100_000))
    said = str(failed).partition("Internal Server Error: ")[2]
    assert (said[:12], said[-1]) == ("all is lost ", "…")
    assert len(said) <= 200


def test_of_an_answer_64_kilobytes_are_read() -> None:
    with receiving(answer(500, b"x" * 1_000_000)) as receiver:
        url = f"http://127.0.0.1:{receiver.port}/"
        assert len(asked("POST", url, {}, b"", NEAR, NEAR.ends()).body) == LARGEST == 65_536


def test_what_a_server_says_is_quoted_without_secrets_or_pages() -> None:
    said = failing(answer(400, f"no {SECRET} for /T0KEN\r\n\x1b[2J".encode()), target="/T0KEN")
    assert str(said).endswith("answered 400 Bad Request: no … for /… [2J")
    assert str(failing(answer(400, b"<html>no</html>"))).endswith("answered 400 Bad Request")
    assert str(failing(answer(400, b"\xff\xfe"))).endswith(": \ufffd\ufffd")


def test_a_target_that_is_no_ascii_is_written_so_that_it_is() -> None:
    with receiving() as receiver:
        hook(receiver.port, target="/dépôt?x=€&y=a%20b").send(message())
        (request,) = receiver.requests
    assert request.target == "/d%C3%A9p%C3%B4t?x=%E2%82%AC&y=a%20b"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("", None),
        ("0", 0),
        (" 30 ", 30),
        ("999999999999", 3_600),
        ("-5", None),
        ("1.5", None),
        ("١٢", None),
        ("Sat, 31 Jan 2026 12:00:30 GMT", 30),
        ("Sat, 31 Jan 2026 12:00:30", 30),
        ("Sat, 31 Jan 2026 13:00:30 +0100", 30),
        ("Sat, 31 Jan 2026 11:00:00 GMT", 0),
        ("Sun, 01 Feb 2026 12:00:00 GMT", 3_600),
        ("Sat, 99 Jan 2026 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_an_hour_at_most(
    said: str, seconds: float | None
) -> None:
    assert wait(said, AT) == seconds


@settings(deadline=None)
@given(st.text())
def test_whatever_retry_after_says_it_is_an_hour_at_most(said: str) -> None:
    assert wait(said, AT) is None or 0 <= (wait(said, AT) or 0) <= 3_600


STAMP = str(int(AT.timestamp()))
BODY = b'{"key":"1"}'
RIGHT = signed(SECRET, STAMP, BODY)


def test_a_signature_is_the_documented_one() -> None:
    # As OpenSSL computes it: printf '1769860800.{"key":"1"}' | openssl dgst -sha256 -hmac <secret>
    assert STAMP == "1769860800"
    assert RIGHT == "v1=cc1dca987b3afb768b4caebfa52a5be60695b7918cea3ae0e4763d428884ae70"


@pytest.mark.parametrize(
    ("changes", "right"),
    [
        ({}, True),
        ({"timestamp": "now", "signature": signed(SECRET, "now", BODY)}, False),
        ({"timestamp": "", "signature": signed(SECRET, "", BODY)}, False),
        ({"now": AT + timedelta(seconds=300)}, True),
        ({"now": AT - timedelta(seconds=300)}, True),
        ({"now": AT + timedelta(seconds=301)}, False),
        ({"now": AT - timedelta(seconds=301)}, False),
        ({"now": AT + timedelta(seconds=301), "tolerance": 302}, True),
        ({"secret": SECRET + "x"}, False),
        ({"body": BODY + b" "}, False),
        ({"timestamp": str(int(STAMP) + 1)}, False),
        ({"timestamp": ""}, False),
        ({"timestamp": "now"}, False),
        ({"timestamp": "-1"}, False),
        ({"timestamp": "١٢"}, False),
        ({"timestamp": "9" * 400}, False),
        ({"timestamp": STAMP + "\n"}, False),
        ({"signature": ""}, False),
        ({"signature": RIGHT[3:]}, False),
        ({"signature": RIGHT[:-1]}, False),
        ({"signature": RIGHT.replace("v1", "v2")}, False),
        ({"signature": "v1=é\ud800"}, False),
    ],
)
def test_a_signature_is_right_or_it_is_not(changes: dict[str, Any], right: bool) -> None:
    given = {
        "secret": SECRET,
        "timestamp": STAMP,
        "body": BODY,
        "signature": RIGHT,
        "now": AT,
    }
    assert verify(**given | changes) is right
