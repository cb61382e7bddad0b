"""A thread for what waits: in order, and never in the way of the end."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from alphapulse_nb.lane import Lane

STUCK = """
import asyncio, threading
from alphapulse_nb.lane import Lane
async def main():
    lane = Lane("x")
    lane.submit(threading.Event().wait)
    print("stuck", flush=True)
asyncio.run(main())
"""


def test_calls_run_in_their_order_and_give_back_what_they_return_or_raise() -> None:
    async def main() -> None:
        lane, order = Lane("x"), list[int]()
        await asyncio.gather(*(lane.run(lambda n=n: order.append(n)) for n in range(50)))  # type: ignore[misc]
        assert order == list(range(50))
        with pytest.raises(ZeroDivisionError):
            await lane.run(lambda: 1 // 0)
        assert await lane.run(lambda: 42) == 42
        thread = await lane.run(threading.current_thread)
        lane.close()
        thread.join(5)
        assert not thread.is_alive()

    asyncio.run(main())


def test_the_end_is_waited_for_but_not_for_long() -> None:
    async def main() -> None:
        lane, order = Lane("x"), list[str]()
        lane.submit(lambda: order.append("first"))
        await lane.end(lambda: order.append("last"))
        assert order == ["first", "last"]
        stuck, over = Lane("x"), threading.Event()
        stuck.submit(over.wait)
        await stuck.end(lambda: order.append("never waited for"), seconds=0.05)
        assert order == ["first", "last"]
        over.set()

    asyncio.run(main())


def test_a_call_that_nobody_waits_for_any_more_is_left_out() -> None:
    async def main() -> None:
        lane, going, ran = Lane("x"), threading.Event(), list[int]()
        first = asyncio.ensure_future(lane.run(going.wait))
        second = asyncio.ensure_future(lane.run(lambda: ran.append(1)))
        await asyncio.sleep(0.05)
        second.cancel()
        await asyncio.sleep(0.05)
        going.set()
        await first
        await lane.run(lambda: ran.append(2))
        assert ran == [2]
        lane.close()

    asyncio.run(main())


def test_a_call_that_hangs_does_not_keep_the_process() -> None:
    # It would hang for good otherwise, and the call fail.
    done = subprocess.run(
        [sys.executable, "-c", STUCK], capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stdout == "stuck\n"
