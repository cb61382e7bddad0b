"""The page's template, made once.

For each page Voila makes an exporter, the exporter a jinja2 environment, and the environment reads
and compiles a dozen templates again: half of what a page costs the server. They are the same for
every page, and nothing of a visitor is kept in them (the notebook and the resources come with each
rendering), so all pages share the first exporter.
"""

from __future__ import annotations

from typing import Any

from voila import notebook_renderer
from voila.exporter import VoilaExporter

_NAMES = ("template_name", "theme", "base_url")
"""What may differ between two exporters of one server."""


class Exporters:
    """Makes exporters as `VoilaExporter` does, and gives the same one for the same template."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, ...], Any] = {}

    def __call__(self, **given: Any) -> Any:
        key = tuple(str(given.get(name)) for name in _NAMES)
        if key not in self._made:
            self._made[key] = VoilaExporter(**given)
        return self._made[key]


def keep() -> Exporters:
    """Let Voila use one exporter for all pages from now on. It has no setting for it."""
    made = Exporters()
    setattr(notebook_renderer, "VoilaExporter", made)  # noqa: B010 - mypy knows no such name
    return made
