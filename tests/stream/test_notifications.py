"""What rules find reaches those who listen, through a server of its own process."""

from __future__ import annotations

import asyncio
import json
from datetime import time
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from alphapulse_nb.alerts import rule as rules
from alphapulse_nb.alerts.store import Store
from alphapulse_nb.notify.inbox import Inbox
from alphapulse_nb.notify.preferences import Preferences
from alphapulse_nb.notify.quiet import Hours
from alphapulse_nb.notify.telling import EVERYBODY
from alphapulse_nb.state import State
from tests.conftest import serve, wait_until
from tests.db.conftest import execute
from tests.relay.conftest import db, filled, prepared, server, state
from tests.stream.served import listening
from tests.visitor import Visitor

__all__ = ["db", "filled", "prepared", "server", "state"]

SIGNAL = (
    "INSERT INTO signals (timestamp, symbol, signal_type, confidence)"
    " VALUES (now(), 'BTC/USDT', '<b>LONG</b>', 0.95)"
)


def evaluated(url: str) -> bool:
    told = json.loads(Visitor(url).get("api/health/ready").body)
    return any(
        part["name"] == "alerts" and part["detail"] == "evaluated here" for part in told["parts"]
    )


def test_an_alert_is_on_the_stream_although_no_page_is_open(
    filled: sa.URL, state: State, tmp_path: Path
) -> None:
    title = "{signal_type} {symbol} {confidence}"
    sure = {"name": "sure", "source": "signals", "where": "confidence > 0.9", "title": title}
    Store(state).save(rules.read(sure))
    always = Hours(time(22), time(8), enabled=False)
    Inbox(state).prefer(EVERYBODY, Preferences(quiet_hours=always))

    async def scenario(url: str) -> dict[str, Any]:
        async with listening(url) as link, asyncio.timeout(60):
            await link.send('{"type": "subscribe", "data": {"types": ["notification"]}}')
            said: dict[str, Any] = {"type": ""}
            while said["type"] != "subscribed":
                said = json.loads(await link.recv())
            await asyncio.to_thread(execute, filled, SIGNAL)
            while said["type"] != "notification" or said["data"]["rule"] != "sure":
                said = json.loads(await link.recv())
            return said

    address = filled.render_as_string(hide_password=False)
    with serve(tmp_path, address, command="stream", DASHBOARD_ALERTS="true") as served:
        wait_until(lambda: evaluated(served.url))
        told = asyncio.run(scenario(served.url))
    assert told["data"]["title"] == "<b>LONG</b> BTC/USDT 95 %"
    assert told["data"]["confidence"] == 0.95
    assert "to" not in told["data"]
    (entry,) = [one for one in Inbox(state).listed(EVERYBODY) if one.notification.rule == "sure"]
    assert entry.id == told["data"]["id"]
