"""Reading by COPY: equal to `pandas.read_sql`, whatever the columns hold."""

from __future__ import annotations

import math
import secrets
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import numpy as np
import pandas as pd
import psycopg2
import psycopg2.extras
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import connection as RawConnection  # noqa: N812
from sqlalchemy.dialects import postgresql as pg

from alphapulse_nb.db import copy, embedded
from alphapulse_nb.errors import SchemaError

MOMENT = sa.DateTime(timezone=True)
TABLE = sa.Table(
    "samples",
    sa.MetaData(),
    sa.Column("n", sa.Integer),
    sa.Column("at", MOMENT),
    sa.Column("label", sa.String(40)),
    sa.Column("rate", sa.Numeric(20, 8)),
    sa.Column("price", sa.Numeric),
    sa.Column("value", sa.Double),
    sa.Column("count", sa.BigInteger),
    sa.Column("small", sa.Integer),
    sa.Column("flag", sa.Boolean),
    sa.Column("note", pg.JSONB),
)
FAST = ["n", "at", "label", "rate", "price", "value", "count", "small"]
COLUMNS = [column.name for column in TABLE.columns]

texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
zones = st.sampled_from(
    [UTC, timezone(timedelta(hours=5, minutes=45)), timezone(timedelta(hours=-11))]
)
rows = st.fixed_dictionaries(
    {
        "at": st.none()
        | st.datetimes(datetime(2, 1, 1), datetime(9998, 12, 31), timezones=zones)  # noqa: DTZ001
        | st.sampled_from(["infinity", "-infinity"]),
        "label": st.none() | st.sampled_from(["BTC/USDT", "ETH/USDT"]) | texts,
        "rate": st.none() | st.decimals(-(10**10), 10**10, places=8) | st.just("NaN"),
        "price": st.none()
        | st.decimals(-(10**30), 10**30)
        | st.sampled_from(["NaN", "Infinity", "-Infinity"]),
        "value": st.none() | st.floats(),
        "count": st.none() | st.integers(-(2**63) + 1, 2**63 - 1),
        "small": st.none() | st.integers(-(2**31), 2**31 - 1),
        "flag": st.none() | st.booleans(),
        "note": st.none() | st.dictionaries(texts, st.integers() | texts, max_size=3),
    }
)


@pytest.fixture(scope="module")
def engine(server: embedded.EmbeddedPostgres) -> Iterator[sa.Engine]:
    name = f"c{secrets.token_hex(4)}"
    owner = sa.create_engine(server.url, isolation_level="AUTOCOMMIT")
    with owner.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    made = sa.create_engine(sa.make_url(server.url).set(database=name))
    TABLE.metadata.create_all(made)
    yield made
    made.dispose()
    with owner.connect() as connection:
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    owner.dispose()


@pytest.fixture(scope="module")
def raw(engine: sa.Engine) -> Iterator[RawConnection]:
    connection = psycopg2.connect(
        engine.url.set(drivername="postgresql").render_as_string(hide_password=False)
    )
    with connection.cursor() as cursor:
        cursor.execute("SET timezone = 'Asia/Tokyo'")  # a frame is in UTC whatever the session is
    connection.commit()
    yield connection
    connection.close()


def select(*names: str) -> sa.Select[Any]:
    return sa.select(*(TABLE.c[name] for name in names)).order_by(TABLE.c.n)


def fill(raw: RawConnection, given_rows: list[dict[str, Any]]) -> None:
    names = [name for name in COLUMNS if name != "n"]
    with raw.cursor() as cursor:
        cursor.execute("TRUNCATE samples")
        for number, row in enumerate(given_rows):
            note = None if row["note"] is None else psycopg2.extras.Json(row["note"])
            values = [note if name == "note" else row[name] for name in names]
            cursor.execute(
                f"INSERT INTO samples (n, {', '.join(names)}) VALUES (%s{', %s' * len(names)})",
                [number, *values],
            )
    raw.commit()


def expected(engine: sa.Engine, names: list[str]) -> pd.DataFrame:
    """What pandas itself reads, with the dtypes that `read_general` promises.

    Text and float8 columns are left as pandas gives them; times are cast in the database, since
    the driver reads infinite ones as year 1 and 9999.
    """
    parts = [
        f"CASE WHEN isfinite({name}) THEN {name} END AS {name}" if name == "at" else f'"{name}"'
        for name in names
    ]
    with engine.connect() as connection:
        frame = pd.read_sql(
            sa.text(f"SELECT {', '.join(parts)} FROM samples ORDER BY n"), connection
        )
    for name in names:
        if name == "at":
            frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[us, UTC]")
        elif name in ("rate", "price", "value"):
            frame[name] = frame[name].astype("float64")
        elif name == "label":
            frame[name] = frame[name].astype("str")
        elif name in ("n", "count", "small"):
            whole = "int64" if frame[name].notna().all() else "float64"
            frame[name] = frame[name].astype(whole)
    return frame


def taken(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The paths that reads take from now on: `copy` or `general`."""
    paths: list[str] = []
    for path, name in (("copy", "_copy"), ("general", "read_general")):
        real = getattr(copy, name)

        def spied(*args: Any, real: Any = real, path: str = path) -> Any:
            paths.append(path)
            return real(*args)

        monkeypatch.setattr(copy, name, spied)
    return paths


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(given_rows=st.lists(rows, max_size=6))
def test_values_and_dtypes_are_those_of_read_sql(
    raw: RawConnection, engine: sa.Engine, given_rows: list[dict[str, Any]]
) -> None:
    fill(raw, given_rows)
    labels = copy.Labels()
    for names in (FAST, COLUMNS):
        wanted = expected(engine, names)
        for _ in ("general, learns the labels", "copy"):
            read = copy.read_frame(raw, select(*names), labels)
            pd.testing.assert_frame_equal(read, wanted, check_exact=True)
    raw.rollback()


def one(**given_values: Any) -> dict[str, Any]:
    return dict.fromkeys(COLUMNS) | given_values


def test_the_second_read_of_texts_goes_by_copy(
    raw: RawConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(raw, [one(label="a"), one(label=None), one(label="")])
    labels, paths = copy.Labels(), taken(monkeypatch)
    first = copy.read_frame(raw, select("label"), labels)
    second = copy.read_frame(raw, select("label"), labels)
    assert paths == ["general", "copy"]
    pd.testing.assert_frame_equal(first, second)
    assert second["label"].iloc[[0, 2]].tolist() == ["a", ""]
    assert second["label"].isna().tolist() == [False, True, False]


def test_a_text_that_was_never_seen_is_learned(
    raw: RawConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    labels, paths = copy.Labels(), taken(monkeypatch)
    fill(raw, [one(label="a")])
    copy.read_frame(raw, select("label"), labels)
    fill(raw, [one(label="a"), one(label="ü€𝄞 %s %% :x")])
    for _ in range(2):
        frame = copy.read_frame(raw, select("label"), labels)
        assert frame["label"].tolist() == ["a", "ü€𝄞 %s %% :x"]
    assert paths == ["general", "copy", "general", "copy"]


@pytest.mark.parametrize("count", [16, 17, 256, 257, 300])
def test_many_texts_are_read_right(raw: RawConnection, count: int) -> None:
    fill(raw, [one(label=f"text {n}") for n in range(count)])
    labels = copy.Labels()
    for _ in range(2):
        frame = copy.read_frame(raw, select("label"), labels)
        assert frame["label"].tolist() == [f"text {n}" for n in range(count)]
    assert (labels.known("samples.label") is None) == (count > 256)


def test_labels_learned_meanwhile_do_not_confuse_a_read(
    raw: RawConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(raw, [one(label="a"), one(label="b")])
    labels = copy.Labels()
    copy.read_frame(raw, select("label"), labels)
    real = copy._copy

    def overtaken(*args: Any) -> Any:
        labels._known["samples.label"] = ("b", "a")
        return real(*args)

    monkeypatch.setattr(copy, "_copy", overtaken)
    assert copy.read_frame(raw, select("label"), labels)["label"].tolist() == ["a", "b"]


@pytest.mark.parametrize("names", [["n", "flag"], ["n", "note"]])
def test_other_types_take_the_general_path(
    raw: RawConnection, monkeypatch: pytest.MonkeyPatch, names: list[str]
) -> None:
    fill(raw, [one(flag=True, note={"capital": 1})])
    paths = taken(monkeypatch)
    copy.read_frame(raw, select(*names), copy.Labels())
    assert paths == ["general"]


def test_a_query_can_ask_for_the_general_path(
    raw: RawConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(raw, [one(value=1.5)])
    paths = taken(monkeypatch)
    query = select("value").execution_options(general=True)
    assert copy.read_frame(raw, query, copy.Labels())["value"].tolist() == [1.5]
    assert paths == ["general"]


def test_infinite_times_are_missing_on_both_paths(raw: RawConnection) -> None:
    fill(raw, [one(at="infinity"), one(at="-infinity"), one(at=None)])
    for frame in (
        copy.read_frame(raw, select("at"), copy.Labels()),
        copy.read_general(raw, select("at")),
    ):
        assert frame["at"].isna().all()
        assert str(frame["at"].dtype) == "datetime64[us, UTC]"


def test_numbers_of_numpy_are_refused_by_name(raw: RawConnection) -> None:
    query = select("n").where(TABLE.c.value > np.float64(1.0))
    with pytest.raises(TypeError, match="value_1 is a numpy float64"):
        copy.statement(raw, query)
    later = select("n").where(TABLE.c.value > sa.bindparam("least"))
    with pytest.raises(TypeError, match="least is a numpy float32"):
        copy.statement(raw, later, {"least": np.float32(1.0)})


@pytest.mark.parametrize("text", ["o'hara", "100 %", "%(x)s", "a\\b", '"; DROP TABLE samples; --'])
def test_values_are_quoted(raw: RawConnection, text: str) -> None:
    fill(raw, [one(label=text), one(label="other")])
    labels = copy.Labels()
    for _ in range(2):
        frame = copy.read_frame(raw, select("n", "label").where(TABLE.c.label == text), labels)
        assert frame["label"].tolist() == [text]


def test_a_per_cent_sign_without_any_value_is_one(raw: RawConnection) -> None:
    query = sa.select(sa.literal_column("'7 %'", sa.String).label("shown"))
    frame = copy.read_frame(raw, query.execution_options(general=True), copy.Labels())
    assert frame["shown"].tolist() == ["7 %"]


def test_a_million_rows_arrive(raw: RawConnection) -> None:
    counted = sa.func.generate_series(1, 1_000_000).table_valued("i").render_derived()
    query = sa.select(sa.cast(counted.c.i, sa.Integer).label("i"))
    frame = copy.read_frame(raw, query, copy.Labels())
    assert len(frame) == 1_000_000
    assert frame["i"].iloc[[0, -1]].tolist() == [1, 1_000_000]


def test_nan_and_null_floats_are_one(raw: RawConnection) -> None:
    fill(raw, [one(value=math.nan), one(value=None), one(value=0.0)])
    values = copy.read_frame(raw, select("value"), copy.Labels())["value"]
    assert values.isna().tolist() == [True, True, False]


def test_a_missing_column_is_a_schema_error(db: Any) -> None:
    gone = sa.table("funding_rates", sa.column("mood", sa.Double))
    with pytest.raises(SchemaError, match="mood"):
        db.read(sa.select(gone.c.mood))
