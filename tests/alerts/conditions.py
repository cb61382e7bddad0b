"""Random conditions and rows, for what must be so for all of them."""

from __future__ import annotations

import math
from typing import Any

import sqlalchemy as sa
from hypothesis import strategies as st

from alphapulse_nb.alerts.fields import Field, kind_of

TABLE = sa.Table(
    "rows",
    sa.MetaData(),
    sa.Column("a", sa.Double),
    sa.Column("b", sa.Double),
    sa.Column("rate", sa.Numeric(10, 8)),
    sa.Column("price", sa.Numeric),
    sa.Column("n", sa.Integer),
    sa.Column("size", sa.BigInteger),
    sa.Column("label", sa.String(20)),
    sa.Column("note", sa.Text),
    sa.Column("up", sa.Boolean),
    sa.Column("down", sa.Boolean),
)
FIELDS = {column.name: Field(column.name, kind_of(column.type)) for column in TABLE.columns}
NUMBERS = ("a", "b", "rate", "price", "n", "size")

TEXTS = ("LONG", "SHORT", "", "ä", "BTC/USDT", " LONG", "long", "it's")
SPECIAL = (
    *(0.0, -0.0, 1.0, -1.0, 0.15, 2.5, 1e-18, 1e18, 0.9e-18, 1.1e18, 1e-200, 1e200),
    *(5e-324, 1.7e308, math.inf, -math.inf, math.nan),
)
_letters = st.characters(exclude_categories=["Cs"], exclude_characters="\0")


def rows(*, plain: bool = False) -> st.SearchStrategy[dict[str, Any]]:
    """Values of every column. Plain ones are there and can be calculated with."""
    nothing = st.nothing() if plain else st.none()
    odd = st.nothing() if plain else st.sampled_from(SPECIAL) | st.floats()
    usual = st.integers(-20, 20).map(float) | st.floats(-1e6, 1e6).map(lambda x: round(x, 6))
    text = st.sampled_from(TEXTS) | (st.nothing() if plain else st.text(_letters, max_size=5))
    return st.fixed_dictionaries(
        {
            "a": nothing | usual | odd,
            "b": nothing | usual | odd,
            "rate": nothing | st.decimals(-99, 99, places=8),
            "price": nothing
            | st.decimals(-1000, 1000, places=4)
            | (st.nothing() if plain else st.sampled_from(["NaN", "Infinity", "-Infinity"])),
            "n": nothing | st.integers(-20, 20) | st.integers(-(2**31), 2**31 - 1),
            "size": nothing | st.integers(-20, 20) | st.integers(-(2**63) + 1, 2**63 - 1),
            "label": nothing | text,
            "note": nothing | text,
            "up": nothing | st.booleans(),
            "down": nothing | st.booleans(),
        }
    )


_literals = st.sampled_from(
    ["0", "1", "2.5", "15 %", ".5", "1.", "20", "1e3", "2E-2", "0.1", "150%", "0.30000000000000004"]
) | st.integers(0, 30).map(str)
_quoted = st.sampled_from(TEXTS).map(lambda text: f'"{text}"')
_signs = st.sampled_from(["==", "!=", ">", ">=", "<", "<="])
_same = st.sampled_from(["==", "!="])


def _chain(parts: st.SearchStrategy[str], between: list[str]) -> st.SearchStrategy[str]:
    """Parts with operators between them and no parentheses: precedence decides."""
    more = st.lists(st.tuples(st.sampled_from(between), parts), max_size=2)
    return st.tuples(parts, more).map(
        lambda found: " ".join([found[0], *(word for pair in found[1] for word in pair)])
    )


_numbers = st.recursive(
    st.sampled_from(NUMBERS) | _literals,
    lambda part: (
        _chain(part, ["+", "-", "*", "/"]).map(lambda text: f"({text})")
        | part.map(lambda text: f"-{text}")
    ),
    max_leaves=4,
)
_sums = _chain(_numbers, ["+", "-", "*", "/"])
_texts = st.sampled_from(["label", "note"]) | _quoted
_flags = st.sampled_from(["up", "down", "true", "false"])


def _compared(one: st.SearchStrategy[str], sign: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(one, sign, one).map(" ".join)


conditions = st.recursive(
    _compared(_sums, _signs) | _compared(_texts, _same) | _compared(_flags, _same) | _flags,
    lambda part: (
        _chain(part, ["and", "or"])
        | part.map(lambda text: f"not {text}")
        | part.map(lambda text: f"({text})")
        | _compared(part.map(lambda text: f"({text})"), _same)
    ),
    max_leaves=6,
)
"""Texts that are conditions, though some calculate with results that are too large."""
