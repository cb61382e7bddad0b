"""What passes through the doors of a plugin while it sends one message.

There is one record at a time in a thread. Without one the doors are closed: no plugin speaks to
anybody while it is made, printed or thrown away.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from alphapulse_nb.errors import ChannelError
from alphapulse_nb.notify.channels.answer import Answer
from alphapulse_nb.notify.channels.message import one_line
from alphapulse_nb.notify.channels.reach import Reach

_QUOTED: Final = 200


@dataclass
class Record:
    """What became of one message: `clean` takes secrets out of what others say, such as `said`."""

    reach: Reach
    ends: float
    now: datetime
    clean: Callable[[str], str] = field(repr=False)
    problems: list[ChannelError] = field(default_factory=list)
    said: list[str] = field(default_factory=list, repr=False)
    last: Answer | None = field(default=None, repr=False)
    arrived: bool = False

    def failed(self, problem: ChannelError) -> None:
        """Note a problem."""
        self.problems.append(problem)

    def answered(self, answer: Answer, *, told: bool) -> None:
        """Note an answer; `told` says that the request may have been the message."""
        self.last = answer
        if not answer.good:
            self.failed(answer.problem(self.now, self.clean))
        elif told:
            self.arrived = True

    def quoted(self, said: str) -> str:
        """Somebody's words as a message of ours may repeat them."""
        return one_line(self.clean(said), _QUOTED)

    def verdict(self) -> ChannelError:
        """Why the message did not arrive everywhere: what may pass comes first."""
        found = next((one for one in self.problems if one.retry), None) or self._refusal()
        unknown = self.arrived or any(one.unknown for one in self.problems)
        return ChannelError(str(found), found.retry, after=found.after, unknown=unknown)

    def _refusal(self) -> ChannelError:
        if self.problems:
            return self.problems[-1]
        if self.last is not None:
            said = self.last.quoted(self.clean)
            return ChannelError(f"{self.last.place} did not take the message{said}")
        said = self.quoted(self.said[-1]) if self.said else "no reason is known"
        return ChannelError(f"nothing could be sent: {said}")


_record: ContextVar[Record | None] = ContextVar("alphapulse_nb_channel_record", default=None)
_ear: ContextVar[Callable[[str], None] | None] = ContextVar("alphapulse_nb_ear", default=None)


def current() -> Record | None:
    """The record of the message that this thread sends; None while it sends none."""
    return _record.get()


@contextlib.contextmanager
def recording(record: Record) -> Iterator[None]:
    """Open the doors for one message."""
    token = _record.set(record)
    try:
        with overheard(record.said.append):
            yield
    finally:
        _record.reset(token)


@contextlib.contextmanager
def overheard(hear: Callable[[str], None]) -> Iterator[None]:
    """Hear a plugin's warnings, which hold secrets."""
    token = _ear.set(hear)
    try:
        yield
    finally:
        _ear.reset(token)


class _Ear(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        hear = _ear.get()
        if hear is not None:
            hear(record.getMessage())


def _log() -> logging.Logger:
    # Not one of `getLogger`: it has no parent, so that nothing of it reaches a log of the house.
    found = logging.Logger("apprise", logging.WARNING)
    found.addHandler(_Ear())
    return found


LOG: Final = _log()
"""Where the plugins' words go: to `overheard`, and nowhere else."""
