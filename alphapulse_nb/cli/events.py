"""`alphapulse events`: types of events of your own, and events from scripts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alphapulse_nb.cli import given

if TYPE_CHECKING:
    from alphapulse_nb.events import Kinds
    from alphapulse_nb.relay.log import EventLog

app = typer.Typer(
    help="Types of events of your own, and events from scripts.", no_args_is_help=True
)


@app.command("types")
def types() -> None:
    """List the types of events, and what the data of your own must be."""
    import json

    from alphapulse_nb.events import BUILT_IN

    with _events() as (_, kinds):
        for name in kinds:
            schema = kinds.schema(name)
            about = "built in" if name in BUILT_IN else json.dumps(schema) if schema else "any data"
            print(f"{name:<24} {about}")


@app.command("register")
def register(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as fill or risk.limit_hit.")],
    schema: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="JSON Schema of the data; - is standard input."),
    ] = None,
) -> None:
    """Make a type of events known to every server, or give it another schema."""
    asked = None if schema is None else given.object_of("the schema", given.text_of(schema))
    with _events(prepared=True) as (log, kinds):
        kinds.register(name, asked)
        log.register(name, asked)
    print(f"{name} may be posted, with {'any data' if asked is None else 'data of that schema'}")


@app.command("post")
def post(
    name: Annotated[str, typer.Argument(metavar="TYPE", help="A type of `events types`.")],
    data: Annotated[
        str, typer.Argument(metavar="JSON", help="The data, an object; - is standard input.")
    ] = "-",
) -> None:
    """Send an event to all who listen. It is checked against the type's schema."""
    from datetime import UTC, datetime

    from alphapulse_nb.relay.log import post

    told = given.object_of("the data", sys.stdin.read() if data == "-" else data)
    with _events(prepared=True) as (log, kinds):
        kinds.check(name, told)
        posted = post(log, name, told, datetime.now(UTC))
    print(f"event {posted.seq}")


@contextmanager
def _events(*, prepared: bool = False) -> Iterator[tuple[EventLog, Kinds]]:
    """The log of events of the database that the settings name, and the types there are."""
    from alphapulse_nb.events import Kinds
    from alphapulse_nb.relay.log import EventLog
    from alphapulse_nb.state import State, prepare

    with given.database() as db, State(db) as state:
        if prepared:
            prepare(state)
        log = EventLog(state)
        yield log, Kinds(log.types())
