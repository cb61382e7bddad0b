"""Whatever a figure holds becomes JSON."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse_nb.server.api.encoding import encoded, plain

NAT = np.datetime64("NaT")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (float("nan"), None),
        (float("-inf"), None),
        (np.float64("inf"), None),
        (Decimal("NaN"), None),
        (Decimal("1e400"), None),
        (Decimal("0.10"), 0.1),
        (np.int64(7), 7),
        (np.bool_(True), True),
        (np.array([1.5, np.nan, np.inf]), [1.5, None, None]),
        (np.array([[1.0, np.nan], [2.0, 3.0]]), [[1.0, None], [2.0, 3.0]]),
        (
            np.array(["2026-01-31T12:00:00.5", NAT], "datetime64[ms]"),
            ["2026-01-31T12:00:00.500", None],
        ),
        (np.array(["a", None, 1.5, float("nan")], object), ["a", None, 1.5, None]),
        ({"a": (1, [np.nan]), 2: "ü"}, {"a": [1, [None]], "2": "ü"}),
        (datetime(2026, 1, 31, tzinfo=UTC), "2026-01-31 00:00:00+00:00"),
    ],
    ids=str,
)
def test_a_value_becomes_what_json_has_for_it(value: Any, expected: Any) -> None:
    assert plain(value) == expected
    assert json.loads(encoded(plain(value))) == expected


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20
)


@given(VALUES)
def test_only_what_json_lacks_is_lost(value: Any) -> None:
    def kept(item: Any) -> Any:
        if isinstance(item, float):
            return item if math.isfinite(item) else None
        if isinstance(item, list):
            return [kept(part) for part in item]
        if isinstance(item, dict):
            return {name: kept(part) for name, part in item.items()}
        return item

    assert json.loads(encoded(plain(value))) == kept(value)
