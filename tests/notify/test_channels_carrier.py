"""Channels through apprise: what a real server gets of each kind, and what its answers mean."""

from __future__ import annotations

import ast
import email.charset
import importlib
import inspect
import json
import subprocess
import sys
import textwrap
import threading
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from alphapulse_nb.errors import ChannelError
from alphapulse_nb.notify.channels import KINDS, Message, Reach, open_channel, read
from alphapulse_nb.notify.channels.doors import DOORS, Requests
from alphapulse_nb.notify.channels.kinds import Kind
from alphapulse_nb.notify.channels.plugins import built
from tests.notify.receivers import (
    HASTY,
    NEAR,
    SECRET,
    Receiver,
    Request,
    Script,
    answer,
    certificate,
    dripping,
    endless,
    mailbox,
    message,
    raw,
    receiving,
    silent,
)

TOKEN = SECRET + "aaaaaaaaaaaaaaaaaaaa"
ODD = 'a_b *c* `d` [e](f) <g> & "h" @everyone <!channel> :smile: \\n 50% {x}'
"""Characters that mean something to one service or another."""


def plugin(kind: str) -> Any:
    """The class of our copy of a plugin."""
    return type(built(KINDS[kind], read(whole_address(kind)).url))


def module(kind: str) -> dict[str, Any]:
    """The names of our copy of a plugin's module."""
    found: dict[str, Any] = plugin(kind).send.__globals__
    return found


def send(address: str, what: Message | None = None, reach: Reach = NEAR) -> None:
    open_channel("chat", address, reach=reach).send(what or message())


def failing(address: str, reach: Reach = NEAR) -> ChannelError:
    with pytest.raises(ChannelError) as failed:
        send(address, reach=reach)
    assert SECRET not in str(failed.value)
    return failed.value


def sent(address: str, what: Message | None = None, *scripts: Script) -> list[Request]:
    """What a server gets of an address in which {} stands for it."""
    with receiving(*scripts) as receiver:
        send(address.format(receiver.place), what)
        return receiver.requests


def test_a_message_arrives_as_json() -> None:
    (request,) = sent(f"json://desk:{SECRET}@{{}}/in?+X-Team=a%20b&:room=desk&-k=v&method=put")
    assert (request.method, request.target) == ("PUT", "/in?k=v")
    assert request.headers["idempotency-key"] == "rule-7/BTC/1"
    assert request.headers["x-team"] == "a b"
    assert request.headers["authorization"].startswith("Basic ")
    assert request.json == {
        "version": "1.0",
        "title": "BTC above 100,000",
        "message": "value 100,250\nthreshold 100,000",
        "attachments": [],
        "type": "info",
        "room": "desk",
    }


def test_a_user_without_a_password_is_one() -> None:
    (request,) = sent("json://desk@{}/in")
    assert request.headers["authorization"] == "Basic ZGVzazo="


def test_a_key_of_an_address_s_own_is_kept() -> None:
    (request,) = sent("json://{}/?+Idempotency-Key=mine")
    assert request.headers["idempotency-key"] == "mine"


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        *[("info", "info"), ("success", "success"), ("warning", "warning"), ("error", "failure")],
        *[("prediction", "info"), ("signal", "info"), ("backtest", "info"), ("system", "info")],
    ],
)
def test_a_type_becomes_one_that_apprise_knows(ours: str, theirs: str) -> None:
    (request,) = sent("json://{}/", message(type=ours))
    assert request.json["type"] == theirs


def test_a_message_arrives_as_xml_and_as_a_form() -> None:
    (request,) = sent("xml://{}/in", message(title="a < b & c", body="</Message>"))
    assert b"<Subject>a &lt; b &amp; c</Subject>" in request.body
    assert b"<Message>&lt;/Message&gt;</Message>" in request.body
    (request,) = sent("form://{}/in", message(title="a=b&c"))
    assert b"title=a%3Db%26c&message=value" in request.body


def test_marks_are_in_the_title_of_every_kind() -> None:
    (request,) = sent("json://{}/", message(test=True, repeat=True))
    assert request.json["title"] == "TEST: BTC above 100,000 (repeated)"


WHOAMI = answer(200, b'{"user_id":"@desk:example.com"}')
JOINED = answer(200, b'{"room_id":"!r:example.com","event_id":"$1"}')

# Kinds with servers of one's own: an address, where the message goes, and what else is asked.
OWN: list[tuple[str, str, list[Script]]] = [
    ("ntfy://{}/topic", "/", [answer(200, b"{}")]),
    (f"gotify://{{}}/{SECRET}", "/message", [answer(200, b"{}")]),
    (f"mmost://{{}}/{SECRET}?to=town", f"/hooks/{SECRET}", [answer(200, b"ok")]),
    (
        f"rocket://{SECRET}/{SECRET}@{{}}/#ops",
        f"/hooks/{SECRET}/{SECRET}",
        [answer(200, b"{}")],
    ),
    ("signal://{}/15555555555/15555555556", "/v2/send", [answer(201, b"{}")]),
    (
        f"matrix://{SECRET}@{{}}/!r:example.com",
        "/_matrix/client/v3/rooms/%21r%3Aexample.com/send/m.room.message/",
        [WHOAMI, JOINED],
    ),
]


@pytest.mark.parametrize(("address", "target", "scripts"), OWN, ids=[one[0][:6] for one in OWN])
def test_a_message_arrives_at_a_server_of_ones_own(
    address: str, target: str, scripts: list[Script]
) -> None:
    request = sent(address, message(body="value ≥ 100,250 €"), *scripts)[-1]
    assert request.target.split("?")[0].startswith(target)
    assert request.headers["user-agent"] == "AlphaPulse"
    said = json.dumps(request.json, ensure_ascii=False)
    assert "BTC above 100,000" in said
    assert "100,250 €" in said


@pytest.fixture
def services(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A server that stands for the public ones; their plugins go to it."""
    with receiving(answer(200, b"ok")) as receiver:
        here = f"http://{receiver.place}"
        monkeypatch.setattr(plugin("slack"), "webhook_url", f"{here}/slack")
        monkeypatch.setattr(plugin("slack"), "api_url", f"{here}/api/{{}}")
        monkeypatch.setattr(plugin("telegram"), "notify_url", f"{here}/bot")
        monkeypatch.setattr(plugin("discord"), "notify_url", f"{here}/discord")
        monkeypatch.setattr(plugin("pushover"), "notify_url", f"{here}/pushover")
        monkeypatch.setitem(module("pagerduty")["PAGERDUTY_API_LOOKUP"], "us", f"{here}/pager")
        monkeypatch.setitem(module("opsgenie")["OPSGENIE_API_LOOKUP"], "us", f"{here}/genie")
        yield receiver


SLACK = f"slack://T12345678/B12345678/{SECRET}/#alerts"
DISCORD = f"discord://4174216298/{SECRET}"
TELEGRAM = f"tgram://123456789:{TOKEN}/12345"


@pytest.mark.parametrize(
    ("address", "target", "taken"),
    [
        (SLACK, f"/slack/T12345678/B12345678/{SECRET}", b"ok"),
        (f"slack://xoxb-1234-1234-{SECRET}/#alerts", "/api/chat.postMessage", b'{"ok":true}'),
        (TELEGRAM, f"/bot123456789:{TOKEN}/sendMessage", b'{"ok":true}'),
        (DISCORD, f"/discord/4174216298/{SECRET}", b""),
        (f"pover://{TOKEN[:30]}@{TOKEN[:30]}", "/pushover", b"{}"),
        (f"pagerduty://{TOKEN}@{SECRET}", "/pager", b"{}"),
        (f"opsgenie://{SECRET}-aaaa", "/genie", b'{"requestId":"1"}'),
    ],
)
@pytest.mark.parametrize("kind", ["info", "success", "warning", "error", "prediction"])
def test_a_message_of_any_type_arrives_at_a_public_service(
    services: Receiver, address: str, target: str, taken: bytes, kind: str
) -> None:
    services.scripts[:] = [answer(200, taken)]
    send(address, message(type=kind))
    (request,) = services.requests
    assert request.target.split("?")[0] == target
    assert b"BTC above 100,000" in request.body.replace(b"+", b" ").replace(b"%2C", b",")


def test_a_message_goes_through_tls_to_a_server_with_a_right_certificate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted, context = certificate(tmp_path)
    with receiving(answer(200), tls=context) as receiver:
        address = f"workflows://localhost:{receiver.port}/{SECRET}/{TOKEN}"
        failed = failing(address)
        assert "the certificate of localhost:" in str(failed)
        assert (failed.retry, receiver.requests) == (False, [])
        monkeypatch.setenv("SSL_CERT_FILE", str(trusted))
        send(address)
        (request,) = receiver.requests
    assert request.target.startswith(f"/workflows/{SECRET}/triggers/manual/paths/invoke?")
    assert "BTC above 100,000" in request.body.decode()


@pytest.mark.parametrize(
    ("address", "said"),
    [
        (
            DISCORD,
            'a\\_b \\*c\\* \\`d\\` \\[e\\]\\(f\\) <g\\> & "h" @\u200beveryone <!channel\\> '
            "\\:smile: \\\\n 50% {x}",
        ),
        (
            SLACK,
            'a_b *c* `d` [e](f) &lt;g&gt; &amp; "h" @everyone &lt;!channel&gt; :smile: \\n 50% {x}',
        ),
        (
            TELEGRAM,
            'a_b *c* `d` [e](f) &lt;g&gt; &amp; "h" @everyone &lt;!channel&gt; :smile: \\n 50% {x}',
        ),
    ],
)
def test_values_mean_nothing_to_a_chat_service(services: Receiver, address: str, said: str) -> None:
    send(address, message(body=ODD))
    payload = json.dumps(services.requests[0].json, ensure_ascii=False)
    assert [text for text in _texts(json.loads(payload)) if said in text], payload


def test_values_mean_nothing_to_a_chat_server_of_ones_own() -> None:
    (request,) = sent(f"mmost://{{}}/{SECRET}", message(title="@all *x*", body=ODD))
    assert request.json["text"].startswith("@\u200ball \\*x\\*\r\na\\_b \\*c\\* \\`d\\`")
    what = message(title="*y*", body="@all *x* a@b.example")
    (request,) = sent(f"rocket://{SECRET}/{SECRET}@{{}}/#ops", what)
    assert request.json["text"].startswith("# \\*y\\*\n@\u200ball \\*x\\* a@\u200bb")


def _texts(part: Any) -> list[str]:
    if isinstance(part, str):
        return [part]
    parts = part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return [text for one in parts for text in _texts(one)]


@pytest.mark.parametrize(
    ("address", "most"), [(f"rocket://{SECRET}/{SECRET}@{{}}/#ops", 1_000), ("ntfy://{}/t", 7_800)]
)
def test_a_long_message_is_one_that_the_service_takes(address: str, most: int) -> None:
    (request,) = sent(address, message(body="word " * 5_000), answer(200, b"{}"))
    assert max(map(len, _texts(request.json))) <= most


@pytest.mark.parametrize("char", ["*", "x", ":a", "@"])
def test_a_long_message_is_one_to_discord(services: Receiver, char: str) -> None:
    send(DISCORD, message(title=":a" * 5_000, body=f"{char}" * 5_000))
    (request,) = services.requests
    assert len(request.json["content"]) <= 2_000


@pytest.mark.parametrize(
    ("status", "headers", "retry", "after", "unknown"),
    [
        (301, {"Location": "/elsewhere"}, False, None, False),
        (302, {"Location": "http://169.254.169.254/"}, False, None, False),
        (308, {"Location": "/elsewhere"}, False, None, False),
        (400, {}, False, None, False),
        (401, {}, False, None, False),
        (404, {}, False, None, False),
        (429, {}, True, None, False),
        (429, {"Retry_After": "7"}, True, 7, False),
        (500, {}, True, None, True),
        (503, {"Retry_After": "7200"}, True, 3_600, True),
    ],
)
@pytest.mark.parametrize(
    "address", [f"json://{{}}/{SECRET}", f"ntfy://{{}}/{SECRET}", f"gotify://{{}}/{SECRET}"]
)
def test_a_status_says_whether_to_try_again(
    address: str,
    status: int,
    headers: dict[str, str],
    retry: bool,
    after: float | None,
    unknown: bool,
) -> None:
    with receiving(answer(status, f"not {SECRET}".encode(), **headers)) as receiver:
        failed = failing(address.format(receiver.place))
        assert len(receiver.requests) == 1
    assert f"{receiver.place} answered {status}" in str(failed)
    assert (failed.retry, failed.after, failed.unknown) == (retry, after, unknown)


@pytest.mark.parametrize(
    ("script", "words"),
    [
        (silent, "did not answer in 0.4 s"),
        (dripping, "did not answer in 0.4 s"),
        (raw(b""), "the connection ended"),
        (raw(b"SSH-2.0-OpenSSH\r\n"), "did not answer as HTTP demands"),
    ],
)
def test_an_answer_that_does_not_come_may_have_been_none(script: Script, words: str) -> None:
    with receiving(script) as receiver:
        failed = failing(f"json://{receiver.place}/", HASTY)
        assert len(receiver.requests) == 1
    assert words in str(failed)
    assert (failed.retry, failed.unknown) == (True, True)


def test_an_endless_answer_is_an_answer() -> None:
    with receiving(endless) as receiver:
        send(f"json://{receiver.place}/", reach=HASTY)
        assert len(receiver.requests) == 1


def test_nobody_there_may_pass() -> None:
    with receiving() as receiver:
        pass
    failed = failing(f"json://{receiver.place}/")
    assert "refuses connections" in str(failed)
    assert (failed.retry, failed.unknown) == (True, False)


def test_a_service_that_takes_the_request_and_not_the_message_says_why(services: Receiver) -> None:
    services.scripts[:] = [answer(200, b'{"ok":false,"error":"channel_not_found"}')]
    failed = failing(f"slack://xoxb-1234-1234-{SECRET}/#alerts")
    assert str(failed).endswith(
        'did not take the message: {"ok":false,"error":"channel_not_found"}'
    )
    assert not failed.retry


def test_of_several_targets_the_one_that_may_pass_counts(services: Receiver) -> None:
    services.scripts[:] = [answer(200, b"ok"), answer(429), answer(404, b"no channel")]
    failed = failing(f"slack://T12345678/B12345678/{SECRET}/#a/#b/#c")
    assert len(services.requests) == 3
    assert "answered 429" in str(failed)
    assert (failed.retry, failed.unknown) == (True, True)


def test_nothing_waits_for_a_rate_limit(
    services: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    naps: list[float] = []
    monkeypatch.setattr("time.sleep", naps.append)
    limits = {"X_RateLimit_Remaining": "0", "X_RateLimit_Reset": "99999999999", "Retry_After": "9"}
    services.scripts[:] = [answer(429, **limits)]
    failed = failing(DISCORD)
    assert (failed.retry, failed.after) == (True, 9)
    services.scripts[:] = [answer(200)]
    send(DISCORD)
    send(DISCORD)
    sent("signal://{}/15555555555/15555555556/15555555557", None, answer(201, b"{}"))
    assert naps == []


@pytest.mark.parametrize("kind", [name for name in KINDS if name != "email"])
def test_no_kind_reaches_the_server_itself_or_the_cloud_s_own_networks(kind: str) -> None:
    for address, words in (("127.0.0.1", "server itself"), ("169.254.169.254", "credentials")):
        reach = Reach(local=address != "127.0.0.1", resolve=lambda host, at=address: [at])
        failed = failing(whole_address(kind), reach)
        assert words in str(failed)
        assert (failed.retry, failed.unknown) == (False, False)


def whole_address(kind: str) -> str:
    """A whole address of each kind, with secrets."""
    return {
        "email": f"mailtos://desk:{SECRET}@smtp.example.com?to=desk@x.example",
        "slack": SLACK,
        "telegram": TELEGRAM,
        "discord": DISCORD,
        "teams": f"workflows://host.logic.azure.com/{SECRET}/{TOKEN}",
        "ntfy": f"ntfys://desk:{SECRET}@ntfy.example.com/topic",
        "pushover": f"pover://{TOKEN[:30]}@{TOKEN[:30]}",
        "pagerduty": f"pagerduty://{TOKEN}@{SECRET}",
        "opsgenie": f"opsgenie://{SECRET}-aaaa",
        "matrix": f"matrixs://{SECRET}@matrix.example.com/!room:example.com",
        "mattermost": f"mmosts://chat.example.com/{SECRET}",
        "rocketchat": f"rockets://{SECRET}/{SECRET}@chat.example.com/#ops",
        "gotify": f"gotifys://push.example.com/{SECRET}",
        "signal": f"signals://u:{SECRET}@signal.example.com/15555555555/15555555556",
        "json": f"jsons://x.example/{SECRET}",
        "xml": f"xmls://x.example/{SECRET}",
        "form": f"forms://x.example/{SECRET}",
    }[kind]


@pytest.mark.parametrize(
    ("address", "secret"),
    [("json://{}/", ""), ("webhook+http://{}/", SECRET)],
    ids=["json", "ours"],
)
def test_programs_on_the_server_are_reached_only_when_that_is_allowed(
    address: str, secret: str
) -> None:
    with receiving() as receiver:
        where = address.format(receiver.place)
        with pytest.raises(ChannelError, match="the server itself"):
            open_channel("here", where, secret).send(message())
        assert receiver.requests == []
        open_channel("here", where, secret, allow_local=True).send(message())
        assert len(receiver.requests) == 1


def test_a_name_is_resolved_once_for_each_request() -> None:
    asked_for: list[str] = []

    def resolve(host: str) -> list[str]:
        asked_for.append(host)
        return ["127.0.0.1"] if len(asked_for) == 1 else ["169.254.169.254"]

    with receiving() as receiver:
        address = f"json://moving.example:{receiver.port}/"
        send(address, reach=Reach(local=True, resolve=resolve))
        assert len(receiver.requests) == 1
    assert asked_for == ["moving.example"]


def test_a_plugin_that_breaks_is_said_without_its_words(monkeypatch: pytest.MonkeyPatch) -> None:
    def send_(*_: object, **__: object) -> bool:
        raise RuntimeError(SECRET)

    monkeypatch.setattr(plugin("json"), "send", send_)
    failed = failing(f"json://x.example/{SECRET}")
    assert str(failed) == "the plugin for JSON failed with RuntimeError"
    assert (failed.retry, failed.unknown) == (True, True)


def test_messages_of_several_threads_do_not_meet() -> None:
    outcomes: dict[str, bool] = {}

    def one(name: str, place: str) -> None:
        try:
            send(f"json://{place}/{name}", message(title=name))
        except ChannelError as error:
            outcomes[name] = place in str(error)
        else:
            outcomes[name] = True

    with receiving(answer(200)) as good, receiving(answer(500)) as bad:
        places = {f"t{number}": (good, bad)[number % 2].place for number in range(12)}
        threads = [threading.Thread(target=one, args=entry) for entry in places.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert outcomes == dict.fromkeys(places, True)
        for request in good.requests + bad.requests:
            assert request.json["title"] == request.target[1:]


def test_a_session_that_a_message_opens_ends_with_it() -> None:
    login = answer(200, b'{"access_token":"t0ken","user_id":"@desk:example.com"}')
    scripts = [login, WHOAMI, JOINED, answer(200, b"{}")]
    requests = sent(f"matrix://desk:{SECRET}@{{}}/!r:example.com", None, *scripts)
    assert requests[0].target.endswith("/login")
    assert requests[0].json["password"] == SECRET
    assert requests[-1].target.endswith("/logout")
    assert [request.headers.get("authorization") for request in requests][1:] == [
        "Bearer t0ken"
    ] * (len(requests) - 1)


def test_what_fails_after_the_message_is_not_the_reason_that_is_given() -> None:
    login = answer(200, b'{"access_token":"t0ken","user_id":"@desk:example.com"}')
    scripts = [login, JOINED, answer(403, b'{"errcode":"M_FORBIDDEN"}'), answer(500, b"{}")]
    with receiving(*scripts) as receiver:
        failed = failing(f"matrix://desk:{SECRET}@{receiver.place}/!r:example.com")
        assert receiver.requests[-1].target.endswith("/logout")
    assert "answered 403" in str(failed)
    assert not failed.retry


def test_a_refused_login_is_the_reason_that_is_given() -> None:
    with receiving(answer(403, b'{"errcode":"M_FORBIDDEN"}')) as receiver:
        failed = failing(f"rocket://desk:{SECRET}@{receiver.place}/#ops")
    assert str(failed).endswith('answered 403 Forbidden: {"errcode":"M_FORBIDDEN"}')
    assert (failed.retry, failed.unknown) == (False, False)


def test_a_plugin_speaks_to_nobody_while_no_message_is_sent() -> None:
    with receiving() as receiver:
        found = built(KINDS["json"], f"json://{receiver.place}/")
        assert not found.notify(body="x")
        assert receiver.requests == []


def test_apprise_itself_stays_as_it_was() -> None:
    for kind in KINDS.values():
        assert isinstance(module(kind.name).get("requests"), Requests | None)
        name = kind.plugin.partition(":")[0]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            shared = importlib.import_module(f"apprise.plugins.{name}")
        requests = getattr(shared, "requests", None)
        assert requests is None or isinstance(requests, ModuleType)
    shortest, base64 = email.charset.SHORTEST, email.charset.BASE64
    assert email.charset.CHARSETS["utf-8"] == (shortest, base64, "utf-8")


# Modules that a plugin's module may have among its names: none of them reaches the network.
HARMLESS = {
    *("re", "os", "_os", "json", "base64", "contextlib", "gzip", "hashlib", "io", "logging"),
    *("threading", "uuid", "exception", "templates", "sas", "_pgp", "_wkd"),
    "smtplib",  # for its errors
}


@pytest.mark.parametrize("kind", KINDS.values(), ids=list(KINDS))
def test_a_plugin_has_no_way_to_the_network_but_our_doors(kind: Kind) -> None:
    names = module(kind.name)
    modules = {name for name, value in names.items() if isinstance(value, ModuleType)}
    assert modules <= HARMLESS
    doors = set(DOORS) & set(names)
    assert doors - {"logger"}
    assert not any(isinstance(names[door], ModuleType) for door in doors)
    tree = ast.parse(inspect.getsource(importlib.import_module(names["__name__"])))
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "requests"
    }
    have = set(dir(Requests(importlib.import_module("requests"))))
    assert used <= have
    sent_by = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "smtplib"
    }
    assert sent_by <= {"SMTPException"}


PROGRAM = """
    import os, sys
    seen = []
    def hook(event, arguments):
        if event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR):
            seen.append((event, arguments[0]))
        if event.startswith(("subprocess.", "os.system", "os.exec", "os.posix_spawn", "os.fork")):
            seen.append((event, "a program"))
        if event.startswith(("os.mkdir", "tempfile.", "os.rename", "os.remove", "os.link")):
            seen.append((event, arguments[0]))
    sys.addaudithook(hook)
    from alphapulse_nb.errors import ChannelError
    from alphapulse_nb.notify.channels import Reach, open_channel
    from tests.notify.receivers import message
    reach = Reach(local=True, resolve=lambda host: ["127.0.0.1"], connect=2)
    for address in sys.argv[1:]:
        try:
            open_channel("x", address, reach=reach).send(message())
        except ChannelError:
            pass
    print(seen)
"""


def test_nothing_is_written_and_no_program_is_run(tmp_path: Path) -> None:
    with receiving(answer(200, b"{}")) as receiver, mailbox() as box:
        own = [address.format(receiver.place) for address, _, _ in OWN]
        others = [whole_address(kind) for kind in KINDS if kind != "email"]
        mail = f"mailto://127.0.0.1:{box.port}?to=a@x.example&from=b@x.example"
        done = subprocess.run(
            [sys.executable, "-B", "-c", textwrap.dedent(PROGRAM), *own, *others, mail],
            capture_output=True,
            text=True,
            check=True,
            cwd=Path(__file__).parents[2],
            env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin", "TMPDIR": str(tmp_path)},
        )
        assert len(receiver.requests) >= len(own)
        assert len(box.mails) == 1
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
    assert list(tmp_path.iterdir()) == []
