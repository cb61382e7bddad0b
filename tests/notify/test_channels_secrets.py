"""No secret leaves by another door: in an error, a traceback, a repr, a log or on the screen."""

from __future__ import annotations

import json
import logging
import traceback
from contextlib import ExitStack

import pytest

from alphapulse_nb.errors import ChannelError
from alphapulse_nb.notify.channels import KINDS, Reach, open_channel, read
from alphapulse_nb.notify.channels.channel import Channel
from tests.notify.receivers import (
    HASTY,
    SECRET,
    Script,
    answer,
    mailbox,
    message,
    raw,
    receiving,
    silent,
    speaking,
)
from tests.notify.test_channels_carrier import whole_address

ECHO = json.dumps({"error": f"no {SECRET}", "path": f"/x/{SECRET}"}).encode()
SCRIPTS: dict[str, Script] = {
    "takes it": answer(200, b"ok"),
    "takes it and says so": answer(200, ECHO),
    "refuses it": answer(403, ECHO),
    "leads elsewhere": answer(302, ECHO, Location=f"http://x.example/{SECRET}"),
    "is over its limit": answer(429, ECHO, Retry_After=SECRET),
    "fails": answer(500, ECHO),
    "fails with a page": answer(502, b"<html>" + ECHO),
    "hangs": silent,
    "closes": raw(b""),
    "speaks another language": raw(b"500 " + ECHO + b"\r\n"),
    "has bad headers": raw(b"HTTP/1.1 200 OK\r\n" + ECHO + b"\r\n: x\r\n\r\n"),
}
OWN = {
    "json": f"json://desk:{SECRET}@{{}}/p/{SECRET}?+X-Key={SECRET}&-k={SECRET}&:x={SECRET}",
    "xml": f"xml://desk:{SECRET}@{{}}/p/{SECRET}?+X-Key={SECRET}&-k={SECRET}",
    "form": f"form://desk:{SECRET}@{{}}/p/{SECRET}?+X-Key={SECRET}&-k={SECRET}",
    "ntfy": f"ntfy://desk:{SECRET}@{{}}/{SECRET}",
    "gotify": f"gotify://{{}}/{SECRET}",
    "mattermost": f"mmost://{{}}/{SECRET}",
    "rocketchat": f"rocket://{SECRET}/{SECRET}@{{}}/#ops",
    "rocketchat, a login": f"rocket://desk:{SECRET}@{{}}/#ops",
    "matrix": f"matrix://{SECRET}@{{}}/!room:example.com",
    "matrix, a login": f"matrix://desk:{SECRET}@{{}}/!room:example.com",
    "signal": f"signal://desk:{SECRET}@{{}}/15555555555/15555555556",
    "webhook": f"webhook+http://{{}}/{SECRET}?k={SECRET}",
}


@pytest.fixture(autouse=True)
def _everything_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    """All loggers that there are say all that they can."""
    caplog.set_level(1)
    for name in list(logging.Logger.manager.loggerDict):
        caplog.set_level(1, logger=name)


def opened(address: str, reach: Reach = HASTY) -> Channel:
    secret = SECRET if address.startswith("webhook") else ""
    return open_channel("chat", address, secret, reach=reach)


def shown(channel: Channel) -> str:
    """All that there is to see of a channel and of what it raises."""
    seen = [repr(channel), str(channel), f"{channel}"]
    error = failure(channel)
    if error is not None:
        seen += [str(error), repr(error), repr(vars(error)), repr(error.args)]
        seen += traceback.format_exception(error)
        assert error.__cause__ is None
        assert error.__suppress_context__ or error.__context__ is None
    return "\n".join(seen)


def failure(channel: Channel) -> ChannelError | None:
    try:
        channel.send(message())
    except ChannelError as error:
        return error
    return None


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=list(SCRIPTS))
@pytest.mark.parametrize("address", OWN.values(), ids=list(OWN))
def test_no_answer_of_a_server_brings_a_secret_out(
    address: str,
    script: Script,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    with receiving(script) as receiver:
        seen = shown(opened(address.format(receiver.place)))
        assert receiver.requests
    printed = capfd.readouterr()
    assert SECRET not in seen
    assert SECRET not in caplog.text
    assert (printed.out, printed.err) == ("", "")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("at", ["127.0.0.1", "169.254.169.254", ""])
def test_no_failure_to_connect_brings_a_secret_out(
    kind: str, at: str, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    def resolve(host: str) -> list[str]:
        if not at:
            raise OSError(-2, "Name or service not known")
        return [at]

    reach = Reach(local=True, connect=0.3, whole=0.5, resolve=resolve)
    seen = shown(opened(whole_address(kind), reach))
    printed = capfd.readouterr()
    assert SECRET not in seen
    assert "ChannelError" in seen
    assert SECRET not in caplog.text
    assert (printed.out, printed.err) == ("", "")


@pytest.mark.parametrize(
    "lines",
    [
        (f"554 go away {SECRET}\r\n".encode(),),
        (b"220 hi\r\n", b"250-hi\r\n250 AUTH PLAIN\r\n", f"535 not {SECRET}\r\n".encode()),
        (b"220 hi\r\n", b"250-hi\r\n250 AUTH PLAIN\r\n", b"421 bye\r\n"),
        (b"220 hi\r\n", b"250-hi\r\n250 AUTH SECRET\r\n"),
    ],
)
def test_no_word_of_a_mail_server_brings_a_secret_out(
    lines: tuple[bytes, ...], caplog: pytest.LogCaptureFixture
) -> None:
    with ExitStack() as stack:
        port = stack.enter_context(speaking(*lines))
        seen = shown(
            opened(f"mailto://desk:{SECRET}@127.0.0.1:{port}?to=a@x.example&from=b@x.example")
        )
    assert "ChannelError" in seen
    assert SECRET not in seen
    assert SECRET not in caplog.text


def test_a_delivered_mail_brings_no_secret_out(caplog: pytest.LogCaptureFixture) -> None:
    with mailbox(password=SECRET) as box:
        address = f"mailto://desk:{SECRET}@127.0.0.1:{box.port}?to=a@x.example&from=b@x.example"
        seen = shown(opened(address, Reach(whole=5)))
        assert len(box.mails) == 1
    assert SECRET not in seen
    assert SECRET not in "".join(
        record.getMessage() for record in caplog.records if not record.name.startswith("mail.")
    )


def test_the_log_of_apprise_is_where_secrets_would_be(caplog: pytest.LogCaptureFixture) -> None:
    read(f"json://x.example/{SECRET}")
    logging.getLogger("apprise").critical("POST URL: %s", SECRET)
    logging.getLogger("apprise").debug("POST URL: %s", SECRET)
    assert SECRET not in caplog.text
