"""The parts of a running server that readiness asks about, each with a state of its own."""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

PATIENCE: Final = 3.0
"""Seconds that a probe has."""

log = logging.getLogger(__name__)


class State(enum.StrEnum):
    """How a part does. Without a degraded part the server still does its work, if less well."""

    OK = "ok"
    DEGRADED = "degraded"
    FAILED = "failed"


@dataclass(frozen=True)
class Part:
    """What a probe found: a name, a state, and a few words that hold nothing secret."""

    name: str
    state: State
    detail: str = ""


Look = Callable[[], Awaitable[Part]]


@dataclass(frozen=True)
class Probe:
    """A look at one part. What raises or takes too long has failed."""

    name: str
    look: Look

    async def __call__(self) -> Part:
        try:
            return await asyncio.wait_for(self.look(), PATIENCE)
        except TimeoutError:
            return Part(self.name, State.FAILED, f"gave no answer within {PATIENCE:g} s")
        except Exception:
            log.exception("the probe of %s failed", self.name)
            return Part(self.name, State.FAILED, "could not be asked")


async def look_at(probes: Iterable[Look]) -> list[Part]:
    """What all probes find, asked at once, in their order."""
    return list(await asyncio.gather(*(probe() for probe in probes)))
