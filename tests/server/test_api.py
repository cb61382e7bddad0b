"""The API over HTTP: what it answers, to whom, how often, and what it says to bad input."""

from __future__ import annotations

import contextlib
import http.client
import json
import secrets
import socket
from collections.abc import Iterator
from datetime import timedelta

import numpy as np
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from alphapulse_nb.alerts import rule as rules
from alphapulse_nb.alerts.store import Store
from alphapulse_nb.catalog import OURS
from alphapulse_nb.db.connection import Database
from alphapulse_nb.errors import InputError
from alphapulse_nb.notify.decide import Snooze
from alphapulse_nb.notify.notification import Type
from alphapulse_nb.queries import Window
from alphapulse_nb.server.access import Rules
from alphapulse_nb.server.answers import CODES
from alphapulse_nb.server.api import ENDPOINTS
from alphapulse_nb.state import State
from tests.api import KEY, Api, running
from tests.conftest import Desk
from tests.notify.house import AWAKE, House, one

TOKEN = "correct-horse-battery"
BTC = "/api/data/BTC/USDT"
CHART = "/api/chart/performance"


@pytest.fixture(scope="module")
def guarded(desk: Desk, db: Database) -> Iterator[Api]:
    with running(db, desk.now, rules=Rules(key=KEY, token=TOKEN), base="/desk/") as started:
        yield started


# What each endpoint says when it is asked as it likes to be: what is read, and what is done.
GOOD = [
    ("/api/health", "/api/health"),
    ("/api/health/ready", "/api/health/ready"),
    ("/api/symbols", "/api/symbols"),
    (BTC, "/api/data/{symbol}"),
    (f"{BTC}?table=signals&hours=26&limit=3", "/api/data/{symbol}"),
    ("/api/charts", "/api/charts"),
    ("/api/metrics", "/api/metrics"),
    ("/api/openapi.json", "/api/openapi.json"),
    ("/api/docs", "/api/docs"),
    *(
        (f"/api/chart/{spec.name}?symbol=BTC/USDT&hours=6", "/api/chart/{chart_type}")
        for spec in OURS
    ),
    ("/api/notifications?type=signal,warning&priority=high&limit=2", "/api/notifications"),
    ("/api/notifications?held=true&words=a&before=9007199254740992", "/api/notifications"),
    ("/api/notifications/summary", "/api/notifications/summary"),
    ("/api/notifications/export", "/api/notifications/export"),
    ("/api/preferences", "/api/preferences"),
    ("/api/snoozes", "/api/snoozes"),
    ("/api/alerts?open=true&rule=rule&limit=5", "/api/alerts"),
    ("/api/rules", "/api/rules"),
    ("/api/vocabulary", "/api/vocabulary"),
    ("/api/channels", "/api/channels"),
    ("/api/deliveries?state=dead&limit=1", "/api/deliveries"),
]
RULE = {"name": "drops", "source": "signals", "where": "confidence > 0.9"}
DONE: list[tuple[str, str, object]] = [
    ("POST", "/api/notifications/read", {"ids": None, "read": False}),
    ("POST", "/api/notifications/remove", {"ids": [1, 2]}),
    ("POST", "/api/notifications/restore", {"undo": "2026-01-31T12:00:00Z"}),
    ("POST", "/api/notifications/show", {"ids": [1], "page": "a-page-of-a-test"}),
    ("POST", "/api/notifications/import", {"file": '{"notifications":[],"version":1}'}),
    ("PUT", "/api/preferences", {"zone": "Asia/Tokyo", "min_confidence": 0.5}),
    ("POST", "/api/snoozes", {"alert": "alert a", "labels": {"symbol": "BTC/USDT"}}),
    ("DELETE", "/api/snoozes/{id}", None),
    ("POST", "/api/alerts/acknowledge", {"alert": "alert a"}),
    ("PUT", "/api/rules/{name}", {"rule": RULE, "version": 1}),
    ("DELETE", "/api/rules/{name}", None),
    ("POST", "/api/trial", {"rule": RULE}),
    ("PUT", "/api/channels/{name}", {"enabled": False}),
    ("POST", "/api/channels/{name}", {}),
    ("DELETE", "/api/channels/{name}", None),
    ("POST", "/api/deliveries/{id}/resend", {}),
]


@pytest.fixture(scope="module")
def house(acting: State) -> House:
    """Something of everything that can be read."""
    house = House(acting)
    house.inbox.prefer("", AWAKE)
    house.open_alert("alert a")
    house.tell(one(), one("b", type=Type.WARNING))
    house.inbox.snooze("", Snooze(alert="alert a"))
    return house


@pytest.fixture
def numbers(house: House) -> dict[str, int]:
    """A rule and a channel called drops, and the numbers of a snooze and a dead delivery."""
    rule = rules.read(RULE)
    with contextlib.suppress(InputError):
        Store(house.state).remove(rule.name)
    Store(house.state).save(rule)
    house.channel("drops")
    house.ask("drops", key=secrets.token_hex(8))
    house.deliveries.remove("drops")
    house.channel("drops")
    dead = house.deliveries.listed("dead", 1)[0].id
    return {"snoozes": house.inbox.snooze("", Snooze(alert="alert a")), "deliveries": dead}


@pytest.mark.parametrize(("address", "path"), GOOD, ids=lambda value: str(value))
@pytest.mark.usefixtures("numbers")
def test_an_answer_is_what_the_document_announces(api: Api, address: str, path: str) -> None:
    answered = api.get(address)
    assert answered.status == 200, answered.text
    api.conforms(answered, path)


@pytest.mark.parametrize(("method", "path", "said"), DONE, ids=lambda value: str(value)[:40])
def test_what_is_done_is_answered_as_the_document_announces(
    api: Api, numbers: dict[str, int], method: str, path: str, said: object
) -> None:
    address = path.format(name="drops", id=numbers.get(path.split("/")[2], 0))
    answered = api.say(method, address, said)
    assert answered.status == 200, answered.text
    api.conforms(answered, path, method.lower())


def test_every_endpoint_is_asked_in_these_tests() -> None:
    asked = {("GET", path) for _, path in GOOD} | {(method, path) for method, path, _ in DONE}
    assert asked == {(endpoint.method, endpoint.path) for endpoint in ENDPOINTS}


@pytest.mark.parametrize(("address", "path"), GOOD, ids=lambda value: str(value))
@pytest.mark.usefixtures("house")
def test_head_gives_the_same_headers_and_no_body(api: Api, address: str, path: str) -> None:
    got, head = api.get(address), api.ask("HEAD", address)
    assert head.status == 200
    assert head.body == b""
    unlike = {"Date", "Content-Security-Policy"} | (
        {"Content-Length"} if "health" in path or "metrics" in path else set()
    )
    assert {k: v for k, v in head.headers.items() if k not in unlike} == {
        k: v for k, v in got.headers.items() if k not in unlike
    }


def test_the_document_is_valid_openapi(api: Api) -> None:
    document = api.get("/api/openapi.json").json
    OpenAPIV31SpecValidator(document).validate()
    assert document["servers"] == [{"url": "/"}]


# What is wrong, with the status, the code, the field and the value that the answer names.
NUMBER = {"type": "number", "minimum": 0.1, "maximum": 8760}
BAD = [
    *(
        (f"{CHART}?symbol=BTC/USDT&hours={text}", 422, "bad_parameter", "hours", value)
        for text, value in [
            *((same, same) for same in ("0", "-1", "1e9", "abc", "NaN", "inf", "-Infinity")),
            *((same, same) for same in ("", "0x10", "1_0", "%2", ".5", "1.", "0.05")),
            ("%20" + "1", " 1"),
            ("1" * 400, "1" * 99 + "…"),
        ]
    ),
    (f"{CHART}?symbol=BTC/USDT&hours=%D9%A3", 422, "bad_parameter", "hours", "٣"),
    (f"{CHART}?symbol=BTC/USDT&hours=+1", 422, "bad_parameter", "hours", " 1"),
    (f"{CHART}?symbol=BTC/USDT&hours=1&hours=2", 422, "bad_parameter", "hours", "1"),
    (f"{CHART}?symbol=BTC/USDT&hour=1", 422, "bad_parameter", "hour", "1"),
    (f"{CHART}?symbol=BTC/USDT&x[]=1", 422, "bad_parameter", "x[]", "1"),
    (f"{CHART}?symbol=BTC/USDT&=1", 422, "bad_parameter", "", "1"),
    (f"{CHART}?hours=1", 422, "bad_parameter", "symbol", None),
    (f"{CHART}?symbol=", 422, "bad_parameter", "symbol", ""),
    (f"{CHART}?symbol=BTC/USD", 404, "unknown_name", "symbol", "BTC/USD"),
    (f"{CHART}?symbol=%00", 422, "bad_parameter", "symbol", "\0"),
    (f"{CHART}?symbol=a%0D%0Ab", 422, "bad_parameter", "symbol", "a\r\nb"),
    (f"{CHART}?symbol={'A' * 10_000}", 422, "bad_parameter", "symbol", "A" * 99 + "…"),
    (f"{CHART}?symbol=%FF", 400, "bad_request", "symbol", None),
    (f"{CHART}?symbol=%ED%A0%80", 400, "bad_request", "symbol", None),
    ("/api/chart/performanc?symbol=BTC/USDT", 404, "unknown_name", "chart_type", "performanc"),
    ("/api/chart/a/b", 404, "unknown_name", "chart_type", "a/b"),
    ("/api/chart/", 404, "not_found", None, None),
    ("/api/data/", 404, "not_found", None, None),
    ("/api/data/BTC", 404, "unknown_name", "symbol", "BTC"),
    ("/api/data/BTC/USDT/", 404, "unknown_name", "symbol", "BTC/USDT/"),
    ("/api/data/%FF", 400, "bad_request", None, None),
    ("/api/data/%00", 422, "bad_parameter", "symbol", "\0"),
    (f"/api/data/{'A' * 10_000}", 422, "bad_parameter", "symbol", "A" * 99 + "…"),
    (f"{BTC}?table=trades", 404, "unknown_name", "table", "trades"),
    (f"{BTC}?table=system_metrics", 404, "unknown_name", "table", "system_metrics"),
    (f"{BTC}?table=", 422, "bad_parameter", "table", ""),
    (f"{BTC}?limit=0", 422, "bad_parameter", "limit", "0"),
    (f"{BTC}?limit=1001", 422, "bad_parameter", "limit", "1001"),
    (f"{BTC}?limit=10.0", 422, "bad_parameter", "limit", "10.0"),
    (f"{BTC}?limit=1e2", 422, "bad_parameter", "limit", "1e2"),
    (f"{BTC}?cursor=garbage", 422, "bad_parameter", "cursor", "garbage"),
    (f"{BTC}?table=signals&cursor=!", 422, "bad_parameter", "cursor", "!"),
    (f"{BTC}?table=signals&cursor={'A' * 43}", 422, "bad_parameter", "cursor", "A" * 43),
    ("/api/symbols?x=1", 422, "bad_parameter", "x", "1"),
    ("/api/health?x=1", 422, "bad_parameter", "x", "1"),
    ("/api/", 404, "not_found", None, None),
    ("/api", 404, "not_found", None, None),
    ("/api/kernel", 404, "not_found", None, None),
    ("/api/kernelss/x", 404, "not_found", None, None),
    ("/api/Symbols", 404, "not_found", None, None),
    ("/api/symbols/", 404, "not_found", None, None),
    ("/api/../etc/passwd", 404, "not_found", None, None),
]


@pytest.mark.parametrize(
    ("address", "status", "code", "field", "value"), BAD, ids=[bad[0][:60] for bad in BAD]
)
def test_bad_input_is_named(
    api: Api, address: str, status: int, code: str, field: str | None, value: str | None
) -> None:
    answered = api.get(address)
    found = answered.error
    assert (found["status"], found["code"]) == (status, code)
    assert (found.get("field"), found.get("value")) == (field, value)
    assert CODES[code].status == answered.status
    api.conforms(answered, "/api/data/{symbol}")
    if status == 422:
        assert "allowed" in found
    if field == "hours":
        assert found["allowed"] == NUMBER


@pytest.mark.parametrize(
    ("address", "nearest"),
    [
        ("/api/chart/Performanc", "performance"),
        ("/api/data/btc/usdt", "BTC/USDT"),
        ("/api/data/BTCUSDT", "BTC/USDT"),
        (f"{BTC}?table=signal", "signals"),
        (f"{BTC}?limits=3", "limit"),
        ("/api/data/nothing-like-it", None),
    ],
)
def test_a_slip_of_the_pen_is_answered_with_the_nearest_name(
    api: Api, address: str, nearest: str | None
) -> None:
    assert api.get(address).error.get("nearest") == nearest


def test_a_symbol_is_the_same_with_its_slash_written_either_way(api: Api) -> None:
    plain = api.get("/api/data/BTC/USDT?limit=2").json
    assert plain["symbol"] == "BTC/USDT"
    assert api.get("/api/data/BTC%2FUSDT?limit=2").json == plain
    assert api.get("/api/data/BTC%2fUSDT?limit=2").json == plain


def test_symbols_are_those_of_the_desk(api: Api) -> None:
    assert api.get("/api/symbols").json["symbols"][:2] == ["BNB/USDT", "BTC/USDT"]


def test_charts_are_those_of_the_catalog(api: Api) -> None:
    found = api.get("/api/charts").json["charts"]
    assert [chart["name"] for chart in found] == [spec.name for spec in OURS]
    assert [chart["by_symbol"] for chart in found] == [spec.by_symbol for spec in OURS]


@pytest.mark.parametrize("spec", OURS, ids=lambda spec: spec.name)
def test_a_chart_is_the_widgets_figure(api: Api, desk: Desk, db: Database, spec: object) -> None:
    assert isinstance(spec, type(OURS[0]))
    got = api.get(f"/api/chart/{spec.name}?symbol=ETH/USDT&hours=24").json
    figure = spec.figure(db, "ETH/USDT", Window.last(timedelta(hours=24), desk.now))
    traces = [trace.to_plotly_json() for trace in figure.data]
    assert [trace.get("name") for trace in got["data"]] == [trace.get("name") for trace in traces]
    drawn = [(g, t) for g, t in zip(got["data"], traces, strict=True) if len(t["x"]) > 1]
    assert drawn
    for sent, trace in drawn:
        assert np.array_equal(np.array(sent["x"], "datetime64[ms]"), trace["x"])
        assert np.array_equal(np.array(sent["y"], float), trace["y"], equal_nan=True)
    assert got["layout"]["xaxis"]["range"] == pytest.approx(figure.layout.xaxis.range)


def test_a_chart_that_has_not_changed_is_not_sent_again(desk: Desk, db: Database) -> None:
    # Rows are a minute or more apart: half a minute from them none comes in or goes out.
    now = [desk.now.replace(second=30, microsecond=0) - timedelta(minutes=1)]
    with running(db, desk.now) as api:
        api.shared.clock = lambda: now[0]
        address = "/api/chart/performance?symbol=BTC/USDT"
        first = api.get(address)
        mark = first.headers["ETag"]
        # A second later no row has come, and the range has moved on.
        now[0] += timedelta(seconds=1)
        second = api.get(address, If_None_Match=mark)
        assert (second.status, second.body) == (304, b"")
        assert second.headers["ETag"] == mark
        assert api.get(address, If_None_Match='"other"').status == 200
        assert api.get("/api/chart/performance?symbol=ETH/USDT").headers["ETag"] != mark
        # Hours later the oldest rows have left the range.
        now[0] += timedelta(hours=5)
        assert api.get(address, If_None_Match=mark).status == 200


def test_a_large_answer_is_packed_for_who_unpacks(api: Api) -> None:
    address = "/api/chart/performance?symbol=BTC/USDT"
    packed, plain = api.get(address, Accept_Encoding="gzip"), api.get(address)
    assert packed.headers["Content-Encoding"] == "gzip"
    assert plain.headers["Content-Encoding"] is None
    assert packed.json == plain.json
    assert len(packed.body) < len(plain.body) / 3
    assert "Accept-Encoding" in packed.headers["Vary"]


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "FOO"])
@pytest.mark.parametrize("address", ["/api/symbols", "/api/health", BTC, "/api/docs"])
def test_an_address_can_only_be_read(api: Api, method: str, address: str) -> None:
    answered = api.ask(method, address)
    assert (answered.status, answered.error["code"]) == (405, "method_not_allowed")
    assert answered.headers["Allow"] == "GET, HEAD"


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS"])
def test_an_unknown_address_stays_unknown_whatever_the_method(api: Api, method: str) -> None:
    assert api.ask(method, "/api/nothing").error["code"] == "not_found"


@pytest.mark.parametrize(
    ("size", "status", "code"),
    [(1, 400, "unexpected_body"), (60_000, 400, "unexpected_body"), (100_000, 413, "too_large")],
)
def test_a_body_where_none_belongs_is_refused(api: Api, size: int, status: int, code: str) -> None:
    with socket.create_connection(("127.0.0.1", api.port), 10) as link:
        head = f"GET /api/symbols HTTP/1.1\r\nHost: localhost\r\nContent-Length: {size}\r\n\r\n"
        link.sendall(head.encode())
        if status == 400:
            link.sendall(b"x" * size)
        answer = http.client.HTTPResponse(link)
        answer.begin()
        assert answer.status == status
        assert json.loads(answer.read())["error"]["code"] == code


def test_a_body_in_chunks_is_refused_too(api: Api) -> None:
    answered = api.ask("GET", "/api/health", b"3\r\nabc\r\n0\r\n\r\n", Transfer_Encoding="chunked")
    assert answered.error["code"] == "unexpected_body"


def test_jupyters_own_addresses_are_left_to_it(api: Api) -> None:
    assert api.get("/api/kernels/1234/channels").text == "elsewhere"


def test_everything_lies_under_the_base_url(guarded: Api) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert guarded.base == "/desk"
    assert guarded.get("/api/symbols", **bearer).status == 200
    assert guarded.get("/api/nothing", **bearer).error["code"] == "not_found"
    assert guarded.get("/api/openapi.json", **bearer).json["servers"] == [{"url": "/desk"}]
    assert 'href="/desk/api/symbols"' in guarded.get("/api/docs", **bearer).text
    outside = http.client.HTTPConnection("127.0.0.1", guarded.port, timeout=10)
    outside.request("GET", "/api/symbols", headers=bearer)
    assert outside.getresponse().status == 404
    outside.close()


@pytest.mark.parametrize(
    ("method", "path"), [*((one.method, one.path) for one in ENDPOINTS), ("GET", "/api/nothing")]
)
def test_a_stranger_sees_only_that_the_server_lives(guarded: Api, method: str, path: str) -> None:
    address = path.format(symbol="BTC/USDT", chart_type="system", name="x", id=1)
    answered = guarded.ask(method, address)
    if path == "/api/health":
        assert answered.json == {"status": "ok"}
        return
    assert (answered.status, answered.error["code"]) == (401, "not_signed_in")
    assert answered.headers["WWW-Authenticate"].startswith("Bearer")
    wrong = guarded.get("/api/symbols", Authorization="Bearer not it")
    assert wrong.status in {401, 429}


def test_a_browser_is_sent_to_sign_in_before_it_sees_the_docs(guarded: Api) -> None:
    answered = guarded.get("/api/docs", Accept="text/html,*/*")
    assert answered.status == 302
    assert answered.headers["Location"] == "/desk/login?next=%2Fdesk%2Fapi%2Fdocs"


def test_another_sites_name_for_this_machine_is_refused(api: Api) -> None:
    answered = api.get("/api/symbols", Host="evil.example")
    assert (answered.status, answered.error["code"]) == (403, "refused")
    assert answered.json["error"]["message"].endswith("evil.example.")


def test_no_answer_can_be_read_by_a_site_that_is_not_listed(api: Api) -> None:
    answered = api.get("/api/symbols", Origin="https://evil.example")
    assert [name for name in answered.headers if name.lower().startswith("access-control")] == []
    assert "Origin" not in answered.headers["Vary"]
    refused = api.ask("OPTIONS", "/api/symbols", Origin="https://evil.example")
    assert refused.status == 405


@pytest.mark.parametrize(
    ("origin", "listed"),
    [
        ("https://desk.example", True),
        ("https://other.example", False),
        ("https://desk.example.evil.example", False),
        ("http://desk.example", False),
        ("https://desk.example:444", False),
        ("null", False),
    ],
)
def test_a_listed_site_may_read(desk: Desk, db: Database, origin: str, listed: bool) -> None:
    rules = Rules(key=KEY, token=TOKEN)
    with running(db, desk.now, rules=rules, origins=("https://desk.example",)) as api:
        asked = api.ask("OPTIONS", "/api/symbols", Origin=origin)
        got = api.get("/api/symbols", Origin=origin, Authorization=f"Bearer {TOKEN}")
        error = api.get("/api/symbols", Origin=origin)
    assert asked.status == (204 if listed else 401)
    assert (got.status, error.status) == (200, 401)
    for answered in (asked, got, error):
        allowed = origin if listed else None
        assert answered.headers["Access-Control-Allow-Origin"] == allowed
        assert "Origin" in ", ".join(answered.headers.get_all("Vary"))
        assert answered.headers["Access-Control-Allow-Credentials"] is None
    if listed:
        assert "Authorization" in asked.headers["Access-Control-Allow-Headers"]


def test_a_client_that_asks_too_often_waits(desk: Desk, db: Database) -> None:
    with running(db, desk.now, rate_limit=3) as api:
        answers = [api.get("/api/charts") for _ in range(5)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
        left = [answer.headers["RateLimit-Remaining"] for answer in answers]
        assert left == ["2", "1", "0", "0", "0"]
        assert answers[0].headers["RateLimit-Limit"] == "3"
        refused = answers[-1]
        assert refused.error["code"] == "too_many_requests"
        assert 1 <= int(refused.headers["Retry-After"]) <= 60
        api.conforms(refused, "/api/charts")
        assert api.get("/api/health").status == 200
        assert api.get("/api/health/ready").status == 200
        assert api.shared.figures.value("requests_refused", why="rate") == 2


def test_wrong_tokens_count_too(desk: Desk, db: Database) -> None:
    with running(db, desk.now, rules=Rules(key=KEY, token=TOKEN), rate_limit=2) as api:
        assert [api.get("/api/symbols").status for _ in range(3)] == [401, 401, 429]
        known = api.get("/api/charts", Authorization=f"Bearer {TOKEN}")
        assert known.status == 200


def test_nothing_tells_what_the_server_is_made_of(api: Api) -> None:
    answers = [api.get(bad[0]) for bad in BAD[:40]] + [api.get("/api/docs")]
    for answered in answers:
        told = (str(answered.headers) + answered.text).lower()
        assert answered.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answered.headers["Content-Security-Policy"]
        for word in ("tornado", "traceback", "psycopg", "sqlalchemy", "select ", ".py"):
            assert word not in told


def test_reads_are_counted(desk: Desk, db: Database) -> None:
    with running(db, desk.now) as api:
        api.get("/api/chart/performance?symbol=BTC/USDT")
        api.get(f"{BTC}?limit=5")
        api.get("/api/chart/performance?symbol=BTC/XYZ")
        figures = api.shared.figures
        assert figures.value("queries", query="performance", outcome="ok") == 2
        assert figures.value("queries", query="data", outcome="ok") == 1
        assert figures.value("queries", query="performance", outcome="failed") == 0
        assert figures.value("rows_read") > 300
