"""The fields of sources: which there are, of which kind and unit."""

from __future__ import annotations

from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql as pg

from alphapulse_nb.alerts.fields import FRACTION, PERCENT, Field, Kind, fields_of, kind_of, sources
from alphapulse_nb.db import tables
from alphapulse_nb.errors import InputError
from alphapulse_nb.events import Kinds

NUMBER, TEXT, FLAG = Kind.NUMBER, Kind.TEXT, Kind.FLAG

FIELDS = {
    "funding_rates": {
        "symbol": (TEXT, ""),
        "exchange": (TEXT, ""),
        "funding_rate": (NUMBER, "%"),
        "estimated_rate": (NUMBER, "%"),
    },
    "anomalies": {
        "symbol": (TEXT, ""),
        "data_type": (TEXT, ""),
        "value": (NUMBER, ""),
        "z_score": (NUMBER, "σ"),
        "threshold": (NUMBER, "σ"),
    },
    "performance_metrics": {
        "symbol": (TEXT, ""),
        "strategy_id": (TEXT, ""),
        "pnl": (NUMBER, "USDT"),
        "win_rate": (NUMBER, "%"),
        "drawdown": (NUMBER, "%"),
        "execution_time": (NUMBER, "s"),
        "avg_position_size": (NUMBER, "USDT"),
        "max_position_size": (NUMBER, "USDT"),
        "trade_count": (NUMBER, ""),
    },
    "signal_predictions": {
        "symbol": (TEXT, ""),
        "signal_type": (TEXT, ""),
        "confidence": (NUMBER, "%"),
        "predicted_pnl": (NUMBER, "USDT"),
    },
    "system_metrics": {
        "metric_name": (TEXT, ""),
        "metric_value": (NUMBER, ""),
        "metric_unit": (TEXT, ""),
    },
    "signals": {
        "symbol": (TEXT, ""),
        "signal_type": (TEXT, ""),
        "entry_price": (NUMBER, "USDT"),
        "stop_loss": (NUMBER, "USDT"),
        "target_price": (NUMBER, "USDT"),
        "confidence": (NUMBER, "%"),
        "risk_reward_ratio": (NUMBER, ""),
        "outcome": (TEXT, ""),
        "pnl_pct": (NUMBER, "per cent"),
    },
    "backtests": {
        "symbol": (TEXT, ""),
        "strategy_name": (TEXT, ""),
        "initial_capital": (NUMBER, "USDT"),
        "final_capital": (NUMBER, "USDT"),
        "total_return": (NUMBER, "%"),
        "annualized_return": (NUMBER, "%"),
        "volatility": (NUMBER, "%"),
        "sharpe_ratio": (NUMBER, ""),
        "sortino_ratio": (NUMBER, ""),
        "calmar_ratio": (NUMBER, ""),
        "max_drawdown": (NUMBER, "%"),
        "profit_factor": (NUMBER, ""),
        "win_rate": (NUMBER, "%"),
        "total_trades": (NUMBER, ""),
    },
    "system_status": dict.fromkeys(("part", "status", "before", "detail", "server"), (TEXT, "")),
}


@pytest.mark.parametrize("source", FIELDS)
def test_a_source_has_these_fields(source: str) -> None:
    found = fields_of(source, Kinds())
    assert {name: (field.kind, field.unit) for name, field in found.items()} == FIELDS[source]
    assert all(field.name == name for name, field in found.items())
    assert "nonsense" not in found
    with pytest.raises(KeyError):
        found["timestamp"]


def test_every_table_of_the_desk_is_a_source() -> None:
    assert set(FIELDS) == {*tables.metadata.tables, "system_status"}
    kinds = Kinds({"fill": None, "risk.limit_hit": None})
    assert sources(kinds) == [*tables.metadata.tables, "system_status", "fill", "risk.limit_hit"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("signal", "no source 'signal'; did you mean signals?"),
        ("prediction", "did you mean signal_predictions?"),
        ("fundingrates", "did you mean funding_rates?"),
        ("Anomalies", "did you mean anomalies?"),
        ("fil", "did you mean fill?"),
        ("notification", "no source 'notification'"),
        ("qqqq", "known are funding_rates, anomalies"),
        ("x" * 10_000, f"no source '{'x' * 60}'"),
        ("", "known are"),
    ],
)
def test_an_unknown_source_is_answered_with_the_nearest(source: str, words: str) -> None:
    with pytest.raises(InputError, match=words.replace("?", r"\?")) as caught:
        fields_of(source, Kinds({"fill": None}))
    assert len(str(caught.value)) < 400


@pytest.mark.parametrize(
    ("schema", "kind"),
    [
        ({"type": "number"}, NUMBER),
        ({"type": "integer", "minimum": 0}, NUMBER),
        ({"type": ["number", "null"]}, NUMBER),
        ({"type": ["integer", "number"]}, NUMBER),
        ({"type": "string", "format": "date-time"}, TEXT),
        ({"type": "boolean"}, FLAG),
        ({"enum": ["buy", "sell"]}, TEXT),
        ({"enum": ["buy", None]}, TEXT),
        ({"enum": [1, 2.5]}, NUMBER),
        ({"enum": ["buy", 1]}, None),
        ({"const": True}, FLAG),
        ({"type": ["string", "number"]}, None),
        ({"type": "null"}, None),
        ({"description": "of any type"}, None),
        ({"$ref": "#/$defs/price"}, None),
        ({}, None),
        (True, None),
    ],
)
def test_the_kind_of_a_registered_field_is_what_its_schema_says(
    schema: Any, kind: Kind | None
) -> None:
    whole = {"$defs": {"price": {}}, "properties": {"price": schema}}
    assert dict(fields_of("fill", Kinds({"fill": whole}))) == {"price": Field("price", kind)}


@pytest.mark.parametrize(
    "schema",
    [{"type": "object"}, {"type": "array"}, {"type": ["array", "null"]}, {"const": [1]}],
)
def test_what_is_no_single_value_is_no_field(schema: Any) -> None:
    kinds = Kinds({"fill": {"properties": {"legs": schema, "side": {"type": "string"}}}})
    assert set(fields_of("fill", kinds)) == {"side"}


def test_a_property_whose_name_no_condition_can_write_is_no_field() -> None:
    names = ("order-id", "größe", "2nd", "a b", "", "x\n", "fine_1")
    schema = {"properties": {name: {"type": "number"} for name in names}}
    assert set(fields_of("fill", Kinds({"fill": schema}))) == {"fine_1"}


@pytest.mark.parametrize(
    ("schema", "is_open"),
    [
        (None, True),
        ({}, True),
        ({"type": "object"}, True),
        ({"properties": {"price": {}}}, False),
        ({"properties": {"price": {}}, "additionalProperties": False}, False),
        ({"properties": {"price": {}}, "additionalProperties": True}, True),
        ({"properties": {"price": {}}, "additionalProperties": {"type": "number"}}, True),
        ({"properties": {"price": {}}, "allOf": [{"properties": {"size": {}}}]}, True),
        ({"properties": {"price": {}}, "patternProperties": {"^x_": {}}}, True),
    ],
)
def test_a_type_of_any_data_has_any_field(schema: Any, is_open: bool) -> None:
    found = fields_of("fill", Kinds({"fill": schema}))
    assert found.anything is is_open
    assert ("size" in found) is is_open
    if is_open:
        assert found["size"] == Field("size", None)
    assert "no name" not in found
    assert "x\n" not in found
    assert found.get("größe") is None


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (sa.Double(), NUMBER),
        (sa.REAL(), NUMBER),
        (sa.Numeric(10, 8), NUMBER),
        (sa.Integer(), NUMBER),
        (sa.BigInteger(), NUMBER),
        (sa.String(20), TEXT),
        (sa.Text(), TEXT),
        (sa.Boolean(), FLAG),
        (sa.DateTime(timezone=True), None),
        (pg.JSONB(), None),
        (sa.LargeBinary(), None),
        (sa.ARRAY(sa.Double), None),
        (sa.types.NullType(), None),
    ],
)
def test_the_kind_of_a_column_is_that_of_its_type(column: Any, kind: Kind | None) -> None:
    assert kind_of(column) is kind


def test_the_units_of_fractions_and_of_per_cent_differ() -> None:
    assert FRACTION != PERCENT
