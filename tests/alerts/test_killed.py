"""Workers of one database, which are killed at random moments under a flow of rows.

`KILLS` says how often; a soak kills them more often.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable

import sqlalchemy as sa

from alphapulse_nb.notify.deliveries import Deliveries
from tests.alerts.desk import BTC, Alerts
from tests.conftest import wait_until
from tests.notify.receivers import SECRET, Receiver, receiving

KILLS = int(os.environ.get("KILLS", "10"))


def worker(url: sa.URL) -> subprocess.Popen[bytes]:
    environment = {
        **os.environ,
        "DATABASE_URL": url.render_as_string(hide_password=False),
        "DASHBOARD_LOCAL_CHANNELS": "true",
        "ALPHAPULSE_REFRESH_INTERVAL": "1",
    }
    words = [sys.executable, "-m", "alphapulse_nb.cli", "worker"]
    return subprocess.Popen(
        words, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def flow(url: sa.URL, over: threading.Event, written: list[int]) -> Callable[[], None]:
    """Inserts signals, ten a second, until it is over."""

    def run() -> None:
        engine = sa.create_engine(url)
        insert = sa.text(
            "INSERT INTO signals (timestamp, symbol, signal_type, confidence)"
            " VALUES (now(), :symbol, 'LONG', 0.95) RETURNING id"
        )
        while not over.wait(0.1):
            with engine.begin() as link:
                written.append(link.execute(insert, {"symbol": BTC}).scalar_one())
        engine.dispose()

    return run


def kill_in_turn(alerts: Alerts, url: sa.URL) -> list[subprocess.Popen[bytes]]:
    """Kill whoever is in office, again and again; those that are left."""
    chance = random.Random(7)  # noqa: S311 - no secret
    running = {process.pid: process for process in (worker(url), worker(url))}
    over, killed = threading.Event(), 0
    while killed < KILLS:
        wait_until(lambda: _holder(alerts) in running, seconds=90)
        over.wait(chance.uniform(0.0, 1.5))
        process = running.pop(_holder(alerts))
        process.send_signal(signal.SIGKILL)
        process.wait()
        killed += 1
        another = worker(url)
        running[another.pid] = another
    wait_until(lambda: _holder(alerts) in running, seconds=90)
    return list(running.values())


def _holder(alerts: Alerts) -> int:
    name = alerts.store.standing().holder
    return int(name.rpartition(":")[2] or 0)


def test_every_alert_arrives_although_whoever_evaluates_is_killed(
    alerts: Alerts, filled: sa.URL
) -> None:
    alerts.rule("sure", source="signals", where="confidence > 0.9", channels=["hook"])
    with receiving() as receiver:
        address = f"webhook+http://{receiver.place}/hook"
        deliveries = Deliveries(alerts.state)
        deliveries.save("hook", address, SECRET)
        over, written = threading.Event(), list[int]()
        processes = [worker(filled)]
        wait_until(lambda: alerts.store.standing().log != "", seconds=90)
        processes[0].kill()
        processes[0].wait()
        writer = threading.Thread(target=flow(filled, over, written))
        writer.start()
        try:
            processes = kill_in_turn(alerts, filled)
            over.set()
            writer.join()
            wait_until(lambda: len(_arrived(receiver)) == len(written), seconds=120)
        finally:
            over.set()
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(30)
    assert len(written) > KILLS
    assert deliveries.listed("dead") == []
    # Each row once, and what came twice says so.
    kept = {row["key"] for row in alerts.kept() if row["rule"] == "sure"}
    assert kept == {f"sure\nsignals {row}" for row in written}
    plain = Counter(body["key"] for body in _bodies(receiver) if not body["repeat"])
    assert max(plain.values()) == 1


def _bodies(receiver: Receiver) -> list[dict[str, object]]:
    return [request.json for request in list(receiver.requests)]


def _arrived(receiver: Receiver) -> set[object]:
    return {body["key"] for body in _bodies(receiver)}
