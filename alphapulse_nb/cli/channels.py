"""`alphapulse channels`: the ways by which notifications leave the house."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from alphapulse_nb.cli import given
from alphapulse_nb.errors import InputError

if TYPE_CHECKING:
    from alphapulse_nb.notify.deliveries import Deliveries

app = typer.Typer(
    help="Channels of notifications: mail, chat services, webhooks.", no_args_is_help=True
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="What rules call the channel.")]


@app.command("add")
def add(
    name: Name,
    watch: Annotated[
        bool,
        typer.Option(
            "--watch/--no-watch", help="Also say there that alerts are not evaluated at all."
        ),
    ] = True,
) -> None:
    """Add a channel, or give it another address.

    The address, and for a webhook the secret that signs it on a second line, are asked for, or read
    from standard input: they are secrets, which others see in a command line.
    """
    from alphapulse_nb.notify.channels import open_channel, read
    from alphapulse_nb.notify.deliveries import checked_name

    checked_name(name)
    address, secret = _secrets()
    open_channel(name, address, secret)
    with _deliveries(prepared=True) as deliveries:
        deliveries.save(name, address, secret, watch=watch, by="alphapulse channels add")
    print(f"{name} sends to {read(address).masked}")


@app.command("list")
def listed() -> None:
    """List the channels, without their secrets."""
    from alphapulse_nb.notify.channels import read

    with _deliveries() as deliveries:
        kept = deliveries.channels()
    if not kept:
        print("no channels yet; `alphapulse channels add NAME` adds one")
    for one in kept:
        try:
            found = read(one.address)
        except InputError as error:
            print(f"{one.name:<20} {'error':<12} {error}")
        else:
            print(f"{one.name:<20} {found.kind:<12} {found.masked}")


@app.command("remove")
def remove(name: Name) -> None:
    """Remove a channel; rules that name it send nothing by it."""
    with _deliveries() as deliveries:
        deliveries.remove(name)
    print(f"removed {name}")


@app.command("test")
def trial(name: Name) -> None:
    """Send a message that is marked TEST, by the way that all others take."""
    from datetime import UTC, datetime

    from alphapulse_nb.errors import ChannelError
    from alphapulse_nb.notify import courier
    from alphapulse_nb.notify.channels import Reach

    settings = given.settings()
    with _deliveries() as deliveries:
        kept = deliveries.channel(name)
    message, reach = courier.trial(datetime.now(UTC)), Reach(local=settings.local_channels)
    try:
        courier.carry(kept, reach, message)
    except ChannelError as error:
        raise InputError(f"{name} did not take the message: {error}") from None
    print(f"{name} took the message")


@app.command("deliveries")
def sent(
    state: Annotated[
        str, typer.Option(metavar="STATE", help="Only those that are waiting, sent or dead.")
    ] = "",
) -> None:
    """List what was sent, what waits, and what was given up, the newest first."""
    from alphapulse_nb.notify.deliveries import STATES

    if state not in ("", *STATES):
        raise InputError(f"{state[:40]!r} is none of {', '.join(STATES)}")
    with _deliveries() as deliveries:
        for one in deliveries.listed(state or None):  # type: ignore[arg-type]
            tried = f"{one.attempts} attempt{'s' * (one.attempts != 1)}"
            print(f"{one.id:>8} {one.state:<8} {one.channel:<20} {one.notification.title}")
            print(f"         {tried}{f': {one.error}' if one.error else ''}")


@app.command("resend")
def resend(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="As `deliveries` shows it.")],
) -> None:
    """Have a message tried again that was given up."""
    with _deliveries() as deliveries:
        deliveries.resend(number)
    print(f"{number} is tried again by the next server that looks")


def _secrets() -> tuple[str, str]:
    """The address and, for a webhook, its secret."""
    from alphapulse_nb.notify.channels import WEBHOOK, read

    if sys.stdin.isatty():
        address: str = typer.prompt("Address", hide_input=True)
        signed = read(address).kind == WEBHOOK
        secret: str = typer.prompt("Secret that signs it", hide_input=True) if signed else ""
        return address.strip(), secret.strip()
    lines = [line.strip() for line in sys.stdin.read().splitlines() if line.strip()]
    if not 1 <= len(lines) <= 2:
        raise InputError("standard input holds an address, and on a second line a webhook's secret")
    return lines[0], lines[1] if len(lines) == 2 else ""


@contextmanager
def _deliveries(*, prepared: bool = False) -> Iterator[Deliveries]:
    from alphapulse_nb.notify.deliveries import Deliveries
    from alphapulse_nb.state import State, prepare

    with given.database() as db, State(db) as state:
        if prepared:
            prepare(state)
        yield Deliveries(state)
