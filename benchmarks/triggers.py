"""What our triggers cost whoever writes: inserts a second, without and with them.

Writers are processes of their own that insert into one table, each statement a transaction. A
listener is there, as when a server runs. Postgres commits transactions that notify one after
another, so it is many writers of single rows who feel it; with durable commits (as a desk would
have) that includes waiting for the disk.
"""

from __future__ import annotations

import multiprocessing
import select
import tempfile
import threading
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any, Final

import psycopg2
import sqlalchemy as sa

from alphapulse_nb.db import embedded, tables, triggers
from alphapulse_nb.db.connection import connect
from benchmarks import report

SECONDS: Final = 2.0
ROUNDS: Final = 3
WRITERS: Final = (1, 8)
ROWS: Final = (1, 50)
INSERT: Final = (
    "INSERT INTO system_metrics (timestamp, metric_name, metric_value)"
    " SELECT now(), 'benchmark', n FROM generate_series(1, %s) n"
)


def write(dsn: str, rows: int, durable: str, ready: Barrier, done: Any) -> None:
    """Insert until the time is over; puts the number of statements."""
    link = psycopg2.connect(dsn)
    link.autocommit = True
    with link.cursor() as cursor:
        cursor.execute("SELECT set_config('synchronous_commit', %s, false)", (durable,))
        ready.wait()
        end, count = time.monotonic() + SECONDS, 0
        while time.monotonic() < end:
            cursor.execute(INSERT, (rows,))
            count += 1
    link.close()
    done.put(count)


def listen(dsn: str, ended: threading.Event) -> None:
    """Take what is notified, as a server does."""
    link = psycopg2.connect(dsn)
    link.autocommit = True
    with link.cursor() as cursor:
        cursor.execute(f"LISTEN {triggers.CHANNEL}")
    while not ended.is_set():
        if select.select([link], [], [], 0.2)[0]:
            link.poll()
            link.notifies.clear()
    link.close()


def rate(dsn: str, writers: int, rows: int, durable: str) -> float:
    """Rows a second of all writers together."""
    context = multiprocessing.get_context("spawn")
    ready, done = context.Barrier(writers), context.Queue()
    processes = [
        context.Process(target=write, args=(dsn, rows, durable, ready, done))
        for _ in range(writers)
    ]
    for process in processes:
        process.start()
    total = sum(done.get() for _ in processes)
    for process in processes:
        process.join()
    return float(total * rows / SECONDS)


def measure(server: embedded.EmbeddedPostgres) -> None:
    with connect(server.url) as db:
        for durable in ("off", "on"):
            for writers in WRITERS:
                for rows in ROWS:
                    found: dict[str, list[float]] = {"without": [], "with": []}
                    # By turns, since a machine has better and worse minutes.
                    for _ in range(ROUNDS):
                        triggers.remove(db)
                        found["without"].append(rate(server.dsn, writers, rows, durable))
                        triggers.install(db)
                        found["with"].append(rate(server.dsn, writers, rows, durable))
                    words = f"{writers} writers, {rows} rows a statement, durable {durable}"
                    plain, told = (
                        report.line(f"{words}, {how} triggers", values, "rows/s")
                        for how, values in found.items()
                    )
                    print(f"{words}: {told / plain:.0%} of the rate without", flush=True)


def main() -> None:
    report.header("writing with and without triggers")
    with (
        tempfile.TemporaryDirectory(prefix="alphapulse-") as folder,
        embedded.start(Path(folder) / "postgres") as server,
    ):
        engine = sa.create_engine(server.url)
        tables.metadata.create_all(engine)
        engine.dispose()
        ended = threading.Event()
        listening = threading.Thread(target=listen, args=(server.dsn, ended))
        listening.start()
        measure(server)
        ended.set()
        listening.join()


if __name__ == "__main__":
    main()
