"""The example environment file."""

from __future__ import annotations

import pytest

from alphapulse_nb.settings import read
from tests.deploy import files


def test_every_name_in_it_is_a_setting() -> None:
    assert set(files.example(everything=True)) <= files.KNOWN


def test_it_names_every_setting_of_a_server_that_runs_for_others() -> None:
    for_others = {name for name in files.KNOWN if name.startswith("DASHBOARD_")}
    closed = {"DASHBOARD_DEBUG", "DASHBOARD_NO_AUTH"}
    assert for_others - set(files.example(everything=True)) == closed


def test_it_holds_no_secret() -> None:
    given = files.example(everything=True)
    assert {given[name] for name in files.SECRET & set(given)} == {""}


@pytest.mark.parametrize("everything", [False, True])
def test_the_settings_take_it(everything: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in files.KNOWN:
        monkeypatch.delenv(name, raising=False)
    given = files.example(everything=everything)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert read().max_kernels == int(given["DASHBOARD_MAX_KERNELS"])
