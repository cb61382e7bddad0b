"""Free memory goes back to the system."""

from __future__ import annotations

import asyncio
import sys

import psutil
import pytest

from alphapulse_nb.server import heap


def resident() -> int:
    return int(psutil.Process().memory_info().rss)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the call is glibc's")
def test_what_is_free_between_what_is_used_is_given_back() -> None:
    kept = [bytes(1_000) for _ in range(100_000)]
    # Every hundredth stays: no part of the heap is free from its end.
    kept = kept[::100]
    held = resident()
    assert heap.trim()
    assert resident() < held - (20 << 20)
    assert len(kept) == 1_000


def test_it_happens_now_and_then_until_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    times: list[None] = []
    monkeypatch.setattr(heap, "EVERY", 0.01)
    monkeypatch.setattr(heap, "trim", lambda: times.append(None))

    async def scenario() -> None:
        trimmer = heap.Trimmer()
        trimmer.start()
        while len(times) < 3:
            await asyncio.sleep(0.01)
        trimmer.stop()
        await asyncio.sleep(0.05)
        count = len(times)
        await asyncio.sleep(0.1)
        assert len(times) == count

    asyncio.run(asyncio.wait_for(scenario(), 20))
