"""The embedded Postgres: real servers, real users, real crashes."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest
import sqlalchemy

from alphapulse_nb.db import binaries, embedded, leases
from alphapulse_nb.errors import EmbeddedError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals and users of POSIX")

REPO = Path(__file__).parents[2]
ROOT = os.geteuid() == 0
as_root = pytest.mark.skipif(not ROOT, reason="needs root")
NOBODY = embedded._server_account()

# A user of the server in a process of its own. It obeys one word per line and answers in JSON.
HOST = """
import json, os, signal, sys
from pathlib import Path
# Whoever started the tests in the background of a shell has had it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
from alphapulse_nb.db import embedded
embedded.ROOT_PLACE = Path(sys.argv[2])
pg = embedded.start(Path(sys.argv[1]))
def say(**more):
    facts = dict(url=pg.url, dsn=pg.dsn, pid=pg.pid, home=str(pg.data_dir), **more)
    print(json.dumps(facts), flush=True)
say()
for line in sys.stdin:
    word = line.strip()
    if word == "ensure":
        say(started=pg.ensure_running())
    elif word == "fork":
        child = os.fork()
        if child == 0:
            sys.exit()  # runs the exit handlers, as a forked kernel does
        os.waitpid(child, 0)
        say()
    elif word == "stop":
        pg.stop()
        say()
    elif word == "leave":
        break
"""


@dataclass
class Host:
    """A process that uses the server."""

    process: subprocess.Popen[str]
    facts: dict[str, Any] = field(default_factory=dict)

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the host ended without an answer"
        self.facts = json.loads(line)
        return self.facts

    def say(self, word: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{word}\n")
        self.process.stdin.flush()

    def ask(self, word: str) -> dict[str, Any]:
        self.say(word)
        return self.hear()

    def leave(self) -> None:
        self.say("leave")
        assert self.process.wait(30) == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(30)


@dataclass
class Place:
    """A folder of its own for one test, which every user can enter."""

    folder: Path
    hosts: list[Host] = field(default_factory=list)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def host(self, data: Path | None = None, nobody: bool = False) -> Host:
        """Begin a host without waiting for it."""
        python = python_of_nobody() if nobody else sys.executable
        process = subprocess.Popen(
            [python, "-c", HOST, str(data or self.data), str(self.folder / "rootplace")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": python_path()},
            cwd="/",
            start_new_session=True,
            **(embedded._as_user(NOBODY) if nobody else {}),
        )
        self.hosts.append(Host(process))
        return self.hosts[-1]

    def started(self, data: Path | None = None, nobody: bool = False) -> Host:
        host = self.host(data, nobody)
        host.hear()
        return host

    def clear(self) -> None:
        for host in self.hosts:
            host.kill()
            for stream in (host.process.stdin, host.process.stdout):
                assert stream is not None
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        for home in [found.parent for found in self.folder.rglob("leases")]:
            with leases.locked(home / "lock", 30):
                watcher = leases.holder(home / "watcher")
                assert leases.stop_server(home) is None
                if watcher is not None:
                    # Only to save the second until it finds that nobody is left.
                    os.kill(watcher, signal.SIGKILL)
        shutil.rmtree(self.folder)


def python_path() -> str:
    return os.pathsep.join([str(REPO), *(p for p in sys.path if "site-packages" in p)])


def python_of_nobody() -> str:
    """An interpreter that `nobody` may run and that finds what we need."""
    named = shutil.which(f"python3.{sys.version_info.minor}", path=os.defpath)
    for python in filter(None, (sys.executable, named)):
        with contextlib.suppress(PermissionError):
            done = subprocess.run(
                [python, "-c", "import psycopg2, alphapulse_nb.errors"],
                env={**os.environ, "PYTHONPATH": python_path()},
                check=False,
                capture_output=True,
                cwd="/",
                **embedded._as_user(NOBODY),
            )
            if done.returncode == 0:
                return python
    pytest.skip("no Python here that the user nobody may run")


def until(true: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


def ask(dsn: str, statement: str) -> Any:
    with contextlib.closing(psycopg2.connect(dsn)) as db, db.cursor() as cursor:
        db.autocommit = True
        cursor.execute(statement)
        row = cursor.fetchone() if cursor.description else None
        return row[0] if row else None


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def kill_server(home: Path) -> int:
    pid = leases.postmaster(home)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    until(lambda: leases.birth(pid) is None, 5)
    return pid


@pytest.fixture
def place(monkeypatch: pytest.MonkeyPatch) -> Iterator[Place]:
    folder = Path(tempfile.mkdtemp(prefix="embedded-")).resolve()
    folder.chmod(0o777)  # nobody makes folders here too
    monkeypatch.setattr(embedded, "ROOT_PLACE", folder / "rootplace")
    made = Place(folder)
    yield made
    made.clear()


def test_a_new_folder_gets_a_working_private_database(place: Place) -> None:
    with embedded.start(place.data) as pg:
        engine = sqlalchemy.create_engine(pg.url)
        with engine.connect() as db:
            assert db.scalar(sqlalchemy.text("SELECT current_database()")) == "alphapulse"
        engine.dispose()
        shown = {
            name: ask(pg.dsn, f"SHOW {name}")
            for name in (
                "server_encoding",
                "timezone",
                "listen_addresses",
                "fsync",
                "data_directory",
            )
        }
        sockets = Path(ask(pg.dsn, "SHOW unix_socket_directories"))
        assert mode(sockets) == 0o700
        assert ask(pg.dsn, "SHOW server_version") == pg.version
        assert ask(pg.dsn, "SELECT lower('ÄÖÜ')") == "äöü"
        assert psutil.Process(pg.pid).uids().real != 0
    assert shown == {
        "server_encoding": "UTF8",
        "timezone": "UTC",
        "listen_addresses": "",
        "fsync": "on",
        "data_directory": str(place.data / "pgdata"),
    }
    assert pg.pid is None
    assert not sockets.exists()


@as_root
def test_an_ordinary_user_has_a_server_of_its_own(place: Place) -> None:
    host = place.started(nobody=True)
    assert ask(host.facts["dsn"], "SELECT 1") == 1
    assert place.data.stat().st_uid == NOBODY.uid
    assert mode(place.data) == 0o700
    server = host.facts["pid"]
    host.leave()
    assert leases.birth(server) is None


@pytest.mark.parametrize("nobody", [False, pytest.param(True, marks=as_root)])
@pytest.mark.parametrize(
    "name",
    ['désk 取引 \'s "$HOME" `x`', "/".join(["a-very-long-name" * 10] * 5)],
    ids=["space, quotes and unicode", "long"],
)
def test_any_path_will_do(place: Place, name: str, nobody: bool) -> None:
    host = place.started(place.folder / name, nobody)
    assert host.facts["home"] == str(place.folder / name)
    assert ask(host.facts["dsn"], "SHOW data_directory") == f"{place.folder / name}/pgdata"


def test_after_the_host_is_killed_the_server_stops_by_itself(place: Place) -> None:
    host = place.started()
    ask(host.facts["dsn"], "CREATE TABLE kept AS SELECT 42 AS n")
    host.kill()
    until(lambda: not embedded.status(place.data).running, 10)
    until(lambda: not (place.data / "watcher").exists(), 5)
    assert "was not properly shut down" not in (place.data / "server.log").read_text()
    with embedded.start(place.data) as pg:
        assert pg.url == host.facts["url"]
        assert ask(pg.dsn, "SELECT n FROM kept") == 42
        assert embedded.status(place.data).holders == (os.getpid(),)


def test_a_killed_hosts_server_is_joined_when_the_next_comes_at_once(place: Place) -> None:
    for _ in range(5):
        host = place.started()
        host.kill()
        with embedded.start(place.data) as pg:
            if pg.pid != host.facts["pid"]:
                continue  # whoever looks after it was there first
            time.sleep(2.5 * leases.POLL_SECONDS)
            assert pg.pid == host.facts["pid"]
            assert ask(pg.dsn, "SELECT 1") == 1
            return
    pytest.fail("it was never joined")


def test_a_killed_server_is_healed_at_the_same_address_with_its_data(place: Place) -> None:
    with embedded.start(place.data) as pg:
        address = (pg.url, pg.dsn)
        ask(pg.dsn, "CREATE TABLE kept AS SELECT 42 AS n")
        ask(pg.dsn, "CHECKPOINT")
        killed = kill_server(place.data)
        assert pg.pid is None
        assert pg.ensure_running() is True
        assert pg.ensure_running() is False
        assert (pg.url, pg.dsn) == address
        assert pg.pid not in (None, killed)
        assert ask(pg.dsn, "SELECT n FROM kept") == 42


def test_a_backend_that_outlives_its_server_is_ended_before_the_restart(place: Place) -> None:
    with embedded.start(place.data) as pg:
        with contextlib.closing(psycopg2.connect(pg.dsn, async_=True)) as db:
            until(lambda: db.poll() == psycopg2.extensions.POLL_OK, 5)
            busy = db.info.backend_pid
            db.cursor().execute("SELECT count(*) FROM generate_series(1, 100000000000) AS n")
            kill_server(place.data)
            assert leases.is_postgres_of(busy, place.data / "pgdata")
            assert pg.ensure_running()
            assert leases.birth(busy) is None
        assert ask(pg.dsn, "SELECT 1") == 1


def test_several_processes_heal_it_at_once_and_only_one_starts_it(place: Place) -> None:
    hosts = [place.started() for _ in range(3)]
    kill_server(place.data)
    for host in hosts:
        host.say("ensure")
    answers = [host.hear() for host in hosts]
    assert sorted(answer["started"] for answer in answers) == [False, False, True]
    assert len({answer["pid"] for answer in answers}) == 1
    assert ask(answers[0]["dsn"], "SELECT 1") == 1


def test_two_processes_share_one_server_and_the_last_stops_it(place: Place) -> None:
    first, second = place.started(), place.started()
    server = first.facts["pid"]
    assert second.facts == first.facts
    first.leave()
    assert ask(second.facts["dsn"], "SELECT 1") == 1
    second.ask("stop")
    assert leases.birth(server) is None
    assert second.facts["pid"] is None


def test_four_processes_that_start_at_once_get_one_server(place: Place) -> None:
    hosts = [place.host() for _ in range(4)]
    assert len({host.hear()["pid"] for host in hosts}) == 1
    assert sorted(embedded.status(place.data).holders) == sorted(h.process.pid for h in hosts)


def test_two_uses_in_one_process_are_two_leases(place: Place) -> None:
    with embedded.start(place.data) as outer:
        with embedded.start(place.data) as inner:
            assert inner.pid == outer.pid
        assert ask(outer.dsn, "SELECT 1") == 1


def test_a_stopped_use_may_be_stopped_again_but_not_healed(place: Place) -> None:
    pg = embedded.start(place.data)
    pg.stop()
    pg.stop()
    with pytest.raises(EmbeddedError, match="call start"):
        pg.ensure_running()


def test_a_forked_child_that_exits_leaves_the_lease_alone(place: Place) -> None:
    host = place.started()
    server = host.facts["pid"]
    assert host.ask("fork")["pid"] == server
    assert embedded.status(place.data).holders == (host.process.pid,)


def test_an_interrupt_of_the_terminal_does_not_reach_the_server(place: Place) -> None:
    stays, interrupted = place.started(), place.started()
    for host in (interrupted, stays):
        assert os.getpgid(leases.postmaster(place.data) or 0) != os.getpgid(host.process.pid)
    os.killpg(interrupted.process.pid, signal.SIGINT)
    assert interrupted.process.wait(10) != 0
    assert embedded.status(place.data).pid == stays.facts["pid"]
    assert ask(stays.facts["dsn"], "SELECT 1") == 1


def test_a_lease_whose_pid_was_given_to_another_process_is_pruned(place: Place) -> None:
    with embedded.start(place.data) as pg:
        reused = place.data / "leases" / f"{os.getpid()}-00000000"
        reused.write_text(f"{os.getpid()} 1\n")
        broken = place.data / "leases" / "broken"
        broken.write_text("")
        assert embedded.status(place.data).holders == (os.getpid(),)
        pg.stop()
        assert not reused.exists()
        assert not broken.exists()
        assert pg.pid is None


def test_a_pid_file_whose_pid_was_given_to_another_process_is_stale(place: Place) -> None:
    with embedded.start(place.data):
        pid_file = place.data / "pgdata" / "postmaster.pid"
        lines = pid_file.read_text().splitlines()
    # As the server's user: Postgres itself refuses only a pid that belongs to that user.
    other = subprocess.Popen(["sleep", "60"], **embedded._as_user(NOBODY))
    try:
        pid_file.write_text("\n".join([str(other.pid), *lines[1:]]) + "\n")
        assert not embedded.status(place.data).running
        with embedded.start(place.data) as pg:
            assert ask(pg.dsn, "SELECT 1") == 1
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()


def test_a_foreign_major_version_is_refused_with_the_way_out(place: Place) -> None:
    pgdata = place.data / "pgdata"
    pgdata.mkdir(parents=True)
    (pgdata / "PG_VERSION").write_text("13\n")
    if NOBODY:
        os.chown(pgdata, NOBODY.uid, NOBODY.gid)
    with pytest.raises(EmbeddedError) as caught:
        embedded.start(place.data)
    found = binaries.find()
    assert found is not None
    for part in (str(pgdata), "Postgres 13", found.version, str(found.bindir), "pg_dump"):
        assert part in str(caught.value)
    assert not embedded.status(place.data).running
    assert embedded.status(place.data).holders == ()


def test_an_older_folder_goes_on_with_the_programs_of_its_own_version(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    newest = binaries.find()
    assert newest is not None
    older = next(filter(None, map(binaries.find, range(newest.major - 1, 13, -1))), None)
    if older is None:
        pytest.skip("only one major version of Postgres here")
    with monkeypatch.context() as patched:
        patched.setattr(binaries, "find", lambda _major=None: older)
        embedded.start(place.data).stop()
    with embedded.start(place.data) as pg:
        assert pg.version == older.version
        assert ask(pg.dsn, "SHOW server_version") == older.version


def test_an_interrupted_initdb_does_not_poison_the_folder(place: Place) -> None:
    host = place.host()
    until(lambda: bool(list(place.data.glob("pgdata.new-*/base"))), 10)
    host.kill()
    assert not (place.data / "pgdata").exists()
    with embedded.start(place.data) as pg:
        assert ask(pg.dsn, "SELECT 1") == 1
    # The orphaned initdb may write on for a moment; the next start removes what it made.
    time.sleep(0.5)
    embedded.start(place.data).stop()
    assert not list(place.data.glob("pgdata.new-*"))


def test_a_database_missing_after_an_interrupted_first_start_is_made(place: Place) -> None:
    with embedded.start(place.data) as pg:
        ask(embedded._home(place.data).dsn("postgres"), "DROP DATABASE alphapulse")
        pg.stop()
    with embedded.start(place.data) as pg:
        assert ask(pg.dsn, "SELECT 1") == 1


def test_no_existing_folder_changes_its_mode_or_owner(place: Place) -> None:
    parents = [place.folder / "a", place.folder / "a" / "b", place.folder / "a" / "b" / "c"]
    for parent in parents:
        parent.mkdir(mode=0o700)
    watched = [*parents, place.folder, place.folder.parent]
    before = [(p.stat().st_mode, p.stat().st_uid) for p in watched]
    with embedded.start(parents[-1] / "data") as pg:
        assert ask(pg.dsn, "SELECT 1") == 1
    assert [(p.stat().st_mode, p.stat().st_uid) for p in watched] == before


@as_root
def test_data_that_nobody_cannot_enter_lies_in_roots_own_place(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    private = place.folder / "private"
    private.mkdir(mode=0o700)
    with caplog.at_level("INFO"), embedded.start(private / "data") as pg:
        ask(pg.dsn, "CREATE TABLE kept AS SELECT 42 AS n")
        assert pg.data_dir.parent == embedded.ROOT_PLACE
        assert embedded.status(private / "data").running
    assert f"{private / 'data'}: its data lies in {pg.data_dir}" in caplog.text
    assert list(private.iterdir()) == []
    # Opened up later, the asked folder must not hide the data made before.
    private.chmod(0o755)
    with embedded.start(private / "data") as again:
        assert ask(again.dsn, "SELECT n FROM kept") == 42


@as_root
def test_programs_that_nobody_cannot_reach_are_copied_once(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = binaries.wheel_folder()
    if real is None:
        pytest.skip("the wheel is not installed")
    private = place.folder / "private"
    private.mkdir(mode=0o700)
    installed = private / real.name
    newest = sorted(real.glob("pginstall*"))[-1].name
    shutil.copytree(real / newest, installed / newest, copy_function=link)
    libraries = f"{real.name}.libs"
    shutil.copytree(real.with_name(libraries), private / libraries, copy_function=link)
    monkeypatch.setattr(binaries, "wheel_folder", lambda: installed)
    for name in ("one", "two"):
        with embedded.start(place.folder / name) as pg:
            exe = Path(psutil.Process(pg.pid).exe())
            made = list((embedded.ROOT_PLACE / "binaries").glob(f"*-{newest}"))
            assert len(made) == 1
            assert exe.is_relative_to(made[0])
            assert binaries.WHEEL in made[0].name
    assert mode(private) == 0o700


def link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


@as_root
def test_another_users_data_is_refused(place: Place) -> None:
    embedded.start(place.data).stop()
    os.chown(place.data / "pgdata", 12345, 12345)
    with pytest.raises(EmbeddedError, match="belongs to user id 12345"):
        embedded.start(place.data)


def test_a_socket_folder_that_others_can_enter_is_not_trusted(place: Place) -> None:
    embedded.start(place.data).stop()
    sockets = embedded._home(place.data).sockets
    sockets.mkdir()
    sockets.chmod(0o755)
    try:
        with pytest.raises(EmbeddedError, match="private folder"):
            embedded.start(place.data)
    finally:
        sockets.rmdir()


def test_a_start_that_fails_shows_the_servers_own_words(place: Place) -> None:
    embedded.start(place.data).stop()
    with (place.data / "pgdata" / "postgresql.conf").open("a") as conf:
        conf.write("nonsense_setting = 1\n")
    with pytest.raises(EmbeddedError, match="nonsense_setting"):
        embedded.start(place.data)
    assert not embedded._home(place.data).sockets.exists()
    assert embedded.status(place.data).holders == ()


def test_a_folder_with_other_files_is_not_taken_for_a_database(place: Place) -> None:
    (place.data / "pgdata").mkdir(parents=True)
    (place.data / "pgdata" / "letter.txt").write_text("mine")
    with pytest.raises(EmbeddedError, match="PG_VERSION"):
        embedded.start(place.data)
    assert (place.data / "pgdata" / "letter.txt").read_text() == "mine"


def test_a_plain_postgres_data_directory_is_refused(place: Place) -> None:
    place.data.mkdir()
    (place.data / "PG_VERSION").write_text("18\n")
    with pytest.raises(EmbeddedError, match="itself a Postgres data directory"):
        embedded.start(place.data)


def test_a_path_that_is_a_file_is_our_error(place: Place) -> None:
    place.data.write_text("")
    with pytest.raises(EmbeddedError, match="cannot be used"):
        embedded.start(place.data / "below")


def test_status_starts_nothing_and_makes_nothing(place: Place) -> None:
    found = binaries.find()
    assert found is not None
    assert embedded.status(place.data) == embedded.EmbeddedStatus(
        running=False,
        pid=None,
        version=None,
        data_dir=place.data,
        holders=(),
        binaries=f"{found.source}: {found.bindir}",
    )
    assert list(place.folder.iterdir()) == []


def test_the_wheel_comes_before_an_installed_postgres(monkeypatch: pytest.MonkeyPatch) -> None:
    if binaries.wheel_folder() is not None:
        found = binaries.find()
        assert found is not None
        assert found.source.startswith(binaries.WHEEL)
        assert binaries.WHEEL.replace("-", "_") not in sys.modules
    monkeypatch.setattr(binaries, "wheel_folder", lambda: None)
    system = binaries.find()
    assert system is None or (system.source == "system" and system.major >= 14)


def test_without_any_postgres_the_message_says_what_to_install(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(binaries, "find", lambda _major=None: None)
    with pytest.raises(EmbeddedError, match=f"Install {binaries.WHEEL}"):
        embedded.start(place.data)


def test_a_wrapper_on_the_path_without_its_sisters_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrapper = tmp_path / "postgres"
    wrapper.write_text("#!/bin/sh\necho 'postgres (PostgreSQL) 99.1'\n")
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert binaries.find(99) is None


def test_the_default_folder_is_the_users_own() -> None:
    assert embedded.default_data_dir().parts[-2:] == ("alphapulse-nb", "postgres")
