"""Values as JSON: arrays as lists, times as ISO 8601, and null for what JSON has no number for."""

from __future__ import annotations

import gzip
import json
import math
from decimal import Decimal
from typing import Any, Final

import numpy as np
import numpy.typing as npt

_LEVEL: Final = 5


def plain(value: Any) -> Any:
    """A value that `json` can write: no array, no NaN, no infinity.

    A `datetime64` becomes an ISO text without a zone, which is how Plotly writes UTC.
    """
    if isinstance(value, float | np.floating | Decimal):
        number = float(value)
        return number if math.isfinite(number) else None
    if value is None or isinstance(value, str | int):
        return value
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray):
        return _listed(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    return str(value)


def encoded(value: Any) -> bytes:
    """A plain value as JSON."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode()


def packed(body: bytes) -> bytes:
    """The same, gzipped."""
    return gzip.compress(body, _LEVEL, mtime=0)


def _listed(array: npt.NDArray[Any]) -> list[Any]:
    if array.ndim > 1:
        return [_listed(row) for row in array]
    kind = array.dtype.kind
    items: list[Any] = array.tolist()
    if kind == "f":
        return _without(~np.isfinite(array), items)
    if kind == "M":
        return _without(np.isnat(array), np.datetime_as_string(array, unit="ms").tolist())
    return [plain(item) for item in items] if kind == "O" else items


def _without(missing: npt.NDArray[np.bool_], items: list[Any]) -> list[Any]:
    if not missing.any():
        return items
    return [None if gone else item for item, gone in zip(items, missing.tolist(), strict=True)]
