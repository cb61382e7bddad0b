"""The systemd unit, judged by systemd."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from alphapulse_nb.server.descriptors import BASE, CONNECTIONS, EACH
from tests.deploy import files
from tests.deploy.conftest import needed

MOST_EXPOSED = 20
"""Tenths of `systemd-analyze security`'s scale from 0 (nothing to gain) to 10 (everything)."""


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a command that is on this machine."""
    program = Path(sys.executable).with_name("alphapulse")
    text = (files.DEPLOY / "alphapulse.service").read_text()
    copy = tmp_path / "alphapulse.service"
    # Quoted: the path of a checkout may have a space.
    copy.write_text(text.replace("/opt/alphapulse/bin/alphapulse", f'"{program}"'))
    return copy


def analyze(*words: str) -> tuple[int, str]:
    done = subprocess.run(
        [needed("systemd-analyze"), *words], capture_output=True, text=True, check=False
    )
    return done.returncode, done.stderr


def test_systemd_understands_every_line(unit: Path) -> None:
    assert analyze("verify", "--man=no", str(unit)) == (0, "")


def test_a_slip_of_the_pen_would_be_found(unit: Path) -> None:
    unit.write_text(unit.read_text().replace("KillMode=", "KilMode="))
    _, said = analyze("verify", "--man=no", str(unit))
    assert "KilMode" in said


def test_a_break_in_gains_little(unit: Path) -> None:
    given = ("security", "--offline=true", f"--threshold={MOST_EXPOSED}", "--no-pager", str(unit))
    code, said = analyze(*given)
    assert code == 0, said


def test_it_runs_a_command_of_ours_as_a_user_of_its_own() -> None:
    unit = files.unit()
    program, *words = unit["ExecStart"][0].split()
    assert Path(program).name == "alphapulse"
    assert files.command(words) == []
    assert unit["User"] == unit["Group"] == ["alphapulse"]


def test_it_may_write_where_its_settings_point() -> None:
    unit = files.unit()
    given = dict(word.split("=", 1) for word in unit["Environment"][0].split())
    assert set(given) - {"HOME"} <= files.KNOWN
    state = f"/var/lib/{unit['StateDirectory'][0]}"
    assert given["ALPHAPULSE_DATA_DIR"] == given["HOME"] == state
    assert unit["WorkingDirectory"] == [state]
    log = files.example(everything=True)["DASHBOARD_LOG_FILE"]
    assert log.startswith(f"/var/log/{unit['LogsDirectory'][0]}/")


def test_it_has_descriptors_for_all_places() -> None:
    places = int(files.example()["DASHBOARD_MAX_KERNELS"])
    assert int(files.unit()["LimitNOFILE"][0]) >= BASE + EACH * places + CONNECTIONS


def test_only_the_server_hears_sigterm_and_what_outlives_it_is_killed() -> None:
    assert files.unit()["KillMode"] == ["mixed"]
    assert files.unit()["KillSignal"] == ["SIGTERM"]
