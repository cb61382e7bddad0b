"""Sends what waits for its channel: on every server, each message by one of them.

A server gives a channel one message at a time, in a thread that nobody waits for: one that does not
answer holds up no other, as long as there are not more of them than threads.
"""

from __future__ import annotations

import asyncio
import logging
import random
import secrets
import traceback
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final

from alphapulse_nb.errors import AlphaPulseError, ChannelError, DatabaseError, InputError
from alphapulse_nb.lane import Lane
from alphapulse_nb.notify.channels import (
    MOST_ATTEMPTS,
    Message,
    Reach,
    delay,
    open_channel,
)
from alphapulse_nb.notify.deliveries import Attempt, Deliveries, Kept
from alphapulse_nb.notify.notification import Notification
from alphapulse_nb.state import State

_PAUSE: Final = 5.0
_LANES: Final = 8

log = logging.getLogger(__name__)


class Courier:
    """See the top of this file.

    Parameters
    ----------
    state: our schema.
    reach: how far channels may reach, and how long they may take.
    spread: a number from −1 to 1 by chance, for the pauses.
    """

    def __init__(
        self,
        state: State,
        reach: Reach,
        *,
        spread: Callable[[], float] = lambda: random.uniform(-1, 1),  # noqa: S311 - no secret
    ) -> None:
        self._deliveries = Deliveries(state)
        self._reach = reach
        self._spread = spread
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._trouble = ""
        self._lane = Lane("alphapulse-courier")
        self._free = [Lane(f"alphapulse-courier-{number}") for number in range(_LANES)]
        self._busy: dict[str, asyncio.Task[None]] = {}

    @property
    def trouble(self) -> str:
        """Why nothing can be sent at present; empty when it can."""
        return self._trouble

    def start(self) -> None:
        """Begin on the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="courier")

    async def stop(self) -> None:
        """End it. What is being sent is sent, or sent again by another with a mark."""
        tasks = [*([self._task] if self._task is not None else []), *self._busy.values()]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        for lane in (self._lane, *self._free):
            lane.close()

    def wake(self) -> None:
        """There may be something to send. On the loop."""
        self._wake.set()

    def send(self, attempt: Attempt) -> None:
        """Send one, and write down how that ended. Raises `DatabaseError`."""
        try:
            carry(attempt.channel, self._reach, message(attempt))
        except ChannelError as error:
            self._failed(attempt, error)
        else:
            self._deliveries.sent(attempt)

    def _failed(self, attempt: Attempt, error: ChannelError) -> None:
        log.warning("%s did not take a message: %s", attempt.channel.name, error)
        more = error.retry and attempt.number < MOST_ATTEMPTS
        wait = delay(attempt.number, self._spread(), error.after) if more else None
        self._deliveries.failed(attempt, str(error), error.unknown, wait)

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            try:
                await self._begin()
                self._trouble = ""
            except AlphaPulseError as error:
                if str(error) != self._trouble:
                    log.warning("nothing is sent: %s", error)
                self._trouble = str(error)
            except Exception:
                # What waits must be sent after whatever it was.
                log.exception("sending failed")
                self._trouble = "it failed; see the log"
            await self._rest()

    async def _begin(self) -> None:
        """Begin to send what is due, as far as there are threads for it."""
        if not self._free:
            return
        take = partial(self._deliveries.take, len(self._free), tuple(self._busy))
        for attempt in await self._lane.run(take):
            task = asyncio.create_task(self._send(attempt, self._free.pop()))
            self._busy[attempt.channel.name] = task

    async def _send(self, attempt: Attempt, lane: Lane) -> None:
        try:
            await lane.run(partial(self.send, attempt))
        except DatabaseError as error:
            # How it ended is not written down: it is taken for doubtful, and sent again.
            log.warning("what was sent to %s cannot be noted: %s", attempt.channel.name, error)
        except Exception:
            log.exception("sending to %s failed", attempt.channel.name)
        finally:
            self._free.append(lane)
            del self._busy[attempt.channel.name]
            self._wake.set()

    async def _rest(self) -> None:
        try:
            # Not wait_for, which before Python 3.12 may swallow that we are to stop.
            async with asyncio.timeout(_PAUSE):
                await self._wake.wait()
        except TimeoutError:
            return


def carry(kept: Kept, reach: Reach, what: Message) -> None:
    """Send a message by the channel of a row. Raises `ChannelError`, whatever goes wrong."""
    try:
        open_channel(kept.name, kept.address, kept.secret, reach=reach).send(what)
    except ChannelError:
        raise
    except InputError as error:
        raise ChannelError(f"it cannot be used: {error}") from None
    except Exception as error:  # noqa: BLE001 - unnoted, it would come again and again
        # Where it was and no more: its own words may hold a part of the address.
        log.warning("a fault of ours:\n%s", "".join(traceback.format_tb(error.__traceback__)))
        words = f"sending failed with {type(error).__name__}"
        raise ChannelError(words, retry=True, unknown=True) from None


def trial(now: datetime) -> Message:
    """A message that says it is a test, for whoever wants to see whether a channel works."""
    return Message(
        key=f"test-{secrets.token_hex(16)}",
        title="AlphaPulse reaches this channel",
        body="Somebody tests it. There is nothing to do.",
        type="info",
        priority="low",
        at=now,
        test=True,
    )


def message(attempt: Attempt) -> Message:
    """What a channel delivers for a notification."""
    one = attempt.notification
    return Message(
        key=attempt.key,
        title=one.title,
        body=_body(one),
        type=one.type.value,
        priority=one.priority.value,
        at=one.at,
        data=_data(one),
        attempt=attempt.number,
        repeat=attempt.doubtful,
    )


def _body(one: Notification) -> str:
    lines = [one.message, f"It happened at {one.at:%Y-%m-%d %H:%M:%S} UTC."]
    if one.late:
        lines.append("It is told late: nobody looked when it happened.")
    return "\n".join(filter(None, lines))


def _data(one: Notification) -> dict[str, object]:
    return {
        "rule": one.rule,
        "symbol": one.symbol,
        "labels": dict(one.labels),
        "confidence": one.confidence,
        "risk_reward_ratio": one.risk_reward_ratio,
        "late": one.late,
        "alert": one.alert,
        "resolved": one.resolved,
    }
