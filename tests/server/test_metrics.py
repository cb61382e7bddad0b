"""The figures as others read them: JSON, Prometheus and OpenMetrics text, the table in the docs."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest
import tornado.httpclient
import tornado.testing
import tornado.web
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import Metric
from prometheus_client.openmetrics import parser as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from alphapulse_nb.server import api, exposition, pulse
from alphapulse_nb.server.access import Access, Rules
from alphapulse_nb.server.api.metrics import METRICS
from alphapulse_nb.server.attempts import Attempts
from alphapulse_nb.server.durations import BOUNDS
from alphapulse_nb.server.exposition import JSON, OPENMETRICS, PROMETHEUS
from alphapulse_nb.server.figures import Figures
from alphapulse_nb.server.measures import MEASURES, Kind, Label, Measure
from alphapulse_nb.server.proxy import Proxies

ROOT = Path(__file__).parents[2]
TOKEN = "correct-horse-battery"
PARSERS: dict[str, Callable[[str], Iterable[Metric]]] = {
    PROMETHEUS: text_string_to_metric_families,
    OPENMETRICS: openmetrics.text_string_to_metric_families,
}


def busy() -> Figures:
    """Every measure with a value, and every label with two."""
    figures = Figures()
    calls = {Kind.COUNTER: figures.count, Kind.GAUGE: figures.set, Kind.DURATION: figures.observe}
    for measure in MEASURES:
        for value in (0.02, 3):
            labels = {
                label.name: label.values[0] if value == 3 else "unheard of"
                for label in measure.labels
            }
            calls[measure.kind](measure.name, value, **labels)
    pulse.watch(figures)
    return figures


@pytest.mark.parametrize("form", PARSERS)
def test_a_prometheus_parser_accepts_every_measure(form: str) -> None:
    text = exposition.as_text(busy().families(), form)
    found = {family.name: family for family in PARSERS[form](text)}
    for measure in MEASURES:
        family = found[measure.exported]
        assert family.type == measure.kind.value
        assert family.documentation == measure.help
        labels = [set(sample.labels) - {"le"} for sample in family.samples]
        assert labels
        assert all(of == {label.name for label in measure.labels} for of in labels)


@pytest.mark.parametrize("form", PARSERS)
def test_a_parser_accepts_figures_of_which_nothing_has_happened(form: str) -> None:
    assert list(PARSERS[form](exposition.as_text(Figures().families(), form)))


@pytest.mark.parametrize("form", PARSERS)
def test_the_values_arrive(form: str) -> None:
    figures = Figures(["anomalies"])
    figures.count("queries", 3, query="anomalies", outcome="ok")
    figures.set("viewers", 7)
    for seconds in (0.02, 0.02, 4):
        figures.observe("query_seconds", seconds, query="anomalies")
    samples = {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in PARSERS[form](exposition.as_text(figures.families(), form))
        for sample in family.samples
    }
    query = ("query", "anomalies")
    assert samples["alphapulse_viewers",] == 7
    assert samples["alphapulse_queries_total", ("outcome", "ok"), query] == 3
    assert samples["alphapulse_query_seconds_count", query] == 3
    assert samples["alphapulse_query_seconds_sum", query] == pytest.approx(4.04)
    assert samples["alphapulse_query_seconds_bucket", ("le", "0.025"), query] == 2
    assert samples["alphapulse_query_seconds_bucket", ("le", "+Inf"), query] == 3
    recent = {
        share: samples["alphapulse_query_recent_seconds", ("quantile", share), query]
        for share in ("0.5", "0.95", "0.99")
    }
    assert recent == pytest.approx({"0.5": 0.02, "0.95": 4, "0.99": 4}, rel=0.05)


@pytest.mark.parametrize("form", PARSERS)
@given(value=st.text(min_size=1))
def test_whatever_a_label_or_a_help_text_holds_comes_back_the_same(form: str, value: str) -> None:
    label = Label("odd", (value,))
    figures = Figures(measures=[Measure("things", Kind.COUNTER, "about " + value, "", (label,))])
    figures.count("things", odd=value)
    (family,) = PARSERS[form](exposition.as_text(figures.families(), form))
    (sample,) = family.samples
    assert sample.labels == {"odd": value}


def test_numbers_without_end_are_written_as_prometheus_wants_them() -> None:
    figures = Figures(measures=[Measure(name, Kind.GAUGE, "") for name in ("a", "b", "c")])
    for name, value in (("a", math.inf), ("b", -math.inf), ("c", math.nan)):
        figures.set(name, value)
    lines = exposition.as_text(figures.families()).splitlines()
    assert {"alphapulse_a +Inf", "alphapulse_b -Inf", "alphapulse_c NaN"} < set(lines)
    shown = exposition.as_json(figures.families())["figures"]
    assert [shown[name]["series"][0]["value"] for name in "abc"] == [None] * 3


def test_json_holds_every_measure_with_its_quantiles() -> None:
    body = exposition.as_json(busy().families())
    shown: dict[str, Any] = json.loads(json.dumps(body, allow_nan=False))["figures"]
    assert set(shown) == {measure.name for measure in MEASURES}
    (refresh,) = shown["refresh_seconds"]["series"]
    assert refresh == {
        "labels": {},
        "count": 2,
        "sum": 3.02,
        "p50": pytest.approx(0.02, rel=0.05),
        "p95": pytest.approx(3, rel=0.05),
        "p99": pytest.approx(3, rel=0.05),
    }
    counted = {one["labels"]["query"]: one["value"] for one in shown["queries"]["series"]}
    assert counted == {"symbols": 3, "other": 0.02}
    assert shown["load_seconds"]["unit"] == "seconds"


def test_a_duration_that_has_not_happened_lately_has_no_quantiles() -> None:
    (series,) = exposition.as_json(Figures().families())["figures"]["refresh_seconds"]["series"]
    assert series == {"labels": {}, "count": 0, "sum": 0, "p50": None, "p95": None, "p99": None}


# What asks, and what it gets.
@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/json", JSON),
        ("text/html,application/xhtml+xml,*/*;q=0.8", JSON),
        ("text/plain", PROMETHEUS),
        ("text/plain;version=0.0.4", PROMETHEUS),
        ("TEXT/PLAIN; version=0.0.4", PROMETHEUS),
        ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", PROMETHEUS),
        ("text/plain;q=0.2,*/*;q=0.5", JSON),
        ("application/json;q=0.5, text/plain", PROMETHEUS),
        ("application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5", OPENMETRICS),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
            "application/openmetrics-text;version=0.0.1;q=0.5,"
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,"
            "*/*;q=0.2",
            OPENMETRICS,
        ),
        ("text/plain;q=0", JSON),
        ("text/plain;q=nonsense", JSON),
        ("text/plain;q=nan", JSON),
        (";;,,;q=", JSON),
        ("image/png", JSON),
        ("x," * 10_000, JSON),
    ],
)
def test_the_accept_header_chooses_the_form(accept: str, form: str) -> None:
    assert exposition.accepted(accept) == form
    kind, body = exposition.answer(Figures(), accept)
    assert kind.startswith(form)
    assert body.startswith("{" if form == JSON else "# HELP")


def test_the_widest_bucket_holds_the_longest_refresh_that_is_waited_for() -> None:
    assert list(BOUNDS) == sorted(BOUNDS)
    assert BOUNDS[-1] >= 30


def test_the_table_in_the_docs_is_that_of_the_declarations() -> None:
    text = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    assert exposition.as_table(MEASURES) in text


class Nobody:
    """A database without users of the dashboard."""

    def any(self) -> bool:
        return False

    def find(self, _name: str) -> None:
        return None

    def verify(self, _name: str, _password: str) -> None:
        return None


class Api(tornado.testing.AsyncHTTPTestCase):
    """The API's own routes, with a token, over figures and without a database."""

    def get_app(self) -> tornado.web.Application:
        rules = Rules(key="k" * 32, token=TOKEN)
        access = Access(rules, Nobody(), Proxies(), Attempts())
        shared = SimpleNamespace(access=access, figures=busy(), rate_limit=0, origins=())
        return tornado.web.Application(
            api.routes("/desk/"), alphapulse=shared, cookie_secret="k" * 32
        )

    def ask(self, **headers: str) -> tornado.httpclient.HTTPResponse:
        return self.fetch("/desk/api/metrics", headers=headers)

    def runTest(self) -> None: ...  # noqa: N802 - the library's name


@pytest.fixture
def server() -> Iterator[Api]:
    case = Api()
    case.setUp()
    yield case
    case.tearDown()


BEARER = f"Bearer {TOKEN}"


def test_the_endpoint_answers_prometheus_as_it_asks(server: Api) -> None:
    # What Prometheus 3 sends.
    accept = (
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
        "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
    )
    answer = server.ask(Authorization=BEARER, Accept=accept)
    assert answer.code == 200
    assert answer.headers["Content-Type"].startswith("application/openmetrics-text; version=1.0.0")
    assert "Accept" in answer.headers["Vary"].split(", ")
    assert "alphapulse_viewers" in {
        family.name for family in PARSERS[OPENMETRICS](answer.body.decode())
    }
    plain = server.ask(Authorization=BEARER, Accept="text/plain")
    assert plain.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert len(list(PARSERS[PROMETHEUS](plain.body.decode()))) > len(MEASURES)


def test_the_endpoint_answers_programs_in_the_json_that_it_declares(server: Api) -> None:
    answer = server.ask(Authorization=BEARER)
    assert answer.headers["Content-Type"] == "application/json"
    schema = METRICS.answers[0].schema
    assert schema is not None
    jsonschema.validate(json.loads(answer.body), schema)


def test_a_stranger_gets_no_figures(server: Api) -> None:
    for header in ({}, {"Authorization": "Bearer wrong-horse-battery"}):
        answer = server.ask(**header)
        assert answer.code == 401
        assert b"viewers" not in answer.body


def test_a_parameter_is_one_too_many(server: Api) -> None:
    answer = server.fetch("/desk/api/metrics?format=xml", headers={"Authorization": BEARER})
    assert answer.code == 422
