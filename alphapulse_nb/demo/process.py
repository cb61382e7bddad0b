"""The demo desk in a process of its own, so that writing never delays the server's answers.

`python -m alphapulse_nb.demo.process` makes the tables, writes the newest day, then older days and
live rows at once. It tells its parent what happens as one JSON object per line on standard output:
{"ready": rows}, {"done": fraction, "text": …}, {"error": message}. It ends when its standard input
does, which is when the parent ends, however that happens.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from alphapulse_nb.db.connection import Database, connect
from alphapulse_nb.db.create import create
from alphapulse_nb.demo.desk import Desk
from alphapulse_nb.demo.writer import prepare
from alphapulse_nb.errors import AlphaPulseError, InputError

_ONE_DESK = sa.text("SELECT pg_try_advisory_lock(hashtext('alphapulse-nb demo desk'))")


def main() -> None:
    """Be the desk that the command line describes."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path)
    parser.add_argument("--days", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    options = parser.parse_args()
    # Ctrl-C reaches the whole terminal; the parent decides when we end.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=logging.WARNING, format="demo desk: %(message)s")
    stop = threading.Event()
    threading.Thread(target=_until_orphaned, args=(stop,), daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    try:
        with connect(data_dir=options.data_dir) as db:
            _work(db, Desk(options.seed, datetime.now(UTC), options.days), stop)
    except AlphaPulseError as error:
        _tell(error=str(error))
        sys.exit(2)


def _work(db: Database, desk: Desk, stop: threading.Event) -> None:
    with db.session(), db.engine.connect() as held:
        if not held.execute(_ONE_DESK).scalar_one():
            raise InputError("another demo writes to this database already; stop it first")
        held.commit()
        create(db)
        prepare(db.engine)
        _tell(ready=desk.write_recent(db.engine))
        if sys.platform != "win32":
            os.nice(10)  # the history can wait for the first page
        backfill = threading.Thread(target=_fill, args=(db, desk, stop))
        backfill.start()
        try:
            desk.run(db.engine, stop)
        finally:
            stop.set()
            backfill.join()


def _fill(db: Database, desk: Desk, stop: threading.Event) -> None:
    """Write the older days; nobody else would see this thread's error."""
    try:
        desk.backfill(db.engine, lambda done, text: _tell(done=done, text=text), stop)
    except AlphaPulseError as error:
        _tell(error=f"the older days could not be written: {error}")


def _until_orphaned(stop: threading.Event) -> None:
    # Not through sys.stdin: its lock, held by this thread, would abort the interpreter's exit.
    while os.read(0, 4096):
        pass
    stop.set()


def _tell(**news: object) -> None:
    try:
        sys.stdout.write(json.dumps(news) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        pass  # the parent is gone, which standard input tells too


if __name__ == "__main__":
    main()
