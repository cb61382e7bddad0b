"""The command `alphapulse`. What only one command needs is imported inside it."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alphapulse_nb.errors import AlphaPulseError, InputError

if TYPE_CHECKING:
    from alphapulse_nb.db.connection import Database
    from alphapulse_nb.events import Kinds
    from alphapulse_nb.relay.log import EventLog
    from alphapulse_nb.settings import Settings
    from alphapulse_nb.state import Users

app = typer.Typer(
    name="alphapulse",
    help="A live view of a trading desk's Postgres or TimescaleDB.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they show local variables, and those hold secrets
)
db_app = typer.Typer(help="Look at the database, or make its tables.", no_args_is_help=True)
app.add_typer(db_app, name="db")
users_app = typer.Typer(help="Say who may sign in, and as what.", no_args_is_help=True)
app.add_typer(users_app, name="users")
events_app = typer.Typer(
    help="Types of events of your own, and events from scripts.", no_args_is_help=True
)
app.add_typer(events_app, name="events")

Debug = Annotated[bool, typer.Option("--debug", help="Verbose log and tracebacks; loopback only.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on.", show_default="8050")]
Host = Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")]
BaseUrl = Annotated[
    str | None, typer.Option(help="Path that everything lives under.", show_default="/")
]
NoAuth = Annotated[
    bool, typer.Option("--no-auth", help="Let everybody in, also from other machines.")
]
Name = Annotated[str, typer.Argument(metavar="NAME", help="The user's name; case is no matter.")]
RoleName = Annotated[str, typer.Argument(metavar="ROLE", help="viewer, operator or admin.")]
Zone = Annotated[str, typer.Argument(metavar="ZONE", help="An IANA zone, or '' for the browser's.")]
_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


def main() -> None:
    """Run the command line; an error of ours is one line, not a traceback."""
    try:
        app()
    except AlphaPulseError as error:
        if "--debug" in sys.argv[1:]:
            raise
        print(f"alphapulse: {error}", file=sys.stderr)
        sys.exit(2)


@app.callback(invoke_without_command=True)
def root(
    check_deps: Annotated[
        bool, typer.Option("--check-deps", help="The same as `alphapulse check`.")
    ] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        print(f"alphapulse {installed('alphapulse-nb')}")
        raise typer.Exit
    if check_deps:
        check()
        raise typer.Exit


@app.command()
def check() -> None:
    """Report what a working dashboard needs: ok, warning or failed, with the next step.

    Exit code 1 when something failed.
    """
    from alphapulse_nb import checks

    failed = False
    for line in checks.run():
        typer.secho(f"{line.state:<8}", fg=_COLOURS[line.state], nl=False)
        print(f" {line.name}: {line.detail}")
        if line.next_step and line.state != "ok":
            print(f"         {line.next_step}")
        failed = failed or line.state == "failed"
    if failed:
        raise typer.Exit(1)


@db_app.command("init")
def db_init() -> None:
    """Make the trading tables, in a database that has none of them."""
    from alphapulse_nb.db.create import create
    from alphapulse_nb.db.tables import metadata

    with _database() as db:
        made = create(db)
        if made is None:
            print(f"{db.where}: all {len(metadata.tables)} tables are there; nothing was changed")
            return
        kind = "hypertables" if made.present else "plain tables"
        print(f"{db.where}: made {len(metadata.tables)} {kind} (TimescaleDB: {made})")


@db_app.command("check")
def db_check() -> None:
    """List missing tables, missing columns and wrong types. Exit code 1 when there are any."""
    from alphapulse_nb.db.check import check as findings_of

    with _database() as db:
        findings = findings_of(db)
        for finding in findings:
            print(f"{'failed' if finding.serious else 'warning':<8} {finding}")
            print(f"         {finding.next_step}")
        if any(finding.serious for finding in findings):
            raise typer.Exit(1)
        print(f"{db.where}: every table and column that AlphaPulse NB reads is there")


@db_app.command("status")
def db_status() -> None:
    """Show version, size, rows and newest time of each table, TimescaleDB, and who is using it."""
    from alphapulse_nb.db.status import status
    from alphapulse_nb.state import State, standing

    with _database() as db, State(db) as state:
        for line in status(db):
            print(line)
        found = standing(state)
        print(f"{'own schema':<12} {found}{f'. {found.next_step}' if found.next_step else ''}")


@db_app.command("upgrade")
def db_upgrade() -> None:
    """Bring our own schema to this release's version. `serve` and `users add` do so as well."""
    from alphapulse_nb.state import State, prepare, standing

    with _database() as db, State(db) as state:
        before, after = prepare(state), standing(state)
        was = (
            "nothing was changed" if before.state == "ok" else f"was {before.version or 'not made'}"
        )
        print(f"{db.where}: own schema at {after}; {was}")


@db_app.command("install-triggers")
def db_install_triggers() -> None:
    """Let the trading tables tell of new rows at once. Exit code 1 when one of them cannot.

    Writing costs more with them: see the README. `alphapulse db remove-triggers` undoes it.
    """
    from alphapulse_nb.db import triggers

    with _database() as db:
        outcomes = triggers.install(db)
        for outcome in outcomes:
            print(outcome)
        if note := triggers.note(db):
            print(f"note: {note}")
        if any(outcome.state != "installed" for outcome in outcomes):
            raise typer.Exit(1)


@db_app.command("remove-triggers")
def db_remove_triggers() -> None:
    """Take our triggers off the trading tables again. Exit code 1 when one stays."""
    from alphapulse_nb.db import triggers

    with _database() as db:
        outcomes = triggers.remove(db)
        for outcome in outcomes:
            print(outcome)
        if not outcomes:
            print(f"{db.where}: there are no triggers of ours")
        if any(outcome.state == "installed" for outcome in outcomes):
            raise typer.Exit(1)


@users_app.command("add")
def users_add(
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


@users_app.command("list")
def users_list() -> None:
    """List the users with role and time zone."""
    with _users() as users:
        if not users.any():
            print("no users yet; `alphapulse users add NAME` adds one")
            return
        for user in users.listed():
            person = user.person
            zone = person.zone or "browser's zone"
            print(f"{person.name:<20} {person.role:<8} {zone:<20} since {user.created_at:%Y-%m-%d}")


@users_app.command("remove")
def users_remove(name: Name) -> None:
    """Delete a user, and with them their sessions."""
    with _users() as users:
        users.remove(name)
    print(f"removed {name}")


@users_app.command("password")
def users_password(name: Name) -> None:
    """Give a user a new password, which ends their sessions. It is asked for as in `add`."""
    with _users() as users:
        users.known(name)
        users.set_password(name, _password())
    print(f"{name} has a new password; older sessions have ended")


@users_app.command("role")
def users_role(name: Name, role: RoleName) -> None:
    """Make a user a viewer, an operator or an admin."""
    from alphapulse_nb.state.users import checked_role

    wanted = checked_role(role)
    with _users() as users:
        users.set_role(name, wanted)
    print(f"{name} is now {wanted}")


@users_app.command("zone")
def users_zone(name: Name, zone: Zone) -> None:
    """Set a user's time zone."""
    with _users() as users:
        users.set_zone(name, zone)
    print(f"{name} sees times in {zone or 'the zone of their browser'}")


@events_app.command("types")
def events_types() -> None:
    """List the types of events, and what the data of your own must be."""
    import json

    from alphapulse_nb.events import BUILT_IN

    with _events() as (_, kinds):
        for name in kinds:
            schema = kinds.schema(name)
            about = "built in" if name in BUILT_IN else json.dumps(schema) if schema else "any data"
            print(f"{name:<24} {about}")


@events_app.command("register")
def events_register(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Such as fill or risk.limit_hit.")],
    schema: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="JSON Schema of the data; - is standard input."),
    ] = None,
) -> None:
    """Make a type of events known to every server, or give it another schema."""
    asked = None if schema is None else _object("the schema", _text_of(schema))
    with _events(prepared=True) as (log, kinds):
        kinds.register(name, asked)
        log.register(name, asked)
    print(f"{name} may be posted, with {'any data' if asked is None else 'data of that schema'}")


@events_app.command("post")
def events_post(
    name: Annotated[str, typer.Argument(metavar="TYPE", help="A type of `events types`.")],
    data: Annotated[
        str, typer.Argument(metavar="JSON", help="The data, an object; - is standard input.")
    ] = "-",
) -> None:
    """Send an event to all who listen. It is checked against the type's schema."""
    from datetime import UTC, datetime

    from alphapulse_nb.relay.log import post

    told = _object("the data", sys.stdin.read() if data == "-" else data)
    with _events(prepared=True) as (log, kinds):
        kinds.check(name, told)
        posted = post(log, name, told, datetime.now(UTC))
    print(f"event {posted.seq}")


@app.command()
def serve(
    host: Host = None,
    port: Port = None,
    base_url: BaseUrl = None,
    no_auth: NoAuth = False,
    debug: Debug = False,
) -> None:
    """Serve the dashboard. Without database settings it shows the embedded database."""
    settings = _listening(host, base_url, no_auth, debug, DASHBOARD_PORT=port)
    from alphapulse_nb.settings import hand_down

    hand_down(settings, os.environ)
    # The embedded database fails now, and not in each viewer's page, when it cannot start.
    with _stoppable(), _database(settings) as db:
        _server(settings, db, lambda url: print(f"AlphaPulse is at {url}", flush=True)).start()


@app.command()
def stream(
    host: Host = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on.", show_default="8765")
    ] = None,
    base_url: BaseUrl = None,
    no_auth: NoAuth = False,
    debug: Debug = False,
) -> None:
    """Serve the event stream and the API alone, for programs: no pages, no kernels."""
    settings = _listening(host, base_url, no_auth, debug, STREAM_PORT=port)
    from alphapulse_nb.server.stream_app import StreamServer

    with _stoppable(), _database(settings) as db:
        StreamServer(
            settings, db, ready=lambda url: print(f"The stream is at {url}stream", flush=True)
        ).start()


@app.command()
def demo(
    port: Port = None,
    browser: Annotated[
        bool, typer.Option("--browser/--no-browser", help="Open the page in a browser.")
    ] = True,
    days: Annotated[int, typer.Option(min=1, max=365, help="Days of history.")] = 30,
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the market.")] = None,
) -> None:
    """Show a live dashboard over a synthetic trading desk, in the embedded database."""
    settings = _settings(
        DASHBOARD_PORT=port, ALPHAPULSE_SEED=seed, ALPHAPULSE_NOTICE="Synthetic market"
    )
    if settings.database() is not None:
        raise InputError(
            "the demo writes to the embedded database only: unset DATABASE_URL, DB_HOST, DB_NAME "
            "and DB_USER (also in .env), or use `alphapulse serve` to see your own data"
        )
    from alphapulse_nb.rehearsal import Desk
    from alphapulse_nb.settings import hand_down

    hand_down(settings, os.environ)
    # The desk first: its process starts up, and starts the database, while ours imports.
    with _stoppable(), Desk(settings, days) as desk, _database(settings) as db:
        server = _server(settings, db, lambda address: desk.announce(address, browser), brief=True)
        # Meanwhile the handler that Voila installed would look for a server that listens.
        with _stoppable():
            desk.wait()
        server.start()


def _settings(**overrides: object) -> Settings:
    from alphapulse_nb import settings

    return settings.read(**overrides)


def _listening(
    host: str | None, base_url: str | None, no_auth: bool, debug: bool, **port: int | None
) -> Settings:
    """The settings of a server, as far as its command line overrides them."""
    return _settings(
        DASHBOARD_HOST=host,
        DASHBOARD_BASE_URL=base_url,
        DASHBOARD_NO_AUTH=True if no_auth else None,
        DASHBOARD_DEBUG=True if debug else None,
        **port,
    )


def _database(settings: Settings | None = None) -> Database:
    from alphapulse_nb.db import connection

    settings = settings or _settings()
    return connection.connect(
        settings.database(),
        statement_timeout=settings.statement_timeout,
        data_dir=settings.data_dir,
    )


@contextmanager
def _users(*, prepared: bool = False) -> Iterator[Users]:
    """The users of the database that the settings name; `prepared`: their table is made."""
    from alphapulse_nb.state import State, Users, prepare

    with _database() as db, State(db) as state:
        if prepared:
            prepare(state)
        yield Users(state)


@contextmanager
def _events(*, prepared: bool = False) -> Iterator[tuple[EventLog, Kinds]]:
    """The log of events of the database that the settings name, and the types there are."""
    from alphapulse_nb.events import Kinds
    from alphapulse_nb.relay.log import EventLog
    from alphapulse_nb.state import State, prepare

    with _database() as db, State(db) as state:
        if prepared:
            prepare(state)
        log = EventLog(state)
        yield log, Kinds(log.types())


def _text_of(file: Path) -> str:
    if str(file) == "-":
        return sys.stdin.read()
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read: {error}") from None


def _object(what: str, text: str) -> dict[str, Any]:
    import json

    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{what} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"{what} is no JSON object")
    return found


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


def _server(
    settings: Settings, db: Database, ready: Callable[[str], None], *, brief: bool = False
) -> Any:
    """The server, made but not started."""
    from alphapulse_nb.server.app import application

    return application(settings, db, ready=ready, brief=brief)


@contextmanager
def _stoppable() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the block, and all that was begun in it, without a traceback."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
