"""Rules under a flow of events: how far behind the evaluator is, and what it costs.

`EVENTS` are written over `SECONDS`, a portion every tenth of a second, for `RULES` rules, a quarter
of them over windows. Evaluator, writer and database share this machine.
"""

from __future__ import annotations

import os
import resource
import tempfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from alphapulse_nb.alerts import rule as rules
from alphapulse_nb.alerts.evaluator import Evaluator
from alphapulse_nb.alerts.store import Store
from alphapulse_nb.db.connection import connect
from alphapulse_nb.db.office import EVALUATOR, Office
from alphapulse_nb.events import Kinds
from alphapulse_nb.notify import telling
from alphapulse_nb.relay.log import EventLog
from alphapulse_nb.relay.sources import Entry
from alphapulse_nb.state import State, prepare
from benchmarks import report
from tests.conftest import new_desk

if TYPE_CHECKING:
    from collections.abc import Iterator

EVENTS = int(os.environ.get("EVENTS", "10000"))
SECONDS = float(os.environ.get("SECONDS", "60"))
RULES = int(os.environ.get("RULES", "200"))
LEAST = float(os.environ.get("LEAST", "0.98"))
"""What the rules over single events ask for, of confidences from 0 to 1; 0 is a storm of alerts."""
EVERY = 0.1


def made() -> Iterator[dict[str, Any]]:
    """The rules: each event has a symbol that seven or eight of them are about."""
    for number in range(RULES):
        if number % 4:
            where = f"confidence > {LEAST} and symbol == 'S{number % 20}/USDT'"
            yield {"name": f"single {number}", "source": "signals", "where": where}
        else:
            yield {
                "name": f"window {number}",
                "source": "signals",
                "where": f"confidence > {0.5 + 0.002 * number}",
                "aggregate": "count",
                "window": "2h",
                "operator": ">=",
                "threshold": 3 + number,
            }


def entry(number: int) -> Entry:
    """The event of a signal."""
    values: dict[str, Any] = {
        "table": "signals",
        "id": number,
        "symbol": f"S{number % 20}/USDT",
        "signal_type": "LONG",
        "confidence": (number * 7919 % 1000) / 1000,
        "risk_reward_ratio": 2.0,
    }
    now = datetime.now(UTC)
    return Entry("signal", values, now, values["symbol"], "signals", number, inserted=now)


def resident() -> float:
    """Megabytes of this process, at most so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    report.header(f"{EVENTS:,} events in {SECONDS:g} s with {RULES} rules")
    with (
        tempfile.TemporaryDirectory() as name,
        new_desk(Path(name)) as desk,
        connect(desk.server.url) as db,
        State(db) as state,
        State(db) as beside,
    ):
        prepare(state)
        store, log = Store(state), EventLog(beside)
        for plain in made():
            store.save(rules.read(plain))
        told: list[Any] = []
        evaluator = Evaluator(
            db,
            state,
            EventLog(state),
            Office(db, EVALUATOR),
            Kinds(),
            keep=lambda link, said: told.extend(
                telling.keep(link, [one.notification for one in said], datetime.now(UTC))
            ),
        )
        evaluator.round()
        before, cpu, stop = resident(), time.process_time(), threading.Event()
        written: list[tuple[int, float]] = []

        def write() -> None:
            portion = max(round(EVENTS * EVERY / SECONDS), 1)
            began = time.monotonic()
            for first in range(0, EVENTS, portion):
                entries = [entry(10**9 + number) for number in range(first, first + portion)]
                seq = log.append(entries).newest
                written.append((seq, time.monotonic()))
                time.sleep(max(began + EVERY * (first / portion + 1) - time.monotonic(), 0))
            stop.set()

        writer = threading.Thread(target=write)
        writer.start()
        lags: list[float] = []
        done = 0
        while not (stop.is_set() and done == len(written)):
            evaluator.round()
            seq, now = evaluator.seq, time.monotonic()
            while done < len(written) and written[done][0] <= seq:
                lags.append((now - written[done][1]) * 1e3)
                done += 1
            time.sleep(0.05)
        writer.join()
        lags.sort()
        report.line("an event is dealt with after", lags, "ms")
        print(f"  99 of 100 within {lags[int(len(lags) * 0.99)]:.0f} ms", flush=True)
        print(f"notifications: {len(told):,}", flush=True)
        spent = time.process_time() - cpu
        print(f"CPU, with the writer's: {100 * spent / SECONDS:.0f} % of a processor", flush=True)
        print(f"memory: {before:.0f} MB before, {resident():.0f} MB at most", flush=True)


if __name__ == "__main__":
    main()
