"""Who may know whom (DESIGN section 2), read from the import statements."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "alphapulse_nb"

# Each part and what it may import of ours. A part is a file or a folder; it may know itself.
MAY_KNOW = {
    "errors": set[str](),
    "addresses": set[str](),
    "settings": {"addresses", "errors"},
    "people": set[str](),
    "db": {"errors"},
    "spelling": set[str](),
    "grammar": set[str](),
    "lane": set[str](),
    "state": {"db", "errors", "people", "spelling"},
    "relay": {"db", "errors", "events", "lane", "state"},
    "alerts": {"db", "errors", "events", "lane", "notify", "relay", "spelling", "state"},
    "notify": {"errors", "events", "lane", "people", "spelling", "state"},
    "actions": {"alerts", "db", "errors", "events", "notify", "people", "relay", "state"},
    "queries": {"db", "errors"},
    "metrics": set[str](),
    "charts": {"metrics", "errors"},
    "feeds": {"errors"},
    "events": {"errors", "spelling"},
    "stream_client": {"errors", "events"},
    "refresh": {"errors", "reports"},
    "reports": {"errors"},
    "catalog": {"queries", "charts", "db", "errors"},
    "widgets": {"charts", "feeds", "refresh", "errors", "lane"},
    "demo": {"db", "errors", "metrics"},
    "server": {
        *("addresses", "catalog", "queries", "charts", "feeds", "widgets", "db", "errors"),
        *("alerts", "events", "notify", "people", "relay", "reports", "settings", "spelling"),
        *("actions", "lane", "state"),
    },
    "dashboard": {
        *("catalog", "queries", "charts", "db", "errors", "metrics", "refresh", "settings"),
        # Of alerts only when they fired: that needs no rule to be read.
        *("actions", "alerts", "reports", "widgets", "feeds"),
    },
    "warmup": {"dashboard", "db", "settings"},
    "checks": {"db", "errors", "server", "settings", "state", "widgets"},
    "rehearsal": {"errors", "settings"},
    "cli": {
        *("alerts", "checks", "db", "errors", "events", "grammar", "notify", "rehearsal"),
        "relay",
        *("server", "settings", "spelling", "state"),
    },
    "__init__": {
        *("catalog", "charts", "dashboard", "metrics", "queries", "stream_client", "widgets"),
    },
}

# Libraries that a part must not know, whoever else imports them.
MUST_NOT_IMPORT = {
    "metrics": {"sqlalchemy", "psycopg2", "plotly", "ipywidgets", "anywidget"},
    "queries": {"plotly", "ipywidgets", "anywidget", "tornado", "voila"},
    "charts": {"sqlalchemy", "psycopg2", "ipywidgets", "anywidget", "tornado", "voila"},
    "feeds": {"sqlalchemy", "psycopg2", "ipywidgets", "anywidget", "tornado", "voila"},
    "events": {"sqlalchemy", "psycopg2", "pandas", "ipywidgets", "anywidget", "tornado", "voila"},
    "stream_client": {"sqlalchemy", "psycopg2", "pandas", "ipywidgets", "anywidget", "voila"},
    "widgets": {"sqlalchemy", "psycopg2", "tornado", "voila"},
    "db": {"plotly", "ipywidgets", "anywidget", "tornado", "voila"},
    "state": {"plotly", "ipywidgets", "anywidget", "tornado", "voila"},
    "alerts": {"plotly", "ipywidgets", "anywidget", "tornado", "voila", "apprise"},
    "notify": {"plotly", "ipywidgets", "anywidget", "tornado", "voila", "psycopg2"},
    "relay": {"plotly", "ipywidgets", "anywidget", "tornado", "voila"},
}


def files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def part(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path: Path) -> Iterator[str]:
    """The full names that a file imports, at its top and inside its functions."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@pytest.mark.parametrize("path", files(), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_imports_only_what_its_part_may_know(path: Path) -> None:
    name = part(path)
    names = [full.split(".") for full in imports(path)]
    ours = {parts[1] for parts in names if parts[0] == "alphapulse_nb" and len(parts) > 1}
    assert ours - {name} <= MAY_KNOW[name]
    assert {parts[0] for parts in names} & MUST_NOT_IMPORT.get(name, set()) == set()


def test_alerts_know_what_a_notification_is_and_nothing_of_its_ways() -> None:
    known = {
        full.split(".")[2]
        for path in (PACKAGE / "alerts").rglob("*.py")
        for full in imports(path)
        if full.startswith("alphapulse_nb.notify.")
    }
    assert known == {"notification"}


def test_a_dashboard_knows_of_alerts_when_they_fired_and_nothing_else() -> None:
    known = {full for full in imports(PACKAGE / "dashboard.py") if ".alerts." in full}
    assert {full for full in known if ".widgets." not in full} == {
        "alphapulse_nb.alerts.periods.firing"
    }


def test_the_rules_name_no_part_that_is_gone() -> None:
    assert set(MAY_KNOW) == {part(path) for path in files()}


def test_of_the_server_only_its_start_reads_settings() -> None:
    readers = {
        path.name
        for path in (PACKAGE / "server").rglob("*.py")
        for full in imports(path)
        if full.startswith("alphapulse_nb.settings")
    }
    assert readers == {"app.py", "assembly.py", "stream_app.py", "worker.py"}


def test_of_the_widgets_the_server_knows_only_what_a_page_needs_before_its_kernel() -> None:
    known = {
        full.split(".")[2]
        for path in (PACKAGE / "server").rglob("*.py")
        for full in imports(path)
        if full.startswith("alphapulse_nb.widgets.")
    }
    assert known <= {"assets", "live_chart"}


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("alphapulse_nb", "pandas numpy plotly sqlalchemy ipywidgets voila pydantic"),
        ("alphapulse_nb.cli", "pandas numpy plotly sqlalchemy ipywidgets voila pydantic"),
        ("alphapulse_nb.settings", "pandas numpy plotly ipywidgets voila"),
        ("alphapulse_nb.metrics", "plotly sqlalchemy ipywidgets voila"),
        ("alphapulse_nb.charts", "sqlalchemy psycopg2 ipywidgets voila"),
        ("alphapulse_nb.queries", "plotly ipywidgets voila"),
        ("alphapulse_nb.dashboard", "rule_engine yaml alembic apprise jsonschema"),
    ],
)
def test_an_import_brings_in_no_more_than_it_needs(module: str, heavy: str) -> None:
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(heavy.split()) & set(done.stdout.split()) == set()


def test_importing_the_package_opens_nothing_and_writes_nothing(tmp_path: Path) -> None:
    code = "import alphapulse_nb as a; [getattr(a, n) for n in dir(a)]; import threading as t;"
    code += "print(t.active_count())"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
        env={"HOME": str(tmp_path), "PATH": ""},
    )
    assert done.stdout.split() == ["1"]
    assert list(tmp_path.iterdir()) == []
