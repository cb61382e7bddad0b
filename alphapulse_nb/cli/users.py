"""`alphapulse users`: who may sign in, and as what."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from alphapulse_nb.cli import given
from alphapulse_nb.errors import InputError

if TYPE_CHECKING:
    from alphapulse_nb.state import Users

app = typer.Typer(help="Say who may sign in, and as what.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name; case is no matter.")]
RoleName = Annotated[str, typer.Argument(metavar="ROLE", help="viewer, operator or admin.")]
Zone = Annotated[str, typer.Argument(metavar="ZONE", help="An IANA zone, or '' for the browser's.")]


@app.command("add")
def add(
    name: Name,
    role: Annotated[str, typer.Option(help="viewer, operator or admin.")] = "viewer",
    zone: Annotated[str, typer.Option(help="IANA time zone.", show_default="browser's")] = "",
) -> None:
    """Add a user. The password is asked for, or read from standard input; it is no argument."""
    from alphapulse_nb.state.users import checked_name, checked_role, checked_zone

    # What is wrong with the rest is said before a password is typed.
    wanted = checked_role(role)
    checked_name(name), checked_zone(zone)
    with _users(prepared=True) as users:
        added = users.add(name, _password(), wanted, zone).person
    print(f"added {added.name}, {added.role}")


@app.command("list")
def listed() -> None:
    """List the users with role and time zone."""
    with _users() as users:
        if not users.any():
            print("no users yet; `alphapulse users add NAME` adds one")
            return
        for user in users.listed():
            person = user.person
            zone = person.zone or "browser's zone"
            print(f"{person.name:<20} {person.role:<8} {zone:<20} since {user.created_at:%Y-%m-%d}")


@app.command("remove")
def remove(name: Name) -> None:
    """Delete a user, and with them their sessions."""
    with _users() as users:
        users.remove(name)
    print(f"removed {name}")


@app.command("password")
def password(name: Name) -> None:
    """Give a user a new password, which ends their sessions. It is asked for as in `add`."""
    with _users() as users:
        users.known(name)
        users.set_password(name, _password())
    print(f"{name} has a new password; older sessions have ended")


@app.command("role")
def role(name: Name, role: RoleName) -> None:
    """Make a user a viewer, an operator or an admin."""
    from alphapulse_nb.state.users import checked_role

    wanted = checked_role(role)
    with _users() as users:
        users.set_role(name, wanted)
    print(f"{name} is now {wanted}")


@app.command("zone")
def zone(name: Name, zone: Zone) -> None:
    """Set a user's time zone."""
    with _users() as users:
        users.set_zone(name, zone)
    print(f"{name} sees times in {zone or 'the zone of their browser'}")


@contextmanager
def _users(*, prepared: bool = False) -> Iterator[Users]:
    """The users of the database that the settings name; `prepared`: their table is made."""
    from alphapulse_nb.state import State, Users, prepare

    with given.database() as db, State(db) as state:
        if prepared:
            prepare(state)
        yield Users(state)


def _password() -> str:
    """A new password: asked for twice on a terminal, else the first line of standard input."""
    from alphapulse_nb.state.passwords import checked

    if sys.stdin.isatty():
        typed: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
        return checked(typed)
    try:
        given = sys.stdin.buffer.readline().decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise InputError("the password on standard input is not UTF-8 text") from None
    if not given:
        raise InputError("no password on standard input; give it there, or run this on a terminal")
    return checked(given)
