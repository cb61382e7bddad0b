"""Templates: what they may say, how values are written, and that no value does harm."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alphapulse_nb.alerts.fields import Field, Kind, fields_of
from alphapulse_nb.alerts.template import LONGEST, LONGEST_TEXT, LONGEST_TITLE, Rendered, parse
from alphapulse_nb.errors import InputError
from alphapulse_nb.events import Kinds

FIELDS = {
    "symbol": Field("symbol", Kind.TEXT),
    "up": Field("up", Kind.FLAG),
    "pnl": Field("pnl", Kind.NUMBER, "USDT"),
    "total_return": Field("total_return", Kind.NUMBER, "%"),
    "pnl_pct": Field("pnl_pct", Kind.NUMBER, "per cent"),
    "value": Field("value", Kind.NUMBER),
    "seen": Field("seen", None),
}
EXTRA = {
    "rule": Field("rule", Kind.TEXT),
    "value": Field("value", Kind.NUMBER, "%"),
    "team": Field("team", Kind.TEXT),
}


def rendered(text: str, values: Mapping[str, Any], **options: Any) -> str:
    found = parse(text, FIELDS, EXTRA, **options).render(values)
    assert found.missing == ()
    return found.text


@pytest.mark.parametrize(
    ("slot", "value", "text"),
    [
        ("{pnl}", 0, "0"),
        ("{pnl}", -0.0, "0"),
        ("{pnl}", 5, "5"),
        ("{pnl}", 1234567.5, "1,234,567.5"),
        ("{pnl}", -1234.56789, "-1,234.5679"),
        ("{pnl}", 0.1 + 0.2, "0.3"),
        ("{pnl}", 0.000123456, "0.0001235"),
        ("{pnl}", 0.99996, "1"),
        ("{pnl}", -0.5, "-0.5"),
        ("{pnl}", 100, "100"),
        ("{pnl}", 1e-12, "1e-12"),
        ("{pnl}", 1e300, "1e+300"),
        ("{pnl}", -1e15, "-1e+15"),
        ("{pnl}", 999_999_999_999_999, "999,999,999,999,999"),
        ("{pnl}", math.inf, "∞"),
        ("{pnl}", -math.inf, "-∞"),
        ("{pnl}", 10**400, "∞"),
        ("{pnl}", Decimal("67123.50"), "67,123.5"),
        ("{pnl}", np.float64(2.5), "2.5"),
        ("{pnl}", np.int64(7), "7"),
        ("{pnl:.0}", 1234.5678, "1,235"),
        ("{pnl:.2}", 1234.5, "1,234.50"),
        ("{pnl:.6}", 1.5, "1.500000"),
        ("{pnl:.2}", -0.001, "0.00"),
        ("{pnl:.2}", 1e300, "1e+300"),
        ("{pnl:%}", 0.5, "50 %"),
        ("{pnl:%.1}", 0.1234, "12.3 %"),
        ("{pnl:signed}", 5, "+5"),
        ("{pnl:signed}", -5, "-5"),
        ("{pnl:signed}", math.inf, "+∞"),
        ("{total_return}", 0.1501, "15.01 %"),
        ("{total_return}", 0.0001, "0.01 %"),
        ("{total_return}", 0.00012345, "0.01234 %"),
        ("{total_return}", -0.2, "-20 %"),
        ("{total_return}", 12.5, "1,250 %"),
        ("{total_return}", math.inf, "∞ %"),
        ("{total_return:signed}", 0.1501, "+15.01 %"),
        ("{total_return:%.0}", 0.1501, "15 %"),
        ("{total_return:%}", 0.1501, "15.01 %"),
        ("{total_return:.3}", 0.1501, "0.150"),
        ("{pnl_pct}", 1.5, "1.5 %"),
        ("{pnl_pct:signed}", 1.5, "+1.5 %"),
        ("{pnl_pct:%.2}", 1.5, "1.50 %"),
        ("{pnl_pct:.2}", 1.5, "1.50"),
        ("{symbol}", "BTC/USDT", "BTC/USDT"),
        ("{symbol}", 5, "5"),
        ("{symbol}", "", ""),
        ("{up}", True, "yes"),
        ("{up}", np.bool_(False), "no"),
        ("{seen}", 0.5, "0.5"),
        ("{seen}", "x", "x"),
        ("{seen:.2}", 0.5, "0.50"),
        ("{seen:.2}", "x", "x"),
        ("{seen}", ["a", 1], "['a', 1]"),
        ("{value}", 0.15, "15 %"),
        ("{rule}", "a {rule}", "a {rule}"),
        ("{ pnl }", 5, "5"),
        ("{pnl : .2 }", 5, "5.00"),
        ("{pnl:}", 5, "5"),
        ("{{{pnl}}}", 5, "{5}"),
    ],
)
def test_a_value_is_written_by_its_unit_and_format(slot: str, value: Any, text: str) -> None:
    name = slot.strip("{ }").partition(":")[0].strip()
    assert rendered(slot, {name: value}) == text


def test_texts_and_fields_stand_side_by_side() -> None:
    template = parse("{symbol}{pnl}: {{{team}}} {pnl:.1}\n100 %", FIELDS, EXTRA)
    assert template.names == {"symbol", "pnl", "team"}
    assert template.text == "{symbol}{pnl}: {{{team}}} {pnl:.1}\n100 %"
    values = {"symbol": "X", "pnl": 2, "team": "a"}
    assert template.render(values) == Rendered("X2: {a} 2.0\n100 %", ())
    assert parse("", FIELDS, EXTRA).render({}) == Rendered("", ())
    assert rendered("a\r\n{pnl}\r\n", {"pnl": 5}) == "a\n5\n"


@given(st.text(st.characters(exclude_categories=["Cc", "Cf", "Cs", "Zl", "Zp"]), max_size=80))
def test_a_text_with_its_braces_doubled_is_written_as_it_is(text: str) -> None:
    doubled = text.replace("{", "{{").replace("}", "}}")
    assert rendered(doubled, {}) == text


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"pnl": None, "symbol": None},
        {"pnl": math.nan, "symbol": math.nan},
        {"pnl": Decimal("NaN"), "symbol": None},
        {"pnl": np.float32("nan"), "symbol": None},
    ],
)
def test_a_field_without_a_value_is_not_available_and_named_once(values: dict[str, Any]) -> None:
    template = parse("{pnl} of {symbol}, {pnl:.2} {team}", FIELDS, EXTRA)
    found = template.render(values | {"team": "a"})
    assert found == Rendered("n/a of n/a, n/a a", ("pnl", "symbol"))


@pytest.mark.parametrize(
    ("text", "at", "words"),
    [
        ("{pnl", 1, "not closed; write {{"),
        ("a {", 3, "not closed; write {{"),
        ("pnl}", 4, "closes nothing; write }}"),
        ("{{pnl}", 6, "closes nothing"),
        ("{pnl}}", 6, "closes nothing"),
        ("{}", 2, "a field's name must stand between the braces"),
        ("{  }", 2, "a field's name must stand"),
        ("{:.2}", 2, "a field's name must stand between the braces"),
        ("{0}", 2, "'0' is no field's name"),
        ("{pnl symbol}", 2, "'pnl symbol' is no field's name"),
        ("{größe}", 2, "'größe' is no field's name"),
        ("{pnl.real}", 5, "no attributes: '.'"),
        ("{pnl.__class__}", 5, "no attributes"),
        ("{symbol[0]}", 8, "no items: '['"),
        ("{symbol()}", 8, "no calls: '('"),
        ("{pnl!r}", 5, "no conversions: '!'"),
        ("{pnl:{symbol}}", 6, "no fields inside fields"),
        ("{{{pnl:{symbol}}}}", 8, "no fields inside fields"),
        ("{{ {a{pnl}}", 6, "no fields inside fields"),
        ("{pnll}", 2, "no field 'pnll'; did you mean pnl?"),
        ("at { teams }", 6, "did you mean team?"),
        ("{qqq}", 2, "there is no field 'qqq'"),
        ("{pnl:.7}", 6, "written by .0 to .6, %, %.0 to %.6 or signed, not '.7'"),
        ("{pnl:.2f}", 6, "not '.2f'"),
        ("{pnl:>10}", 6, "not '>10'"),
        ("{pnl:,}", 6, "not ','"),
        ("{pnl:signed.2}", 6, "not 'signed.2'"),
        ("{pnl:.2.3}", 6, "not '.2.3'"),
        ("{pnl::}", 6, "not ':'"),
        ("{symbol:.2}", 9, "symbol is no number, and .2 is for numbers"),
        ("{up:%}", 5, "up is no number"),
        ("a\0b", 2, "invisible character U+0000"),
        ("a\u202eb", 2, "invisible character U+202E"),
        ("a\u2028b", 2, "invisible character U+2028"),
        ("a\x85b", 2, "invisible character U+0085"),
        ("a\ud800b", 2, "invisible character U+D800"),
        ("a\rb", 2, "U+000D"),
    ],
)
def test_what_a_template_may_not_say_is_refused_at_its_place(
    text: str, at: int, words: str
) -> None:
    with pytest.raises(InputError) as caught:
        parse(text, FIELDS, EXTRA)
    assert str(caught.value).startswith(f"character {at}: ")
    assert words in str(caught.value)


def test_a_title_is_one_short_line() -> None:
    title = {"longest": LONGEST_TITLE, "one_line": True}
    assert rendered("x" * 200, {}, **title) == "x" * 200
    with pytest.raises(InputError, match="at most 200 characters, not 201"):
        parse("x" * 201, FIELDS, EXTRA, **title)
    for text in ("a\nb", "a\r\nb"):
        with pytest.raises(InputError, match="character 2: a title is one line"):
            parse(text, FIELDS, EXTRA, **title)
    with pytest.raises(InputError, match=r"U\+000B"):
        parse("a\x0bb", FIELDS, EXTRA, **title)
    with pytest.raises(InputError, match="a template is a text, not NoneType"):
        parse(None, FIELDS, EXTRA)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="at most 2000 characters"):
        parse("x" * (LONGEST + 1), FIELDS, EXTRA)


@pytest.mark.parametrize(
    "value",
    [
        "a\r\nBcc: x@y.example",
        "a\nb",
        "a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g",
        "a\0b\x1b[31m",
        "\u202eevil\u2066\u200f",
        "\ud800",
    ],
)
def test_a_value_brings_in_nothing_that_breaks_hides_or_turns(value: str) -> None:
    for name in ("symbol", "seen"):
        text = rendered(f"<{{{name}}}>", {name: value}, one_line=True)
        assert len(text) == len(value) + 2
        assert text.encode()
        assert len(text.splitlines()) == 1
        assert not {unicodedata.category(letter) for letter in text} & {"Cc", "Cf", "Cs"}


@given(st.text(max_size=300))
def test_a_title_stays_one_line_whatever_a_value_holds(value: str) -> None:
    text = rendered("{symbol}: {rule}", {"symbol": value, "rule": value}, one_line=True)
    assert len(text.splitlines()) == 1
    assert text.encode()


@given(st.floats(), st.sampled_from(["", ":.0", ":.6", ":%", ":%.3", ":signed"]))
def test_every_number_can_be_written_shortly(value: float, form: str) -> None:
    found = parse(f"{{pnl{form}}}{{total_return{form}}}", FIELDS, EXTRA).render(
        {"pnl": value, "total_return": value}
    )
    assert len(found.text) <= 70
    assert bool(found.missing) is math.isnan(value)


@given(st.floats(-1e6, 1e6))
def test_a_number_is_written_closely_enough(value: float) -> None:
    back = float(rendered("{pnl}", {"pnl": value}).replace(",", ""))
    assert back == pytest.approx(value, rel=5e-4, abs=5e-13)
    assert abs(back - value) <= max(5.01e-5, 0.0)


def test_long_values_and_texts_lose_their_end() -> None:
    assert rendered("{symbol}!", {"symbol": "x" * 200}) == "x" * 200 + "!"
    assert rendered("{symbol}!", {"symbol": "x" * 201}) == "x" * 200 + "…!"
    assert rendered("{seen}", {"seen": ["x" * 999]}) == "['" + "x" * 198 + "…"
    many = rendered("{symbol}" * 100, {"symbol": "x" * 200})
    assert len(many) == LONGEST_TEXT
    assert many.endswith("x…")
    assert rendered("{symbol}" * 20, {"symbol": "x" * 200}) == "x" * 4_000


def test_what_every_rule_has_hides_a_field_of_the_same_name() -> None:
    assert rendered("{value}", {"value": 0.5}) == "50 %"
    assert parse("{value}", FIELDS, {}).render({"value": 0.5}).text == "0.5"


def test_any_name_is_a_field_where_any_data_is_allowed() -> None:
    anything = fields_of("fill", Kinds({"fill": None}))
    assert parse("{price:.1} {rule}", anything, EXTRA).render({"price": 2, "rule": "r"}) == (
        Rendered("2.0 r", ())
    )
