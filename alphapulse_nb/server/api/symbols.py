"""The symbols that the desk has data for."""

from __future__ import annotations

from typing import Final

from alphapulse_nb import queries
from alphapulse_nb.server.api.endpoint import Answer, Endpoint
from alphapulse_nb.server.api.handler import ApiHandler
from alphapulse_nb.server.api.parameter import Values
from alphapulse_nb.server.api.schema import ref


class SymbolsHandler(ApiHandler):
    async def answer(self, values: Values) -> None:  # noqa: ARG002
        db = self.shared.db
        self.send({"symbols": await self.work("symbols", lambda: queries.symbols(db))})


SYMBOLS: Final = Endpoint(
    path="/api/symbols",
    name="symbols",
    summary="The symbols that there is data for",
    about="In alphabetical order.",
    handler=SymbolsHandler,
    answers=(Answer(200, "The symbols.", ref("Symbols")),),
    asks_database=True,
)
