"""`alphapulse users` and `alphapulse db upgrade`, as processes of their own."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest
import sqlalchemy as sa

from alphapulse_nb.people import Person, Role
from alphapulse_nb.state import State, Users, prepare
from alphapulse_nb.state.schema import HEAD
from tests.db.conftest import execute
from tests.test_cli import Runner, alphapulse, states

__all__ = ["alphapulse"]

PASSWORD = "s3cret-pass"
OTHER = "an0ther-pass"


@dataclass
class Commands:
    """Runs `alphapulse` against a database, with a standard input that is no terminal."""

    runner: Runner
    url: sa.URL

    def environment(self) -> dict[str, str]:
        address = self.url.render_as_string(hide_password=False)
        return self.runner.environment({"DATABASE_URL": address})

    def __call__(self, *words: str, given: bytes = b"") -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, "-m", "alphapulse_nb.cli", *words],
            env=self.environment(),
            cwd=self.runner.folder,
            input=given,
            capture_output=True,
            timeout=60,
            check=False,
        )
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )


@pytest.fixture
def run(alphapulse: Runner, url: sa.URL) -> Commands:
    return Commands(alphapulse, url)


def test_a_user_is_added_listed_changed_and_removed(run: Commands, bare: State) -> None:
    users = Users(bare)
    assert run("users", "list").stdout == "no users yet; `alphapulse users add NAME` adds one\n"
    added = run("users", "add", "Alice", "--zone", "Europe/Berlin", given=f"{PASSWORD}\n".encode())
    assert (added.stdout, added.stderr) == ("added Alice, viewer\n", "")
    assert run("users", "role", "alice", "Operator").stdout == "alice is now operator\n"
    assert run("users", "zone", "alice", "Asia/Tokyo").returncode == 0
    assert run("users", "password", "alice", given=OTHER.encode()).returncode == 0
    signed_in = users.verify("alice", OTHER)
    assert signed_in is not None
    assert signed_in.person == Person("Alice", Role.OPERATOR, "Asia/Tokyo")
    listed = run("users", "list").stdout
    assert re.fullmatch(r"Alice +operator +Asia/Tokyo +since \d{4}-\d\d-\d\d\n", listed)
    assert run("users", "remove", "ALICE").stdout == "removed ALICE\n"
    assert not users.any()


@pytest.mark.parametrize(
    ("words", "given", "says"),
    [
        ("add Bob --role opreator", PASSWORD, "did you mean operator?"),
        ("add Bob --zone Europe/Berln", PASSWORD, "did you mean Europe/Berlin?"),
        ("add ALICE", PASSWORD, "there is a user 'ALICE' already"),
        ("add Bob", "short", "the password is too short"),
        ("add Bob", "", "no password on standard input"),
        ("add Bob", "\udcff\udcfe-s3cret-pass", "not UTF-8 text"),
        ("add a\tb", PASSWORD, "U+0009"),
        ("remove alcie", "", "did you mean Alice?"),
        ("password alcie", PASSWORD, "did you mean Alice?"),
        ("role alice root", "", "unknown role 'root'"),
        ("zone alice Mars", "", "unknown time zone 'Mars'"),
    ],
)
def test_what_is_refused_is_one_line_that_holds_no_password(
    run: Commands, users: Users, words: str, given: str, says: str
) -> None:
    users.add("Alice", PASSWORD)
    typed = given.encode("utf-8", "surrogateescape")
    done = run("users", *words.split(" "), given=typed)
    assert done.returncode == 2
    assert done.stderr.startswith("alphapulse: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert PASSWORD not in done.stdout + done.stderr
    assert [user.person.name for user in users.listed()] == ["Alice"]


def test_a_password_is_no_argument(run: Commands, users: Users) -> None:
    assert run("users", "add", "Bob", PASSWORD).returncode == 2
    assert run("users", "add", "Bob", "--password", PASSWORD).returncode == 2
    assert not users.any()


@pytest.mark.skipif(sys.platform == "win32", reason="a pseudo-terminal")
def test_on_a_terminal_the_password_is_asked_for_twice_and_not_shown(
    run: Commands, bare: State
) -> None:
    import pty

    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "alphapulse_nb.cli", "users", "add", "Alice"],
        env=run.environment(),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    shown = ""
    for prompt, typed in [
        ("Password: ", PASSWORD),
        ("confirmation: ", OTHER),
        ("Password: ", PASSWORD),
        ("confirmation: ", PASSWORD),
        ("added Alice", ""),
    ]:
        said = ""
        while prompt not in said:
            said += os.read(ours, 1000).decode()
        shown += said
        os.write(ours, f"{typed}\n".encode())
    assert process.wait(30) == 0
    os.close(ours)
    assert PASSWORD not in shown
    assert OTHER not in shown
    assert Users(bare).verify("alice", PASSWORD)


def test_an_upgrade_says_what_it_did(run: Commands) -> None:
    assert "own schema   not made yet. `alphapulse db upgrade`" in run("db", "status").stdout
    first, second = run("db", "upgrade"), run("db", "upgrade")
    assert first.stdout.endswith(f": own schema at version {HEAD}; was not made\n")
    assert second.stdout.endswith(f": own schema at version {HEAD}; nothing was changed\n")
    assert run("db", "status").stdout.endswith(f"own schema   version {HEAD}\n")
    assert states(run("check").stdout)["own schema"] == "ok"


def test_a_newer_schema_is_said_everywhere_and_refused(run: Commands, bare: State) -> None:
    prepare(bare)
    execute(run.url, "UPDATE alphapulse.alembic_version SET version_num = '9999'")
    for words in (["db", "upgrade"], ["users", "add", "Bob"]):
        done = run(*words, given=PASSWORD.encode())
        assert done.returncode == 2
        assert f"version 9999, this release knows up to {HEAD}" in done.stderr
        assert done.stderr.count("\n") == 1
    assert "own schema   version 9999" in run("db", "status").stdout
    checked = run("check").stdout
    assert states(checked)["own schema"] == "failed"
    assert "install that one here" in checked


def test_a_missing_right_is_a_warning_with_the_statement_that_grants_it(
    run: Commands, as_role: Callable[[], sa.URL]
) -> None:
    run.url = as_role()
    statement = f"CREATE SCHEMA alphapulse AUTHORIZATION {run.url.username};"
    checked = run("check").stdout
    assert states(checked)["own schema"] == "warning"
    for said in (checked, run("db", "status").stdout, run("db", "upgrade").stderr):
        assert statement in said
