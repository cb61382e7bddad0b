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


def folder() -> Path:
    """A new folder that nobody else can enter."""
    _sweep()
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))


def _sweep() -> None:
    """Remove the folders of processes that are no more."""
    for found in Path(tempfile.gettempdir()).glob(f"{_PREFIX}[0-9]*-*"):
        number = found.name.removeprefix(_PREFIX).partition("-")[0]
        with contextlib.suppress(FileNotFoundError):
            ours = found.stat(follow_symlinks=False).st_uid == os.getuid()
            if ours and number.isdigit() and not psutil.pid_exists(int(number)):
                shutil.rmtree(found, ignore_errors=True)
