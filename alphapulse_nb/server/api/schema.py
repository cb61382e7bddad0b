"""JSON Schemas of what the API answers, put together from small parts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

import sqlalchemy as sa

from alphapulse_nb.queries.rows import TABLES
from alphapulse_nb.server.answers import CODES, LONGEST_VALUE

Schema = dict[str, Any]

TEXT: Final[Schema] = {"type": "string"}
BOOLEAN: Final[Schema] = {"type": "boolean"}
MOMENT: Final[Schema] = {"type": "string", "format": "date-time"}


def record(properties: Mapping[str, Any], optional: Iterable[str] = (), about: str = "") -> Schema:
    """An object with these properties and no others."""
    left_out = set(optional)
    described = {"description": about} if about else {}
    return described | {
        "type": "object",
        "properties": dict(properties),
        "required": [name for name in properties if name not in left_out],
        "additionalProperties": False,
    }


def several(items: Schema) -> Schema:
    return {"type": "array", "items": items}


def ref(name: str) -> Schema:
    """One of `COMPONENTS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def _or_null(schema: Schema) -> Schema:
    return schema | {"type": [schema["type"], "null"]} if "type" in schema else schema


def _column(column: sa.Column[Any]) -> Schema:
    kind = column.type
    if isinstance(kind, sa.DateTime):
        found = MOMENT
    elif isinstance(kind, sa.Integer):
        found = {"type": "integer"}
    elif isinstance(kind, sa.Float | sa.Numeric):
        return {"type": ["number", "null"]}
    elif isinstance(kind, sa.String):
        found = TEXT
    else:
        return {"description": "any JSON"}
    return _or_null(found) if column.nullable else found


def _row(table: sa.Table) -> Schema:
    return record({column.name: _column(column) for column in table.columns})


def _row_name(table: str) -> str:
    return "".join(part.capitalize() for part in table.split("_")) + "Row"


def _page(table: str) -> Schema:
    return record(
        {
            "rows": several(ref(_row_name(table))),
            "next": {
                "type": ["string", "null"],
                "description": "cursor of the next page; null on the last one",
            },
        }
    )


_ERROR: Final = record(
    {
        "error": record(
            {
                "status": {"type": "integer", "description": "the HTTP status"},
                "code": {"type": "string", "enum": list(CODES)},
                "message": TEXT | {"description": "one sentence for a person"},
                "field": TEXT | {"description": "the parameter that is wrong"},
                "value": TEXT
                | {
                    "maxLength": LONGEST_VALUE,
                    "description": f"what it was, at most {LONGEST_VALUE} characters of it",
                },
                "allowed": {"type": "object", "description": "what it may be, a JSON Schema"},
                "nearest": TEXT | {"description": "the known name nearest to it"},
                "problems": several(record({"place": TEXT, "message": TEXT}))
                | {"description": "what is wrong with a rule"},
            },
            optional=("field", "value", "allowed", "nearest", "problems"),
        )
    },
    about="Every error, whatever went wrong.",
)

_PART: Final = record(
    {
        "name": TEXT,
        "state": {"type": "string", "enum": ["ok", "degraded", "failed"]},
        "detail": TEXT,
    }
)

COMPONENTS: Final[dict[str, Schema]] = {
    "Error": _ERROR,
    "Health": record({"status": {"const": "ok"}}),
    "Readiness": record(
        {
            "status": {"type": "string", "enum": ["ok", "degraded", "failed"]},
            "parts": several(_PART),
        }
    ),
    "Symbols": record({"symbols": several(TEXT)}),
    "Charts": record(
        {
            "charts": several(
                record(
                    {
                        "name": TEXT,
                        "title": TEXT,
                        "by_symbol": BOOLEAN | {"description": "whether it needs a symbol"},
                        "tables": several(TEXT),
                        "fresh_for": {
                            "type": "number",
                            "description": "seconds until its newest point is stale; 0: never",
                        },
                    }
                )
            )
        }
    ),
    "Figure": record(
        {
            "data": several({"type": "object"}),
            "layout": {"type": "object"},
        },
        about="A Plotly figure in light colours. Times are UTC, without a zone, as Plotly has it.",
    ),
    "Data": record(
        {
            "symbol": TEXT,
            "start": MOMENT,
            "end": MOMENT,
            "tables": record(
                {name: _page(name) for name in TABLES}, optional=TABLES, about="by table"
            ),
            "unavailable": several(TEXT)
            | {"description": "tables that the database does not have"},
        }
    ),
    **{_row_name(name): _row(table) for name, table in TABLES.items()},
}
