"""Where events go: to the handlers, and to whoever iterates."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar

from alphapulse_nb.events import Event
from alphapulse_nb.stream_client.handler import Handler
from alphapulse_nb.stream_client.mailbox import Mailbox
from alphapulse_nb.stream_client.status import Gap

T = TypeVar("T")
Item = Event | Gap


class Outlet:
    """See the top of this file."""

    def __init__(self, buffer: int) -> None:
        self.handlers: list[Handler] = []
        self.mailbox: Mailbox[Item] = Mailbox(buffer)
        self._iterated = False

    async def room(self) -> None:
        """Wait while as much waits for an iteration as may."""
        if self._keeps:
            await self.mailbox.room()

    def hand(self, item: Item) -> None:
        for handler in self.handlers:
            handler.offer(item)
        if self._keeps:
            self.mailbox.put(item)

    def items(self, chosen: Callable[[Item], bool]) -> Items[Any]:
        self._iterated = True
        return Items(self.mailbox, chosen)

    @property
    def _keeps(self) -> bool:
        """Whether events wait for an iteration: not where there are handlers only."""
        return self._iterated or not self.handlers


class Items(Generic[T]):
    """An iteration over what a client gets. Several share it between them."""

    def __init__(self, mailbox: Mailbox[Item], chosen: Callable[[Item], bool]) -> None:
        self._mailbox = mailbox
        self._chosen = chosen

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        while True:
            item: Any = await self._mailbox.get()
            if self._chosen(item):
                found: T = item
                return found
