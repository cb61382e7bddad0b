"""A short soak: viewers come and go, and leave nothing behind."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections import Counter
from dataclasses import fields, replace
from pathlib import Path

import pytest

from benchmarks.soak import TOLERANCE, Plan, Soak, State, Tally, disagreeing, exceeded
from tests.conftest import Desk, serve

QUIET = State(0, 1, 0, 0, 20, 9, 3, 80.0)


def test_viewers_who_come_and_go_leave_nothing_behind(desk: Desk, tmp_path: Path) -> None:
    plan = Plan(seconds=12, viewers=5, stay=(2, 6), ways=("farewell",), rate=2, patience=30)
    # A short path, since it holds the kernels' sockets.
    with (
        tempfile.TemporaryDirectory() as own,
        serve(tmp_path, desk.server.url, TMPDIR=own, ALPHAPULSE_REFRESH_INTERVAL="1") as served,
    ):
        soak = Soak(served, Path(own), plan, random.Random(5))  # noqa: S311
        assert asyncio.run(soak.run()) == []
    assert soak.tally.arrived >= plan.viewers
    assert soak.tally.refreshes > soak.tally.arrived


@pytest.mark.parametrize("name", [one.name for one in fields(State)])
def test_whatever_grows_beyond_its_tolerance_is_named(name: str) -> None:
    value = getattr(QUIET, name)
    most = replace(QUIET, **{name: value + getattr(TOLERANCE, name)})
    more = replace(QUIET, **{name: value + getattr(TOLERANCE, name) + 1})
    assert exceeded(QUIET, most) == []
    assert len(exceeded(QUIET, more)) == 1
    assert exceeded(QUIET, more)[0].startswith(f"{name}: ")


def test_a_figure_that_the_viewers_did_not_see_is_named() -> None:
    tally = Tally(arrived=2, refreshes=4, left=Counter(farewell=1, close=1))
    agreed = {
        "kernels_started": 2,
        "sockets_opened": 2,
        "sockets_closed": 2,
        "kernels_ended": 2,
        "kernels_ended.closed": 1,
        "kernels_ended.abandoned": 1,
        "reports": 5,
    }
    assert disagreeing(agreed, tally) == []
    assert disagreeing(agreed | {"kernels_ended.abandoned": 0}, tally) == [
        "kernels_ended.abandoned: the server counted 0, the viewers saw 1"
    ]
    assert disagreeing(agreed | {"reports": 1}, tally) == ["refreshes: 1, of 4 seen"]
    assert len(disagreeing(agreed | {"kernels": 1}, tally)) == 1
