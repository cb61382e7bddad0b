"""`alphapulse db`: look at the database, or make its tables."""

from __future__ import annotations

import typer

from alphapulse_nb.cli import given

app = typer.Typer(help="Look at the database, or make its tables.", no_args_is_help=True)


@app.command("init")
def init() -> None:
    """Make the trading tables, in a database that has none of them."""
    from alphapulse_nb.db.create import create
    from alphapulse_nb.db.tables import metadata

    with given.database() as db:
        made = create(db)
        if made is None:
            print(f"{db.where}: all {len(metadata.tables)} tables are there; nothing was changed")
            return
        kind = "hypertables" if made.present else "plain tables"
        print(f"{db.where}: made {len(metadata.tables)} {kind} (TimescaleDB: {made})")


@app.command("check")
def check() -> None:
    """List missing tables, missing columns and wrong types. Exit code 1 when there are any."""
    from alphapulse_nb.db.check import check as findings_of

    with given.database() as db:
        findings = findings_of(db)
        for finding in findings:
            print(f"{'failed' if finding.serious else 'warning':<8} {finding}")
            print(f"         {finding.next_step}")
        if any(finding.serious for finding in findings):
            raise typer.Exit(1)
        print(f"{db.where}: every table and column that AlphaPulse NB reads is there")


@app.command("status")
def status() -> None:
    """Show version, size, rows and newest time of each table, TimescaleDB, and who is using it."""
    from alphapulse_nb.db.status import status
    from alphapulse_nb.state import State, standing

    with given.database() as db, State(db) as state:
        for line in status(db):
            print(line)
        found = standing(state)
        print(f"{'own schema':<12} {found}{f'. {found.next_step}' if found.next_step else ''}")


@app.command("upgrade")
def upgrade() -> None:
    """Bring our own schema to this release's version. `serve` and `users add` do so as well."""
    from alphapulse_nb.state import State, prepare, standing

    with given.database() as db, State(db) as state:
        before, after = prepare(state), standing(state)
        was = (
            "nothing was changed" if before.state == "ok" else f"was {before.version or 'not made'}"
        )
        print(f"{db.where}: own schema at {after}; {was}")


@app.command("install-triggers")
def install_triggers() -> None:
    """Let the trading tables tell of new rows at once. Exit code 1 when one of them cannot.

    Writing costs more with them: see the README. `alphapulse db remove-triggers` undoes it.
    """
    from alphapulse_nb.db import triggers

    with given.database() as db:
        outcomes = triggers.install(db)
        for outcome in outcomes:
            print(outcome)
        if note := triggers.note(db):
            print(f"note: {note}")
        if any(outcome.state != "installed" for outcome in outcomes):
            raise typer.Exit(1)


@app.command("remove-triggers")
def remove_triggers() -> None:
    """Take our triggers off the trading tables again. Exit code 1 when one stays."""
    from alphapulse_nb.db import triggers

    with given.database() as db:
        outcomes = triggers.remove(db)
        for outcome in outcomes:
            print(outcome)
        if not outcomes:
            print(f"{db.where}: there are no triggers of ours")
        if any(outcome.state == "installed" for outcome in outcomes):
            raise typer.Exit(1)
