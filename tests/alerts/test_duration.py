from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse_nb.alerts import duration
from alphapulse_nb.errors import InputError


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0s", 0),
        ("90s", 90),
        ("15m", 900),
        ("2h", 7_200),
        ("1d12h", 129_600),
        ("1h 30m", 5_400),
        ("366d", 31_622_400),
    ],
)
def test_lengths_as_people_write_them(text: str, seconds: int) -> None:
    assert duration.read(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "text",
    ["", "15", "m", "15 minutes", "-5m", "1.5h", "5m1h", "367d", "9" * 40 + "s", "٣m", 15, None],
)
def test_what_is_no_length_is_refused(text: object) -> None:
    with pytest.raises(InputError):
        duration.read(text)


@given(st.integers(0, int(duration.LONGEST.total_seconds())))
def test_what_is_written_is_read_as_it_was(seconds: int) -> None:
    length = timedelta(seconds=seconds)
    assert duration.read(duration.written(length)) == length
