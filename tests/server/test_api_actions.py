"""What is done by way of the API: by whom, with which proof, with whatever body."""

from __future__ import annotations

import contextlib
import gzip
import http.client
import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest
import sqlalchemy as sa
from tornado.web import create_signed_value

from alphapulse_nb.actions import Means
from alphapulse_nb.db.connection import connect
from alphapulse_nb.events import Kinds
from alphapulse_nb.notify import exchange
from alphapulse_nb.people import Role
from alphapulse_nb.server import cookies
from alphapulse_nb.server.access import Rules
from alphapulse_nb.server.api import ENDPOINTS
from alphapulse_nb.server.api.actions import ActionHandler
from alphapulse_nb.server.api.endpoint import Endpoint
from alphapulse_nb.server.api.means import Room
from alphapulse_nb.state.notification_tables import inbox
from tests.api import KEY, Answered, Api, running
from tests.conftest import Desk, Served, serve, wait_until
from tests.notify.house import AWAKE, House, one
from tests.notify.receivers import SECRET, receiving, silent
from tests.server.conftest import made
from tests.visitor import Visitor

TOKEN = "correct-horse-battery"
XSRF = "0123456789abcdef0123456789abcdef"
JSON = "application/json"
ACTIONS = [endpoint for endpoint in ENDPOINTS if endpoint.handler is ActionHandler]
CHANGING = [endpoint for endpoint in ACTIONS if endpoint.method != "GET"]
READ = "/api/notifications/read"
IMPORT = "/api/notifications/import"


@dataclass(frozen=True)
class Crew:
    """An API whose database knows a person of each role."""

    api: Api
    house: House

    def headers(self, name: str) -> dict[str, str]:
        """What the browser sends of who is signed in, on a page of ours."""
        if name == "stranger":
            return {}
        if name == "shared":
            return {"Authorization": f"Bearer {TOKEN}"}
        return {"Cookie": self.cookie(name), "X_XSRFToken": XSRF, "Origin": self.origin}

    def cookie(self, name: str) -> str:
        user = self.house.users.known(name)
        session = {
            "name": name,
            "way": "user",
            "stamp": cookies.stamp(KEY, f"{name} {user.version}"),
        }
        cookie = f"alphapulse-{self.api.port}-session"
        signed = create_signed_value(KEY, cookie, json.dumps(session)).decode()
        return f"{cookie}={signed}; _xsrf={XSRF}"

    @property
    def origin(self) -> str:
        return self.api.url.rstrip("/")

    def ask(self, name: str, method: str, path: str, said: object = None) -> Answered:
        return self.api.say(method, path, said, **self.headers(name))


@pytest.fixture(scope="module")
def crew(desk: Desk) -> Iterator[Crew]:
    url = sa.make_url(desk.server.url).set(database="crew").render_as_string(False)
    with made(desk, "crew") as state, connect(url) as db:
        house = House(state)
        for name, role in (("ann", "viewer"), ("bob", "viewer"), ("olga", "operator")):
            house.users.add(name, "s3cret-pass", Role(role))
            house.inbox.prefer(name, AWAKE)
        house.users.add("ada", "s3cret-pass", Role.ADMIN)
        means = Means(db, state, lambda: desk.now, lambda: Kinds({}), local=True)
        rules = Rules(key=KEY, token=TOKEN, origins=("https://desk.example",))
        more: Any = {"actions": means, "origins": rules.origins, "patience": 1.5}
        with running(db, desk.now, rules=rules, **more) as api:
            yield Crew(api, house)


def path(endpoint: Endpoint) -> str:
    return endpoint.path.format(name="nothing", id=1)


ROLES = ("stranger", "shared", "ann", "olga", "ada")
VIEWERS = {
    *("notifications", "inbox", "read", "remove", "restore", "show", "export", "import"),
    *("preferences", "prefer", "snoozes", "snooze", "wake", "alerts", "rules", "vocabulary"),
}
OPERATORS = {
    *("acknowledge", "check", "save", "drop", "channels", "connect", "disconnect"),
    *("try_channel", "deliveries", "resend"),
}


def test_every_action_has_its_place_in_the_table_of_roles() -> None:
    assert {endpoint.name for endpoint in ACTIONS} == VIEWERS | OPERATORS


@pytest.mark.parametrize("endpoint", ACTIONS, ids=lambda endpoint: endpoint.name)
def test_who_may_do_what(crew: Crew, endpoint: Endpoint) -> None:
    said: object = {} if endpoint.body else None
    answers = [crew.ask(who, endpoint.method, path(endpoint), said) for who in ROLES]
    told = ["no" if found.status in {401, 403} else "yes" for found in answers]
    may = "yes" if endpoint.name in VIEWERS else "no"
    assert told == ["no", may, may, "yes", "yes"]
    assert answers[0].error["code"] == "not_signed_in"
    for refused in [found for found in answers if found.status == 403]:
        assert refused.error["message"] == "This takes the role operator."
    for answered in answers:
        crew.api.conforms(answered, endpoint.path, endpoint.method.lower())


def test_where_nobody_is_asked_everybody_is_a_viewer(crew: Crew, desk: Desk) -> None:
    more: Any = {"rules": Rules(key=KEY, no_auth=True), "actions": crew.api.shared.actions}
    with running(crew.api.shared.db, desk.now, **more) as api:
        for endpoint in ACTIONS:
            said: object = {} if endpoint.body else None
            answered = api.say(endpoint.method, path(endpoint), said)
            assert (answered.status == 403) is (endpoint.name in OPERATORS), endpoint.name
        summary = api.get("/api/notifications/summary").json
        assert (summary["person"], summary["shared"], summary["role"]) == ("anyone", True, "viewer")


def test_a_server_without_alerts_has_none_of_this(crew: Crew, desk: Desk) -> None:
    with running(crew.api.shared.db, desk.now, rules=Rules(key=KEY, no_auth=True)) as api:
        assert api.get("/api/alerts").error["code"] == "not_found"


def test_each_does_what_they_do_for_themselves(crew: Crew) -> None:
    ids = [new.id for new in crew.house.tell(one("his"), one("hers"))]
    undo = crew.ask("ann", "POST", "/api/notifications/remove", {"ids": ids}).json["undo"]
    assert crew.ask("bob", "POST", "/api/notifications/restore", {"undo": undo}).json == {
        "changed": 0
    }
    assert crew.ask("bob", "POST", READ, {"ids": ids}).json == {"changed": 2}
    listed = crew.ask("bob", "GET", "/api/notifications").json["notifications"]
    assert [entry["read_at"] is not None for entry in listed if entry["id"] in ids] == [True] * 2
    assert "hers" not in crew.ask("ann", "GET", "/api/notifications/export").json["file"]
    snooze = {"labels": {"symbol": "X"}, "alert": "alert z"}
    crew.house.open_alert("alert z")
    number = crew.ask("ann", "POST", "/api/snoozes", snooze).json["id"]
    refused = crew.ask("bob", "DELETE", f"/api/snoozes/{number}")
    assert (refused.status, refused.error["code"]) == (404, "unknown_name")
    assert crew.ask("bob", "GET", "/api/snoozes").json == {"snoozes": []}
    assert crew.ask("ann", "DELETE", f"/api/snoozes/{number}").json == {}
    assert crew.ask("ann", "POST", "/api/notifications/restore", {"undo": undo}).json == {
        "changed": 2
    }


# What a request carries, and whether it is taken: a session in a cookie proves nothing by itself.
FORGED: list[tuple[str, dict[str, str | None], int]] = [
    ("all that a page of ours sends", {}, 200),
    ("no header", {"X_XSRFToken": None}, 403),
    ("an empty header", {"X_XSRFToken": ""}, 403),
    ("a header that is not the cookie", {"X_XSRFToken": "f" * 32}, 403),
    ("no header and no origin", {"X_XSRFToken": None, "Origin": None}, 403),
    ("the header and no origin", {"Origin": None}, 200),
    ("another site", {"Origin": "https://evil.example"}, 403),
    ("a listed site", {"Origin": "https://desk.example"}, 403),
    ("no site at all", {"Origin": "null"}, 403),
    ("another port of this machine", {"Origin": "http://127.0.0.1:1"}, 403),
    ("a password for the proxy", {"X_XSRFToken": None, "Authorization": "Basic YTpi"}, 403),
    ("a form", {"Content_Type": "application/x-www-form-urlencoded"}, 400),
    ("a form with files", {"Content_Type": "multipart/form-data; boundary=x"}, 400),
    ("plain text", {"Content_Type": "text/plain"}, 400),
    ("plain text that pretends", {"Content_Type": "text/plain; application/json"}, 400),
    ("two kinds", {"Content_Type": "text/plain, application/json"}, 400),
    ("nothing of its kind", {"Content_Type": ""}, 400),
    ("a charset", {"Content_Type": "Application/JSON; charset=utf-8"}, 200),
]


@pytest.mark.parametrize(
    ("changed", "status"), [row[1:] for row in FORGED], ids=[r[0] for r in FORGED]
)
def test_a_session_alone_changes_nothing(
    crew: Crew, changed: dict[str, str | None], status: int
) -> None:
    wanted = crew.headers("ann") | {"Content_Type": JSON} | changed
    headers = {name: value for name, value in wanted.items() if value is not None}
    answered = crew.api.ask("POST", READ, b'{"ids": []}', **headers)
    assert answered.status == status, answered.text
    if status == 403:
        assert answered.error["code"] == "refused"
        assert answered.headers["Access-Control-Allow-Methods"] is None


@pytest.mark.parametrize("endpoint", CHANGING, ids=lambda endpoint: endpoint.name)
def test_whatever_changes_something_wants_the_proof(crew: Crew, endpoint: Endpoint) -> None:
    headers = crew.headers("ada")
    del headers["X_XSRFToken"]
    answered = crew.api.say(endpoint.method, path(endpoint), {}, **headers)
    assert (answered.status, answered.error["code"]) == (403, "refused")
    assert "X-XSRFToken" in answered.error["message"]


def test_what_only_reads_wants_no_proof(crew: Crew) -> None:
    for endpoint in ACTIONS:
        if endpoint.method == "GET":
            for method in ("GET", "HEAD"):
                answered = crew.api.ask(method, endpoint.path, Cookie=crew.cookie("olga"))
                assert answered.status == 200


def test_a_program_with_a_token_or_on_this_machine_needs_no_proof(api: Api, crew: Crew) -> None:
    said: dict[str, list[int]] = {"ids": []}
    assert crew.ask("shared", "POST", READ, said).status == 200
    assert api.say("POST", READ, said).status == 200
    # Its browser is another matter: a page on another port may have made it ask.
    assert api.say("POST", READ, said, Origin=api.url.rstrip("/")).status == 403
    assert api.say("POST", READ, said, Sec_Fetch_Site="cross-site").status == 403


@pytest.mark.parametrize(
    ("address", "allowed"),
    [
        (READ, "POST"),
        ("/api/trial", "POST"),
        ("/api/channels/x", "PUT, DELETE, POST"),
        ("/api/rules/x", "PUT, DELETE"),
        ("/api/snoozes/1", "DELETE"),
        ("/api/snoozes", "GET, HEAD, POST"),
        ("/api/preferences", "GET, HEAD, PUT"),
    ],
)
def test_an_address_says_which_methods_it_takes(crew: Crew, address: str, allowed: str) -> None:
    for method in {"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH"} - set(allowed.split(", ")):
        answered = crew.ask("ada", method, address)
        assert (answered.status, answered.headers["Allow"]) == (405, allowed), method
    assert crew.ask("ada", "OPTIONS", address).status == 405


def test_a_listed_site_may_still_only_read(crew: Crew) -> None:
    asked = crew.api.ask(
        "OPTIONS",
        READ,
        Origin="https://desk.example",
        Access_Control_Request_Method="POST",
        Access_Control_Request_Headers="content-type,x-xsrftoken",
    )
    assert asked.status == 204
    assert asked.headers["Access-Control-Allow-Methods"] == "GET, HEAD"
    assert asked.headers["Access-Control-Allow-Headers"] == "Authorization, If-None-Match"
    bearer = crew.headers("shared")
    done = crew.api.say("POST", READ, {"ids": None}, Origin="https://desk.example", **bearer)
    assert (done.status, done.error["code"]) == (403, "refused")


# A body that is none, with the status and the code of the answer.
BAD: dict[str, tuple[bytes, int, str]] = {
    "nothing": (b"", 400, "bad_request"),
    "no JSON": (b"{", 400, "bad_request"),
    "a number": (b"5", 422, "bad_parameter"),
    "NaN": (b'{"ids": [NaN]}', 400, "bad_request"),
    "infinity": (b'{"ids": [1e999]}', 422, "bad_parameter"),
    "a number of 5,000 digits": (b'{"ids": [' + b"9" * 5_000 + b"]}", 400, "bad_request"),
    "a number of 400 digits": (b'{"ids": [' + b"9" * 400 + b"]}", 422, "bad_parameter"),
    "an id beyond the database": (b'{"ids": [1180591620717411303424]}', 422, "bad_parameter"),
    "a negative id": (b'{"ids": [-1]}', 422, "bad_parameter"),
    "a fraction": (b'{"ids": [1.5]}', 422, "bad_parameter"),
    "a whole number with a point": (b'{"ids": [1.0]}', 422, "bad_parameter"),
    "true for a number": (b'{"ids": [true]}', 422, "bad_parameter"),
    "1,001 ids": (json.dumps({"ids": [1] * 1_001}).encode(), 422, "bad_parameter"),
    "5,000 ids": (json.dumps({"ids": [1] * 5_000}).encode(), 400, "bad_request"),
    "a field twice": (b'{"ids": [], "ids": null}', 400, "bad_request"),
    "an unknown field": (b'{"ids": [], "all": true}', 422, "bad_parameter"),
    "an unknown field of a secret": (b'{"ids": [], "\\ud800": 1}', 422, "bad_parameter"),
    "no field": (b"{}", 422, "bad_parameter"),
    "a byte that is no text": (b'{"ids": [], "\xff": 1}', 400, "bad_request"),
    "half of a pair in UTF-8": (b'{"\xed\xa0\x80": 1}', 400, "bad_request"),
    "UTF-16": ('{"ids": []}'.encode("utf-16"), 400, "bad_request"),
    "a mark before it": (b'\xef\xbb\xbf{"ids": []}', 400, "bad_request"),
    "brackets": (b"[" * 100_000, 400, "bad_request"),
    "closed brackets": (b"[" * 100_000 + b"]" * 100_000, 400, "bad_request"),
    "brackets that nest": (b'{"ids":' * 21 + b"1" + b"}" * 21, 400, "bad_request"),
    "brackets in a text": (b'{"ids": "' + b"[" * 100_000 + b'"}', 422, "bad_parameter"),
    "quotes": (b'"' * 200_000, 400, "bad_request"),
    "backslashes": (b'"' + b"\\" * 200_001, 400, "bad_request"),
    "compressed": (gzip.compress(b'{"ids": []}'), 400, "bad_request"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_body_that_is_none_is_refused_in_words(crew: Crew, name: str) -> None:
    body, status, code = BAD[name]
    answered = crew.api.ask("POST", READ, body, **crew.headers("ann"), Content_Type=JSON)
    assert (answered.status, answered.error["code"]) == (status, code), answered.text
    assert len(answered.body) < 1_500
    crew.api.conforms(answered, READ, "post")


def test_a_body_that_is_nearly_right_is_answered_with_where_it_is_not(crew: Crew) -> None:
    said = {"types": {"signals": True}}
    error = crew.ask("ann", "PUT", "/api/preferences", said).error
    assert (error["field"], error["nearest"]) == ("types.signals", "signal")
    error = crew.ask("ann", "PUT", "/api/preferences", {"min_confidence": 80}).error
    assert (error["field"], error["allowed"]) == ("min_confidence", {"maximum": 1})
    error = crew.ask("ann", "PUT", "/api/preferences", {"zone": "Europe/Berlín"}).error
    assert "did you mean Europe/Berlin" in error["message"]
    error = crew.ask("ann", "POST", READ, {}).error
    assert (error["field"], error["message"]) == ("ids", "It is missing.")


def test_a_rule_is_refused_with_its_places_and_reasons(crew: Crew) -> None:
    rule = {"name": "a", "source": "signals", "where": "symbol =~ 'a'", "title": "{x.y}"}
    answered = crew.ask("olga", "PUT", "/api/rules/a", {"rule": rule, "version": 0})
    assert (answered.status, answered.error["code"]) == (422, "bad_rule")
    assert [one["place"] for one in answered.error["problems"]] == ["where", "title"]
    crew.api.conforms(answered, "/api/rules/{name}", "put")
    assert crew.ask("ann", "GET", "/api/rules").json == {"rules": []}
    good = rule | {"where": "confidence > 0.9", "title": ""}
    assert crew.ask("olga", "PUT", "/api/rules/a", {"rule": good, "version": 0}).status == 200
    again = crew.ask("olga", "PUT", "/api/rules/a", {"rule": good, "version": 0})
    assert (again.status, again.error["code"]) == (409, "conflict")
    crew.api.conforms(again, "/api/rules/{name}", "put")
    assert crew.ask("olga", "DELETE", "/api/rules/a").json == {}
    gone = crew.ask("olga", "DELETE", "/api/rules/a")
    assert (gone.status, gone.error["code"]) == (404, "unknown_name")


def test_an_address_is_nowhere_in_what_the_api_says(
    crew: Crew, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    secret = "T0pSecretPartOfAnAddress"
    told = [
        crew.ask("olga", "PUT", "/api/channels/a", said)
        for said in (
            {"address": f"slack://{secret}"},
            {"address": [secret]},
            {"address": secret * 100},
            {"address": f"webhook+https://h.example/{secret}", "secret": secret},
            {"address": f"webhook+https://h.example/{secret}", "secret": secret * 50},
            {"enabled": secret},
        )
    ]
    assert [found.status for found in told] == [422, 422, 422, 200, 422, 422]
    told += [
        crew.ask("olga", "GET", "/api/channels"),
        crew.ask("olga", "DELETE", "/api/channels/a"),
    ]
    told += [crew.ask("olga", "GET", "/api/docs"), crew.ask("olga", "GET", "/api/openapi.json")]
    assert secret not in "".join(found.text for found in told) + caplog.text


def test_a_channel_that_does_not_answer_holds_up_nobody(crew: Crew) -> None:
    with ThreadPoolExecutor(6) as clients, receiving(silent) as there:
        said = {"address": f"webhook+http://{there.place}/", "secret": SECRET}
        assert crew.ask("olga", "PUT", "/api/channels/slow", said).status == 200
        tried = [
            clients.submit(crew.ask, "olga", "POST", "/api/channels/slow", {}) for _ in range(6)
        ]
        wait_until(lambda: len(there.requests) == 2)
        assert crew.ask("olga", "GET", "/api/channels").status == 200
        assert crew.api.means.workers.under_way == 0
        crew.ask("olga", "DELETE", "/api/channels/slow")
    assert {client.result().status for client in tried} <= {200, 404}


def test_large_bodies_wait_for_room_and_give_it_back(crew: Crew) -> None:
    file = exchange.dumps([one(f"{number}", message="x" * 5_000) for number in range(300)])
    room, said = Room(1 << 20), {"file": file.decode()}
    before, crew.api.means.room = crew.api.means.room, room
    refused = crew.ask("bob", "POST", IMPORT, said)
    assert (refused.status, refused.error["code"]) == (503, "busy")
    assert refused.headers["Retry-After"] == "5"
    wait_until(lambda: room.free == 1 << 20)
    room.free = 4 << 20
    assert crew.ask("bob", "POST", IMPORT, said).json == {"imported": 300, "known": 0}
    wait_until(lambda: room.free == 4 << 20)
    got = crew.api.get("/api/notifications/export", Accept_Encoding="gzip", **crew.headers("bob"))
    assert got.headers["Content-Encoding"] == "gzip"
    assert got.json["file"].count("\n") >= 300
    with socket.create_connection(("127.0.0.1", crew.api.port)) as link:
        link.sendall(head(crew, IMPORT, f"Content-Length: {2 << 20}") + b"x" * (1 << 20))
        wait_until(lambda: room.free < 4 << 20)
    # Whoever leaves in the middle gives it back, too.
    wait_until(lambda: room.free == 4 << 20)
    crew.api.means.room = before


def head(crew: Crew, address: str, *more: str, method: str = "POST") -> bytes:
    named = {name.replace("_", "-"): value for name, value in crew.headers("bob").items()}
    lines = [f"{name}: {value}" for name, value in {**named, "Content-Type": JSON}.items()]
    lines = [f"{method} {address} HTTP/1.1", f"Host: 127.0.0.1:{crew.api.port}", *lines, *more]
    return "\r\n".join([*lines, "", ""]).encode()


def spoken(port: int, *parts: bytes) -> bytes:
    """Everything that comes back until the server closes."""
    with socket.create_connection(("127.0.0.1", port), 30) as link:
        got = b""
        with contextlib.suppress(ConnectionError):
            for part in parts:
                link.sendall(part)
        with contextlib.suppress(ConnectionError):
            while part := link.recv(65_536):
                got += part
        return got


def test_a_body_that_does_not_come_is_not_waited_for(crew: Crew) -> None:
    assert spoken(crew.api.port, head(crew, READ, "Content-Length: 20"), b'{"ids"') == b""
    assert spoken(crew.api.port, head(crew, READ, "Transfer-Encoding: chunked"), b"5\r\nab") == b""
    assert crew.ask("bob", "POST", READ, {"ids": []}).status == 200


def test_a_stranger_is_answered_before_their_body_has_come(crew: Crew) -> None:
    lines = f"POST {IMPORT} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {20 << 20}\r\n\r\n"
    got = spoken(crew.api.port, lines.encode(), b"x" * 1_000)
    assert got.startswith(b"HTTP/1.1 401")
    assert crew.api.means.room.free == Room().free


@pytest.mark.parametrize("endpoint", ACTIONS, ids=lambda endpoint: endpoint.name)
def test_a_body_belongs_to_some_requests_and_not_to_others(crew: Crew, endpoint: Endpoint) -> None:
    headers = crew.headers("ada") | {"Content_Type": JSON}
    if endpoint.body is None:
        answered = crew.api.ask(endpoint.method, path(endpoint), b"{}", **headers)
        assert (answered.status, answered.error["code"]) == (400, "unexpected_body")
    most = endpoint.body.most if endpoint.body else 64 << 10
    length = f"Content-Length: {most + 1}"
    got = spoken(crew.api.port, head(crew, path(endpoint), length, method=endpoint.method))
    assert got.startswith((b"HTTP/1.1 413", b"HTTP/1.1 403"))


@pytest.fixture(scope="module")
def alone(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A whole server with a bounded memory, which is `local` to us, an administrator."""
    url = sa.make_url(desk.server.url).set(database="hostile").render_as_string(False)
    with made(desk, "hostile"), serve(tmp_path_factory.mktemp("hostile"), url) as started:
        yield started
        assert "Traceback" not in started.output()


def test_a_page_of_the_server_brings_the_proof_along(alone: Served) -> None:
    visitor, said = Visitor(alone.url), b'{"ids": []}'
    origin = {"Origin": alone.url.rstrip("/"), "Content_Type": JSON}
    assert visitor.ask("POST", READ[1:], said, **origin).status == 403
    visitor.get("live")
    proof = visitor.cookie("_xsrf")
    assert visitor.ask("POST", READ[1:], said, **origin).status == 403
    assert visitor.ask("POST", READ[1:], said, **origin, X_XSRFToken=proof).status == 200
    other = Visitor(alone.url)
    other.get("live")
    anothers = other.cookie("_xsrf")
    assert visitor.ask("POST", READ[1:], said, **origin, X_XSRFToken=anothers).status == 403
    # Not where others could read it: in an address.
    given = f"{READ[1:]}?_xsrf={proof}"
    assert visitor.ask("POST", given, said, **origin).status in {403, 422}


def test_the_stream_served_alone_takes_actions_too(desk: Desk, tmp_path: Path) -> None:
    url = sa.make_url(desk.server.url).set(database="streamed").render_as_string(False)
    with made(desk, "streamed"), serve(tmp_path, url, command="stream") as served:
        visitor = Visitor(served.url)
        assert json.loads(visitor.get("api/notifications/summary").body)["role"] == "admin"
        said = b'{"enabled": false}'
        assert visitor.ask("PUT", "api/preferences", said, Content_Type=JSON).status == 200
        assert json.loads(visitor.get("api/preferences").body)["enabled"] is False


LARGE: dict[str, tuple[bytes, int]] = {
    "brackets": (b"[" * 20_000_000, 400),
    "empty lists": (b"[" + b"[]," * 6_900_000 + b"[]]", 400),
    "empty texts": (b"[" + b'"",' * 6_900_000 + b'""]', 400),
    "quotes": (b'"' * 20_000_000, 400),
    "backslashes": (b'{"file":"' + b"\\" * 20_000_000 + b'"}', 422),
    "a long number": (b'{"file":' + b"1" * 20_000_000 + b"}", 400),
    "spaces": (b" " * 20_000_000, 400),
    "a long name": (b'{"' + b"x" * 20_000_000 + b'":1}', 422),
    "a file of brackets": (b'{"file":"' + b"[" * 20_000_000 + b'"}', 422),
    "a file of lists": (b'{"file":"[' + b"[]," * 6_600_000 + b'[]]"}', 422),
    "a wide file": (b'{"file":"' + b"x" * 19_000_000 + "😀".encode() + b'"}', 422),
}


@pytest.mark.parametrize("name", LARGE)
def test_a_large_body_costs_little_and_the_server_goes_on(alone: Served, name: str) -> None:
    body, status = LARGE[name]
    parts = urlsplit(alone.url)
    link = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=60)
    with contextlib.closing(link):
        link.request("POST", IMPORT, body, {"Content-Type": JSON})
        answer = link.getresponse()
        assert answer.status == status
        assert len(answer.read()) < 1_500
    assert Visitor(alone.url).get("api/health").status == 200
    used = psutil.Process(alone.process.pid).memory_info().rss
    assert used < 700 << 20


def test_chunks_without_end_are_cut_off(alone: Served) -> None:
    port = urlsplit(alone.url).port or 0
    lines = f"POST {READ} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nTransfer-Encoding: chunked\r\n"
    start = f"{lines}Content-Type: {JSON}\r\n\r\n".encode()
    chunk = b"10000\r\n" + b"[" * 65_536 + b"\r\n"
    assert not spoken(port, start, *[chunk] * 100).startswith(b"HTTP/1.1 2")
    assert Visitor(alone.url).get("api/health").status == 200


def test_the_largest_file_is_taken(alone: Served) -> None:
    bare, single = exchange.dumps([]), exchange.dumps([one("00000", message="x" * 9_900)])
    count = (exchange.LARGEST - len(bare)) // (len(single) - len(bare) + 2)
    file = exchange.dumps([one(f"{n:05}", message="x" * 9_900) for n in range(count)]).decode()
    assert len(file) > 19_000_000
    done = Visitor(alone.url).ask(
        "POST", IMPORT[1:], json.dumps({"file": file}).encode(), Content_Type=JSON
    )
    assert json.loads(done.body) == {"imported": count, "known": 0}
    again = Visitor(alone.url).get("api/notifications/export")
    assert json.loads(again.body)["file"] == file
    used = psutil.Process(alone.process.pid).memory_info().rss
    assert used < 900 << 20


def test_nothing_of_all_this_was_kept(crew: Crew) -> None:
    rows = crew.house.rows(sa.select(inbox.c.person).where(inbox.c.reason == "imported"))
    assert {row.person for row in rows} <= {"bob"}
