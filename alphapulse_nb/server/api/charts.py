"""Charts: which there are, and each as the Plotly figure that the dashboard shows."""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

import plotly.graph_objects as go

from alphapulse_nb.catalog import ChartSpec, catalog
from alphapulse_nb.queries import Window
from alphapulse_nb.server.api.encoding import encoded, packed, plain
from alphapulse_nb.server.api.endpoint import Answer, Endpoint
from alphapulse_nb.server.api.handler import ApiHandler
from alphapulse_nb.server.api.known import SYMBOL
from alphapulse_nb.server.api.parameter import Choice, Number, Parameter, Values
from alphapulse_nb.server.api.schema import ref

HOURS: Final = Parameter(
    "hours",
    Number(0.1, 8_760),
    "length of the range that ends now, in hours",
    default=24.0,
    example=24,
)


class Drawn(NamedTuple):
    """A figure as JSON, and the mark of its content."""

    body: bytes
    etag: str


class ChartsHandler(ApiHandler):
    async def answer(self, values: Values) -> None:  # noqa: ARG002
        self.send({"charts": [_described(spec) for spec in catalog().values()]})


class ChartHandler(ApiHandler):
    async def answer(self, values: Values) -> None:
        spec = catalog()[values["chart_type"]]
        now, gzipped = self.shared.clock(), self.takes_gzip
        drawn = await self.work(spec.name, lambda: self._drawn(spec, values, now, gzipped))
        self.set_header("Cache-Control", "private, no-cache")
        self.send_bytes(drawn.body, etag=drawn.etag, gzipped=gzipped)

    def _drawn(self, spec: ChartSpec, values: Values, now: datetime, gzipped: bool) -> Drawn:
        db, symbol = self.shared.db, ""
        with db.session():
            if spec.by_symbol:
                symbol = self.means.symbols.check(db, values["symbol"])
            window = Window.last(timedelta(hours=values["hours"]), now)
            figure = spec.figure(db, symbol, window)
        body, etag = drawn(figure)
        return Drawn(packed(body) if gzipped else body, etag)


def drawn(figure: go.Figure) -> Drawn:
    """A figure as JSON. Its mark leaves out the ranges of the axes.

    They end now, so that no two figures would ever be equal. What has no new point since is as good
    as the new one, which is what the `W/` says.
    """
    # Part by part: the whole figure's own JSON holds base64 instead of numbers.
    data = [plain(trace.to_plotly_json()) for trace in figure.data]
    layout = plain(figure.layout.to_plotly_json())
    still = {
        name: {key: item for key, item in part.items() if key != "range"}
        if "axis" in name and isinstance(part, dict)
        else part
        for name, part in layout.items()
    }
    traces = encoded(data)
    mark = hashlib.sha256(traces + encoded(still)).hexdigest()[:32]
    return Drawn(b'{"data":' + traces + b',"layout":' + encoded(layout) + b"}", f'W/"{mark}"')


def _described(spec: ChartSpec) -> dict[str, Any]:
    return {
        "name": spec.name,
        "title": spec.title,
        "by_symbol": spec.by_symbol,
        "tables": list(spec.tables),
        "fresh_for": spec.fresh_for,
    }


CHARTS: Final = Endpoint(
    path="/api/charts",
    name="charts",
    summary="The charts that can be asked for",
    about="Ours, and those of other packages that registered theirs.",
    handler=ChartsHandler,
    answers=(Answer(200, "The charts, in the order of the dashboard.", ref("Charts")),),
)

CHART: Final = Endpoint(
    path="/api/chart/{chart_type}",
    name="chart",
    summary="A chart as a Plotly figure",
    about=(
        "The same figure as on the dashboard. Send its ETag as If-None-Match, and where no point "
        "is new the answer is 304 without a body. A chart of the whole desk needs no symbol."
    ),
    handler=ChartHandler,
    parameters=(
        Parameter(
            "chart_type",
            Choice("chart", lambda: list(catalog())),
            "name of the chart",
            place="path",
            example="funding_rates",
        ),
        Parameter("symbol", SYMBOL, "symbol, if the chart is about one", example="BTC/USDT"),
        HOURS,
    ),
    answers=(
        Answer(200, "The figure.", ref("Figure"), headers={"ETag": "mark of its content"}),
        Answer(304, "Nothing is new since the ETag that was sent."),
    ),
    asks_database=True,
)
