"""A condition holds for the same rows in Python and in Postgres, whatever they hold."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapulse_nb.alerts.condition import Condition, parse
from alphapulse_nb.alerts.fields import Field, Kind, fields_of
from alphapulse_nb.db import embedded, tables
from alphapulse_nb.errors import InputError
from alphapulse_nb.events import Kinds
from tests.alerts.conditions import FIELDS, NUMBERS, SPECIAL, TABLE, conditions, rows

ANY = {name: Field(name, None) for name in FIELDS}


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sa.Connection]:
    with embedded.start(tmp_path_factory.mktemp("conditions") / "postgres") as server:
        engine = sa.create_engine(server.url)
        TABLE.metadata.create_all(engine)
        with engine.connect() as opened:
            yield opened
        engine.dispose()


def agree(link: sa.Connection, condition: Condition, given_rows: list[dict[str, Any]]) -> list[Any]:
    """The truths in Postgres, which are those in Python."""
    link.execute(sa.delete(TABLE))
    link.execute(sa.insert(TABLE), given_rows)
    query = sa.select(TABLE, condition.sql(TABLE.c).label("truth"))
    found = [dict(row) for row in link.execute(query).mappings()]
    link.rollback()
    for row in found:
        assert condition.holds(row).truth is row["truth"], (condition.text, row)
    return [row["truth"] for row in found]


def parsed(text: str, fields: dict[str, Field]) -> Condition | None:
    """The condition; None for one that calculates beyond what is allowed."""
    try:
        return parse(text, fields)
    except InputError as error:
        if "too large or small" in str(error) or "can be divided by" in str(error):
            return None
        raise


@settings(max_examples=250, deadline=None)
@given(conditions, st.lists(rows(), min_size=1, max_size=6))
def test_python_and_postgres_agree_on_every_row(
    link: sa.Connection, text: str, given_rows: list[dict[str, Any]]
) -> None:
    condition = parsed(text, FIELDS)
    if condition is not None:
        agree(link, condition, given_rows)


@settings(max_examples=100, deadline=None)
@given(conditions, st.lists(rows(), min_size=1, max_size=6))
def test_they_agree_where_the_kinds_of_fields_are_not_known_before(
    link: sa.Connection, text: str, given_rows: list[dict[str, Any]]
) -> None:
    condition = parsed(text, ANY)
    if condition is not None:
        agree(link, condition, given_rows)


@pytest.mark.parametrize("sign", ["+", "-", "*", "/"])
def test_they_agree_on_each_pair_of_odd_numbers(link: sa.Connection, sign: str) -> None:
    empty = dict.fromkeys(TABLE.columns.keys())
    odd = [None, *SPECIAL]
    pairs = [empty | {"a": a, "b": b} for a in odd for b in odd]
    for comparison in ("> 0", "== 0", "<= 1e18", "!= a"):
        truths = agree(link, parse(f"a {sign} b {comparison}", FIELDS), pairs)
        assert {True, False, None} == set(truths)


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_compares_with_the_nearest_double(link: sa.Connection, name: str) -> None:
    empty = dict.fromkeys(TABLE.columns.keys())
    given_rows = [empty | {name: 0}, empty | {name: 1}, empty]
    assert sorted(map(str, agree(link, parse(f"{name} >= 0.1 + 0.2", FIELDS), given_rows))) == [
        *("False", "None", "True")
    ]


@pytest.mark.parametrize(
    ("text", "truths"),
    [
        ("total_return > 15 %", {0.1501: True, 0.1499: False, 0.15: False, None: None}),
        ("total_return >= 15 %", {0.1501: True, 0.1499: False, 0.15: True, None: None}),
        ("total_return == 0.3", {0.1 + 0.2: False, 0.3: True, float("nan"): None}),
        ("total_return == 0.1 + 0.2", {0.1 + 0.2: True, 0.3: False, float("inf"): False}),
    ],
)
def test_a_column_of_doubles_is_compared_as_such(
    link: sa.Connection, text: str, truths: dict[float | None, bool | None]
) -> None:
    fields = {"total_return": Field("total_return", FIELDS["a"].kind, "%")}
    condition = parse(text, fields)
    for value, truth in truths.items():
        column = sa.cast(sa.literal(value, sa.Double), sa.Double)
        assert link.scalar(sa.select(condition.sql({"total_return": column}))) is truth
        assert condition.holds({"total_return": value}).truth is truth


@pytest.mark.parametrize(
    ("text", "truth"),
    [
        ("n + n > 1", True),
        ("n * n > 1", True),
        ("size + 1 > size", False),
        ("size * size > 1", True),
        ("n / 2 > 1073741823", True),
        ("rate + price == 0.3", False),
        ("rate + price == 0.30000000000000004", True),
        ("price * 3 == rate * 6", True),
    ],
)
def test_whole_numbers_and_decimals_are_calculated_with_as_doubles(
    link: sa.Connection, text: str, truth: bool | None
) -> None:
    large = {"n": 2**31 - 1, "size": 2**59, "rate": "0.1", "price": "0.2"}
    row = dict.fromkeys(TABLE.columns.keys()) | large
    assert agree(link, parse(text, FIELDS), [row]) == [truth]


@pytest.mark.parametrize(
    "text",
    [
        "label and up",
        "not note",
        "a or false",
        "a == label",
        "label != n",
        "up == a",
        "note == down",
        "label > note",
        "up < down",
        "a + up > 1",
    ],
)
def test_values_of_different_kinds_do_not_compare(link: sa.Connection, text: str) -> None:
    row = {"a": 1.0, "n": 1, "label": "1", "note": "0", "up": True, "down": False}
    rows_ = [dict.fromkeys(TABLE.columns.keys()) | row]
    assert agree(link, parse(text, ANY), rows_) == [None]
    assert agree(link, parse(f"not ({text})", ANY), rows_) == [None]


def test_what_is_given_is_bound_and_never_part_of_the_statement(link: sa.Connection) -> None:
    text = 'label == "\'; DROP TABLE rows; --" or a > 12345.678 or note == "%(x)s :y"'
    condition = parse(text, FIELDS)
    assert agree(link, condition, [dict.fromkeys(TABLE.columns.keys()) | {"a": 20_000.0}]) == [True]
    said = str(sa.select(condition.sql(TABLE.c)).compile(link.engine))
    assert "DROP" not in said
    assert "12345" not in said
    assert ":y" not in said


DEEP = [
    " + ".join(["a"] * 99) + " > 1",
    " and ".join(["up"] * 100),
    "not " * 198 + "up",
    "- " * 190 + "a > 1",
    "(" * 20 + "up" + ")" * 20,
    "(up and not (down or " * 10 + "up" + "))" * 10,
    "(1 + a * -" * 7 + "b" + ")" * 7 + " > 1",
    "(up == " * 20 + "down" + ")" * 20,
]


@pytest.mark.parametrize("text", DEEP)
def test_the_deepest_conditions_work_also_where_the_stack_is_deep(
    link: sa.Connection, text: str
) -> None:
    def deeper(levels: int) -> list[Any]:
        if levels:
            return deeper(levels - 1)
        given_row = dict.fromkeys(TABLE.columns.keys()) | {"a": 2.0, "b": 3.0, "up": True}
        return agree(link, parse(text, FIELDS), [given_row])

    assert deeper(400) in ([True], [False], [None])


@pytest.mark.parametrize("table", tables.metadata.tables.values(), ids=str)
def test_every_field_of_the_desk_can_be_asked_for(link: sa.Connection, table: sa.Table) -> None:
    fields = fields_of(table.name, Kinds())
    parts = {Kind.NUMBER: "{0} * 2 > 1 or {0} <= 0", Kind.TEXT: '{0} != ""'}
    text = " or ".join(
        parts[field.kind or Kind.TEXT].format(name) for name, field in fields.items()
    )
    tables.metadata.create_all(link)
    assert link.execute(sa.select(table).where(parse(text, fields).sql(table.c))).all() == []
    link.rollback()


def test_a_field_without_a_column_is_an_error() -> None:
    with pytest.raises(InputError, match="the field a has no column"):
        parse("a > 1", FIELDS).sql({})
    with pytest.raises(InputError, match="the column of the field a has no type"):
        parse("a > 1", FIELDS).sql({"a": sa.column("a")})


@pytest.mark.parametrize("column", [sa.column("a", sa.Text), sa.column("a", sa.DateTime)])
@pytest.mark.parametrize("text", ["a > 1", "a + 1 > 1", "-a > 1", "a == 1", "a == a"])
def test_a_column_of_another_kind_has_no_value(
    link: sa.Connection, text: str, column: sa.ColumnElement[Any]
) -> None:
    assert link.scalar(sa.select(parse(text, FIELDS).sql({"a": column}))) is None
    assert link.scalar(sa.select(parse(f"not {text}", FIELDS).sql({"a": column}))) is None
