"""How many HTTP connections there may be at a time, and how long one may refuse to read.

Each costs a descriptor, and kernels, the database and the log need descriptors too. When all are
taken, the address that has the most gives up its oldest one, so that whoever opens thousands loses
their own and shuts out nobody. What a client does not read stays in our memory; one that reads
nothing for half a minute is cut off. A websocket is counted until its handshake is over: how many a
page may have is not said here.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tornado.iostream import IOStream

from alphapulse_nb.addresses import client
from alphapulse_nb.server import log

PATIENCE: Final = 30.0
"""Seconds that a client may read nothing of what it asked for."""

_log = log.get(__name__)


@dataclass
class _Connection:
    """Whose it is, what had been read of it when we last looked, and since when that is so."""

    client: str
    read: int = 0
    since: float = 0.0


class Connections:
    """Keeps the connections, oldest first; `most` at a time."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self._clock = clock
        self._open: dict[IOStream, _Connection] = {}
        self._warned = False

    def __len__(self) -> int:
        return len(self._open)

    def admit(self, stream: IOStream, address: str) -> None:
        """Count a new connection; another one goes where there are too many."""
        if len(self._open) >= self.most:
            self._make_room()
        self._open[stream] = _Connection(client(address), since=self._clock())

    def forget(self, stream: IOStream) -> None:
        """A connection has ended, or is a websocket now."""
        self._open.pop(stream, None)

    def look(self) -> None:
        """Cut off the clients that read nothing."""
        now = self._clock()
        for stream, known in list(self._open.items()):
            read = stream._total_write_done_index
            if not stream.writing() or read != known.read:
                known.read, known.since = read, now
            elif now - known.since > PATIENCE:
                self._open.pop(stream)
                stream.close()

    def _make_room(self) -> None:
        greedy, count = Counter(known.client for known in self._open.values()).most_common(1)[0]
        if not self._warned:
            self._warned = True
            _log.warning("too many connections", limit=self.most, client=greedy, of_this=count)
        oldest = next(stream for stream, known in self._open.items() if known.client == greedy)
        self._open.pop(oldest)
        oldest.close()
