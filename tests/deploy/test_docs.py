"""docs/deploy.md speaks of what there is."""

from __future__ import annotations

import re
from pathlib import Path

from alphapulse_nb.server.descriptors import BASE, CONNECTIONS, EACH
from tests.conftest import ROOT
from tests.deploy import files

TEXT = (ROOT / "docs" / "deploy.md").read_text()


def test_every_shipped_file_is_explained() -> None:
    shipped = {path.name for path in files.DEPLOY.iterdir() if path.name != ".env"}
    assert set(re.findall(r"\]\(\.\./deploy/([^)]+)\)", TEXT)) == shipped


def test_every_link_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)]+)\)", TEXT):
        path, _, heading = target.partition("#")
        page = (ROOT / "docs" / path).read_text() if path else TEXT
        assert not heading or heading in headings(page), target


def headings(page: str) -> set[str]:
    """The headings as links write them."""
    found = re.findall(r"^#+ (.*)$", page, re.MULTILINE)
    return {re.sub(r"[^a-z -]", "", one.lower()).replace(" ", "-") for one in found}


def test_every_setting_it_names_exists() -> None:
    named = set(re.findall(r"\b(?:DB|DATABASE|DASHBOARD|ALPHAPULSE)_[A-Z_]+", TEXT))
    assert len(named) > 10
    assert named <= files.KNOWN


def test_every_command_it_shows_exists() -> None:
    shown = re.findall(r"(?:^|[` /])alphapulse ((?:check|serve|demo|db|users)[a-z ]*)", TEXT)
    assert len(shown) > 4
    for words in shown:
        assert files.command(words.split()) == [], words


def test_every_figure_it_names_is_counted() -> None:
    named = set(re.findall(r"`((?:alphapulse|process)_[a-z_]+)`", TEXT)) - {"alphapulse_route"}
    listed = (ROOT / "docs" / "metrics.md").read_text()
    assert named
    assert named <= set(re.findall(r"^\| `([a-z_]+)`", listed, re.MULTILINE))


def test_its_numbers_are_those_of_the_files() -> None:
    unit = files.unit()
    assert f"{BASE} descriptors, {EACH} more for each page" in TEXT
    assert f"up to {CONNECTIONS:,} for other connections" in TEXT
    assert f"{int(unit['LimitNOFILE'][0]):,}" in TEXT
    assert f"It ends within {unit['TimeoutStopSec'][0]} s" in TEXT
    assert f"again {unit['RestartSec'][0]} s after" in TEXT
    assert (
        files.compose()["services"]["dashboard"]["environment"]["DASHBOARD_TRUSTED_PROXIES"] in TEXT
    )
    assert f"user {files.instructions('USER')[0].value.partition(':')[0]} " in TEXT
    opt = Path(unit["ExecStart"][0].split()[0]).parent.parent
    assert f"python3 -m venv {opt}" in TEXT
    assert f"{unit['EnvironmentFile'][0]}\n" in TEXT
