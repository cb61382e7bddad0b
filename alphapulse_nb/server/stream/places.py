"""How many connections to the stream there may be: in all, of one person, and from one address."""

from __future__ import annotations

from collections import Counter
from typing import Final

from alphapulse_nb.addresses import client
from alphapulse_nb.people import NAMELESS, Person
from alphapulse_nb.server.access import Refused

MOST: Final = 3_000
"""A connection costs a descriptor and up to 100 kB: 3,000 still leave room for the kernels."""
MOST_EACH: Final = 100
"""Of somebody with a name of their own: one for each page and script that they have open."""
MOST_ADDRESS: Final = 2_000
"""From one address, which may be that of a proxy, or of a building full of walls and phones."""


class Places:
    """Counts the connections; each takes a place and leaves it."""

    def __init__(
        self, most: int = MOST, each: int = MOST_EACH, address: int = MOST_ADDRESS
    ) -> None:
        self.most = most
        self.each = each
        self.address = address
        self._persons: Counter[str] = Counter()
        self._addresses: Counter[str] = Counter()

    def __len__(self) -> int:
        return self._addresses.total()

    def check(self, person: Person, address: str) -> None:
        """Raise `Refused` where there is no place for another one: 503, or 429 if it is theirs."""
        if person.name not in NAMELESS and self._persons[person.name] >= self.each:
            raise Refused(429, "You are connected too many times already.", after=60)
        if self._addresses[client(address)] >= self.address:
            raise Refused(429, "Too many connections come from your address.", after=60)
        if len(self) >= self.most:
            raise Refused(503, "The stream has as many listeners as it can serve.", after=30)

    def take(self, person: Person, address: str) -> None:
        """Count one more."""
        self._persons[person.name] += 1
        self._addresses[client(address)] += 1

    def leave(self, person: Person, address: str) -> None:
        """Count one less."""
        for counter, key in (
            (self._persons, person.name),
            (self._addresses, client(address)),
        ):
            counter[key] -= 1
            if counter[key] <= 0:
                del counter[key]
