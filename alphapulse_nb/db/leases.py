"""Who uses the embedded Postgres, and the watcher that stops it after the last user.

Every user holds a lease: a file in `<home>/leases` with its process id and the mark of that
process's birth, so that a killed user's lease is known as stale even when its pid has been given
away again. All changes happen under one file lock. Users stop the server themselves on leaving; the
watcher (`python leases.py <home>`, one per home, detached) does it for those that were killed.

The file is also run as a script, by path: it imports nothing of ours and, on Linux, only the
standard library, so that the watcher stays small whatever the package would import.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

LINUX = sys.platform.startswith("linux")
WINDOWS = sys.platform == "win32"
POLL_SECONDS = 1.0
STOP_SECONDS = 30.0
_LOCK_POLL_SECONDS = 0.01


class LockTimeoutError(Exception):
    """Another process held the lock for too long."""


@contextlib.contextmanager
def locked(path: Path, timeout: float) -> Iterator[None]:
    """Hold an exclusive lock on `path`, shared by threads and processes alike."""
    with path.open("a+b") as file:
        deadline = time.monotonic() + timeout
        while not _try_lock(file):
            if time.monotonic() > deadline:
                raise LockTimeoutError(f"{path} stayed locked for {timeout:.0f} s")
            time.sleep(_LOCK_POLL_SECONDS)
        try:
            yield
        finally:
            _unlock(file)


if sys.platform == "win32":
    import msvcrt

    def _try_lock(file: IO[bytes]) -> bool:
        file.seek(0)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        file.seek(0)
        msvcrt.locking(file.fileno(), msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _try_lock(file: IO[bytes]) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(file: IO[bytes]) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)


def birth(pid: int) -> str | None:
    """The mark of a living process's start; None when it is gone or a zombie."""
    if LINUX:
        # Clock ticks since boot: a wall-clock time would move when the clock is set.
        try:
            stat = Path(f"/proc/{pid}/stat").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            return None
        fields = stat.rpartition(b")")[2].split()
        return None if fields[0] in (b"Z", b"X") else fields[19].decode()
    import psutil

    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return None
        return f"{process.create_time():.1f}"
    except psutil.NoSuchProcess:
        return None


def is_postgres_of(pid: int, pgdata: Path) -> bool:
    """Whether the process is a living Postgres process of this data directory.

    Every Postgres process has the data directory as its working directory, so that a pid which was
    given away to somebody else is not taken for the server.
    """
    if LINUX:
        try:
            cwd = Path(f"/proc/{pid}/cwd").readlink()
            name = Path(f"/proc/{pid}/comm").read_text(errors="replace")
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            return False
        return "postgres" in name and cwd == pgdata and birth(pid) is not None
    import psutil

    try:
        process = psutil.Process(pid)
        return "postgres" in process.name() and Path(process.cwd()) == pgdata
    except psutil.Error:
        return False


def postmaster(home: Path) -> int | None:
    """The pid of the running server of `home`, or None."""
    lines = _pid_file(home)
    try:
        pid = int(lines[0])
    except (ValueError, IndexError):
        return None
    return pid if is_postgres_of(pid, home / "pgdata") else None


def _pid_file(home: Path) -> list[str]:
    try:
        return (home / "pgdata" / "postmaster.pid").read_text(errors="replace").splitlines()
    except FileNotFoundError:
        return []


def write(path: Path, pid: int) -> None:
    """Record a living process in a file that `holder` reads."""
    path.write_text(f"{pid} {birth(pid)}\n")


def holder(path: Path) -> int | None:
    """The pid that holds a lease file; None when it is stale, absent or unreadable."""
    try:
        pid, born = path.read_text().split()
        return int(pid) if birth(int(pid)) == born else None
    except (FileNotFoundError, ValueError):
        return None


def take(home: Path) -> Path:
    """A new lease for this process; call it with the lock held."""
    folder = home / "leases"
    folder.mkdir(mode=0o700, exist_ok=True)
    lease = folder / f"{os.getpid()}-{secrets.token_hex(4)}"
    write(lease, os.getpid())
    return lease


def holders(home: Path) -> list[int]:
    """The pids with a living lease, one for each lease."""
    found = (holder(lease) for lease in sorted((home / "leases").glob("*")))
    return [pid for pid in found if pid is not None]


def prune(home: Path) -> None:
    """Remove the leases of users that are gone; call it with the lock held."""
    for lease in (home / "leases").glob("*"):
        if holder(lease) is None:
            lease.unlink(missing_ok=True)


def stop_server(home: Path) -> int | None:
    """Stop the server of `home` and wait; the pid of one that would not stop, else None.

    Call it with the lock held. A fast shutdown first; an immediate one when that hangs, which costs
    the next start a recovery but no data.
    """
    sockets = "".join(_pid_file(home)[4:5])
    for how in ("fast", "immediate"):
        pid = postmaster(home)
        if pid is None:
            break
        born = birth(pid)
        _ask_to_stop(home, pid, how)
        deadline = time.monotonic() + STOP_SECONDS
        while born is not None and birth(pid) == born and time.monotonic() < deadline:
            time.sleep(0.01)
    survivor = postmaster(home)
    if survivor is None and sockets:
        # Fails, as it should, when something else lies in it.
        with contextlib.suppress(OSError):
            Path(sockets).rmdir()
    return survivor


def _ask_to_stop(home: Path, pid: int, how: str) -> None:
    if sys.platform != "win32":
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT if how == "fast" else signal.SIGQUIT)
        return
    pg_ctl = Path(json.loads((home / "server.json").read_text())["bindir"]) / "pg_ctl.exe"
    command = [str(pg_ctl), "stop", "-W", "-m", how, "-D", str(home / "pgdata")]
    subprocess.run(command, check=False, capture_output=True)  # noqa: S603 - our own pg_ctl


def watch(home: Path) -> None:
    """Stop the server once nobody living holds a lease, then return."""
    while home.is_dir():
        time.sleep(POLL_SECONDS)
        # Read without the lock, so a lease just being written may look stale; hence again below.
        if holders(home):
            continue
        try:
            with locked(home / "lock", timeout=POLL_SECONDS):
                prune(home)
                if not holders(home) and stop_server(home) is None:
                    # Removed under the lock: whoever comes next starts a watcher of its own.
                    (home / "watcher").unlink(missing_ok=True)
                    return
        except (LockTimeoutError, FileNotFoundError):
            continue


def main() -> None:
    """Be the watcher of the home that the command line names."""
    watch(Path(sys.argv[1]))


if __name__ == "__main__":
    main()
