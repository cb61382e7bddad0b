"""The server's own figures, for Prometheus and for programs."""

from __future__ import annotations

from typing import Final

from alphapulse_nb.server import exposition
from alphapulse_nb.server.api.endpoint import Answer, Endpoint
from alphapulse_nb.server.api.handler import ApiHandler
from alphapulse_nb.server.api.parameter import Values
from alphapulse_nb.server.api.schema import TEXT, record, several
from alphapulse_nb.server.measures import MEASURES, Kind

_NUMBER: Final = {"type": ["number", "null"]}
_LABELS: Final = {"type": "object", "additionalProperties": TEXT}
_VALUE: Final = record({"labels": _LABELS, "value": _NUMBER})
_DURATION: Final = record(
    {
        "labels": _LABELS,
        "count": {"type": "integer"},
        "sum": {"type": "number", "description": "seconds"},
        **{name: _NUMBER | {"description": "seconds"} for name in ("p50", "p95", "p99")},
    }
)
_METRICS: Final = record(
    {
        "window_seconds": {"type": "number", "description": "what p50, p95 and p99 look back"},
        "figures": record(
            {
                measure.name: record(
                    {
                        "kind": {"const": measure.kind.value},
                        "unit": {"const": measure.unit},
                        "help": TEXT,
                        "series": several(_DURATION if measure.kind is Kind.DURATION else _VALUE),
                    },
                    about=measure.help,
                )
                for measure in MEASURES
            }
        ),
    }
)


class MetricsHandler(ApiHandler):
    async def answer(self, values: Values) -> None:  # noqa: ARG002
        accept = self.request.headers.get("Accept", "")
        media, body = exposition.answer(self.shared.figures, accept)
        self.add_header("Vary", "Accept")
        self.send_bytes(body.encode(), media)


METRICS: Final = Endpoint(
    path="/api/metrics",
    name="metrics",
    summary="What the server counts and measures about itself",
    about=(
        "Viewers, kernels, refreshes, queries, requests and the server's process. JSON, or text "
        "for Prometheus when the request asks for text/plain or application/openmetrics-text."
    ),
    handler=MetricsHandler,
    answers=(
        Answer(200, "The figures by name.", _METRICS),
        Answer(200, "The same for Prometheus.", TEXT, media=exposition.PROMETHEUS),
        Answer(200, "The same as OpenMetrics.", TEXT, media=exposition.OPENMETRICS),
    ),
)
