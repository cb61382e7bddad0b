"""Headline cards: the few numbers that a viewer reads first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import traitlets

from alphapulse_nb.charts.headline import Card, blank
from alphapulse_nb.widgets.base import Widget


class Cards(Widget):
    """A row of cards; see `charts.headline.Card` for what one holds.

    `feed` names the feed of the server's stream that brings the same, for pages that have a stream.
    """

    _cards: traitlets.List[Any] = traitlets.List().tag(sync=True)
    _busy = traitlets.Bool(True).tag(sync=True)

    _feed_name = traitlets.Unicode().tag(sync=True)

    def __init__(self, *, feed: str = "", **traits: Any) -> None:
        cards = [asdict(card) for card in blank()]
        super().__init__("cards", _cards=cards, _feed_name=feed, **traits)

    def __repr__(self) -> str:
        return f"Cards({len(self._cards)})"

    def show(self, cards: Sequence[Card]) -> None:
        """Show these cards, in this order."""
        with self.hold_sync():
            self._cards = [asdict(card) for card in cards]
            self._busy = False

    def await_view(self) -> None:
        """Blank the numbers until those of another symbol or range come."""
        self._busy = True
