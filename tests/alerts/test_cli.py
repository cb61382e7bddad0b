"""`alphapulse rules`: rules as files, and tried on the newest data."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from alphapulse_nb.alerts import files
from tests.alerts.desk import Alerts
from tests.db.conftest import execute
from tests.state.test_cli import Commands, alphapulse
from tests.test_cli import Runner

__all__ = ["alphapulse"]

FALL = """\
rules:
- name: fall
  source: performance_metrics
  aggregate: last
  field: drawdown
  window: 15m
  threshold: 20 %
  by: [strategy_id]
  title: '{strategy_id} {value}'
- name: sure
  source: signals
  where: confidence > 0.9
  title: '{symbol} {confidence} {outcome}'
"""


@pytest.fixture
def run(alphapulse: Runner, filled: sa.URL) -> Commands:
    return Commands(alphapulse, filled)


def test_rules_go_into_the_database_and_come_back_as_the_same_bytes(
    run: Commands, alerts: Alerts, tmp_path: Path
) -> None:
    first, second = tmp_path / "rules.yaml", tmp_path / "again.yaml"
    first.write_text(FALL, "utf-8")
    assert run("rules", "validate", str(first)).stdout == "2 rules, all of which can work\n"
    assert run("rules", "import", str(first)).stdout == "2 rules are in the database\n"
    assert run("rules", "export", str(second)).returncode == 0
    assert run("rules", "import", str(second)).returncode == 0
    assert run("rules", "export").stdout == second.read_text("utf-8")
    listed = [line.split() for line in run("rules", "list").stdout.splitlines()]
    assert listed == [["fall", "on"], ["sure", "on"]]
    first.write_text(FALL[: FALL.index("- name: sure")], "utf-8")
    pruned = run("rules", "import", str(first), "--prune").stdout
    assert pruned == "1 rules are in the database, 1 removed\n"
    assert [kept.name for kept in alerts.store.listed()] == ["fall"]


def test_one_wrong_rule_keeps_all_out_and_is_named(run: Commands, alerts: Alerts) -> None:
    wrong = FALL.replace("drawdown", "drawdwn")
    for command in ("validate", "import"):
        done = run("rules", command, "-", given=wrong.encode())
        assert done.returncode == 2
        assert "rule 'fall': field: " in done.stderr
        assert "did you mean drawdown?" in done.stderr
        assert "Traceback" not in done.stderr
    assert alerts.store.listed() == []


def test_a_rule_is_tried_on_the_newest_data_and_nothing_is_kept(
    run: Commands, alerts: Alerts, tmp_path: Path
) -> None:
    alerts.insert("performance_metrics", strategy_id="alpha", drawdown=0.25)
    alerts.insert("performance_metrics", strategy_id="beta", drawdown=0.1)
    alerts.insert("signals", signal_type="LONG", confidence=0.95)
    alerts.insert("signals", signal_type="LONG", confidence=0.5)
    alerts.insert("signals", signal_type="LONG")
    file = tmp_path / "rules.yaml"
    file.write_text(FALL, "utf-8")
    said = run("rules", "test", "fall", "--file", str(file)).stdout
    assert "strategy_id=alpha" in said
    assert "fires: 25 % > 20 %\n    alpha 25 %\n" in said
    assert "does not hold: 10 % > 20 %" in said
    said = run("rules", "test", "sure", "--file", str(file)).stdout
    assert "cannot be told: " in said
    assert "does not hold: confidence is 0.5" in said
    assert (
        "fires: confidence is 0.95\n    BTC/USDT 95 % n/a\n    without a value: outcome\n" in said
    )
    assert alerts.kept() == []
    missing = run("rules", "test", "fal", "--file", str(file))
    assert "did you mean fall?" in missing.stderr


def test_a_rule_that_cannot_be_read_any_more_is_told_of_and_left_out(
    run: Commands, alerts: Alerts, filled: sa.URL
) -> None:
    alerts.store.seed(files.shipped())
    alerts.rule("later", source="signals", where="confidence > 0.9")
    execute(
        filled, "UPDATE alphapulse.rules SET record = '{\"name\": \"later\"}' WHERE name = 'later'"
    )
    exported = run("rules", "export")
    assert "left out, since it cannot be read: later" in exported.stderr
    assert len(files.load(exported.stdout)) == 8
    assert "later" in run("rules", "list").stdout
