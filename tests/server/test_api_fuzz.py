"""The API under input that nobody would think of: no 500, and nothing that was not announced."""

from __future__ import annotations

import json
import random
import socket
from collections import Counter
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
import schemathesis
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode, checks
from schemathesis.checks import load_all_checks

from alphapulse_nb.demo.desk import write_fixture
from alphapulse_nb.server.api import ENDPOINTS
from alphapulse_nb.server.api.actions import ActionHandler
from alphapulse_nb.server.api.endpoint import Endpoint
from tests.conftest import Desk, Served, serve
from tests.server.conftest import made

load_all_checks()
CHECKS: list[Any] = checks.CHECKS.get_by_names(
    [
        "not_a_server_error",
        "status_code_conformance",
        "content_type_conformance",
        "response_schema_conformance",
        "response_headers_conformance",
        "negative_data_rejection",
        "unsupported_method",
    ]
)

SEED = 20_260_101
REQUESTS = 1_500
EXAMPLES = 100
FEWER = 20
"""Of what works on our own tables, which says less about each text."""


@pytest.fixture(scope="module")
def alone(desk: Desk, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A whole server of these tests' own, so that others see none of its load."""
    folder = tmp_path_factory.mktemp("fuzzed")
    url = sa.make_url(desk.server.url).set(database="fuzzed")
    with made(desk, "fuzzed"):
        engine = sa.create_engine(url)
        write_fixture(engine, SEED, desk.now, 3)
        engine.dispose()
        with serve(folder, url.render_as_string(False), DASHBOARD_RATE_LIMIT="0") as started:
            yield started
            assert "Traceback" not in started.output()


@pytest.fixture(scope="module")
def described(alone: Served) -> Any:
    return schemathesis.openapi.from_url(f"{alone.url}api/openapi.json")


# An endpoint without parameters and body has nothing that could be wrong.
ASKED = [
    pytest.param(endpoint, mode, id=f"{endpoint.name}-{mode}")
    for endpoint in ENDPOINTS
    for mode in GenerationMode
    if mode.is_positive or endpoint.parameters or endpoint.body
]
# What is well formed and yet names nothing that there is, or says nothing that can be.
HARDLY = {
    **dict.fromkeys(("wake", "acknowledge", "drop", "disconnect", "try_channel", "resend"), 404),
    **dict.fromkeys(("snooze", "save", "connect", "import"), 422),
}


@pytest.mark.parametrize(("endpoint", "mode"), ASKED)
def test_whatever_is_asked_the_answer_is_one_that_was_announced(
    described: Any, endpoint: Endpoint, mode: GenerationMode
) -> None:
    operation = described[endpoint.path][endpoint.method]
    seen = set()

    @settings(
        max_examples=FEWER if endpoint.handler is ActionHandler else EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(operation.as_strategy(generation_mode=mode), st.booleans())
    def ask(case: Any, known: bool) -> None:
        # Hardly any text is a symbol: half of the good requests ask for one that is.
        for part in (case.path_parameters, case.query):
            if known and mode.is_positive and part and "symbol" in part:
                part["symbol"] = "BTC/USDT"
        seen.add(case.call_and_validate(checks=CHECKS).status_code)

    ask()
    assert (HARDLY.get(endpoint.name, 200) if mode.is_positive else 422) in seen


def requests(chance: random.Random) -> Iterator[bytes]:
    """Requests that are nearly right: bytes changed, put in or taken out of good ones."""
    good = [
        b"GET /api/data/BTC%2FUSDT?table=signals&hours=6&limit=2&cursor=AAAA HTTP/1.1",
        b"GET /api/chart/performance?symbol=BTC/USDT&hours=0.5 HTTP/1.1",
        b"HEAD /api/health/ready HTTP/1.1",
        b"OPTIONS /api/metrics HTTP/1.0",
        b"GET /api/notifications?type=signal&unread=true&before=9&limit=2 HTTP/1.1",
        b"DELETE /api/snoozes/1 HTTP/1.1",
        b"POST /api/channels/a%2Fb HTTP/1.1",
    ]
    headers = [
        b"Host: localhost",
        b"Accept: text/plain;q=0.5, application/json",
        b'If-None-Match: W/"abc", *',
        b"Authorization: Bearer abc",
        b"Cookie: a=b; c",
        b"Accept-Encoding: gzip",
        b"Origin: null",
        b"Content-Length: 0",
    ]
    for _ in range(REQUESTS):
        lines = [chance.choice(good), *chance.sample(headers, chance.randint(1, len(headers)))]
        line = chance.choice([0, 0, 0, chance.randrange(len(lines))])
        for _ in range(chance.randint(1, 6)):
            lines[line] = changed(lines[line], chance)
        yield b"\r\n".join([*lines, b"", b""])


def changed(line: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(line) + 1)
    new = chance.choice(
        [
            chance.randbytes(1),
            b"%" + chance.randbytes(1).hex().encode(),
            chance.choice([b"%00", b"%ff%fe", b"/..", b"//", b"&", b"=", b"?", b"#", b";", b"+"]),
            chance.choice([b"A" * 3_000, "٣€😀".encode(), b"%F0%9F%98%80", b"\t", b"%0d%0a", b""]),
        ]
    )
    return line[:place] + new + line[place + chance.randint(0, 2) :]


def answer(port: int, request: bytes) -> bytes:
    """Everything that comes back until the server closes, which it may do at once."""
    with socket.create_connection(("127.0.0.1", port), 10) as link:
        got = b""
        try:
            link.sendall(request)
            link.shutdown(socket.SHUT_WR)
            while part := link.recv(65_536):
                got += part
        except ConnectionError:
            return got
        return got


def test_no_bytes_make_the_server_stumble(alone: Served) -> None:
    port = urlsplit(alone.url).port or 0
    statuses: Counter[int] = Counter()
    for request in requests(random.Random(SEED)):  # noqa: S311
        got = answer(port, request)
        if not got:
            continue
        head, _, body = got.partition(b"\r\n\r\n")
        status = int(head.split(b" ")[1])
        statuses[status] += 1
        assert 200 <= status < 500, (request, got)
        if status >= 400 and body and b"application/json" in head:
            assert json.loads(body)["error"]["status"] == status, request
    # The requests were good enough to reach every part.
    assert statuses.keys() >= {200, 400, 404, 405, 422}
    with urlopen(f"{alone.url}api/health", timeout=10) as told:  # noqa: S310 - http
        assert json.load(told) == {"status": "ok"}
