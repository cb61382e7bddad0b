"""The websocket between a page and its kernel.

Only the browser and person whose page started the kernel get one, only in the form whose parser is
safe, and only for the messages of widgets, as many as its budget pays for. A page that does not
read is cut off before what it has not read fills the memory. What a kernel says of its own errors
is for the operator: it holds paths and statements, and no page gets it.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import tornado.web
from jupyter_server.auth.decorator import ws_authenticated
from jupyter_server.services.kernels.connection.channels import ZMQChannelsWebsocketConnection
from voila.tornado.kernel_websocket_handler import (
    VoilaKernelWebsocketHandler,
    read_header_from_binary_message,
)

from alphapulse_nb.server import cookies, log, messages
from alphapulse_nb.server.access import Refused
from alphapulse_nb.server.guard import Guard
from alphapulse_nb.server.handler import JsonErrors
from alphapulse_nb.server.shared import shared
from alphapulse_nb.server.visits import Visit

_MOST_BAD: Final = 10
_MOST_SOCKETS: Final = 8
"""Sockets of one page: it has one, and those that it has lost and that are not given up yet."""
_LONGEST_SESSION: Final = 100
_UNTOLD: Final = frozenset({"error", "stream"})
_MOST_UNREAD: Final = 16 << 20
"""Bytes that wait for a page to read them."""

Why = Literal["left", "slow", "refused", "stopped"]

_log = log.get(__name__)


class Connection(ZMQChannelsWebsocketConnection):  # type: ignore[misc]
    """Kernel to page, without a limit on its rate: what was left out would leave gaps in charts."""

    limit_rate = False


class KernelSocket(JsonErrors, Guard, VoilaKernelWebsocketHandler):  # type: ignore[misc]
    """See the top of this file."""

    _visit: Visit | None = None
    _bad = 0
    _counted = False
    _told = False

    @ws_authenticated  # type: ignore[untyped-decorator]
    async def get(self, kernel_id: str) -> None:
        offered = self.request.headers.get("Sec-WebSocket-Protocol", "")
        if messages.PROTOCOL not in {name.strip() for name in offered.split(",")}:
            self._closed_for("refused")
            raise tornado.web.HTTPError(400, f"the protocol is {messages.PROTOCOL}")
        person = await shared(self).access.person(self)
        visit = person and shared(self).visits.find(kernel_id, person, cookies.visits(self))
        if not visit:
            raise Refused(404, "There is no such kernel, or it is not yours.", why="owner")
        self._check_room(visit)
        self._visit = visit
        # From now on, though it is not open yet: many may come at once.
        visit.sockets.add(self)
        following: Any = super()
        try:
            await following.get(kernel_id=kernel_id)
        finally:
            if self.ws_connection is None:
                self._never_opened(visit)

    def _check_room(self, visit: Visit) -> None:
        """Bound the handshakes of a page: Jupyter keeps each in mind for a minute."""
        if len(self.get_query_argument("session_id", "")) > _LONGEST_SESSION:
            raise tornado.web.HTTPError(400)
        if len(visit.sockets) >= _MOST_SOCKETS:
            raise Refused(429, "This page is connected several times already.", after=60)
        try:
            visit.budget.spend("connect")
        except messages.UnwelcomeError:
            raise Refused(429, "This page connects too often.", after=10) from None

    def select_subprotocol(self, subprotocols: list[str]) -> str:  # noqa: ARG002 - one there is
        return messages.PROTOCOL

    async def open(self, kernel_id: str) -> None:
        shared(self).figures.count("sockets_opened")
        if self._visit is not None:
            shared(self).visits.connected(self._visit, self)
        await super().open(kernel_id)

    def on_message(self, ws_message: str | bytes) -> None:
        try:
            kind = messages.check(ws_message)
            if self._visit is not None:
                self._visit.budget.spend(kind, len(ws_message))
        except messages.UnwelcomeError as error:
            self._refuse(error)
        else:
            shared(self).figures.count("messages")
            if self.connection is not None:
                super().on_message(ws_message)

    def on_close(self) -> None:
        self._closed_for("left")
        if self._visit is not None:
            shared(self).visits.disconnected(self._visit, self)
        if self.connection is not None:
            super().on_close()

    def end(self, code: int, reason: str) -> None:
        """Close the socket, telling the page why."""
        self._closed_for("stopped")
        self.close(code, reason)

    def write_message(self, message: Any, binary: bool = False) -> Any:
        connection = self.ws_connection
        if connection is None or connection.is_closing():
            # What Jupyter makes of a message for a socket without a protocol has another form,
            # whose first bytes Voila would take for a count, and go through as many offsets.
            return None
        if len(connection.stream._write_buffer or b"") > _MOST_UNREAD:
            self._closed_for("slow")
            _log.warning("page does not read", client=self.request.remote_ip)
            connection.stream.close()
            return None
        if isinstance(message, bytes) and self._complains(message):
            return None
        return super().write_message(message, binary)

    def _complains(self, message: bytes) -> bool:
        """Whether a kernel tells of an error of its own; the log has the first of a socket."""
        header = read_header_from_binary_message(message) or {}
        if header.get("msg_type") not in _UNTOLD:
            return False
        if not self._told:
            self._told = True
            content = messages.parts(message)[4].decode("utf-8", "replace")
            _log.warning("kernel complained", person=self._name(), said=content)
        return True

    def _name(self) -> str:
        return self._visit.person.name if self._visit else ""

    def _never_opened(self, visit: Visit) -> None:
        """Forget a handshake that failed: Jupyter has noted its session already."""
        visit.sockets.discard(self)
        connection: Any = vars(self).get("connection")
        if connection is not None:
            known = connection._open_sessions
            if known.get(connection.session_key) is self:
                del known[connection.session_key]

    def _refuse(self, error: messages.UnwelcomeError) -> None:
        shared(self).figures.count("messages_refused", why=error.why)
        if not self._bad:
            _log.warning("message refused", reason=str(error), client=self.request.remote_ip)
        self._bad += 1
        if self._bad > _MOST_BAD:
            self._closed_for("refused")
            self.close(1008, "too many messages that cannot be taken")

    def _closed_for(self, why: Why) -> None:
        """Count the end of this socket once, under the first reason for it."""
        if not self._counted:
            self._counted = True
            shared(self).figures.count("sockets_closed", why=why)
