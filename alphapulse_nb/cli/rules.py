"""`alphapulse rules`: the rules of alerts, in the database and as files."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from alphapulse_nb.cli import given
from alphapulse_nb.errors import InputError

if TYPE_CHECKING:
    from alphapulse_nb.alerts.check import Checked
    from alphapulse_nb.alerts.rule import Rule
    from alphapulse_nb.alerts.store import Store
    from alphapulse_nb.db.connection import Database
    from alphapulse_nb.events import Kinds
    from alphapulse_nb.state import State

app = typer.Typer(help="Rules of alerts: as rows, and as files.", no_args_is_help=True)

File = Annotated[Path, typer.Argument(metavar="FILE", help="YAML; - is standard input.")]


@app.command("list")
def listed() -> None:
    """List the rules, and whether each can work."""
    from alphapulse_nb.alerts.check import check
    from alphapulse_nb.errors import RuleError

    with _rules() as (store, kinds, _, _):
        for kept in store.listed():
            fault = kept.fault
            if kept.rule is not None:
                try:
                    check(kept.rule, kinds)
                except RuleError as error:
                    fault = str(error)
            state = "on" if kept.rule is not None and kept.rule.enabled else "off"
            print(f"{kept.name:<32} {'error' if fault else state:<6} {fault}".rstrip())


@app.command("export")
def export(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="Where to; - is standard output.")
    ] = Path("-"),
) -> None:
    """Write all rules as YAML, always in the same order."""
    from alphapulse_nb.alerts import files

    with _rules() as (store, _, _, _):
        kept = store.listed()
    for fault in [f"{one.name}: {one.fault}" for one in kept if one.rule is None]:
        print(f"left out, since it cannot be read: {fault}", file=sys.stderr)
    text = files.dump(one.rule for one in kept if one.rule is not None)
    if str(file) == "-":
        print(text, end="")
        return
    try:
        file.write_text(text, "utf-8")
    except OSError as error:
        raise InputError(f"{file} cannot be written: {error.strerror}") from None


@app.command("import")
def import_(
    file: File,
    prune: Annotated[
        bool, typer.Option("--prune", help="Remove the rules that the file does not have.")
    ] = False,
) -> None:
    """Put the rules of a file into the database: all of them, or none if one is wrong."""
    found = _read(file)
    with _rules(prepared=True) as (store, kinds, _, _):
        checked = _checked(found, kinds)
        names = {one.rule.name for one in checked}
        gone = [kept.name for kept in store.listed() if prune and kept.name not in names]
        store.replace([one.rule for one in checked], gone, by="alphapulse rules import")
    print(f"{len(checked)} rules are in the database" + (f", {len(gone)} removed" if gone else ""))


@app.command("validate")
def validate(file: File) -> None:
    """Say whether every rule of a file can work. Exit code 1 if one cannot."""
    found = _read(file)
    with _rules() as (_, kinds, _, _):
        checked = _checked(found, kinds)
    print(f"{len(checked)} rules, all of which can work")


@app.command("test")
def trial(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The rule.")],
    file: Annotated[
        Path | None,
        typer.Option("--file", metavar="FILE", help="Take it from this file, not the database."),
    ] = None,
) -> None:
    """Run a rule once on the newest data and say what would happen, and why. Nothing is sent."""
    from datetime import UTC, datetime

    from alphapulse_nb.alerts.check import check
    from alphapulse_nb.alerts.trial import tried

    with _rules() as (store, kinds, db, state):
        rule = store.find(name).known() if file is None else _named(_read(file), name)
        for line in tried(check(rule, kinds), db, state, datetime.now(UTC)):
            labels = " ".join(f"{key}={value}" for key, value in line.labels.items())
            print(f"{labels:<40} {line.outcome}: {line.reason}".strip())
            if line.title:
                print(f"    {line.title}")
            if line.message:
                print(f"    {line.message}")
            if line.missing:
                print(f"    without a value: {', '.join(line.missing)}")


def _read(file: Path) -> list[Rule]:
    from alphapulse_nb.alerts import files

    return files.load(given.text_of(file))


def _named(found: list[Rule], name: str) -> Rule:
    from alphapulse_nb.spelling import hint

    for rule in found:
        if rule.name == name:
            return rule
    raise InputError(f"there is no rule {name!r}{hint(name, [rule.name for rule in found])}")


def _checked(found: list[Rule], kinds: Kinds) -> list[Checked]:
    """The rules with their texts understood. Raises `InputError` with all that is wrong."""
    from alphapulse_nb.alerts.check import check
    from alphapulse_nb.errors import RuleError

    good, problems = [], []
    for rule in found:
        try:
            good.append(check(rule, kinds))
        except RuleError as error:
            problems.append(str(error))
    if problems:
        raise InputError("\n".join(problems))
    return good


@contextmanager
def _rules(*, prepared: bool = False) -> Iterator[tuple[Store, Kinds, Database, State]]:
    """The rules of the database that the settings name, and the types of events there are."""
    from alphapulse_nb.alerts.store import Store
    from alphapulse_nb.errors import SchemaError
    from alphapulse_nb.events import Kinds
    from alphapulse_nb.relay.log import EventLog
    from alphapulse_nb.state import State, prepare

    with given.database() as db, State(db) as state:
        if prepared:
            prepare(state)
        try:
            types = EventLog(state).types()
        except SchemaError:
            types = {}
        yield Store(state), Kinds(types), db, state
