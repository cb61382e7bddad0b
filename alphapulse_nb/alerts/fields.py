"""The fields of a rule's source: what its condition and its texts may name, of which kind and unit.

A source is a trading table, or a type of events that has no table: `system_status`, and every type
that was registered. The fields of a registered type are what its JSON Schema declares; where that
leaves room for more, or there is no schema, any name will do, and its kind is not known before a
value is seen.

Numbers are stored as the trading system writes them. Those with the unit `%` are fractions, shown
in per cent: 0.15 is 15 %. The one that holds per cent itself has the unit `per cent`. A drawdown is
the positive size of the fall: 0.1 is 10 % below the peak.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

import sqlalchemy as sa

from alphapulse_nb.db import tables
from alphapulse_nb.errors import InputError
from alphapulse_nb.events import BUILT_IN, Kinds
from alphapulse_nb.spelling import hint

FRACTION: Final = "%"
"""The unit of a column that holds a fraction and is shown in per cent."""
PERCENT: Final = "per cent"
"""The unit of a column that holds per cent itself: 1.5 is 1.5 %."""

_UNITS: Final[Mapping[str, str]] = {
    **dict.fromkeys(("funding_rate", "estimated_rate"), FRACTION),
    **dict.fromkeys(("confidence", "win_rate", "drawdown", "max_drawdown"), FRACTION),
    **dict.fromkeys(("total_return", "annualized_return", "volatility"), FRACTION),
    "pnl_pct": PERCENT,
    **dict.fromkeys(("pnl", "predicted_pnl", "initial_capital", "final_capital"), "USDT"),
    **dict.fromkeys(("avg_position_size", "max_position_size"), "USDT"),
    **dict.fromkeys(("entry_price", "stop_loss", "target_price"), "USDT"),
    **dict.fromkeys(("z_score", "threshold"), "σ"),
    "execution_time": "s",
}
"""The units of columns, by name; the others are counts, ratios or in the unit of their row."""

_STATUS: Final = "system_status"
_STATUS_FIELDS: Final = ("part", "status", "before", "detail", "server")
_NO_FIELDS: Final = frozenset({"id", "timestamp", "created_at", "metadata"})
_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_MORE: Final = frozenset(
    {
        *("$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "if", "dependentSchemas"),
        *("patternProperties", "unevaluatedProperties"),
    }
)
"""Words of a JSON Schema by which data may have properties that `properties` does not list."""


class Kind(StrEnum):
    """What a field holds."""

    NUMBER = "number"
    TEXT = "text"
    FLAG = "flag"


_JSON_KINDS: Final[Mapping[str, Kind]] = {
    "number": Kind.NUMBER,
    "integer": Kind.NUMBER,
    "string": Kind.TEXT,
    "boolean": Kind.FLAG,
}


@dataclass(frozen=True)
class Field:
    """One field. `kind` is None where it is not known before a value is seen."""

    name: str
    kind: Kind | None
    unit: str = ""


class Fields(Mapping[str, Field]):
    """Fields by name. Where `anything` may be a field, only those that are known are listed."""

    def __init__(self, known: Iterable[Field], *, anything: bool = False) -> None:
        self._known = {field.name: field for field in known}
        self.anything = anything

    def __getitem__(self, name: str) -> Field:
        if name in self._known:
            return self._known[name]
        if self.anything and _NAME.fullmatch(name):
            return Field(name, None)
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


def sources(kinds: Kinds) -> list[str]:
    """The names of all sources: the tables, `system_status`, the registered types."""
    return [*tables.metadata.tables, _STATUS, *(name for name in kinds if name not in BUILT_IN)]


def holds_per_cent(name: str) -> bool:
    """Whether a column holds per cent itself rather than a fraction."""
    return _UNITS.get(name) == PERCENT


def is_table(source: str) -> bool:
    """Whether a source is a trading table rather than a type of events."""
    return source in tables.metadata.tables


def fields_of(source: str, kinds: Kinds) -> Fields:
    """The fields of a source. Raises `InputError` that suggests the nearest for an unknown one."""
    known = sources(kinds)
    if source not in known:
        near = hint(source, known) or f"; known are {', '.join(known)}"
        raise InputError(f"there is no source {source[:60]!r}{near}")
    if is_table(source):
        return _of_table(tables.metadata.tables[source])
    if source == _STATUS:
        return Fields(Field(name, Kind.TEXT) for name in _STATUS_FIELDS)
    return _of_schema(kinds.schema(source))


def kind_of(column: sa.types.TypeEngine[Any]) -> Kind | None:
    """The kind of a column of this type; None for one that is no field, such as a time."""
    if isinstance(column, sa.Boolean):
        return Kind.FLAG
    if isinstance(column, sa.Integer | sa.Numeric | sa.Float):
        return Kind.NUMBER
    return Kind.TEXT if isinstance(column, sa.String) else None


def _of_table(table: sa.Table) -> Fields:
    return Fields(
        Field(column.name, kind, _UNITS.get(column.name, "") if kind is Kind.NUMBER else "")
        for column in table.columns
        if column.name not in _NO_FIELDS and (kind := kind_of(column.type)) is not None
    )


def _of_schema(schema: Mapping[str, Any] | None) -> Fields:
    listed = (schema or {}).get("properties")
    if schema is None or not isinstance(listed, Mapping):
        return Fields((), anything=True)
    fields = [_of_property(name, part) for name, part in listed.items() if _NAME.fullmatch(name)]
    more = schema.get("additionalProperties", False) is not False or bool(_MORE & set(schema))
    return Fields((field for field in fields if field is not None), anything=more)


def _of_property(name: str, schema: Any) -> Field | None:
    """The field that a property is; None for an object or a list."""
    types = _types(schema) - {"null"} if isinstance(schema, Mapping) else set()
    kinds = {_JSON_KINDS.get(each) for each in types}
    if kinds == {None}:
        return None
    return Field(name, kinds.pop() if len(kinds) == 1 else None)


def _types(schema: Mapping[str, Any]) -> set[str]:
    """The JSON types that a schema allows, as far as it says."""
    said = schema.get("type")
    if said is not None:
        return {said} if isinstance(said, str) else set(said)
    values = [schema["const"]] if "const" in schema else schema.get("enum", [])
    return {_type(value) for value in values}


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "null" if value is None else "object"
