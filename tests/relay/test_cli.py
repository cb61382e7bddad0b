"""`alphapulse events`: types and events from scripts, which a server that runs learns at once."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.conftest import serve, wait_until
from tests.state.test_cli import Commands, alphapulse
from tests.stream.served import listening
from tests.test_cli import Runner

__all__ = ["alphapulse"]

SCHEMA = {
    "type": "object",
    "required": ["symbol", "price"],
    "properties": {"symbol": {"type": "string"}, "price": {"type": "number", "minimum": 0}},
}


@pytest.fixture
def run(alphapulse: Runner, filled: sa.URL) -> Commands:
    return Commands(alphapulse, filled)


def test_a_type_of_ones_own_and_its_events_reach_who_listens(run: Commands, tmp_path: Path) -> None:
    file = tmp_path / "fill.json"
    file.write_text(json.dumps(SCHEMA), "utf-8")
    address = run.url.render_as_string(hide_password=False)

    async def scenario(url: str) -> dict[str, object]:
        async with listening(url) as link, asyncio.timeout(60):
            await link.recv()
            registered = await asyncio.to_thread(run, "events", "register", "fill", str(file))
            assert registered.stdout.startswith("fill may be posted"), registered.stderr
            said = {"type": "error"}
            while said["type"] != "subscribed":
                await link.send('{"type": "subscribe", "data": {"types": ["fill"]}}')
                said = json.loads(await link.recv())
                await asyncio.sleep(0.1)
            posted = await asyncio.to_thread(
                run, "events", "post", "fill", '{"symbol": "BTC/USDT", "price": 104000.5}'
            )
            assert (seq := re.fullmatch(r"event (\d+)\n", posted.stdout)), posted.stderr
            event: dict[str, object] = {"type": ""}
            while event["type"] != "fill":
                event = json.loads(await link.recv())
            assert event["seq"] == int(seq[1])
            return event

    with serve(tmp_path, address, command="stream") as served:
        wait_until(lambda: run("events", "types").returncode == 0)
        event = asyncio.run(scenario(served.url))
        assert event["data"] == {"symbol": "BTC/USDT", "price": 104000.5}
    listed = run("events", "types").stdout
    assert re.search(r"^signal +built in$", listed, re.MULTILINE)
    assert re.search(r'^fill +\{"type": "object"', listed, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "given", "says"),
    [
        (["post", "fill", "{}"], "", "there is no type of events 'fill'"),
        (["post", "signals", "{}"], "", "Did you mean signal?"),
        (["post", "signal", "[]"], "", "the data is no JSON object"),
        (["post", "signal"], "nonsense", "the data is no JSON"),
        (["post", "signal"], '{"note": "\\u0000"}', "U+0000"),
        (["register", "Fill"], "", "is no name for a type of events"),
        (["register", "signal"], "", "built in"),
        (["register", "fill", "-"], '{"type": 12}', "the schema of fill is none"),
        (["register", "fill", "-"], '{"$ref": "http://x.example/s"}', "refers to another address"),
        (["register", "fill", "missing.json"], "", "cannot be read"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    run: Commands, words: list[str], given: str, says: str
) -> None:
    done = run("events", *words, given=given.encode())
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert says in line


def test_data_must_meet_the_schema_of_its_type(run: Commands) -> None:
    schema = json.dumps(SCHEMA).encode()
    assert run("events", "register", "fill", "-", given=schema).returncode == 0
    done = run("events", "post", "fill", '{"symbol": "BTC/USDT", "price": "many"}')
    assert done.returncode == 2
    assert "fill: price:" in done.stderr
