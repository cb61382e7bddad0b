"""Who evaluates the rules: one server, or `alphapulse worker`, for each database.

It is elected by an advisory lock, as the relay is, and works in a thread of its own. A round reads
the events that came since the last one and measures the windows that they touch, or whose time has
come; what it finds is written with the number of the last event. When it ends, wherever it ends,
the next one goes on from there.

While the database is away nothing is known, so nothing begins and nothing ends.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import sqlalchemy as sa

from alphapulse_nb.alerts import measure, notice
from alphapulse_nb.alerts.check import Checked, check
from alphapulse_nb.alerts.engine import Engine, Step, Tally
from alphapulse_nb.alerts.measure import Measured
from alphapulse_nb.alerts.rule import Rule
from alphapulse_nb.alerts.states import What
from alphapulse_nb.alerts.store import Kept, Opened, Round, Standing, Store
from alphapulse_nb.db.connection import Database
from alphapulse_nb.db.office import Office
from alphapulse_nb.errors import (
    AlphaPulseError,
    DatabaseError,
    DatabaseUnavailable,
    InputError,
    RuleError,
)
from alphapulse_nb.events import Event, Kinds
from alphapulse_nb.lane import Lane
from alphapulse_nb.notify.notification import Notification
from alphapulse_nb.relay.log import Log
from alphapulse_nb.state import State
from alphapulse_nb.state.tables import events as logged

PORTION: Final = 1_000
"""Events that are dealt with at a time."""
_OFFICE_SECONDS: Final = 2.0
_LEAST_SECONDS: Final = 0.25
"""Between the beginnings of two rounds."""
_BEAT: Final = timedelta(seconds=20)
"""How often it is written that we are there, when nothing else is."""
_LEAST_WINDOW: Final = timedelta(seconds=1)
_MOST_WINDOW: Final = timedelta(minutes=1)
_PARTS_OF_WINDOW: Final = 60


class Said(NamedTuple):
    """What is to be told, and the channels that its rule names."""

    notification: Notification
    channels: Sequence[str] = ()


Keep = Callable[[sa.Connection, Sequence[Said]], None]

log = logging.getLogger(__name__)


class Evaluator:
    """Evaluates the rules while it is in office.

    Parameters
    ----------
    db: the desk's tables, for reading.
    state: our schema.
    log_: the events.
    office: who decides which evaluator it is.
    kinds: the types of events that there are.
    holder: who we are, as `host:port`.
    now: the clock.
    interval: seconds after which everything is looked at.
    keep: writes notifications, in the transaction of the round that found them.
    told: called in the evaluator's thread once they are written.
    shipped: rules to put there, if they never were.
    chores: called in each round of the evaluator in office, after what it found was written.
    """

    def __init__(
        self,
        db: Database,
        state: State,
        log_: Log,
        office: Office,
        kinds: Kinds,
        *,
        holder: str = "",
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        interval: float = 10.0,
        keep: Keep = lambda _, __: None,
        told: Callable[[Sequence[Said]], None] = lambda _: None,
        shipped: Iterable[Rule] = (),
        chores: Callable[[datetime], None] = lambda _: None,
    ) -> None:
        self._db = db
        self._state = state
        self._log = log_
        self._office = office
        self._kinds = kinds
        self._holder = holder
        self._now = now
        self._interval = interval
        self._keep = keep
        self._told = told
        self._shipped = shipped
        self._chores = chores
        self._store = Store(state)
        self._lane = Lane("alphapulse-evaluator")
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._engine: Engine | None = None
        self._standing = Standing()
        self._edition: tuple[Any, ...] = ()
        self._measured: dict[str, datetime] = {}
        self._pending: set[str] = set()
        self._begun: list[Step] = []
        self._trouble = "not started"

    @property
    def serving(self) -> bool:
        """Whether it is the evaluator."""
        return self._engine is not None

    @property
    def seq(self) -> int:
        """The number of the last event that was dealt with."""
        return self._standing.seq

    @property
    def tallies(self) -> Mapping[str, Tally]:
        """How each rule does, since it was loaded; empty where another server evaluates."""
        return {} if self._engine is None else self._engine.tallies

    @property
    def trouble(self) -> str:
        """Why it can do nothing at present; empty when it can."""
        return self._trouble

    def start(self) -> None:
        """Begin on the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="evaluator")

    async def stop(self) -> None:
        """End it and give up the office. What is being written is written."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._lane.end(self._leave)

    def wake(self) -> None:
        """There are new events. On the loop."""
        self._wake.set()

    def round(self) -> bool:
        """One round, in this thread; whether there is more to do at once.

        Raises `DatabaseError`.
        """
        try:
            return self._round()
        except DatabaseError:
            # What was not written has not happened; the next round begins with what is kept.
            self._engine = None
            raise

    def _round(self) -> bool:
        if not self._office.hold():
            self._engine = None
            return False
        with ExitStack() as stack:
            stack.enter_context(self._db.session())
            stack.enter_context(self._state.session())
            self._load()
            engine, now = self._ready(), self._now()
            events = self._log.after(self._standing.seq, PORTION)
            steps, self._begun = self._begun, []
            steps += engine.take(events, now)
            self._pending |= engine.touched(events)
            steps += self._measure(engine, now)
            steps += engine.pass_time(now)
            self._write(engine, steps, events)
            self._chores(now)
        return len(events) == PORTION

    def _ready(self) -> Engine:
        if self._engine is None:
            raise DatabaseUnavailable("the rules are not loaded")
        return self._engine

    def _load(self) -> None:
        """See that the rules are those that are kept, and that we go on from where we were."""
        edition = (self._kinds.version, *self._store.edition())
        if self._engine is not None and edition == self._edition:
            return
        held = self._store.held() if self._engine is None else self._engine.held
        if self._engine is None:
            self._seed()
            self._standing = self._placed(self._store.standing())
            self._measured = {}
            log.info("this server evaluates the rules of %s", self._db.where)
        good, broken = self._checked(self._store.listed())
        changed = self._engine.changed if self._engine is not None else set()
        self._engine = Engine(good, held, broken, self._store.known)
        self._engine.changed |= changed
        self._begun = self._engine.begin(self._now())
        self._edition = edition

    def _seed(self) -> None:
        good = [check(rule, self._kinds).rule for rule in self._shipped]
        if new := self._store.seed(good):
            log.info("rules that this release brings: %s", ", ".join(new))

    def _checked(self, kept: Iterable[Kept]) -> tuple[list[Checked], list[tuple[Rule, str]]]:
        good: list[Checked] = []
        broken: list[tuple[Rule, str]] = []
        for one in kept:
            if one.rule is None:
                broken.append((Rule(one.name, ""), one.fault))
            elif one.rule.enabled:
                try:
                    good.append(check(one.rule, self._kinds))
                except RuleError as error:
                    broken.append((one.rule, str(error)))
        return good, broken

    def _placed(self, standing: Standing) -> Standing:
        """Where to go on: in a log that was never followed at its end, else after what is gone."""
        identity, bounds = self._log.identity(), self._log.bounds()
        seq = standing.seq
        if not standing.log:
            seq = bounds.newest
        elif identity != standing.log:
            log.warning("the log of events is another one; the rules begin at its beginning")
            seq = bounds.oldest - 1
        elif seq < bounds.oldest - 1:
            log.warning("events from %d to %d are gone unseen", seq + 1, bounds.oldest - 1)
            seq = bounds.oldest - 1
        return replace(standing, log=identity, seq=seq, holder=self._holder)

    def _measure(self, engine: Engine, now: datetime) -> list[Step]:
        steps: list[Step] = []
        for checked in engine.windows:
            if self._is_due(checked, now):
                self._measured[checked.rule.name] = now
                self._pending.discard(checked.rule.name)
                steps += self._measure_one(engine, checked, now)
        return steps

    def _is_due(self, checked: Checked, now: datetime) -> bool:
        """A window is looked at again after a sixtieth of it, and soon after an event in it."""
        before = self._measured.get(checked.rule.name)
        if before is None or now < before:
            return True
        part = checked.rule.window / _PARTS_OF_WINDOW
        rest = min(max(part, _LEAST_WINDOW), _MOST_WINDOW)
        touched = checked.rule.name in self._pending
        return now - before >= (_LEAST_WINDOW if touched else rest)

    def _measure_one(self, engine: Engine, checked: Checked, now: datetime) -> list[Step]:
        try:
            return engine.take_measured(checked, self._values(checked, now), now)
        except DatabaseUnavailable:
            raise
        except (DatabaseError, InputError) as error:
            return engine.fail(checked, str(error), now)

    def _values(self, checked: Checked, now: datetime) -> list[Measured]:
        rows = measure.rows_of(checked, logged)
        door = self._db.connection() if measure.is_table(checked) else self._state.reading()
        with door as link:
            return measure.measured(checked, rows, link, now)

    def _write(self, engine: Engine, steps: Sequence[Step], events: Sequence[Event]) -> None:
        seq = events[-1].seq if events else self._standing.seq
        beat = self._standing.beat_at
        is_quiet = not steps and not engine.changed and not events
        if is_quiet and beat is not None and self._since(beat) < _BEAT:
            return
        if not self._office.hold():
            self._engine = None
            return
        told: list[Said] = []
        found = self._found(engine, steps, told)
        self._standing = self._store.write(
            found, replace(self._standing, seq=seq), lambda link: self._keep(link, told)
        )
        engine.changed.clear()
        if told:
            self._told(told)

    def _since(self, beat: datetime) -> timedelta:
        # The database's clock wrote it; ours may be set for a test.
        return abs(datetime.now(UTC) - beat)

    def _found(self, engine: Engine, steps: Sequence[Step], told: list[Said]) -> Round:
        opened: dict[str, Opened] = {}
        closed: dict[str, datetime] = {}
        titles = self._titles(steps)
        for step in steps:
            title, message, _ = notice.texts(step)
            what = step.transition.what
            if what is What.FIRED:
                opened[step.alert] = _opened(step, title, message)
                titles[step.alert] = title
            elif what is What.RESOLVED:
                closed[step.alert] = step.transition.at
                title = titles.get(step.alert, title)
            said = notice.notice(step, title, message)
            if said is not None:
                told.append(Said(said, step.rule.channels))
        held = engine.held
        return Round(
            {place: held.get(place) for place in engine.changed}, [*opened.values()], closed
        )

    def _titles(self, steps: Sequence[Step]) -> dict[str, str]:
        """The titles under which alerts were told of that end now."""
        ended = [step.alert for step in steps if step.transition.what is What.RESOLVED]
        return self._store.titles(ended) if ended else {}

    def _leave(self) -> None:
        self._engine = None
        self._office.leave()

    async def _run(self) -> None:
        failures = 0
        while True:
            self._wake.clear()
            began = asyncio.get_running_loop().time()
            more = False
            try:
                more = await self._lane.run(self.round)
                if self._trouble and failures:
                    log.warning("rules are being evaluated again")
                self._trouble, failures = "", 0
            except AlphaPulseError as error:
                failures += 1
                self._failed(str(error))
            except Exception:
                # Rules must go on after whatever it was; a moment later, so that it cannot spin.
                log.exception("a round of the evaluator failed")
                self._engine = None
                failures += 1
                self._failed("a round failed; see the log")
            if failures:
                await asyncio.sleep(min(0.5 * 2.0 ** min(failures - 1, 10), 10.0))
            elif not more:
                await self._rest(began)

    async def _rest(self, began: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            # Not wait_for, which before Python 3.12 may swallow that we are to stop.
            async with asyncio.timeout(self._pause()):
                if self.serving:
                    await self._wake.wait()
                else:
                    await asyncio.sleep(self._pause())
        except TimeoutError:
            return
        await asyncio.sleep(max(began + _LEAST_SECONDS - loop.time(), 0.0))

    def _pause(self) -> float:
        if not self.serving:
            return _OFFICE_SECONDS
        shortest = min((checked.rule.window for checked in self._ready().windows), default=None)
        part = self._interval if shortest is None else shortest.total_seconds() / _PARTS_OF_WINDOW
        return min(self._interval, max(part, 1.0))

    def _failed(self, reason: str) -> None:
        if reason != self._trouble:
            log.warning("rules are not evaluated: %s", reason)
        self._trouble = reason


def _opened(step: Step, title: str, message: str) -> Opened:
    rule = step.rule
    symbol = step.labels.get("symbol") or step.values.get("symbol")
    return Opened(
        step.alert,
        rule.name,
        {**rule.labels, **step.labels},
        symbol if isinstance(symbol, str) else None,
        rule.type.value,
        rule.priority.value,
        title,
        message,
        step.transition.value,
        step.transition.at,
    )
