"""What our widgets share: one script for all of them, loaded once per page.

Whatever a page sends is a stranger's: it may set the few traits that its viewer chooses, to values
that `accepts` finds good, and nothing else. A trait's own validator is no help there, since
ipywidgets sets the values first and validates later, when the old ones are gone.
"""

from __future__ import annotations

from typing import Any

import anywidget
import traitlets

from alphapulse_nb.widgets import assets


class Widget(anywidget.AnyWidget):  # type: ignore[misc]
    """A widget whose script is one of the exports of `widgets.js`, named by `_part`."""

    _esm = assets.loader()
    _bundle = traitlets.Unicode().tag(sync=True)
    _part = traitlets.Unicode().tag(sync=True)

    def __init__(self, part: str, **traits: Any) -> None:
        super().__init__(_part=part, _bundle=assets.bundle_hash(), **traits)
        self.on_msg(self._take)

    def receive(self, message: dict[str, Any]) -> None:
        """A message from a browser. Whatever is not known is left alone: anybody may send."""

    def accepts(self, name: str, value: object) -> bool:  # noqa: ARG002 - for subclasses
        """Whether a page may set the trait of that name to this value."""
        return False

    def set_state(self, sync_data: dict[str, Any]) -> None:
        """Take what the page may choose; the rest is left alone."""
        if isinstance(sync_data, dict):
            super().set_state(
                {name: value for name, value in sync_data.items() if self.accepts(name, value)}
            )

    def _take(self, _widget: Any, content: Any, _buffers: Any) -> None:
        if not isinstance(content, dict):
            return
        if content.get("kind") == "bundle":
            self.send({"kind": "bundle", "style": assets.style()}, [assets.bundle().encode()])
        else:
            self.receive(content)
