"""The REST API: `routes(base_url)` for the server, `Endpoint` and `ApiHandler` for a new endpoint.

Each endpoint is one declaration beside its handler. Its route, the reading of its parameters, the
OpenAPI document and the page at `/api/docs` all follow from it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final

from alphapulse_nb.server.api.actions import ALERTS, CHANNELS, NOTIFICATIONS
from alphapulse_nb.server.api.charts import CHART, CHARTS
from alphapulse_nb.server.api.data import DATA
from alphapulse_nb.server.api.docs import DOCS
from alphapulse_nb.server.api.endpoint import Endpoint
from alphapulse_nb.server.api.handler import Unknown
from alphapulse_nb.server.api.health import HEALTH, READY
from alphapulse_nb.server.api.means import Means
from alphapulse_nb.server.api.metrics import METRICS
from alphapulse_nb.server.api.openapi import OPENAPI, document
from alphapulse_nb.server.api.symbols import SYMBOLS

__all__ = ["ENDPOINTS", "Means", "routes"]

ENDPOINTS: Final = (
    *(HEALTH, READY, SYMBOLS, DATA, CHARTS, CHART),
    *(*NOTIFICATIONS, *ALERTS, *CHANNELS),
    *(METRICS, OPENAPI, DOCS),
)

_ELSEWHERE: Final = Endpoint(
    path="/api",
    name="unknown",
    summary="",
    about="",
    handler=Unknown,
    answers=(),
)


def routes(base_url: str, means: Means | None = None) -> list[tuple[str, type, dict[str, Any]]]:
    """The API's routes, for the front of the application's list.

    The last one answers whatever else is under `/api/`, except Jupyter's `/api/kernels`. Close
    `means` when the server stops.
    """
    means = means or Means()
    means.document = document(ENDPOINTS, base_url)
    found = [
        (
            same[0].pattern(base_url),
            same[0].handler,
            {"endpoints": {one.method: one for one in same}, "means": means},
        )
        for same in _by_path(ENDPOINTS)
    ]
    elsewhere = re.escape(base_url.rstrip("/")) + r"/api(?!/kernels(?:/|$))(?:/.*)?$"
    return [*found, (elsewhere, Unknown, {"endpoints": {"GET": _ELSEWHERE}, "means": means})]


def _by_path(endpoints: Iterable[Endpoint]) -> list[list[Endpoint]]:
    found: dict[str, list[Endpoint]] = {}
    for endpoint in endpoints:
        found.setdefault(endpoint.path, []).append(endpoint)
    return list(found.values())
