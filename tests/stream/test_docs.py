"""What docs/stream.md and docs/stream-client.md show is what a server says and a client does."""

from __future__ import annotations

import ast
import asyncio
import inspect
import json
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from alphapulse_nb.db.connection import Database
from alphapulse_nb.events import BUILT_IN, LARGEST, moment
from alphapulse_nb.server.stream import places, protocol, session, socket
from alphapulse_nb.stream_client import State, handler
from tests.conftest import ROOT
from tests.stream.served import Streaming, listening, serving
from tests.stream.test_socket import Client, run

PROTOCOL = (ROOT / "docs" / "stream.md").read_text("utf-8")
EXAMPLES = (ROOT / "docs" / "stream-client.md").read_text("utf-8")


def shown() -> list[tuple[str, dict[str, Any]]]:
    """The messages of the page in their order, and who says each."""
    found = re.findall(r"^```json (\w+)\n(.*?)^```$", PROTOCOL, re.MULTILINE | re.DOTALL)
    return [(who, json.loads(text)) for who, text in found]


def alike(written: Any, said: Any) -> None:
    """Whether two messages have the same form, and the same words where they are fixed."""
    assert set(written) == set(said), (written, said)
    assert written["type"] == said["type"]
    assert (written["seq"] is None) is (said["seq"] is None)
    moment(written["timestamp"])
    if written["type"] not in {"signal"}:
        assert set(written["data"]) == set(said["data"])
    for name in ("status", "code", "message", "field", "nearest", "types", "symbols", "feed"):
        if name in written["data"] and written["type"] != "welcome":
            assert written["data"][name] == said["data"][name]


@pytest.fixture
def server(db: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Streaming]:
    with serving(db) as made:
        made.tail.identity = "5f0c…"
        made.add(count=4_000)
        while made.tail.newest < 4_711:
            made.add()
        yield made


def test_every_message_of_the_page_is_said_and_answered_so(server: Streaming) -> None:
    async def scenario() -> None:
        async with listening(server.url) as connection:
            end = Client(connection)
            answers: dict[Any, dict[str, Any]] = {}
            for who, message in shown():
                if who == "client":
                    answers[message["id"]] = await end.ask(
                        message["type"], message["id"], **message["data"]
                    )
                elif who == "event":
                    await asyncio.to_thread(server.add, message["type"], **message["data"])
                    said = await end.until(message["type"])
                    alike(message, said)
                    assert set(message["data"]) <= set(said["data"])
                elif who == "server" and message["type"] == "welcome":
                    alike(message, await end.told())
                elif who == "server" and "id" in message:
                    alike(message, answers.pop(message["id"]))
            assert answers == {}

    assert len(shown()) > 15
    run(scenario)


def test_what_the_page_says_of_heartbeats_and_gaps_is_so(
    server: Streaming, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "HEARTBEAT_SECONDS", 0.1)
    server.tail.kept, server.tail.gone = 10, server.tail.newest - 5
    beat = next(message for _, message in shown() if message["type"] == "heartbeat")
    gone = next(message for who, message in shown() if who == "gone")

    async def scenario() -> None:
        async with listening(server.url) as connection:
            end = Client(connection)
            alike(beat, await end.until("heartbeat"))
            await end.ask("subscribe", after=1)
            said = await end.until("error")
            alike(gone, said)
            assert set(gone["data"]["allowed"]) == set(said["data"]["allowed"])

    run(scenario)


def test_every_message_there_is_has_its_example() -> None:
    said = {message["type"] for who, message in shown() if who == "client"}
    assert said == set(protocol._READERS)
    assert set(re.findall(r"^\| `(\w+)` \|", PROTOCOL, re.MULTILINE)) == set(BUILT_IN)


def test_the_bounds_of_the_page_are_those_of_the_server() -> None:
    rows = dict(re.findall(r"^\| ([a-z][^|]*) \| ([^|]*) \|", PROTOCOL, re.MULTILINE))
    numbers = {
        what: int(bound.replace(",", "").split()[0])
        for what, bound in rows.items()
        if bound[:1].isdigit()
    }
    assert numbers == {
        "a client's message": protocol.LARGEST >> 10,
        "messages that cannot be taken": session._MOST_BAD,
        "answers that are not read": session._MOST_ANSWERS,
        "taking nothing of what is sent": session.STALL_SECONDS,
        "no answer to a websocket ping": socket.PING_SECONDS,
        "feeds of one client": session._MOST_FEEDS,
        "connections of one named person": places.MOST_EACH,
        "connections from one address": places.MOST_ADDRESS,
        "connections in all": places.MOST,
    }
    assert f"at most {LARGEST >> 10} kB" in PROTOCOL
    assert f"each a list of up to {protocol.MOST_NAMES} names" in PROTOCOL


@pytest.mark.parametrize("page", [PROTOCOL, EXAMPLES], ids=["stream", "stream-client"])
def test_every_link_of_the_pages_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page):
        path, _, heading = target.partition("#")
        found = (ROOT / "docs" / path).read_text("utf-8") if path else page
        headings = re.findall(r"^#+ (.*)$", found, re.MULTILINE)
        assert not heading or heading in {one.lower().replace(" ", "-") for one in headings}


def test_every_example_of_the_client_runs(db: Database, capsys: pytest.CaptureFixture[str]) -> None:
    """One after another, as the cells of a notebook, while things happen on the desk."""
    blocks = re.findall(r"^```python\n(.*?)^```$", EXAMPLES, re.MULTILINE | re.DOTALL)
    done = threading.Event()

    def happen(server: Streaming) -> None:
        while not done.wait(0.05):
            server.add("signal")
            server.add("prediction")

    async def scenario(server: Streaming) -> None:
        names: dict[str, Any] = {"URL": server.url, "TOKEN": "", "kept": []}
        happening = asyncio.create_task(asyncio.to_thread(happen, server))
        try:
            for block in blocks:
                flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
                result = eval(compile(block, "an example", "exec", flags), names)  # noqa: S307
                if inspect.iscoroutine(result):
                    await result
                if "@stream.on(" in block:
                    while not names["kept"]:
                        await asyncio.sleep(0.01)
        finally:
            done.set()
            await happening
        assert names["stream"].status.state is State.CLOSED

    with serving(db) as server:
        run(lambda: scenario(server))
    told = capsys.readouterr().out
    assert "Did you mean signal" in told
    assert "live" in told
    assert len(blocks) == 7


def test_the_numbers_of_the_examples_are_those_of_the_client() -> None:
    assert f"When {handler.MOST_WAITING:,} events" in EXAMPLES
    for state in State:
        assert f"| `{state}` |" in EXAMPLES
