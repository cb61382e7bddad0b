"""Temporary folders that carry the number of their server's process, so that the next server can
remove what one that was killed has left behind: keys and sockets of its kernels.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

import psutil

_PREFIX: Final = "alphapulse-"
_ROUNDING: Final = 1.0
"""Seconds by which the time of a process's start may be wrong: that of the system's is whole."""


def folder() -> Path:
    """A new folder that nobody else can enter."""
    _sweep()
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))


def _sweep() -> None:
    """Remove the folders of processes that are no more."""
    for found in Path(tempfile.gettempdir()).glob(f"{_PREFIX}[0-9]*-*"):
        number = found.name.removeprefix(_PREFIX).partition("-")[0]
        with contextlib.suppress(FileNotFoundError):
            known = found.stat(follow_symlinks=False)
            ours = known.st_uid == os.getuid() and number.isdigit()
            if ours and not _lives(int(number), known.st_mtime):
                shutil.rmtree(found, ignore_errors=True)


def _lives(pid: int, changed: float) -> bool:
    """Whether the process is there that changed its folder last at that time.

    In a container every server has the number 1: one that is younger than the folder is another.
    """
    try:
        return psutil.Process(pid).create_time() - _ROUNDING < changed
    except psutil.NoSuchProcess:
        return False
