"""Every setting has one name; a wrong one is named, and no secret is ever shown."""

from __future__ import annotations

import logging
import os
import traceback
from datetime import UTC, datetime
from pathlib import Path

import pytest

from alphapulse_nb import settings
from alphapulse_nb.errors import SettingsError

SECRET = "hunter2-is-secret"
SAFE_URL = f"postgresql://me:{SECRET}@db.example:5433/desk"
PARTS = {"DB_HOST": "h", "DB_NAME": "n", "DB_USER": "u"}
README = Path(__file__).parents[1] / "README.md"


@pytest.fixture(autouse=True)
def clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No setting, and no `.env` in the working directory."""
    for name, _, _ in settings.listed():
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)


def given(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> settings.Settings:
    for name, value in values.items():
        monkeypatch.setenv(name, value)
    return settings.read()


def test_without_settings_the_embedded_database_is_served_to_this_machine_only() -> None:
    made = settings.read()
    assert made.database() is None
    assert (made.host, made.port, made.debug, made.token) == ("127.0.0.1", 8050, False, None)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({"DATABASE_URL": SECRET}, "DATABASE_URL: cannot be read"),
        ({"DATABASE_URL": f"mysql://me:{SECRET}@h/n"}, "DATABASE_URL: is not the address"),
        ({"DATABASE_URL": f"postgresql://me@h:{SECRET}/n"}, "DATABASE_URL: cannot be read"),
        ({"DATABASE_DIRECT_URL": f"mysql://me:{SECRET}@h/n"}, "DATABASE_DIRECT_URL: is not the"),
        ({"DATABASE_DIRECT_URL": SAFE_URL}, "DATABASE_DIRECT_URL is set, but DATABASE_URL is not"),
        ({"ALPHAPULSE_EVENT_DAYS": "0"}, "ALPHAPULSE_EVENT_DAYS:"),
        ({"ALPHAPULSE_EVENT_DAYS": "nan"}, "ALPHAPULSE_EVENT_DAYS:"),
        ({"DATABASE_URL": SAFE_URL} | PARTS, "DATABASE_URL and DB_HOST, DB_NAME, DB_USER are both"),
        ({"DB_HOST": "h"}, "DB_NAME, DB_USER missing beside DB_HOST"),
        ({"DB_HOST": "h", "DB_USER": "u"}, "DB_NAME missing beside DB_HOST, DB_USER"),
        ({"DB_PASSWORD": SECRET}, "DB_PASSWORD is set, but DB_HOST"),
        (PARTS | {"DB_PORT": "0"}, "DB_PORT:"),
        (PARTS | {"DB_PORT": "x"}, "DB_PORT:"),
        ({"DASHBOARD_PORT": "65536"}, "DASHBOARD_PORT:"),
        ({"DASHBOARD_PORT": "http"}, "DASHBOARD_PORT:"),
        ({"DASHBOARD_DEBUG": "perhaps"}, "DASHBOARD_DEBUG:"),
        ({"DASHBOARD_TOKEN": "short"}, "DASHBOARD_TOKEN: must have at least 8"),
        ({"DASHBOARD_TOKEN": f"{SECRET} \t"}, "DASHBOARD_TOKEN: must hold no space"),
        ({"DASHBOARD_PASSWORD": "short"}, "DASHBOARD_PASSWORD: must have at least 8"),
        ({"DASHBOARD_COOKIE_SECRET": SECRET}, "DASHBOARD_COOKIE_SECRET: must have at least 32"),
        ({"DASHBOARD_BASE_URL": "desk"}, "DASHBOARD_BASE_URL: must be a path"),
        ({"DASHBOARD_BASE_URL": "//evil.example/"}, "DASHBOARD_BASE_URL: must be a path"),
        ({"DASHBOARD_BASE_URL": "/a/../b"}, "DASHBOARD_BASE_URL: must be a path"),
        ({"DASHBOARD_TRUSTED_PROXIES": "proxy"}, "DASHBOARD_TRUSTED_PROXIES: must be addresses"),
        ({"DASHBOARD_ORIGINS": "*"}, "DASHBOARD_ORIGINS: must be origins"),
        ({"DASHBOARD_REMOTE_USER_HEADER": "X Y"}, "DASHBOARD_REMOTE_USER_HEADER: must be the name"),
        (
            {"DASHBOARD_REMOTE_USER_HEADER": "X-Remote-User"},
            "needs DASHBOARD_TRUSTED_PROXIES",
        ),
        ({"DASHBOARD_NO_AUTH": "1", "DASHBOARD_TOKEN": SECRET}, "DASHBOARD_NO_AUTH contradicts"),
        ({"DASHBOARD_MAX_KERNELS": "0"}, "DASHBOARD_MAX_KERNELS:"),
        ({"DASHBOARD_LOG_FORMAT": "xml"}, "DASHBOARD_LOG_FORMAT:"),
        (
            {"DASHBOARD_HOST": "0.0.0.0", "DASHBOARD_TOKEN": SECRET, "DASHBOARD_DEBUG": "1"},
            "DASHBOARD_DEBUG is on",
        ),
        ({"ALPHAPULSE_STATEMENT_TIMEOUT": "0"}, "ALPHAPULSE_STATEMENT_TIMEOUT:"),
        ({"ALPHAPULSE_STATEMENT_TIMEOUT": "nan"}, "ALPHAPULSE_STATEMENT_TIMEOUT:"),
        ({"ALPHAPULSE_REFRESH_INTERVAL": "0.5"}, "ALPHAPULSE_REFRESH_INTERVAL:"),
        ({"ALPHAPULSE_NOW": "2026-01-31T12:00:00"}, "ALPHAPULSE_NOW:.*timezone"),
        ({"ALPHAPULSE_SEED": "-1"}, "ALPHAPULSE_SEED:"),
        (
            {"DASHBOARD_PORT": "x", "ALPHAPULSE_SEED": "y"},
            "(?s)DASHBOARD_PORT.*ALPHAPULSE_SEED",
        ),
    ],
)
def test_a_wrong_setting_is_named_and_its_value_is_not_shown(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    values: dict[str, str],
    named: str,
) -> None:
    with pytest.raises(SettingsError, match=named) as caught:
        given(monkeypatch, values)
    logging.getLogger("tests").error("it failed", exc_info=caught.value)
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value) + caplog.text
    assert SECRET not in shown


@pytest.mark.parametrize(
    "values",
    [
        {"DASHBOARD_HOST": "localhost", "DASHBOARD_DEBUG": "true"},
        {"DASHBOARD_HOST": "::1", "DASHBOARD_DEBUG": "true"},
        {"DASHBOARD_HOST": "127.8.9.1"},
        {"DASHBOARD_PASSWORD": "a sentence to remember"},
        {"DASHBOARD_HOST": "0.0.0.0", "DASHBOARD_TOKEN": SECRET},
        {"DASHBOARD_HOST": "", "DATABASE_URL": ""},
        {"DASHBOARD_HOST": "0.0.0.0", "DASHBOARD_NO_AUTH": "1"},
        {"DASHBOARD_BASE_URL": "/desk/one"},
        {
            "DASHBOARD_TRUSTED_PROXIES": "10.0.0.5, 10.1.0.0/16 ::1",
            "DASHBOARD_REMOTE_USER_HEADER": "X-Remote-User",
        },
        {"DASHBOARD_ORIGINS": "https://desk.example http://localhost:8888"},
        {"ALPHAPULSE_NOW": "2026-01-31T12:00:00+01:00"},
    ],
)
def test_a_right_setting_is_taken(monkeypatch: pytest.MonkeyPatch, values: dict[str, str]) -> None:
    assert given(monkeypatch, values).port == 8050


@pytest.mark.parametrize(
    "values",
    [
        {"DATABASE_URL": SAFE_URL, "DASHBOARD_TOKEN": SECRET},
        PARTS | {"DB_PASSWORD": SECRET, "DASHBOARD_TOKEN": SECRET},
    ],
)
def test_settings_never_show_a_secret(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, values: dict[str, str]
) -> None:
    made = given(monkeypatch, values)
    logging.getLogger("tests").error("%s %r %s", made, made, made.database())
    shown = f"{made} {made!r} {made.model_dump()} {made.model_dump_json()} {made.database()!r}"
    assert SECRET not in shown + caplog.text
    url = made.database()
    assert url is not None
    assert url.password == SECRET


def test_overrides_come_before_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DASHBOARD_PORT", "1")
    assert settings.read(DASHBOARD_PORT=2, DASHBOARD_HOST=None).port == 2


def test_the_environment_comes_before_the_env_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("DASHBOARD_PORT=1\nALPHAPULSE_SEED=7\nSTRANGE=1\n")
    made = given(monkeypatch, {"DASHBOARD_PORT": "2"})
    assert (made.port, made.seed) == (2, 7)


def test_an_env_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"DASHBOARD_PORT=\xff\xfe")
    with pytest.raises(SettingsError, match=r"\.env cannot be read"):
        settings.read()


def test_the_clock_is_the_fixed_one_in_utc(monkeypatch: pytest.MonkeyPatch) -> None:
    made = given(monkeypatch, {"ALPHAPULSE_NOW": "2026-01-31T12:00:00+01:00"})
    assert made.clock() == datetime(2026, 1, 31, 11, tzinfo=UTC)
    assert made.clock().tzinfo is UTC


def test_children_get_every_setting_but_those_of_the_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text(f"DATABASE_URL={SAFE_URL}\nALPHAPULSE_NOW=2026-01-31T12:00Z\n")
    made = given(
        monkeypatch,
        {"DASHBOARD_HOST": "0.0.0.0", "DASHBOARD_TOKEN": SECRET, "ALPHAPULSE_DATA_DIR": "here"},
    )
    environment = dict(os.environ)
    settings.hand_down(made, environment)
    assert [name for name in environment if name.startswith("DASHBOARD_")] == ["DASHBOARD_HOST"]
    assert environment["DASHBOARD_HOST"] == "127.0.0.1"
    assert environment["DATABASE_URL"] == SAFE_URL
    assert environment["ALPHAPULSE_DATA_DIR"] == str(tmp_path / "here")
    (tmp_path / ".env").unlink()
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("DASHBOARD_TOKEN")
    child = settings.read()
    assert child.database() == made.database()
    assert child.clock() == made.clock()


def test_a_slip_of_the_pen_is_found() -> None:
    names = ["DASHBOARD_PROT", "DASHBOARD_PORT", "ALPHAPULSE_SEDE", "PATH"]
    assert settings.unknown(names) == ["ALPHAPULSE_SEDE", "DASHBOARD_PROT"]


def test_every_setting_is_listed_with_a_default_and_a_help_text() -> None:
    rows = settings.listed()
    assert len({name for name, _, _ in rows}) == len(settings.Settings.model_fields)
    assert ("DASHBOARD_PORT", "8050", "port that the server listens on") in rows
    assert all(text for _, _, text in rows)


def test_every_setting_is_in_the_readme() -> None:
    text = README.read_text("utf-8")
    assert [name for name, _, _ in settings.listed() if f"`{name}`" not in text] == []


def test_the_way_past_a_pooler_is_the_same_database_unless_it_is_given(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert given(monkeypatch, {"DATABASE_URL": SAFE_URL}).direct() is None
    made = given(monkeypatch, {"DATABASE_DIRECT_URL": SAFE_URL.replace("5433", "5432")}).direct()
    assert made is not None
    assert (made.host, made.port) == ("db.example", 5432)
    assert SECRET not in repr(made)
