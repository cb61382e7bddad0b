"""Rules in words, from a form and back, and the editor's turn of questions, in a real browser."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from alphapulse_nb.alerts import check, fields, files
from alphapulse_nb.alerts import rule as rules
from alphapulse_nb.alerts.rule import Aggregate
from alphapulse_nb.alerts.states import Operator
from alphapulse_nb.events import Kinds
from alphapulse_nb.notify.channels.kinds import KINDS, WEBHOOK
from alphapulse_nb.notify.notification import Priority, Type
from alphapulse_nb.notify.preferences import RANGES
from tests.conftest import wait_until

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from alphapulse_nb.alerts.rule import Rule

pytestmark = pytest.mark.browser

SHIPPED = {rule.name: rule for rule in files.shipped()}

TRICKY: list[dict[str, Any]] = [
    {"name": "all as one", "source": "signals", "where": "confidence > 0.8", "by": []},
    {
        "name": "many",
        "source": "signals",
        "where": "confidence > 80 %",
        "enabled": False,
        "aggregate": "count",
        "window": "2h",
        "operator": ">=",
        "threshold": 3,
        "for": "1m",
        "unit": "signals",
        "labels": {"team": "risk"},
        "channels": ["desk", "night"],
    },
    {
        "name": "more trades",
        "source": "performance_metrics",
        "aggregate": "change",
        "field": "trade_count",
        "window": "1h",
        "operator": "<",
        "threshold": "-7 %",
    },
    {
        "name": "small",
        "source": "funding_rates",
        "aggregate": "mean",
        "operator": "!=",
        "field": "funding_rate",
        "window": "1d12h",
        "threshold": 0.00007,
    },
    {
        "name": "a rule of later",
        "source": "signals",
        "where": "confidence > 0.8",
        "colour": "green",
        "escalates": [1, 2],
    },
]


def vocabulary() -> dict[str, Any]:
    kinds = Kinds()
    found = {name: fields.fields_of(name, kinds) for name in fields.sources(kinds)}
    return {
        "sources": [
            {
                "name": name,
                "kind": "event" if name == "system_status" else "table",
                "anything": of.anything,
                "fields": [
                    {"name": one.name, "kind": one.kind or "", "unit": one.unit}
                    for one in of.values()
                ],
            }
            for name, of in found.items()
        ],
        "aggregates": list(Aggregate),
        "operators": list(Operator),
        "types": list(Type),
        "priorities": list(Priority),
        "channels": ["desk"],
        "texts": [*check.EXTRA],
        "window_texts": [*check.measured(fields.Kind.NUMBER, "")],
    }


def checked(rule: Rule) -> Rule:
    """The rule as a desk keeps it that it was shipped to: with its unit."""
    return check.check(rule, Kinds()).rule


def test_a_form_makes_the_record_that_it_was_made_of(scripts: Page) -> None:
    kept = [rule.plain() for rule in SHIPPED.values()]
    kept += [checked(rule).plain() for rule in SHIPPED.values()]
    assert len(kept) == 16
    got = scripts.evaluate(
        """async ([records, { sources }]) => {
            const { formOf, recordOf } = await import("/rule_record.js");
            return records.map((record) => recordOf(formOf(record, sources), record));
        }""",
        [[*kept, *TRICKY], vocabulary()],
    )
    for record, back in zip([*kept, *TRICKY], got, strict=True):
        assert back == record
    for rule, back in zip(SHIPPED.values(), got, strict=False):
        assert list(back) == list(rule.plain())


def test_a_new_form_says_the_same_as_a_file(scripts: Page) -> None:
    """Typed anew, without a kept record to lean on: what is meant is what counts."""
    got = scripts.evaluate(
        """async ([records, { sources }]) => {
            const { formOf, recordOf } = await import("/rule_record.js");
            return records.map((record) => recordOf(formOf(record, sources)));
        }""",
        [[rule.plain() for rule in SHIPPED.values()], vocabulary()],
    )
    assert [rules.read(record) for record in got] == list(SHIPPED.values())


def test_a_record_holds_only_what_applies(scripts: Page) -> None:
    got = scripts.evaluate(
        """async () => {
            const { newForm, recordOf, slips } = await import("/rule_record.js");
            const all = { ...newForm(), name: " many ", source: "signals", where: "a > 1",
                aggregate: "mean", field: "confidence", window: "2h", threshold: "80 %", for: "1m",
                recovery: "0.7", unit: "%", by: "symbol,  exchange",
                labels: [["", ""], ["a", "b"]] };
            const over = { ...all, over: "window" };
            const changed = (changes) => recordOf({ ...over, ...changes });
            return { rows: recordOf(all), over: recordOf(over),
                silence: changed({ aggregate: "silence", threshold: "15m" }),
                equal: changed({ operator: "==" }), apart: changed({ apart: "fields" }),
                one: changed({ apart: "nothing" }),
                slips: [
                    slips({ ...over, threshold: " " }, []), slips(all, ["many"]),
                    slips({ ...all, apart: "fields", by: "," }, []),
                    slips({ ...all, labels: [["a", "1"], ["a", "2"]] }, []),
                    slips({ ...all, labels: [["", "2"]] }, []), slips(over, ["other"]),
                ].map((found) => found.map(({ place }) => place)) };
        }"""
    )
    base = {"name": "many", "source": "signals", "where": "a > 1", "labels": {"a": "b"}}
    over = {
        "aggregate": "mean",
        "field": "confidence",
        "window": "2h",
        "operator": ">",
        "threshold": "80 %",
        "recovery": 0.7,
        "unit": "%",
        "for": "1m",
    }
    assert got["rows"] == base
    assert got["over"] == base | over
    without = {name: over[name] for name in over if name not in ("field", "unit")}
    assert got["silence"] == base | without | {"aggregate": "silence", "threshold": "15m"}
    assert "recovery" not in got["equal"]
    assert got["apart"]["by"] == ["symbol", "exchange"]
    assert got["one"]["by"] == []
    assert got["slips"] == [["threshold"], ["name"], ["by"], ["labels"], ["labels"], []]


WORDS = {
    "drawdown": (
        "last drawdown in performance_metrics over 15 min > 20 %, for each symbol, strategy_id"
    ),
    "excellent backtest": "each row of backtests where total_return > 15 %",
    "feed silent": "silence of performance_metrics > 15 min, for each symbol",
    "system error": 'each event of system_status where status == "error", for each server, part',
    "many": "count of signals where confidence > 80 % over 2 h ≥ 3 signals, for 1 min",
    "more trades": "change of trade_count in performance_metrics over 1 h < -7 %",
    "small": "mean funding_rate in funding_rates over 1 d 12 h ≠ 0.007 %",
    "all as one": "each row of signals where confidence > 0.8, all as one",
}

MEANINGS = [
    ("0.15", "drawdown", "last", "= 15 %"),
    ("15 %", "drawdown", "last", "= 0.15"),
    ("15%", "drawdown", "last", "= 0.15"),
    ("15", "drawdown", "last", "= 1500 %"),
    ("", "drawdown", "last", "%"),
    ("abc", "drawdown", "last", "%"),
    ("100", "pnl", "sum", "USDT"),
    ("15 %", "pnl", "sum", "= 0.15 USDT"),
    ("3", "", "count", ""),
    ("0.5", "pnl", "change", "= 50 %"),
    ("15m", "", "silence", ""),
    ("90m", "", "silence", "= 1 h 30 min"),
    ("900", "", "silence", "= 15 min"),
]

POINTED = [
    ("confidnce > 1", "character 1: there is no field", ["", "confidnce", " > 1"]),
    ("a == 1 and", "character 11: something must follow", ["a == 1 and", "", ""]),
    ("😀 > x", "character 5: what is x", ["😀 > ", "x", ""]),
    (f"{'a' * 40} ! {'b' * 40}", "character 42: no", [f"…{'a' * 23} ", "!", f" {'b' * 23}…"]),
    ("a > 1", "it is missing", None),
]  # fmt: skip


def test_rules_and_thresholds_are_put_into_words(scripts: Page) -> None:
    named = {rule.name: rule.plain() for rule in SHIPPED.values()}
    named |= {str(record["name"]): record for record in TRICKY}
    got = scripts.evaluate(
        """async ([records, meanings, pointed, { sources }]) => {
            const { watches, thresholdMeaning, pointedAt } = await import("/rule_words.js");
            const source = "performance_metrics";
            const rule = (field, aggregate) => ({ source, field, aggregate });
            return {
                words: records.map((record) => watches(record, sources)),
                meanings: meanings.map(([text, field, aggregate]) =>
                    thresholdMeaning(text, rule(field, aggregate), sources)),
                pointed: pointed.map(([text, message]) => {
                    const at = pointedAt(text, message);
                    return at && [at.before, at.word, at.after];
                }),
            };
        }""",
        [[named[name] for name in WORDS], MEANINGS, POINTED, vocabulary()],
    )
    assert got["words"] == list(WORDS.values())
    assert got["meanings"] == [words for *_, words in MEANINGS]
    assert got["pointed"] == [parts for *_, parts in POINTED]


def test_lengths_of_time_are_those_that_the_server_reads(scripts: Page) -> None:
    texts = ["90s", "15m", "2h", "1d12h", "1d 12h", "0s", "", "15", "1h1d", "m", "1.5h"]
    got = scripts.evaluate(
        """async (texts) => {
            const { secondsOf } = await import("/rule_record.js");
            return texts.map(secondsOf);
        }""",
        texts,
    )
    assert got == [90, 900, 7200, 129_600, 129_600, 0, None, None, None, None, None]


def test_an_example_is_known_for_every_kind_of_channel_and_numbers_are_checked(
    scripts: Page,
) -> None:
    got = scripts.evaluate(
        """async (names) => {
            const { CHANNEL_KINDS, exampleOf } = await import("/channel_kinds.js");
            const { figureOf } = await import("/preference_inputs.js");
            return { kinds: Object.keys(CHANNEL_KINDS), examples: names.map(exampleOf),
                figures: [["min_confidence", "80 %"], ["min_confidence", "101"],
                    ["min_confidence", ""], ["min_rr_ratio", "1.5"], ["min_rr_ratio", "-1"],
                    ["max_on_screen", "1.5"], ["max_on_screen", "0"],
                    ["auto_dismiss_seconds", "0"]].map(([name, text]) => figureOf(name, text)) };
        }""",
        list(KINDS),
    )
    assert got["kinds"] == [*KINDS, WEBHOOK]
    assert got["examples"] == [kind.example for kind in KINDS.values()]
    wrong = [type(found) is str for found in got["figures"]]
    assert wrong == [False, True, True, False, True, True, True, False]
    assert got["figures"][0] == 80


def test_numbers_of_the_settings_have_the_ranges_of_the_server(scripts: Page) -> None:
    scale = {"min_confidence": 100}  # people write per cent
    asked = [
        [name, str(bound * scale.get(name, 1) + over)]
        for name, (least, most) in RANGES.items()
        for bound, over in ((least, 0), (most, 0), (least, -1), (most, 1))
    ]
    got = scripts.evaluate(
        """async (asked) => {
            const { figureOf } = await import("/preference_inputs.js");
            return asked.map(([name, text]) => typeof figureOf(name, text) === "number");
        }""",
        asked,
    )
    assert got == [True, True, False, False] * len(RANGES)


EDITOR = """async ([vocabulary, start, kept]) => {
    const { RuleEditor } = await import("/rule_editor.js");
    globalThis.asked = [];
    globalThis.saved = [];
    const api = { ask: (name, values, body) => new Promise((resolve, reject) => {
        globalThis.asked.push({ name, values, body, resolve, reject });
    }) };
    const editor = new RuleEditor(document.body, { api, vocabulary, kept, start,
        taken: ["drawdown"], done: (one) => globalThis.saved.push(one) });
    globalThis.editor = editor;
}"""

ANSWER = """([place, ok, title]) => globalThis.asked[place].resolve({ ok, trouble: "", rule: null,
    problems: ok ? [] : [{ place: "where", message: title }],
    lines: [{ labels: {}, outcome: "fires", reason: "", title, message: "",
        missing: ["pnl"] }] })"""

MINE = {"name": "mine", "source": "signals", "where": "confidence > 0.8", "colour": "green"}


def opened(scripts: Page, rule: dict[str, Any], version: int = 4) -> None:
    kept = {"name": rule["name"], "rule": rule, "version": version, "changed_by": "ann"}
    scripts.evaluate(EDITOR, [vocabulary(), rule, kept])
    wait_until(lambda: asked(scripts) == ["check"])


def asked(scripts: Page) -> list[str]:
    found: list[str] = scripts.evaluate("globalThis.asked.map(({ name }) => name)")
    return found


def body(scripts: Page, place: int) -> Any:
    return scripts.evaluate("(place) => globalThis.asked[place].body", place)


def test_of_several_answers_the_newest_question_s_counts_and_wrong_rules_are_not_saved(
    scripts: Page,
) -> None:
    opened(scripts, MINE)
    scripts.get_by_label("Where", exact=True).fill("confidnce > 0.9")
    wait_until(lambda: asked(scripts) == ["check", "check"])
    assert body(scripts, 1) == {"rule": MINE | {"where": "confidnce > 0.9"}}
    scripts.evaluate(ANSWER, [1, False, "character 1: there is no field 'confidnce'"])
    wait_until(lambda: scripts.locator(".ap-wrong").count() == 1)
    scripts.evaluate(ANSWER, [0, True, "an old answer"])
    save = scripts.get_by_role("button", name="Save")
    assert save.get_attribute("aria-disabled") == "true"
    save.dispatch_event("click")
    wait_until(lambda: len(asked(scripts)) == 3)
    assert scripts.locator(".ap-wrong").count() == 1
    assert scripts.locator(".ap-wrong mark").inner_text() == "confidnce"
    assert "an old answer" not in scripts.inner_text("body")
    scripts.evaluate(ANSWER, [2, False, "character 1: there is no field 'confidnce'"])
    where = scripts.get_by_label("Where", exact=True)
    wait_until(lambda: where.evaluate("(node) => node === document.activeElement"))
    assert asked(scripts) == ["check"] * 3
    assert where.get_attribute("aria-invalid") == "true"
    where.fill("confidence > 0.9")
    wait_until(lambda: len(asked(scripts)) == 4)
    scripts.evaluate(ANSWER, [3, True, "LONG <b>BTC</b>"])
    wait_until(lambda: scripts.locator(".ap-wrong").count() == 0)
    card = scripts.locator(".ap-preview-card").inner_text()
    assert "LONG <b>BTC</b>" in card
    assert "Without a value now: pnl" in card


def test_what_somebody_else_saved_is_offered_and_what_was_typed_is_kept(scripts: Page) -> None:
    opened(scripts, MINE)
    about = scripts.get_by_label("About")
    about.fill("typed by me")
    wait_until(lambda: asked(scripts) == ["check"] * 2)
    scripts.get_by_role("button", name="Save").click()
    wait_until(lambda: len(asked(scripts)) == 3)
    scripts.evaluate(ANSWER, [2, True, ""])
    wait_until(lambda: asked(scripts)[-1] == "save")
    assert body(scripts, 3) == {"rule": MINE | {"about": "typed by me"}, "version": 4}
    scripts.evaluate("globalThis.asked[3].reject({ code: 'conflict', message: 'changed' })")
    wait_until(lambda: asked(scripts)[-1] == "rules")
    theirs = {"name": "mine", "rule": MINE | {"about": "theirs"}, "version": 7, "changed_by": "bob"}
    scripts.evaluate("(one) => globalThis.asked[4].resolve({ rules: [one] })", theirs)
    scripts.get_by_role("button", name="Load theirs").click()
    assert about.input_value() == "theirs"
    scripts.get_by_role("button", name="Back to what I typed").click()
    assert about.input_value() == "typed by me"
    count = len(asked(scripts))
    scripts.get_by_role("button", name="Save").click()
    wait_until(lambda: len(asked(scripts)) > count)
    scripts.evaluate(ANSWER, [len(asked(scripts)) - 1, True, ""])
    wait_until(lambda: asked(scripts)[-1] == "save")
    last = len(asked(scripts)) - 1
    assert body(scripts, last) == {"rule": MINE | {"about": "typed by me"}, "version": 7}
    scripts.evaluate("(place) => globalThis.asked[place].reject({ code: 'conflict' })", last)
    wait_until(lambda: asked(scripts)[-1] == "rules")
    again = "([place, one]) => globalThis.asked[place].resolve({ rules: [one] })"
    scripts.evaluate(again, [last + 1, theirs | {"version": 9}])
    scripts.get_by_role("button", name="Keep mine").click()
    scripts.get_by_role("button", name="Save").click()
    wait_until(lambda: asked(scripts)[-1] == "check")
    scripts.evaluate(ANSWER, [last + 2, True, ""])
    wait_until(lambda: asked(scripts)[-1] == "save")
    assert body(scripts, last + 3) == {"rule": MINE | {"about": "typed by me"}, "version": 9}
    scripts.evaluate("(place) => globalThis.asked[place].resolve({ name: 'mine' })", last + 3)
    wait_until(lambda: scripts.evaluate("globalThis.saved") == [{"name": "mine"}])


def test_leaving_asks_only_where_something_would_be_lost(scripts: Page) -> None:
    opened(scripts, MINE)
    cancel = scripts.get_by_role("button", name="Cancel")
    cancel.click()
    wait_until(lambda: scripts.evaluate("globalThis.saved") == [None])
    opened(scripts, MINE)
    scripts.get_by_label("Cooldown").fill("15m")
    cancel.click()
    asks = scripts.get_by_role("alertdialog")
    assert "Leave without saving" in (asks.get_attribute("aria-label") or "")
    scripts.keyboard.press("Escape")
    assert asks.count() == 0
    assert scripts.get_by_label("Cooldown").input_value() == "15m"
    assert scripts.evaluate("globalThis.saved") == []
    cancel.click()
    asks.get_by_role("button", name="Leave").click()
    wait_until(lambda: scripts.evaluate("globalThis.saved") == [None])
