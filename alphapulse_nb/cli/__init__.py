"""The command `alphapulse`. What only one command needs is imported inside it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from alphapulse_nb import grammar
from alphapulse_nb.cli import channels, db, events, given, rules, users
from alphapulse_nb.errors import AlphaPulseError, InputError

if TYPE_CHECKING:
    from alphapulse_nb.db.connection import Database
    from alphapulse_nb.settings import Settings

app = typer.Typer(
    name="alphapulse",
    help="A live view of a trading desk's Postgres or TimescaleDB.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # they show local variables, and those hold secrets
)
app.add_typer(db.app, name="db")
app.add_typer(users.app, name="users")
app.add_typer(events.app, name="events")
app.add_typer(rules.app, name="rules")
app.add_typer(channels.app, name="channels")

Debug = Annotated[bool, typer.Option("--debug", help="Verbose log and tracebacks; loopback only.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on.", show_default="8050")]
Host = Annotated[str | None, typer.Option(help="Address to listen on.", show_default="127.0.0.1")]
BaseUrl = Annotated[
    str | None, typer.Option(help="Path that everything lives under.", show_default="/")
]
NoAuth = Annotated[
    bool, typer.Option("--no-auth", help="Let everybody in, also from other machines.")
]
_COLOURS = {"ok": "green", "warning": "yellow", "failed": "red"}


def main() -> None:
    """Run the command line; an error of ours is one line, not a traceback."""
    grammar.postpone()
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


@app.command()
def serve(
    host: Host = None,
    port: Port = None,
    base_url: BaseUrl = None,
    no_auth: NoAuth = False,
    debug: Debug = False,
) -> None:
    """Serve the dashboard. Without database settings it shows the embedded database."""
    settings = given.listening(host, base_url, no_auth, debug, DASHBOARD_PORT=port)
    from alphapulse_nb.settings import hand_down

    hand_down(settings, os.environ)
    # The embedded database fails now, and not in each viewer's page, when it cannot start.
    with given.stoppable(), given.database(settings) as db:
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
    settings = given.listening(host, base_url, no_auth, debug, STREAM_PORT=port)
    from alphapulse_nb.server.stream_app import StreamServer

    with given.stoppable(), given.database(settings) as db:
        StreamServer(
            settings, db, ready=lambda url: print(f"The stream is at {url}stream", flush=True)
        ).start()


@app.command()
def worker(debug: Debug = False) -> None:
    """Evaluate the rules of alerts and send what they find, without serving anything."""
    settings = given.settings(DASHBOARD_DEBUG=True if debug else None)
    from alphapulse_nb.server.worker import Worker

    with given.stoppable(), given.database(settings) as db:
        print(f"The alerts of {db.where} are evaluated, here or by another server", flush=True)
        Worker(settings, db).start()


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
    settings = given.settings(
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
    with given.stoppable(), Desk(settings, days) as desk, given.database(settings) as db:
        server = _server(settings, db, lambda address: desk.announce(address, browser), brief=True)
        # Meanwhile the handler that Voila installed would look for a server that listens.
        with given.stoppable():
            desk.wait()
        server.start()


def _server(
    settings: Settings, db: Database, ready: Callable[[str], None], *, brief: bool = False
) -> Any:
    """The server, made but not started."""
    from alphapulse_nb.server.app import application

    return application(settings, db, ready=ready, brief=brief)
