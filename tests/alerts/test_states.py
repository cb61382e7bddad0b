from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapulse_nb.alerts.states import (
    Failure,
    Match,
    NoData,
    Operator,
    Passed,
    Phase,
    Sample,
    Status,
    Transition,
    Value,
    What,
    advance,
)

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
ZERO = timedelta(0)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


@dataclass(frozen=True)
class Terms:
    operator: Operator = Operator.GREATER
    threshold: float = 10.0
    recovery: float | None = None
    pending_for: timedelta = ZERO
    keep_firing_for: timedelta = ZERO
    cooldown: timedelta = ZERO


def walk(terms: Terms, *samples: tuple[float, Sample]) -> tuple[Status, list[Transition]]:
    status, steps = Status(), list[Transition]()
    for minute, sample in samples:
        status, more = advance(status, terms, sample, NOON + minutes(minute))
        steps += more
    return status, steps


def story(terms: Terms, *samples: tuple[float, Sample]) -> str:
    """The steps in words, those that people are told of with a mark."""
    return " ".join(f"{step.what}{'!' * step.told}" for step in walk(terms, *samples)[1])


HIGH, LOW = Value(11.0), Value(9.0)
AWAY = Failure("the database cannot be reached")


@pytest.mark.parametrize(
    ("terms", "samples", "expected"),
    [
        (Terms(), [(0, LOW)], ""),
        (Terms(), [(0, Value(10.0))], ""),
        (Terms(), [(0, HIGH)], "fired!"),
        (Terms(), [(0, HIGH), (1, HIGH)], "fired!"),
        (Terms(), [(0, HIGH), (1, LOW)], "fired! resolved!"),
        (Terms(), [(0, HIGH), (1, LOW), (2, HIGH)], "fired! resolved! fired!"),
        # for
        (Terms(pending_for=minutes(5)), [(0, HIGH), (4.9, HIGH)], "pending"),
        (Terms(pending_for=minutes(5)), [(0, HIGH), (5, HIGH)], "pending fired!"),
        (Terms(pending_for=minutes(5)), [(0, HIGH), (4, LOW)], "pending dropped"),
        (
            Terms(pending_for=minutes(5)),
            [(0, HIGH), (4, LOW), (5, HIGH), (9, HIGH), (10, HIGH)],
            "pending dropped pending fired!",
        ),
        # keep_firing_for
        (Terms(keep_firing_for=minutes(5)), [(0, HIGH), (1, LOW)], "fired! recovering"),
        (
            Terms(keep_firing_for=minutes(5)),
            [(0, HIGH), (1, LOW), (6, LOW)],
            "fired! recovering resolved!",
        ),
        (
            Terms(keep_firing_for=minutes(5)),
            [(0, HIGH), (1, LOW), (5, HIGH), (6, LOW), (10, LOW)],
            "fired! recovering returned recovering",
        ),
        # recovery
        (Terms(recovery=5.0), [(0, HIGH), (1, Value(6.0))], "fired!"),
        (Terms(recovery=5.0), [(0, HIGH), (1, Value(5.0))], "fired! resolved!"),
        (Terms(recovery=5.0), [(0, Value(6.0))], ""),
        # cooldown
        (
            Terms(cooldown=minutes(60)),
            [(0, HIGH), (1, LOW), (2, HIGH), (3, LOW)],
            "fired! resolved! fired resolved",
        ),
        (
            Terms(cooldown=minutes(60)),
            [(0, HIGH), (1, LOW), (2, HIGH), (59, HIGH), (60, HIGH), (61, HIGH), (62, LOW)],
            "fired! resolved! fired remains! resolved!",
        ),
        # What is not known ends nothing.
        (Terms(), [(0, HIGH), (1, AWAY), (2, AWAY), (3, HIGH)], "fired! failed known"),
        (Terms(), [(0, HIGH), (1, AWAY), (2, LOW)], "fired! failed known resolved!"),
        (Terms(), [(0, HIGH), (1, NoData()), (2, HIGH)], "fired! no_data known"),
        (Terms(), [(0, AWAY), (1, NoData()), (2, HIGH)], "failed no_data known fired!"),
        (
            Terms(pending_for=minutes(5)),
            [(0, HIGH), (4, AWAY), (6, HIGH), (10, HIGH), (11, HIGH)],
            "pending failed known pending fired!",
        ),
        (
            Terms(keep_firing_for=minutes(5)),
            [(0, HIGH), (1, LOW), (2, AWAY), (7, LOW), (11, LOW), (12, LOW)],
            "fired! recovering failed known recovering resolved!",
        ),
        # Events
        (Terms(), [(0, Match()), (0, Match())], "fired! resolved! fired! resolved!"),
        (
            Terms(cooldown=minutes(5)),
            [(0, Match()), (4, Match())],
            "fired! resolved! fired resolved",
        ),
        (Terms(keep_firing_for=minutes(5)), [(0, Match()), (4, Match()), (8, Match())], "fired!"),
        (
            Terms(keep_firing_for=minutes(5)),
            [(0, Match()), (4, Match()), (8.9, Passed()), (9, Passed())],
            "fired! resolved!",
        ),
        (
            Terms(keep_firing_for=minutes(5)),
            [(0, Match()), (5, Match())],
            "fired! resolved! fired!",
        ),
        (
            Terms(keep_firing_for=minutes(5), cooldown=minutes(7)),
            [(0, Match()), (6, Match()), (8, Match()), (20, Passed())],
            "fired! resolved! fired remains! resolved!",
        ),
        (Terms(), [(0, Passed())], ""),
        # A clock that was set back
        (Terms(pending_for=minutes(5)), [(0, HIGH), (-60, HIGH), (5, HIGH)], "pending fired!"),
        (Terms(keep_firing_for=minutes(5)), [(0, Match()), (-60, Match())], "fired!"),
    ],
)
def test_the_steps_of_an_alert(
    terms: Terms, samples: list[tuple[float, Sample]], expected: str
) -> None:
    assert story(terms, *samples) == expected


def test_what_a_step_and_a_status_say() -> None:
    terms = Terms(keep_firing_for=minutes(5))
    status, steps = walk(terms, (0, Value(11.0)), (3, AWAY))
    assert status == Status(
        phase=Phase.ERROR,
        since=NOON + minutes(3),
        opened=NOON,
        matched=NOON,
        told=NOON,
        announced=True,
        value=11.0,
        reason="the database cannot be reached",
    )
    assert steps == [
        Transition(What.FIRED, NOON, Phase.NORMAL, Phase.FIRING, 11.0, "", NOON, True),
        Transition(
            What.FAILED,
            NOON + minutes(3),
            Phase.FIRING,
            Phase.ERROR,
            11.0,
            "the database cannot be reached",
            NOON,
        ),
    ]


def test_an_alert_of_events_ends_when_it_ended_not_when_that_was_noticed() -> None:
    terms = Terms(keep_firing_for=minutes(5))
    _, steps = walk(terms, (0, Match(1.0)), (60, Passed()))
    assert steps[-1].what is What.RESOLVED
    assert steps[-1].at == NOON + minutes(5)
    assert steps[-1].opened == NOON


@pytest.mark.parametrize(
    ("sign", "below", "at", "above"),
    [
        (">", False, False, True),
        (">=", False, True, True),
        ("<", True, False, False),
        ("<=", True, True, False),
        ("==", False, True, False),
        ("!=", True, False, True),
    ],
)
def test_operators(sign: str, below: bool, at: bool, above: bool) -> None:
    found = [Operator(sign).holds(value, 1.0) for value in (0.5, 1.0, math.inf)]
    assert found == [below, at, above]


class Model:
    """The same, told differently: a table of phases, and a history that is looked through."""

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.phase = "normal"
        self.entered = 0
        self.is_open = False
        self.history: list[tuple[int, str]] = []

    def say(self, now: int, word: str) -> None:
        self.history.append((now, word))

    def step(self, now: int, sample: Sample) -> None:
        if isinstance(sample, Failure | NoData):
            lost = "error" if isinstance(sample, Failure) else "no_data"
            if self.phase != lost:
                self.say(now, "failed" if lost == "error" else "no_data")
                self.phase, self.entered = lost, now
            return
        assert isinstance(sample, Value)
        if self.phase in {"error", "no_data"}:
            self.say(now, "known")
            self.phase, self.entered = ("firing" if self.is_open else "normal"), now
        high = sample.value > self.terms.threshold
        low = self.terms.recovery if self.terms.recovery is not None else self.terms.threshold
        stays = high or sample.value > low
        table = {
            ("normal", True): self.begin,
            ("pending", True): self.ripen,
            ("pending", False): self.drop,
            ("firing", False): self.falter,
            ("firing", True): self.remain,
            ("recovering", True): self.come_back,
            ("recovering", False): self.end,
        }
        held = stays if self.is_open else high
        table.get((self.phase, held), lambda _: None)(now)

    def begin(self, now: int) -> None:
        if self.terms.pending_for:
            self.say(now, "pending")
            self.phase, self.entered = "pending", now
        else:
            self.fire(now)

    def ripen(self, now: int) -> None:
        if minutes(now - self.entered) >= self.terms.pending_for:
            self.fire(now)

    def drop(self, now: int) -> None:
        self.say(now, "dropped")
        self.phase, self.entered = "normal", now

    def fire(self, now: int) -> None:
        self.say(now, "fired!" if self.free(now) else "fired")
        self.phase, self.entered, self.is_open = "firing", now, True

    def free(self, now: int) -> bool:
        told = [at for at, word in self.history if word in {"fired!", "remains!"}]
        return not told or minutes(now - told[-1]) >= self.terms.cooldown

    def was_told(self) -> bool:
        words = [word for _, word in self.history if word in {"fired", "fired!", "remains!"}]
        return words[-1].endswith("!")

    def remain(self, now: int) -> None:
        if not self.was_told() and self.free(now):
            self.say(now, "remains!")

    def falter(self, now: int) -> None:
        if self.terms.keep_firing_for:
            self.say(now, "recovering")
            self.phase, self.entered = "recovering", now
        else:
            self.end(now)

    def come_back(self, now: int) -> None:
        self.say(now, "returned")
        self.phase, self.entered = "firing", now
        self.remain(now)

    def end(self, now: int) -> None:
        if minutes(now - self.entered) >= self.terms.keep_firing_for:
            self.say(now, "resolved!" if self.was_told() else "resolved")
            self.phase, self.entered, self.is_open = "normal", now, False


lengths = st.integers(0, 6).map(minutes)
terms_of_all_kinds = st.builds(
    Terms,
    recovery=st.sampled_from([None, 5.0, 10.0, 15.0]),
    pending_for=lengths,
    keep_firing_for=lengths,
    cooldown=lengths,
)
values = st.sampled_from([Value(4.0), Value(7.0), Value(11.0), Value(16.0), NoData(), AWAY])
matches = st.sampled_from([Match(), Passed(), AWAY])


def paced(samples: st.SearchStrategy[Sample]) -> st.SearchStrategy[list[tuple[int, Sample]]]:
    def placed(steps: list[tuple[int, Sample]]) -> list[tuple[int, Sample]]:
        at, found = 0, []
        for wait, sample in steps:
            at += wait
            found.append((at, sample))
        return found

    return st.lists(st.tuples(st.integers(0, 4), samples), max_size=40).map(placed)


@settings(max_examples=400)
@given(terms_of_all_kinds, paced(values))
def test_values_lead_where_the_model_says(terms: Terms, samples: list[tuple[int, Sample]]) -> None:
    model = Model(terms)
    for now, sample in samples:
        model.step(now, sample)
    status, steps = walk(terms, *samples)
    assert [f"{step.what}{'!' * step.told}" for step in steps] == [w for _, w in model.history]
    assert status.phase == model.phase
    assert (status.opened is not None) == model.is_open


@settings(max_examples=400)
@given(terms_of_all_kinds, st.one_of(paced(values), paced(matches)))
def test_alerts_open_and_close_in_turn_and_nothing_unknown_closes_one(
    terms: Terms, samples: list[tuple[int, Sample]]
) -> None:
    status = Status()
    told: list[datetime] = []
    is_open = False
    for now, sample in samples:
        status, steps = advance(status, terms, sample, NOON + minutes(now))
        for step in steps:
            if step.what is What.FIRED:
                assert not is_open
                is_open = True
            if step.what is What.RESOLVED:
                assert is_open
                assert step.opened is not None
                assert step.opened <= step.at
                is_open = False
            if step.told and step.what is not What.RESOLVED:
                told.append(step.at)
        assert (status.opened is not None) == is_open
        if isinstance(sample, Failure | NoData):
            assert not any(step.what is What.RESOLVED for step in steps)
    assert all(later - earlier >= terms.cooldown for earlier, later in itertools.pairwise(told))
