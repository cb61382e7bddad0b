"""Conditions: what their language has, what it refuses and where, and when one holds."""

from __future__ import annotations

import math
import pickle
import re
import subprocess
import sys
import threading
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from alphapulse_nb.alerts import grammar
from alphapulse_nb.alerts.condition import Verdict, parse
from alphapulse_nb.alerts.fields import Field, Kind, fields_of
from alphapulse_nb.alerts.tokens import DEEPEST, LONGEST, MOST, Token, tokens
from alphapulse_nb.errors import InputError
from alphapulse_nb.events import Kinds
from tests.alerts.conditions import FIELDS as COLUMNS
from tests.alerts.conditions import conditions, rows

SIGNALS = fields_of("signals", Kinds())
ANYTHING = fields_of("fill", Kinds({"fill": None}))
FIELDS = {
    **{name: Field(name, Kind.NUMBER) for name in ("a", "b", "c")},
    **{name: Field(name, Kind.FLAG) for name in ("p", "q")},
    "word": Field("word", Kind.TEXT),
    "other": Field("other", Kind.TEXT),
    "confidence": Field("confidence", Kind.NUMBER, "%"),
    "pnl_pct": Field("pnl_pct", Kind.NUMBER, "per cent"),
    "seen": Field("seen", None),
}


def truth(text: str, values: Mapping[str, Any], fields: Mapping[str, Field] = FIELDS) -> Any:
    return parse(text, fields).holds(values).truth


def refused(text: Any, fields: Mapping[str, Field] = FIELDS) -> str:
    with pytest.raises(InputError) as caught:
        parse(text, fields)
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "values", "is_true"),
    [
        ("a > 1", {"a": 2}, True),
        ("a > 1", {"a": 1}, False),
        ("a >= 1", {"a": 1}, True),
        ("a < 1", {"a": 1}, False),
        ("a <= 1", {"a": 1}, True),
        ("a == 1", {"a": 1.0}, True),
        ("a != 1", {"a": 1.0}, False),
        ("1 < a", {"a": 2}, True),
        ("a>1and b<2", {"a": 2, "b": 1}, True),
        ("\ta   >\t1 ", {"a": 2}, True),
        ("a + b * 2 == 7", {"a": 1, "b": 3}, True),
        ("(a + b) * 2 == 8", {"a": 1, "b": 3}, True),
        ("a - b - c == -4", {"a": 1, "b": 3, "c": 2}, True),
        ("a - (b - c) == 0", {"a": 1, "b": 3, "c": 2}, True),
        ("a / b / 2 == 1", {"a": 6, "b": 3}, True),
        ("-a * b == -6", {"a": 2, "b": 3}, True),
        ("a * -b == -6", {"a": 2, "b": 3}, True),
        ("- - a == 2", {"a": 2}, True),
        ("a > -1", {"a": 0}, True),
        ("a > .5", {"a": 0.6}, True),
        ("a > 1.", {"a": 1.1}, True),
        ("a == 1.5e3", {"a": 1500}, True),
        ("a == 1E-2", {"a": 0.01}, True),
        ('word == "LONG"', {"word": "LONG"}, True),
        ("word == 'LONG'", {"word": "LONG"}, True),
        ('word == "it\'s"', {"word": "it's"}, True),
        ("word == ''", {"word": ""}, True),
        ("word == 'größer als 5 %'", {"word": "größer als 5 %"}, True),
        ("word != other", {"word": "a", "other": "b"}, True),
        ("p", {"p": True}, True),
        ("not p", {"p": True}, False),
        ("not not p", {"p": True}, True),
        ("p == true", {"p": True}, True),
        ("p != q", {"p": True, "q": False}, True),
        ("(a > 1) == (b > 1)", {"a": 2, "b": 0}, False),
        ("a > 1 == true", {"a": 2}, True),
        ("not a == 1", {"a": 1}, False),
        ("p and not q", {"p": True, "q": False}, True),
        ("p or q and p", {"p": True, "q": False}, True),
        ("(p or q) and q", {"p": True, "q": False}, False),
        ("true", {}, True),
        ("false or 1 < 2", {}, True),
        ("seen > 1", {"seen": 2}, True),
        ("seen == 'x'", {"seen": "x"}, True),
        ("seen", {"seen": True}, True),
        ("seen or a > 1", {"seen": False, "a": 2}, True),
    ],
)
def test_a_condition_says_what_it_reads_like(
    text: str, values: dict[str, Any], is_true: bool
) -> None:
    assert truth(text, values) is is_true


@pytest.mark.parametrize(
    ("total_return", "is_true"), [(0.1501, True), (0.1499, False), (0.15, False)]
)
def test_a_return_of_more_than_15_per_cent(total_return: float, is_true: bool) -> None:
    backtests = fields_of("backtests", Kinds())
    for text in ("total_return > 15 %", "total_return > 15%", "total_return > 0.15"):
        assert truth(text, {"total_return": total_return}, backtests) is is_true


@given(st.integers(0, 10**9), st.integers(0, 9))
def test_per_cent_is_the_nearest_double_of_the_hundredth_part(digits: int, places: int) -> None:
    written = f"{Decimal(digits).scaleb(-places):f}"
    hundredth = float(Decimal(digits).scaleb(-places - 2))
    assert truth(f"a == {written} %", {"a": hundredth})
    assert truth(f"a == {Decimal(written):e} %", {"a": hundredth})


@given(st.floats(1e-300, 1e300))
def test_a_number_is_the_nearest_double(number: float) -> None:
    assert truth(f"a == {number!r}", {"a": number})
    assert truth(f"-a == -{number!r} or a == {number!r}", {"a": number})


@settings(max_examples=300, deadline=None)
@given(conditions, rows(plain=True))
def test_precedence_is_that_of_python(text: str, row: dict[str, Any]) -> None:
    numbers = re.compile(r"(?<![\w.\"])(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?( ?%)?(?!\w)")

    def as_python(found: re.Match[str]) -> str:
        exponent = int((found[2] or "e0")[1:]) - (2 if found[3] else 0)
        return f"float('{found[1]}e{exponent}')"

    values = {
        name: float(value) if isinstance(value, int | Decimal) and value is not bool else value
        for name, value in row.items()
    } | {"up": row["up"], "down": row["down"]}
    try:
        code = numbers.sub(as_python, text)
        expected = eval(code, {"true": True, "false": False, **values})  # noqa: S307
        condition = parse(text, COLUMNS)
    except (ZeroDivisionError, InputError):
        assume(False)
    if all(abs(row[name]) <= 1e18 for name in ("n", "size")):
        assert condition.holds(row).truth is expected


LOGIC = {
    ("and", True, True): True,
    ("and", True, False): False,
    ("and", False, True): False,
    ("and", False, False): False,
    ("and", True, None): None,
    ("and", None, True): None,
    ("and", False, None): False,
    ("and", None, False): False,
    ("and", None, None): None,
    ("or", True, True): True,
    ("or", True, False): True,
    ("or", False, True): True,
    ("or", False, False): False,
    ("or", True, None): True,
    ("or", None, True): True,
    ("or", False, None): None,
    ("or", None, False): None,
    ("or", None, None): None,
}


@pytest.mark.parametrize(("word", "left", "right"), LOGIC)
def test_what_is_unknown_matters_only_where_it_could_decide(
    word: str, left: bool | None, right: bool | None
) -> None:
    assert truth(f"p {word} q", {"p": left, "q": right}) is LOGIC[word, left, right]


@pytest.mark.parametrize(("given_", "opposite"), [(True, False), (False, True), (None, None)])
def test_the_opposite_of_unknown_is_unknown(given_: bool | None, opposite: bool | None) -> None:
    assert truth("not p", {"p": given_}) is opposite
    assert truth("not (p == true)", {"p": given_}) is opposite


@pytest.mark.parametrize(
    ("text", "values", "reason"),
    [
        ("a > 1", {}, "a is missing"),
        ("a > 1", {"a": None}, "a is NULL"),
        ("a > 1", {"a": math.nan}, "a is NaN"),
        ("a > 1", {"a": Decimal("NaN")}, "a is NaN"),
        ("a > 1", {"a": Decimal("sNaN")}, "a is NaN"),
        ("a > 1", {"a": np.float64("nan")}, "a is NaN"),
        ("a > 1", {"a": "2"}, "a is '2' and not a number"),
        ("a > 1", {"a": True}, "a is true and not a number"),
        ("a > 1", {"a": np.bool_(True)}, "a is true and not a number"),
        ("a > 1", {"a": [2]}, "a is a list and not a number"),
        ("a > 1", {"a": np.array([2, 3])}, "a is a ndarray and not a number"),
        ("a > 1", {"a": "x" * 500}, f"a is '{'x' * 39}…' and not a number"),
        ("word == 'x'", {"word": 5}, "word is 5 and not a text"),
        ("word == 'x'", {"word": math.nan}, "word is NaN"),
        ("p", {"p": 1}, "p is 1 and not true or false"),
        ("p and a > 1", {"p": "yes", "a": 2}, "p is 'yes' and not true or false"),
        ("1 < a", {"a": None}, "a is NULL"),
        ("a + b > 1", {"a": 1, "b": None}, "b is NULL"),
        ("a / b > 1", {"a": 1, "b": 0}, "b is 0, by which nothing can be divided"),
        ("a / (b - c) > 1", {"a": 1, "b": 2, "c": 2}, "b - c is 0, by which nothing can be"),
        ("a / -b > 1", {"a": 1, "b": 0}, "-b is 0, by which nothing can be divided"),
        (
            "a - b > 1",
            {"a": math.inf, "b": math.inf},
            "a - b has no value, as infinity minus infinity has none",
        ),
        ("1 < a * b", {"a": math.inf, "b": 0}, "a * b has no value"),
        ("a + 1 > 1", {"a": 1e19}, "a is 1e+19, too large to calculate with"),
        ("-a > 1", {"a": -1e-19}, "a is -1e-19, too small to calculate with"),
        ("p or a > 1", {"p": False, "a": None}, "a is NULL"),
        ("a > 1 or b > 1", {"a": None, "b": None}, "a is NULL"),
        ("seen > 1", {"seen": "x"}, "seen is 'x' and 1 is 1"),
        ("seen == 1", {"seen": True}, "seen is true and 1 is 1"),
        ("seen + 1 > 1", {"seen": "x"}, "seen is 'x' and not a number"),
        ("seen", {"seen": 1}, "seen is 1 and not true or false"),
        ("not seen", {"seen": "x"}, "seen is 'x' and not true or false"),
        ("seen and p", {"seen": {}, "p": True}, "seen is a dict and not a number, a text, true"),
        ("seen < seen", {"seen": "x"}, "seen is 'x', which has no order"),
    ],
)
def test_what_has_no_value_is_unknown_and_named(
    text: str, values: dict[str, Any], reason: str
) -> None:
    verdict = parse(text, FIELDS).holds(values)
    assert verdict.truth is None
    assert reason in verdict.reason
    assert not verdict


@pytest.mark.parametrize(
    ("value", "is_true"),
    [
        (2, True),
        (np.float32(1.5), True),
        (np.int64(2), True),
        (np.uint8(0), False),
        (Decimal("1.5"), True),
        (np.array(1.5), True),
        (math.inf, True),
        (-math.inf, False),
        (Decimal("Infinity"), True),
        (10**400, True),
        (-(10**400), False),
        (5e-324, False),
        (1.7e308, True),
    ],
)
def test_numbers_of_every_type_are_numbers(value: Any, is_true: bool) -> None:
    assert truth("a > 1", {"a": value}) is is_true
    assert truth("seen > 1", {"seen": value}) is is_true


@pytest.mark.parametrize("value", [True, np.bool_(True)])
def test_flags_of_every_type_are_flags(value: Any) -> None:
    assert truth("p and p == true and p != false", {"p": value}) is True
    assert truth("word == 'x' and seen", {"word": np.str_("x"), "seen": value}) is True


def test_infinity_is_a_number_that_can_be_calculated_with() -> None:
    assert truth("a - 1 > b", {"a": math.inf, "b": 1e300}) is True
    assert truth("1 / a == 0", {"a": -math.inf}) is True


def test_a_verdict_gives_the_values_of_its_fields_in_their_order() -> None:
    condition = parse("b > 1 and word == 'x' or p or a > b or c > 0", FIELDS)
    found = condition.holds({"a": 0.1 + 0.2, "b": 5, "word": "y", "p": True, "c": None})
    assert found == Verdict(True, "b is 5, word is 'y', p is true, a is 0.3, c is NULL")
    assert found
    assert condition.holds({"p": True}).reason.endswith("a is missing, c is missing")
    assert parse("true", FIELDS).holds({}) == Verdict(True, "")
    lost = parse("a > 1", FIELDS).holds({"a": 1})
    assert lost == Verdict(False, "a is 1")
    assert not lost


def test_a_condition_is_a_value_with_its_text_and_names() -> None:
    text = " a > 1 and (word == 'b' or a < 5)"
    condition = parse(text, FIELDS)
    assert condition.text == text
    assert condition.names == {"a", "word"}
    assert condition == parse(text, FIELDS)
    assert hash(condition) == hash(parse(text, FIELDS))
    assert repr(condition).count("Name(") == 0
    assert pickle.loads(pickle.dumps(condition)).holds({"a": 2, "word": "b"})  # noqa: S301


@pytest.mark.parametrize(
    ("text", "at", "words"),
    [
        ("a ** 2 > 1", 3, "powers"),
        ("a // 2 > 1", 3, "whole division; / divides"),
        ("a % 2 == 1", 3, "remainders; % stands after a number"),
        ("(a) % 2 == 1", 5, "remainders"),
        ("a > 5 %%", 8, "remainders"),
        ("a & 1 == 1", 3, "bits; write and, or"),
        ("p && q", 3, "bits; write and, or"),
        ("p | q", 3, "bits"),
        ("a ^ 2 > 1", 3, "bits"),
        ("a << 2 > 1", 3, "bits"),
        ("a >> 2 > 1", 3, "bits"),
        ("word =~ 'a'", 6, "patterns; compare with == or !="),
        ("word =~~ 'a'", 6, "patterns"),
        ("word !~ 'a'", 6, "patterns"),
        ("word !~~ 'a'", 6, "patterns"),
        ("word.length > 1", 5, "attributes"),
        ("word&.length > 1", 5, "attributes"),
        ("word[0] == 'a'", 5, "lists, items or comprehensions"),
        ("word&[0] == 'a'", 5, "lists, items or comprehensions"),
        ("[a for a in b]", 1, "lists, items or comprehensions"),
        ("a in [1, 2]", 3, "membership; write a == 1 or a == 2"),
        ("a not in b", 7, "membership"),
        ("{a} == {1}", 1, "sets or mappings"),
        ("a > 1, b > 1", 6, "lists"),
        ("p ? a : b", 3, "choices by ? and :"),
        ("a > 1 : b", 7, "choices"),
        ("a ?? 1 > 2", 3, "replacements by ??"),
        ("a == null", 6, "null; a field without a value never matches"),
        ("a < inf", 5, "numbers that are not finite"),
        ("a != nan", 6, "numbers that are not finite"),
        ("word == b'x'", 9, "letter before the quote"),
        ("word == d'2026-01-01'", 9, """"d'2026-01-01'" has no place here"""),
        ("word == t'P1D'", 9, "letter before the quote"),
        ("word == r'x'", 9, "letter before the quote"),
        ('word == s"x"', 9, "letter before the quote"),
        ("a > 1 # sure", 7, "comments"),
        ("p if q", 3, "comprehensions"),
        ("p for q", 3, "comprehensions"),
        ("$now > 1", 1, "names with $"),
        ("$abs(a) > 1", 1, "names with $"),
        ("abs(a) > 1", 1, "functions"),
        ("a > 1 and max (a) > 1", 11, "functions"),
        ("p and else", 7, "knows no 'else'"),
        ("while > 1", 1, "knows no 'while'"),
        ("a = 1", 3, "knows no '='; write == to compare"),
        ("a > 1 and !p", 11, "knows no '!'; write not"),
        ("a ≥ 1", 3, "knows no '≥' (U+2265); write >="),
        ("a; b", 2, "knows no ';'"),
        ("a > 1 @", 7, "knows no '@'"),
        ("a > ١", 5, "knows no '١' (U+0661)"),
        ("а > 1", 1, "knows no 'а' (U+0430)"),
        ("ａ > 1", 1, "knows no 'ａ' (U+FF41)"),
        ("a\u00a0> 1", 2, "(U+00A0)"),
        ("word == “x”", 9, "write \" or '"),
        ("word == 'x", 9, "the text that begins with ' does not end"),
        ("word == \"x'", 9, 'the text that begins with " does not end'),
        ("word == 'a\\nb'", 11, "a text may hold no backslash"),
        ("word == '\\'", 9, "does not end"),
        ("a > 1\n", 6, "a condition is one line"),
        ("a > 1\r\nb", 6, "invisible character U+000D"),
        ("a\0 > 1", 2, "invisible character U+0000"),
        ("word == 'a\u202eb'", 11, "invisible character U+202E"),
        ("word == 'a\u200bb'", 11, "invisible character U+200B"),
        ("word == '\ud800'", 10, "invisible character U+D800"),
        ("word == 'a\u2028b'", 11, "invisible character U+2028"),
        ("a > 0x10", 5, "'0x10' is not written in decimal digits"),
        ("a > 0b1", 5, "not written in decimal digits"),
        ("a > 0o7", 5, "not written in decimal digits"),
        ("a > 007", 5, "begins with a 0 too many"),
        ("a > 1e301", 5, "not between 1e-300 and 1e+300"),
        ("a > 1e-301", 5, "not between 1e-300 and 1e+300"),
        ("a > 0e999", 5, "not between"),
        ("a > 99999e299", 5, "not between"),
        ("a > 1e-299 %", 5, "not between"),
        ("a > 1e999999999", 5, "not between"),
        ("a > " + "1" * 31, 5, "has more than 30 characters"),
        ("a > 1 %2", 8, "no operator before '2'; % after a number means per cent"),
        ("a > 15 % b", 10, "no operator before 'b'; % after a number"),
        ("a > 15 % (b)", 10, "no operator before '('"),
        ("a b", 3, "no operator before 'b'"),
        ("a > 1 2", 7, "no operator before '2'"),
        ("a > 1.5.2", 8, "no operator before '.2'"),
        ("(p) (q)", 5, "no operator before '('"),
        ("a > 1 AND p", 7, "no operator before 'AND'; write and in small letters"),
        ("p Or q", 3, "write or in small letters"),
        ("NOT p", 5, "no operator before 'p'; write not in small letters"),
        ("2a > 1", 2, "no operator before 'a'"),
        ("a > 1 > 2", 7, "'>' cannot stand here; write a < b and b < c"),
        ("a == 1 == 2", 8, "'==' cannot stand here; write a < b and b < c"),
        ("a > > 1", 5, "'>' cannot stand here"),
        ("a > +1", 5, "'+' cannot stand here"),
        ("and p", 1, "'and' cannot stand here"),
        ("p and or q", 7, "'or' cannot stand here"),
        ("()", 2, "')' cannot stand here"),
        ("a <> 1", 4, "'>' cannot stand here"),
        ("p)", 2, "the parenthesis was not opened"),
        ("(p and (q)", 1, "the parenthesis is not closed"),
        ("(p", 1, "the parenthesis is not closed"),
        ("(p and", 4, "something must follow 'and'"),
        ("(", 1, "something must follow '('"),
        ("a >", 3, "something must follow '>'"),
        ("not", 1, "something must follow 'not'"),
        ("(" * 21 + "p" + ")" * 21, 21, "more than 20 parentheses inside one another"),
        ("p" + " and p" * 100, 601, "at most 200 words and signs"),
        ("confidance > 1", 1, "no field 'confidance'; did you mean confidence?"),
        ("a > 1 and Confidence > 1", 11, "did you mean confidence?"),
        ("a > 1 and zzz", 11, "no field 'zzz'; there are a, b, c, confidence"),
        ("a > 'high'", 1, "a is a number and cannot be compared with the text 'high'"),
        ("a == 'high'", 1, "a is a number and cannot be compared with the text 'high'"),
        ("'high' != a", 1, "'high' is a text and cannot be compared with a, which is a number"),
        ("1 == '1'", 1, "1 is a number and cannot be compared with the text '1'"),
        ("word == 5 %", 1, "word is a text and cannot be compared with the number 5 %"),
        ("word == true", 1, "word is a text and cannot be compared with true"),
        ("p == 1", 1, "p is true or false and cannot be compared with the number 1"),
        ("a > 1 == 1", 1, "a > 1 is true or false and cannot be compared with the number 1"),
        ("(a + 1) == (b > 1)", 2, "a + 1 is a number and cannot be compared with b > 1, which"),
        ("word > 'a'", 1, "word is a text and has no order: compare by == or !="),
        ("seen < 'a'", 8, "'a' is a text and has no order"),
        ("p >= q", 1, "p is true or false and has no order"),
        ("(a > 1) > (b > 1)", 2, "a > 1 is true or false and has no order"),
        ("word + 1 > 2", 1, "word is a text, and + needs numbers"),
        ("a * p > 2", 5, "p is true or false, and * needs numbers"),
        ("'a' + 'b' == word", 1, "'a' is a text, and + needs numbers"),
        ("-word == 1", 2, "word is a text, and - needs numbers"),
        ("-(a > 1)", 3, "a > 1 is true or false, and - needs numbers"),
        ("(a > 1) + 2 > 1", 2, "a > 1 is true or false, and + needs numbers"),
        ("a + not p > 1", 9, "p is true or false and cannot be compared with the number 1"),
        ("not a", 5, "a is a number, and not needs what is true or false"),
        ("not 'x'", 5, "'x' is a text, and not needs what is true or false"),
        ("a and p", 1, "a is a number, and and needs what is true or false"),
        ("p or 1", 6, "1 is a number, and or needs what is true or false"),
        ("1 and 2", 1, "1 is a number, and and needs"),
        ("p and word", 7, "word is a text, and and needs"),
        ("a", 1, "a is a number, and a condition is true or false"),
        ("a + 1", 1, "a + 1 is a number, and a condition is true or false"),
        ("'yes'", 1, "'yes' is a text, and a condition is true or false"),
        ("15 %", 1, "15 % is a number, and a condition is true or false"),
        ("a / 0 > 1", 5, "nothing can be divided by 0"),
        ("a / 0.0 > 1", 5, "nothing can be divided by 0"),
        ("a / (1 - 1) > 1", 6, "nothing can be divided by 1 - 1, which is 0"),
        ("pnl_pct > 2 %", 11, "pnl_pct holds per cent itself: write 2 without the %"),
        ("-2.5 % > pnl_pct", 2, "write -2.5 without the %"),
        (" * ".join("aaaaaaaaa") + " > 1", 1, "could be too large or small"),
        ("a * 1e300 > 1", 1, "could be too large or small"),
        ("1e300 / a > 1", 1, "could be too large or small"),
        ("1e300 * 1e300 > a", 1, "could be too large or small"),
        ("1e-300 / 1e300 < a", 1, "could be too large or small"),
    ],
)
def test_what_a_condition_may_not_say_is_refused_at_its_place(
    text: str, at: int, words: str
) -> None:
    message = refused(text)
    assert message.startswith(f"character {at}: ")
    assert words in message
    assert len(message) < 300


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "the condition is empty"),
        (" \t ", "the condition is empty"),
        ("p" * 1001, "at most 1000 characters, not 1001"),
        (None, "a condition is a text, not NoneType"),
        (b"a > 1", "a condition is a text, not bytes"),
    ],
)
def test_what_is_no_condition_at_all_is_refused(text: Any, words: str) -> None:
    assert words in refused(text)


def test_the_limits_themselves_are_allowed() -> None:
    assert parse("p" + " " * (LONGEST - 1), FIELDS)
    assert parse("(" * DEEPEST + "p" + ")" * DEEPEST, FIELDS)
    assert len(tokens("p" + " and p" * 99 + " ")) == MOST - 1
    assert parse("not " + "p" + " and p" * 99, FIELDS)
    assert truth("a < " + "9" * 30, {"a": 1})
    assert truth("a < 1e300 and a > 1e-300 and a > 0e300", {"a": 1})
    assert truth(" * ".join("aaaaaaaa") + " > 1", {"a": 1e18})


@pytest.mark.parametrize(
    "text", ["pnl_pct > 2", "pnl_pct * 2 > 2 %", "confidence > 2 %", "pnl_pct > confidence"]
)
def test_per_cent_is_refused_only_beside_what_holds_per_cent(text: str) -> None:
    assert parse(text, FIELDS)


def test_any_name_is_a_field_where_any_data_is_allowed() -> None:
    condition = parse("price > 5 and side == 'buy' and not closed", ANYTHING)
    assert condition.holds({"price": 6, "side": "buy", "closed": False}).truth is True
    assert condition.holds({"price": 6, "side": 5, "closed": False}).truth is None
    assert "has no place here" in refused("price in side", ANYTHING)


def test_fields_of_the_desk_are_known() -> None:
    text = "confidence > 80 % and (signal_type == 'LONG' or risk_reward_ratio >= 2)"
    row = {"confidence": 0.9, "signal_type": "SHORT", "risk_reward_ratio": Decimal("2.5")}
    assert truth(text, row, SIGNALS) is True
    assert "no field 'timestamp'" in refused("timestamp > 5", SIGNALS)


@pytest.mark.parametrize(
    ("words", "node"),
    [
        ("SYMBOL:a QMARK:? SYMBOL:b COLON:: SYMBOL:c", "TernaryExpression"),
        ("SYMBOL:a COALESCE:?? SYMBOL:b", "CoalesceExpression"),
        ("SYMBOL:a EQ_FZM:=~ SYMBOL:b", "FuzzyComparisonExpression"),
        ("FLOAT:9 POW:** FLOAT:9", "ArithmeticExpression"),
        ("FLOAT:9 FDIV:// FLOAT:9", "ArithmeticExpression"),
        ("FLOAT:9 BWLSH:<< FLOAT:9", "BitwiseShiftExpression"),
        ("SYMBOL:a ATTR:. SYMBOL:b", "GetAttributeExpression"),
        ("SYMBOL:a LBRACKET:[ SYMBOL:b RBRACKET:]", "GetItemExpression"),
        ("SYMBOL:a LPAREN:( SYMBOL:b RPAREN:)", "FunctionCallExpression"),
        ("SYMBOL:a LPAREN:( RPAREN:)", "FunctionCallExpression"),
        ("LBRACKET:[ RBRACKET:]", "ArrayExpression"),
        (
            "LBRACKET:[ SYMBOL:a FOR:for SYMBOL:b IN:in SYMBOL:c RBRACKET:]",
            "ComprehensionExpression",
        ),
        ("SYMBOL:a IN:in SYMBOL:b", "ContainsExpression"),
        ("NULL:null", "NullExpression"),
        ("FLOAT_INF:inf", "FloatExpression"),
    ],
)
def test_what_the_words_let_pass_the_grammar_still_refuses(words: str, node: str) -> None:
    pairs = [word.split(":", 1) for word in words.split()]
    given_ = [Token(type_, text, at) for at, (type_, text) in enumerate(pairs, 1)]
    with pytest.raises(InputError, match=f"a condition knows no {node}"):
        grammar.grown(given_, FIELDS)


def test_many_threads_parse_at_a_time() -> None:
    texts = [f"a > {number} and (word == 'x' or b * {number} < c)" for number in range(40)]
    found: dict[str, Any] = {}

    def work(part: int) -> None:
        for text in texts[part::4] * 5:
            found[text] = parse(text, FIELDS)

    threads = [threading.Thread(target=work, args=(part,)) for part in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 40
    for number, text in enumerate(texts):
        assert found[text].holds({"a": number + 1, "word": "x"}).truth is True
        assert found[text].holds({"a": number, "word": "x"}).truth is False


HOSTILE = """
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
from alphapulse_nb.alerts import condition, template
from alphapulse_nb.alerts.fields import Field, Kind
from alphapulse_nb.errors import InputError
fields = {"a": Field("a", Kind.NUMBER), "p": Field("p", Kind.FLAG)}
nasty = [
    "9**9**9 > a", "9**9**9**9", "a > 9 ** 999999999", "1 << 99999999999 > a",
    "[x for x in [0, 1] for y in [0, 1]]", "[[[[[[[[a]]]]]]]]",
    "$range(999999999)[0] > a", "$split('a' * 99)", "'a' * 999999999 == p",
    "'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa!' =~ '(a+)+$'", "'(' =~ '('",
    "a > 1e999999999", "a > " + "9" * 900, "a > 1e-999999999", "a > 0x" + "f" * 900,
    "1e300 * 1e300 * 1e300 > a", "a > 1" + "0" * 25 + "e300 %",
    "a" * 10_000, "a > 1" + " " * 9_995, "(" * 10_000, "(" * 900, "(" * 450 + "p" + ")" * 450,
    "not " * 5_000 + "p", "not " * 249 + "p", "-" * 990 + "a > 1", "p " * 450, "p and " * 160,
    '"' * 999, '"' + "\\\\" * 998, "'" + "a" * 998, "b'" + "\\\\x" * 300, '"\\\\N{BULLET}" == p',
    "\\0" * 1000, "a\\0 > 1", "p\\ud800", "\\u202ep", "\\ufeffp", "p\\u2028and p", "\\U000e0001p",
    "ｐ", "р", "a > ٣", "a > ²", "p ＆ p", "∞ > a", "a > 1_000", "a.__class__", "p.p.p",
    "__import__('os')", "lambda: 1", "p; p", "`p`", "{}", "{p: p}", "a ? b : c ? d : e",
    "d'9999-99-99' == p", "t'P9999999999D' == p", "\\\\", "#" * 999, "%" * 999, "1 " + "% " * 400,
]
for text in nasty:
    try:
        condition.parse(text, fields)
    except InputError as error:
        assert len(str(error)) < 400, text
    else:
        sys.exit(f"passed: {text[:60]!r}")
slots = [
    "{" * 1999, "}" * 1999, "{" * 1001, "{a:" + " " * 1990, "{" + " " * 1990 + "}", "{a!r}",
    "{ " * 900, "{a:{a}}", "{a.__class__}", "{a[0]}", "{" + "a" * 1900 + "}", "{a:.9999999999f}",
    "{a:>99999999999}", "{0}", "{}", "{:%}", "x" * 2001, "\\0",
    "{a:.2\\0}", "\\ud800{a}", "{\\u202ea}",
]
for text in slots:
    try:
        template.parse(text, fields, {})
    except InputError as error:
        assert len(str(error)) < 400, text
    else:
        sys.exit(f"passed: {text[:60]!r}")
print("all refused")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit of memory to set")
def test_nothing_that_is_written_takes_much_memory_or_time() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", HOSTILE],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.stdout, done.stderr) == ("all refused\n", "")


@given(st.text(max_size=60) | st.text("ap01 .()[]{}<>=!+-*/%'\"andortfi?:,~$#&|\\", max_size=60))
def test_any_text_is_a_condition_or_an_input_error(text: str) -> None:
    message = ""
    try:
        assert parse(text, FIELDS).holds({}).truth in (True, False, None)
    except InputError as error:
        message = str(error)
    assert message.isprintable()


def test_importing_conditions_does_not_bring_in_the_grammar() -> None:
    code = "import sys, alphapulse_nb.alerts.condition as c; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"rule_engine", "pandas", "numpy"} & set(done.stdout.split()) == set()
