"""Temporary folders, and which of them a server that starts may remove."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from alphapulse_nb.server import temporary


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def made(folder: Path, pid: int, hours_ago: float = 0) -> Path:
    """A folder as a process of that number would have made it, with a kernel's key."""
    path = folder / f"alphapulse-{pid}-made"
    path.mkdir()
    (path / "kernel.json").write_text("{}")
    then = time.time() - 3600 * hours_ago
    os.utime(path, (then, then))
    return path


def ended() -> int:
    """The number of a process that is no more."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_only_its_owner_may_enter_it() -> None:
    assert temporary.folder().stat().st_mode & 0o777 == 0o700


def test_what_a_process_that_ended_has_left_goes(folder: Path) -> None:
    left = made(folder, ended())
    kept = temporary.folder()
    assert not left.exists()
    assert kept.exists()


def test_what_an_older_process_of_the_same_number_has_left_goes(folder: Path) -> None:
    left = made(folder, os.getpid(), hours_ago=10_000)
    temporary.folder()
    assert not left.exists()


def test_what_others_use_or_did_not_make_stays(folder: Path) -> None:
    first, running = temporary.folder(), made(folder, os.getppid())
    another = folder / "alphapulse-notes-1"
    another.mkdir()
    temporary.folder()
    assert first.exists()
    assert running.exists()
    assert another.exists()
