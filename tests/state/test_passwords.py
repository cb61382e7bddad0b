"""Hashes of passwords: round trips, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from alphapulse_nb.errors import InputError
from alphapulse_nb.state.passwords import Cost, Hash, Hasher, checked

TINY = Hasher(Cost(ln=1, r=1, p=1))
texts = st.text(st.characters(exclude_categories=()), max_size=60)  # half characters, too
costs = st.builds(Cost, st.integers(1, 8), st.integers(1, 8), st.integers(1, 3))


@given(texts, costs)
@example("\ud800", Cost(1, 1, 1))
def test_a_password_matches_its_hash_after_it_was_stored(password: str, cost: Cost) -> None:
    made = Hasher(cost).hash(password)
    stored = Hash.of_text(made.text())
    assert stored == made
    assert TINY.matches(password, stored)


@given(texts, texts)
@settings(max_examples=200)
def test_another_password_does_not(one: str, other: str) -> None:
    import unicodedata

    same = unicodedata.normalize("NFC", one) == unicodedata.normalize("NFC", other)
    # RFC 2898: HMAC pads a key with zeros, so that those at its end do not count.
    same = same or one.rstrip("\0") == other.rstrip("\0")
    assert TINY.matches(one, TINY.hash(other)) == same


def test_an_accent_may_come_apart_from_its_letter() -> None:
    assert TINY.matches("caf\u0065\u0301-au-lait", TINY.hash("caf\u00e9-au-lait"))


def test_each_hash_has_a_salt_of_its_own() -> None:
    assert len({TINY.hash("the same").text() for _ in range(20)}) == 20


def test_nothing_matches_the_decoy() -> None:
    assert not TINY.matches("", TINY.decoy())


def test_the_present_cost_is_no_less_than_it_was() -> None:
    cost = Hasher().cost
    assert (cost.ln, cost.r, cost.p) >= (15, 8, 1)
    assert Hasher().matches("s3cret-pass", Hasher().hash("s3cret-pass"))


@given(st.text(max_size=100) | st.from_regex(r"\$scrypt\$ln=\d+,r=\d+,p=\d+\$[\w+/]*\$[\w+/]*\n?"))
def test_what_is_no_hash_is_none_and_no_cost_beyond_reason_is_obeyed(text: str) -> None:
    found = Hash.of_text(text)
    assert found is None or found.cost.memory <= 2**28


@pytest.mark.parametrize("cost", ["ln=99,r=8,p=1", "ln=22,r=8,p=1", "ln=0,r=8,p=1", "ln=4,r=0,p=1"])
def test_a_cost_that_was_tampered_with_is_refused(cost: str) -> None:
    text = TINY.hash("x").text()
    assert Hash.of_text(text) is not None
    assert Hash.of_text(text.replace("ln=1,r=1,p=1", cost)) is None


def test_a_hash_does_not_show_itself() -> None:
    made = TINY.hash("s3cret-pass")
    digest = made.text().rpartition("$")[2]
    assert digest not in f"{made} {made!r} {[made]}"


@pytest.mark.parametrize("password", ["", "s3cret!", "\u00e9" * 7, "x" * 1025])
def test_a_password_of_the_wrong_length_is_refused_and_not_quoted(password: str) -> None:
    with pytest.raises(InputError) as refused:
        checked(password)
    assert not password or password not in str(refused.value)


@pytest.mark.parametrize("password", ["s3cret!!", "x" * 1024])
def test_the_bounds_are_allowed(password: str) -> None:
    assert checked(password) == password
