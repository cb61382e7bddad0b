"""Mail: what a real SMTP server gets, and what each of its refusals means."""

from __future__ import annotations

import email.policy
import re
from email import message_from_bytes
from email.message import EmailMessage
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from alphapulse_nb.errors import ChannelError, InputError
from alphapulse_nb.notify.channels import Message, Reach, open_channel
from tests.notify.receivers import (
    HASTY,
    NEAR,
    SECRET,
    Mailbox,
    certificate,
    mailbox,
    message,
    speaking,
)

DESK = "to=desk@x.example&from=alerts@x.example"


def send(
    port: int,
    what: Message | None = None,
    *,
    user: str = "",
    scheme: str = "mailto",
    host: str = "127.0.0.1",
    query: str = DESK,
    reach: Reach = NEAR,
) -> None:
    channel = open_channel("mail", f"{scheme}://{user}{host}:{port}?{query}", reach=reach)
    channel.send(what or message())


def failing(port: int, **options: Any) -> ChannelError:
    with pytest.raises(ChannelError) as failed:
        send(port, **options)
    assert SECRET not in str(failed.value)
    return failed.value


def body(mail: EmailMessage) -> str:
    return str(mail.get_content()).replace("\r\n", "\n").rstrip()


def test_a_message_arrives_as_a_plain_mail() -> None:
    with mailbox() as box:
        send(box.port, query=DESK + "&name=Trading%20Desk&reply=ops@x.example&bcc=log@x.example")
        ((recipients, _),) = box.mails
        mail = box.only
    assert recipients == ["desk@x.example", "log@x.example"]
    assert mail["Subject"] == "BTC above 100,000"
    assert mail["To"] == "desk@x.example"
    assert mail["From"] == "Trading Desk <alerts@x.example>"
    assert mail["Reply-To"] == "ops@x.example"
    assert mail["Bcc"] is None
    assert mail["X-AlphaPulse-Key"] == "rule-7/BTC/1"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail.get_content_type() == "text/plain"
    assert body(mail) == "value 100,250\nthreshold 100,000"


def test_marks_are_in_the_subject() -> None:
    with mailbox() as box:
        send(box.port, message(test=True, repeat=True))
        assert box.only["Subject"] == "TEST: BTC above 100,000 (repeated)"


@pytest.mark.parametrize(
    ("title", "subject"),
    [
        ("up\r\nBcc: thief@y.example", "up Bcc: thief@y.example"),
        ("up\nBcc: thief@y.example\n\nbody", "up Bcc: thief@y.example body"),
        ("up\rX-Own: 1", "up X-Own: 1"),
        ("up\u2028Bcc: thief@y.example", "up Bcc: thief@y.example"),
        ("up\x85Bcc: thief@y.example", "up Bcc: thief@y.example"),
        ("a\x00b", "a b"),
        ("\u202eevil\u202c text", "evil text"),
        ('"; Bcc: thief@y.example', '"; Bcc: thief@y.example'),
        ("=?utf-8?q?up=0D=0ABcc:_x?=", "=\u200b?utf-8?q?up=0D=0ABcc:_x?="),
        ("≥ 100.000 € 👩‍💻", "≥ 100.000 € 👩‍💻"),
        ("half \ud800 character", "half ? character"),
        ("y" * 5_000, "y" * 199 + "…"),
        ("wörd " * 1_000, ("wörd " * 40)[:199] + "…"),
    ],
)
def test_a_title_is_one_subject_and_nothing_else(title: str, subject: str) -> None:
    with mailbox() as box:
        send(box.port, message(title=title))
        ((recipients, data),) = box.mails
        mail = box.only
    assert recipients == ["desk@x.example"]
    assert set(mail.keys()) == {
        *("Content-Type", "MIME-Version", "Content-Transfer-Encoding", "X-Application"),
        *("X-AlphaPulse-Key", "Auto-Submitted", "Subject", "From", "To", "Message-ID", "Date"),
    }
    assert [line for line in data.splitlines() if line.lower().startswith(b"bcc")] == []
    assert mail["Subject"] == subject
    assert max(map(len, data.splitlines())) <= 78


@pytest.mark.parametrize(
    "said", ["one\r\n.\r\nQUIT\r\n", ".\n.\n", "a\n.b\nc", "…\ud800\x00", "x" * 9_000]
)
def test_a_body_does_not_end_the_mail(said: str) -> None:
    with mailbox() as box:
        send(box.port, message(body=said))
        assert body(box.only) == message(body=said).text.rstrip()
        assert len(box.mails) == 1


@pytest.fixture(scope="module")
def box() -> Any:
    with mailbox() as found:
        yield found


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.text(), st.text())
def test_whatever_it_says_a_message_is_one_mail_to_its_recipient(
    box: Mailbox, title: str, body: str
) -> None:
    box.mails.clear()
    what = message(title=title, body=body)
    send(box.port, what)
    ((recipients, data),) = box.mails
    mail = message_from_bytes(data, policy=email.policy.default)
    assert recipients == ["desk@x.example"]
    assert mail["To"] == "desk@x.example"
    assert mail.get_all("Bcc") is None
    assert len(mail.get_all("Subject") or []) == 1


@pytest.mark.parametrize(
    ("name", "sender"),
    [
        ("Désk (ops)", '"Désk (ops)" <alerts@x.example>'),
        ("a, b@y.example", '"a, b@y.example" <alerts@x.example>'),
        ('"; Bcc: thief@y.example', None),
        ("a:b;", None),
    ],
)
def test_a_name_in_the_address_is_a_name_or_refused(name: str, sender: str | None) -> None:
    query = f"{DESK}&name={quote(name)}"
    with mailbox() as box:
        if sender is None:
            with pytest.raises(InputError, match="no address for e-mail"):
                send(box.port, query=query)
            return
        send(box.port, query=query)
        ((recipients, _),) = box.mails
        mail = box.only
    assert recipients == ["desk@x.example"]
    assert mail["Bcc"] is None
    assert mail["From"] == sender


def test_every_recipient_gets_a_mail_of_their_own() -> None:
    with mailbox() as box:
        send(box.port, query="to=a@x.example,b@x.example&from=alerts@x.example")
        assert [recipients for recipients, _ in box.mails] == [["a@x.example"], ["b@x.example"]]


@pytest.mark.parametrize(
    ("refusals", "to", "retry", "unknown", "arrived"),
    [
        # Of one mail, whose others get it.
        ({"b@x.example": "550 5.1.1 no such user"}, "a&bcc=b", False, True, 1),
        ({"b@x.example": "450 busy"}, "a&bcc=b", True, True, 1),
        ({"a@x.example": "550 no", "b@x.example": "450 busy"}, "a&bcc=b", True, False, 0),
        ({"a@x.example": "550 5.1.1 no such user"}, "a", False, False, 0),
        ({"a@x.example": "450 4.2.1 mailbox busy"}, "a", True, False, 0),
        ({"a@x.example": "550 5.1.1 no such user"}, "a,b", False, True, 1),
        ({"a@x.example": "450 4.2.1 mailbox busy"}, "a,b", True, True, 1),
        ({"b@x.example": "450 busy"}, "a,b", True, True, 1),
        ({"a@x.example": "550 no", "b@x.example": "450 busy"}, "a,b", True, False, 0),
    ],
)
def test_a_refused_recipient_says_whether_to_try_again(
    refusals: dict[str, str], to: str, retry: bool, unknown: bool, arrived: int
) -> None:
    targets = re.sub(r"\b([ab])\b", r"\1@x.example", to)
    with mailbox(refusals=refusals) as box:
        failed = failing(box.port, query=f"to={targets}&from=alerts@x.example")
        assert (failed.retry, failed.unknown, len(box.mails)) == (retry, unknown, arrived)
    assert f"127.0.0.1:{box.port} answered {'450' if retry else '550'}: " in str(failed)


@pytest.mark.parametrize(
    ("after", "retry"),
    [("451 4.3.0 try later", True), ("552 5.2.2 mailbox full", False), ("554 5.7.1 spam", False)],
)
def test_a_refused_mail_says_whether_to_try_again(after: str, retry: bool) -> None:
    with mailbox(after=after) as box:
        failed = failing(box.port)
    assert (failed.retry, failed.unknown) == (retry, False)
    assert str(failed).endswith(f"answered {after[:3]}: {after[4:]}")


def test_a_login_works_and_a_wrong_one_is_told_without_the_password() -> None:
    with mailbox(password=SECRET) as box:
        send(box.port, user=f"desk:{SECRET}@")
        assert len(box.mails) == 1
        failed = failing(box.port, user=f"desk:WRONG{SECRET}@")
        assert "answered 535: 5.7.8 no user with password …" in str(failed)
        assert not failed.retry
        failed = failing(box.port)
        assert "answered 530" in str(failed)
        assert len(box.mails) == 1


def test_a_mail_goes_through_tls_when_the_address_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted, context = certificate(tmp_path)
    with mailbox(password=SECRET, tls=context) as box:
        options: dict[str, Any] = {
            "scheme": "mailtos",
            "user": f"desk:{SECRET}@",
            "host": "localhost",
            "reach": Reach(local=True, whole=5, resolve=lambda host: ["127.0.0.1"]),
        }
        failed = failing(box.port, **options)
        assert "the certificate of localhost" in str(failed)
        assert not failed.retry
        assert box.mails == []
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        send(box.port, **options)
        assert len(box.mails) == 1


def test_a_password_does_not_go_to_a_server_without_the_tls_that_was_asked_for() -> None:
    with mailbox() as box:
        failed = failing(box.port, scheme="mailtos", user=f"desk:{SECRET}@")
    assert "offers no TLS or no login, as the address demands" in str(failed)
    assert not failed.retry


def test_a_mail_goes_through_tls_from_the_first_byte_when_the_address_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted, context = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
    reach = Reach(local=True, whole=5, resolve=lambda host: ["127.0.0.1"])
    with mailbox(tls=context, at_once=True) as box:
        query = DESK + "&mode=ssl"
        send(box.port, scheme="mailtos", host="localhost", query=query, reach=reach)
        assert len(box.mails) == 1


HELLO = (b"220 here\r\n", b"250 here\r\n", b"250 OK\r\n", b"250 OK\r\n", b"354 go on\r\n")
"""What a server says until the mail itself comes."""


@pytest.mark.parametrize(
    ("lines", "hold", "words", "retry", "unknown"),
    [
        ((b"554 5.7.1 go away\r\n",), False, "answered 554: 5.7.1 go away", False, False),
        ((b"421 4.3.2 later\r\n",), False, "answered 421: 4.3.2 later", True, False),
        ((b"",), False, "ended the session", True, False),
        ((b"",), True, "did not answer in 0.8 s", True, False),
        ((b"SSH-2.0-OpenSSH\r\n",), False, "answered -1", True, False),
        ((b"x" * 100_000,), False, "answered 500: Line too long", False, False),
        (HELLO[:2], False, "ended the session", True, True),
        (HELLO[:2], True, "did not answer in 0.8 s", True, True),
        # It has the whole mail and does not say what becomes of it.
        (HELLO, False, "ended the session", True, True),
        (HELLO, True, "did not answer in 0.8 s", True, True),
    ],
)
def test_a_session_that_breaks_off_says_whether_the_mail_may_have_arrived(
    lines: tuple[bytes, ...], hold: bool, words: str, retry: bool, unknown: bool
) -> None:
    with speaking(*lines, hold=hold) as port:
        failed = failing(port, reach=HASTY)
    assert words in str(failed)
    assert (failed.retry, failed.unknown) == (retry, unknown)


def test_mail_may_go_to_a_server_on_this_machine_and_not_to_the_cloud_s_own() -> None:
    with mailbox() as box:
        send(box.port, reach=Reach(whole=5))
        assert len(box.mails) == 1
    failed = failing(25, host="169.254.169.254", reach=Reach())
    assert "where clouds keep its credentials" in str(failed)
