"""The demo's desk, writing in a process of its own, as a trading system does beside the server."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

import sqlalchemy as sa

from alphapulse_nb.demo.desk import Desk
from tests.conftest import SEED


@contextmanager
def writing(url: str) -> Iterator[None]:
    """Live rows in the database at `url`, every five seconds, until the end."""
    process = multiprocessing.get_context("spawn").Process(target=_write, args=(url,), daemon=True)
    process.start()
    try:
        yield
        if not process.is_alive():
            raise RuntimeError(f"the desk ended by itself, with exit code {process.exitcode}")
    finally:
        process.terminate()
        process.join()


def _write(url: str) -> None:
    stop = threading.Event()
    threading.Thread(target=_until_orphaned, args=(stop,), daemon=True).start()
    Desk(SEED, datetime.now(UTC), days=1).run(sa.create_engine(url), stop)


def _until_orphaned(stop: threading.Event) -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
    stop.set()
