"""Deciding: which reason counts first, and that there is always one."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alphapulse_nb.notify import quiet
from alphapulse_nb.notify.decide import Context, Decision, Outcome, Snooze, decide
from alphapulse_nb.notify.notification import Notification, Priority, Type
from alphapulse_nb.notify.preferences import Preferences
from alphapulse_nb.notify.quiet import Hours
from tests.notify.notifications import (
    any_notification,
    any_preferences,
    filled_text,
    moments,
    notification,
    zones,
)

NIGHT = datetime(2026, 1, 31, 23, tzinfo=UTC)
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
MORNING = datetime(2026, 2, 1, 8, tzinfo=UTC)
HOUR = timedelta(hours=1)
SNOOZE = Snooze(rule="strong signals", until=NIGHT + HOUR)

# Everything that speaks against a signal at night, in the order in which it counts.
AGAINST = [
    Outcome.DUPLICATE,
    Outcome.DISABLED,
    Outcome.TYPE_DISABLED,
    Outcome.BELOW_CONFIDENCE,
    Outcome.BELOW_RISK_REWARD,
    Outcome.SNOOZED,
    Outcome.COOLDOWN,
    Outcome.QUIET_HOURS,
]


def decided(against: set[Outcome], priority: Priority = Priority.HIGH) -> Decision:
    """What is decided about a signal when just these speak against it."""
    signal = notification(
        priority=priority,
        confidence=0.7 if Outcome.BELOW_CONFIDENCE in against else 0.8,
        risk_reward_ratio=1.4 if Outcome.BELOW_RISK_REWARD in against else 1.5,
    )
    wanted = Preferences(
        enabled=Outcome.DISABLED not in against,
        types={Type.SIGNAL: Outcome.TYPE_DISABLED not in against},
    )
    context = Context(
        seen=Outcome.DUPLICATE in against,
        snoozes=[SNOOZE] if Outcome.SNOOZED in against else [],
        cooldown=Outcome.COOLDOWN in against,
    )
    return decide(signal, wanted, context, NIGHT if Outcome.QUIET_HOURS in against else NOON)


@pytest.mark.parametrize(
    ("outcome", "reason"),
    [
        (Outcome.DUPLICATE, "told before"),
        (Outcome.DISABLED, "your notifications are off"),
        (Outcome.TYPE_DISABLED, "your notifications of type signal are off"),
        (Outcome.BELOW_CONFIDENCE, "confidence 70 % is below your 80 %"),
        (Outcome.BELOW_RISK_REWARD, "risk-reward ratio 1.4 is below your 1.5"),
        (Outcome.SNOOZED, "you snoozed it until 2026-02-01 00:00 UTC"),
        (Outcome.COOLDOWN, "the cooldown of its rule is not over"),
        (Outcome.QUIET_HOURS, "your quiet hours are 22:00 to 08:00 UTC"),
    ],
)
def test_each_reason_is_enough_and_is_given_in_words(outcome: Outcome, reason: str) -> None:
    found = decided({outcome})
    assert (found.outcome, found.reason) == (outcome, reason)


def test_a_notification_against_which_nothing_speaks_is_sent() -> None:
    assert decided(set()) == Decision(Outcome.SENT, "nothing speaks against it")


@pytest.mark.parametrize(("first", "second"), [*itertools.combinations(AGAINST, 2)])
def test_of_two_reasons_the_first_of_the_order_counts(first: Outcome, second: Outcome) -> None:
    assert decided({second, first}).outcome is first


@settings(deadline=None)
@given(st.sets(st.sampled_from(AGAINST)))
def test_what_is_urgent_passes_quiet_hours_and_nothing_else(against: set[Outcome]) -> None:
    others = [reason for reason in AGAINST if reason in against - {Outcome.QUIET_HOURS}]
    found = decided(against, Priority.URGENT)
    assert found.outcome is (others[0] if others else Outcome.SENT)


@settings(deadline=None)
@given(st.sets(st.sampled_from(AGAINST)), st.sampled_from(Priority))
def test_only_what_quiet_hours_keep_is_told_later_and_in_a_digest(
    against: set[Outcome], priority: Priority
) -> None:
    found = decided(against, priority)
    is_kept = found.outcome is Outcome.QUIET_HOURS
    assert (found.until, found.digest) == ((MORNING, True) if is_kept else (None, False))


def test_an_urgent_one_says_that_it_is_quiet() -> None:
    found = decided({Outcome.QUIET_HOURS}, Priority.URGENT)
    assert found.reason == "urgent, although your quiet hours are 22:00 to 08:00 UTC"


@pytest.mark.parametrize(
    ("happened", "now", "outcome"),
    [
        (NIGHT, NIGHT, Outcome.QUIET_HOURS),
        (NOON, NIGHT, Outcome.QUIET_HOURS),
        (NIGHT, MORNING, Outcome.SENT),  # late: nobody is asleep any more
        (NIGHT, MORNING - timedelta(seconds=1), Outcome.QUIET_HOURS),
    ],
)
def test_quiet_hours_are_about_the_moment_of_telling(
    happened: datetime, now: datetime, outcome: Outcome
) -> None:
    there = notification(at=happened, late=now - happened > HOUR)
    assert decide(there, Preferences(), Context(), now).outcome is outcome


@pytest.mark.parametrize(
    ("chosen", "known", "outcome", "reason"),
    [
        ("", "", Outcome.SENT, "nothing speaks against it"),
        ("", "Asia/Kolkata", Outcome.QUIET_HOURS, "22:00 to 08:00 Asia/Kolkata"),
        ("Asia/Tokyo", "UTC", Outcome.QUIET_HOURS, "22:00 to 08:00 Asia/Tokyo"),
        ("America/New_York", "Asia/Kolkata", Outcome.SENT, "nothing speaks against it"),
        ("Mars/Base", "", Outcome.SENT, "nothing speaks against it"),
    ],
)
def test_the_zone_is_the_one_that_was_chosen_else_the_one_that_is_known(
    chosen: str, known: str, outcome: Outcome, reason: str
) -> None:
    at = datetime(2026, 1, 31, 17, tzinfo=UTC)  # 22:30 in India
    found = decide(notification(), Preferences(zone=chosen), Context(zone=known), at)
    assert found.outcome is outcome
    assert found.reason.endswith(reason)


@pytest.mark.parametrize(
    ("kind", "confidence", "outcome"),
    [
        (Type.SIGNAL, 0.7999, Outcome.BELOW_CONFIDENCE),
        (Type.SIGNAL, 0.8, Outcome.SENT),
        (Type.SIGNAL, None, Outcome.SENT),
        (Type.PREDICTION, 0.7999, Outcome.BELOW_CONFIDENCE),
        (Type.PREDICTION, 0.8, Outcome.SENT),
        (Type.PREDICTION, None, Outcome.SENT),
        *((kind, 0.1, Outcome.SENT) for kind in Type if kind not in ("signal", "prediction")),
    ],
)
def test_confidence_counts_for_predictions_and_signals_that_carry_one(
    kind: Type, confidence: float | None, outcome: Outcome
) -> None:
    there = notification(type=kind, confidence=confidence)
    assert decide(there, Preferences(), Context(), NOON).outcome is outcome


@pytest.mark.parametrize(
    ("kind", "ratio", "outcome"),
    [
        (Type.SIGNAL, 1.4999, Outcome.BELOW_RISK_REWARD),
        (Type.SIGNAL, 1.5, Outcome.SENT),
        (Type.SIGNAL, None, Outcome.SENT),
        *((kind, 0.1, Outcome.SENT) for kind in Type if kind != "signal"),
    ],
)
def test_risk_and_reward_count_for_signals_that_carry_them(
    kind: Type, ratio: float | None, outcome: Outcome
) -> None:
    there = notification(type=kind, risk_reward_ratio=ratio)
    assert decide(there, Preferences(), Context(), NOON).outcome is outcome


@pytest.mark.parametrize(
    ("confidence", "least", "reason"),
    [
        (0.72, 0.8, "confidence 72 % is below your 80 %"),
        (0.7, 0.75, "confidence 70 % is below your 75 %"),
        (0.8249, 0.825, "confidence 82.49 % is below your 82.5 %"),
        (0.799999, 0.8, "confidence 79.9999 % is below your 80 %"),
        (0.7999999999999999, 0.8, "confidence just under 80 % is below your 80 %"),
        (0, 0.07, "confidence 0 % is below your 7 %"),
    ],
)
def test_a_reason_has_the_digits_that_tell_two_numbers_apart(
    confidence: float, least: float, reason: str
) -> None:
    there = notification(confidence=confidence)
    found = decide(there, Preferences(min_confidence=least), Context(), NOON)
    assert found.reason == reason


@pytest.mark.parametrize(
    ("snooze", "others", "is_covered"),
    [
        (Snooze(rule="strong signals"), {}, True),
        (Snooze(rule="strong signals"), {"rule": "weak signals"}, False),
        (Snooze(rule="strong signals"), {"rule": None}, False),
        (Snooze(alert="strong signals:BTC/USDT"), {}, True),
        (Snooze(alert="strong signals:BTC/USDT"), {"alert": None}, False),
        (Snooze(labels={"symbol": "BTC/USDT"}), {}, True),
        (Snooze(labels={"symbol": "BTC/USDT"}), {"labels": {}}, False),
        (Snooze(labels={"symbol": "ETH/USDT"}), {}, False),
        (Snooze(labels={"symbol": "BTC/USDT", "side": "LONG"}), {}, False),
        (Snooze("strong signals", {"symbol": "BTC/USDT"}), {}, True),
        (Snooze("strong signals", {"symbol": "ETH/USDT"}), {}, False),
        (Snooze("weak signals", {"symbol": "BTC/USDT"}), {}, False),
        (Snooze("strong signals", {}), {}, True),
        (Snooze("strong signals", None, None, "another"), {}, False),
        # One that names nothing would silence everything.
        (Snooze(), {}, False),
        (Snooze(labels={}), {}, False),
        (Snooze(until=NOON + HOUR), {}, False),
        (Snooze("strong signals", until=NOON + HOUR), {}, True),
        (Snooze("strong signals", until=NOON), {}, False),
        (Snooze("strong signals", until=NOON - HOUR), {}, False),
        # Until the alert clears, which is told; until a moment, whatever happens.
        (Snooze("strong signals"), {"resolved": True}, False),
        (Snooze("strong signals", until=NOON + HOUR), {"resolved": True}, True),
    ],
)
def test_a_snooze_covers_what_has_all_that_it_names(
    snooze: Snooze, others: dict[str, Any], is_covered: bool
) -> None:
    there = notification(**others)
    assert snooze.covers(there, NOON) is is_covered
    outcome = decide(there, Preferences(), Context(snoozes=[snooze]), NOON).outcome
    assert outcome is (Outcome.SNOOZED if is_covered else Outcome.SENT)


@pytest.mark.parametrize(
    ("snoozes", "until"),
    [
        ([Snooze("strong signals")], "the alert clears"),
        ([SNOOZE, Snooze("another", until=NIGHT + 9 * HOUR)], "2026-02-01 01:00 Europe/Berlin"),
        (
            [SNOOZE, Snooze(labels={"symbol": "BTC/USDT"}, until=NIGHT + 2 * HOUR)],
            "2026-02-01 02:00 Europe/Berlin",
        ),
        (
            [SNOOZE, Snooze("strong signals")],
            "2026-02-01 01:00 Europe/Berlin and the alert clears",
        ),
    ],
)
def test_of_several_snoozes_the_last_end_is_told(snoozes: list[Snooze], until: str) -> None:
    context = Context(zone="Europe/Berlin", snoozes=snoozes)
    found = decide(notification(), Preferences(), context, NOON)
    assert found.reason == f"you snoozed it until {until}"


@pytest.mark.parametrize(
    ("against", "now"),
    [
        (Preferences(enabled=False), NOON),
        (Preferences(types={Type.SIGNAL: False}), NOON),
        (Preferences(min_confidence=0.95), NOON),
        (Preferences(), NIGHT),
    ],
)
def test_that_an_alert_is_resolved_is_told_by_the_same_rules(
    against: Preferences, now: datetime
) -> None:
    found = [
        decide(notification(resolved=resolved), against, Context(), now).outcome
        for resolved in (False, True)
    ]
    assert found[0] is found[1] is not Outcome.SENT


def test_the_end_of_quiet_hours_is_that_of_the_persons_zone() -> None:
    night = datetime(2026, 10, 25, 0, 45, tzinfo=UTC)
    wanted = Preferences(quiet_hours=Hours(time(22), time(2, 30)), zone="Europe/Berlin")
    found = decide(notification(), wanted, Context(), night)
    assert found.until == datetime(2026, 10, 25, 1, 30, tzinfo=UTC)


some_text = st.none() | filled_text
snoozes = st.builds(
    Snooze,
    rule=some_text,
    labels=st.none() | st.dictionaries(filled_text, filled_text, max_size=2),
    until=st.none() | st.datetimes(timezones=st.just(UTC)),
    alert=some_text,
)
contexts = st.builds(
    Context,
    zone=zones | st.text(),
    seen=st.booleans(),
    snoozes=st.lists(snoozes, max_size=3),
    cooldown=st.booleans(),
)


def against(
    there: Notification, wanted: Preferences, context: Context, now: datetime
) -> dict[Outcome, Callable[[], bool]]:
    """All that speaks against telling, said once more and in other words."""
    kept = there.confidence is not None and there.confidence < wanted.min_confidence
    ratio = there.risk_reward_ratio
    zone = wanted.zone or context.zone
    return {
        Outcome.DUPLICATE: lambda: context.seen,
        Outcome.DISABLED: lambda: not wanted.enabled,
        Outcome.TYPE_DISABLED: lambda: not wanted.types[there.type],
        Outcome.BELOW_CONFIDENCE: lambda: kept and there.type in {"signal", "prediction"},
        Outcome.BELOW_RISK_REWARD: lambda: (
            there.type == "signal" and ratio is not None and ratio < wanted.min_rr_ratio
        ),
        Outcome.SNOOZED: lambda: any(snooze.covers(there, now) for snooze in context.snoozes),
        Outcome.COOLDOWN: lambda: context.cooldown,
        Outcome.QUIET_HOURS: lambda: (
            there.priority != "urgent" and quiet.inside(wanted.quiet_hours, zone, now)
        ),
    }


@settings(deadline=None)
@given(any_notification, any_preferences, contexts, moments)
def test_whatever_comes_has_one_outcome_and_a_reason(
    there: Notification, wanted: Preferences, context: Context, now: datetime
) -> None:
    found = decide(there, wanted, context, now)
    reasons = against(there, wanted, context, now)
    assert found.outcome is next((name for name in AGAINST if reasons[name]()), Outcome.SENT)
    assert found.reason
    assert (found.until is not None) is found.digest is (found.outcome is Outcome.QUIET_HOURS)
    assert found.until is None or found.until > now
