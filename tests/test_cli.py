"""The command line, as a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from alphapulse_nb import checks, rehearsal
from alphapulse_nb.db import embedded
from alphapulse_nb.settings import listed
from tests.visitor import Visitor

SECRET = "hunter2-is-secret"
REMOTE = {"DATABASE_URL": f"postgresql://me:{SECRET}@127.0.0.1:1/desk"}


@dataclass
class Runner:
    """Runs `alphapulse` in a folder of its own with none of our settings but those given."""

    folder: Path

    @property
    def data(self) -> Path:
        return self.folder / "data"

    def environment(self, given: dict[str, str]) -> dict[str, str]:
        clean = {n: v for n, v in os.environ.items() if n not in {name for name, _, _ in listed()}}
        return clean | {"ALPHAPULSE_DATA_DIR": str(self.data), "COLUMNS": "100"} | given

    def __call__(self, *arguments: str, **given: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "alphapulse_nb.cli", *arguments],
            env=self.environment(given),
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    @contextlib.contextmanager
    def running(self, *arguments: str, **given: str) -> Iterator[subprocess.Popen[str]]:
        process = subprocess.Popen(
            [sys.executable, "-m", "alphapulse_nb.cli", *arguments],
            env=self.environment(given),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            yield process
        finally:
            process.kill()
            process.communicate()


@pytest.fixture
def alphapulse(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def states(output: str) -> dict[str, str]:
    """The state of each check by its name."""
    return {
        line.split(":")[0].split(maxsplit=1)[1]: line.split()[0]
        for line in output.splitlines()
        if line.startswith(("ok", "warning", "failed"))
    }


def address(process: subprocess.Popen[str]) -> str:
    """The address that the command prints; fails with what it said when it ends before."""
    said = ""
    for line in process.stdout or ():
        said += line
        if found := re.search(r"http://\S+", line):
            return found[0]
    raise AssertionError(said)


def family(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


def all_gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=15)[1]


def test_help_lists_every_command(alphapulse: Runner) -> None:
    done = alphapulse("--help")
    assert done.returncode == 0
    assert {"check", "db", "demo", "serve"} <= set(re.findall(r"\w+", done.stdout))


def test_the_version_is_the_packages(alphapulse: Runner) -> None:
    assert re.fullmatch(r"alphapulse \d+\.\d+\.\d+\n", alphapulse("--version").stdout)


@pytest.mark.parametrize("words", [["check"], ["--check-deps"]])
def test_check_reports_everything_on_a_fresh_machine(alphapulse: Runner, words: list[str]) -> None:
    done = alphapulse(*words)
    assert states(done.stdout) == {
        "Python": "ok",
        "packages": "ok",
        "browser assets": "ok",
        "page": "ok",
        "settings": "ok",
        "database": "ok",
        "TimescaleDB": "ok",
        "tables": "warning",
        "own schema": "ok",
        "triggers": "warning",
    }
    assert "`alphapulse demo` fills it" in done.stdout
    assert done.returncode == 0


@pytest.mark.parametrize(
    ("given", "failed"),
    [
        (REMOTE, "database"),
        ({"DATABASE_URL": f"mysql://me:{SECRET}@h/n"}, "settings"),
        ({"DASHBOARD_TOKEN": "short"}, "settings"),
    ],
)
def test_a_failed_check_is_exit_code_1_with_a_next_step_and_no_secret(
    alphapulse: Runner, given: dict[str, str], failed: str
) -> None:
    done = alphapulse("check", **given)
    assert done.returncode == 1
    assert states(done.stdout)[failed] == "failed"
    assert done.stdout.splitlines()[-1].startswith("         ")
    assert SECRET not in done.stdout + done.stderr


def test_an_unknown_setting_is_a_warning(alphapulse: Runner) -> None:
    done = alphapulse("check", DASHBOARD_PROT="8051")
    assert states(done.stdout)["settings"] == "warning"
    assert "nobody reads DASHBOARD_PROT" in done.stdout


@pytest.mark.parametrize(
    ("installed", "problem"),
    [("0.1", "0.1 installed, required"), (None, "not installed, required")],
)
def test_a_package_out_of_its_range_is_named(
    monkeypatch: pytest.MonkeyPatch, installed: str | None, problem: str
) -> None:
    real = checks.importlib.metadata.version

    def version(name: str) -> str:
        if name != "plotly":
            return real(name)
        if installed is None:
            raise checks.importlib.metadata.PackageNotFoundError(name)
        return installed

    monkeypatch.setattr(checks.importlib.metadata, "version", version)
    (found,) = checks.packages()
    assert (found.name, found.state) == ("package plotly", "failed")
    assert problem in found.detail
    assert found.next_step.startswith('python -m pip install "plotly<8,>=7')


def test_the_database_is_made_checked_and_described(alphapulse: Runner) -> None:
    missing = alphapulse("db", "check")
    assert missing.returncode == 1
    assert "funding_rates: missing" in missing.stdout
    assert "made 7 plain tables" in alphapulse("db", "init").stdout
    assert "nothing was changed" in alphapulse("db", "init").stdout
    assert alphapulse("db", "check").returncode == 0
    described = alphapulse("db", "status").stdout
    assert re.search(r"backtests +table +0 rows", described)
    assert re.search(r"in use by +process \d+", described)
    assert states(alphapulse("check").stdout)["tables"] == "ok"


def test_triggers_are_installed_described_and_removed(alphapulse: Runner) -> None:
    refused = alphapulse("db", "install-triggers")
    assert refused.returncode == 1
    assert re.search(r"signals +refused +there is no such table", refused.stdout)
    alphapulse("db", "init")
    assert states(alphapulse("check").stdout)["triggers"] == "warning"
    installed = alphapulse("db", "install-triggers")
    assert installed.returncode == 0
    assert re.search(r"signals +installed\n", installed.stdout)
    assert states(alphapulse("check").stdout)["triggers"] == "ok"
    assert "triggers     on 7 of 7 tables" in alphapulse("db", "status").stdout
    assert alphapulse("db", "remove-triggers").returncode == 0
    assert "there are no triggers of ours" in alphapulse("db", "remove-triggers").stdout
    assert "triggers     none" in alphapulse("db", "status").stdout


@pytest.mark.parametrize(
    ("words", "given", "says"),
    [
        (["serve"], {"DASHBOARD_HOST": "0.0.0.0"}, "set DASHBOARD_TOKEN"),
        (["serve", "--host", "0.0.0.0"], {}, "set DASHBOARD_TOKEN"),
        (
            ["serve", "--host", "0.0.0.0"],
            {"DASHBOARD_TOKEN": SECRET, "DASHBOARD_DEBUG": "1"},
            "DASHBOARD_DEBUG is on",
        ),
        (["serve", "--port", "70000"], {}, "DASHBOARD_PORT"),
        (["demo"], REMOTE, "the demo writes to the embedded database only"),
        (["demo"], {"DB_HOST": "h", "DB_NAME": "n", "DB_USER": "u"}, "embedded database only"),
        (["db", "init"], REMOTE, "cannot be reached: nothing listens there"),
    ],
)
def test_what_is_refused_is_one_line_and_exit_code_2(
    alphapulse: Runner, words: list[str], given: dict[str, str], says: str
) -> None:
    done = alphapulse(*words, **given)
    assert done.returncode == 2
    assert done.stderr.startswith("alphapulse: ")
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
    assert SECRET not in done.stdout + done.stderr


def test_debug_shows_the_traceback(alphapulse: Runner) -> None:
    done = alphapulse("serve", "--debug", "--host", "0.0.0.0")
    assert "Traceback" in done.stderr
    assert "SettingsError" in done.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_kernels_get_the_settings_but_not_the_token(alphapulse: Runner) -> None:
    """The environment that a child inherits is the one `os.environ` holds when it starts."""
    code = (
        "import os, sys, subprocess\n"
        "from alphapulse_nb import cli\n"
        "from alphapulse_nb.server import app\n"
        "class Server:\n"
        "    def start(self):\n"
        "        show = 'import os, json; print(json.dumps(dict(os.environ)))'\n"
        "        subprocess.run([sys.executable, '-c', show], check=True)\n"
        "def application(settings, db, **given):\n"
        f"    assert settings.token.get_secret_value() == '{SECRET}'\n"
        "    return Server()\n"
        "app.application = application\n"
        "sys.argv = ['alphapulse', 'serve', '--host', '0.0.0.0']\n"
        "cli.main()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=alphapulse.environment({"DASHBOARD_TOKEN": SECRET}),
        cwd=alphapulse.folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    seen = json.loads(done.stdout)
    assert SECRET not in done.stdout
    assert seen["DASHBOARD_HOST"] == "127.0.0.1"
    assert seen["ALPHAPULSE_DATA_DIR"] == str(alphapulse.data)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_the_demo_writes_serves_and_leaves_nothing_running(
    alphapulse: Runner, how: signal.Signals
) -> None:
    with alphapulse.running("demo", "--port", "0", "--no-browser", "--days", "2") as process:
        url = address(process)
        assert Visitor(url).get().status == 200
        described = alphapulse("db", "status").stdout
        assert re.search(r"funding_rates +table +(over )?[1-9][\d,]+ rows", described)
        children = family(process)
        assert children
        process.send_signal(how)
        rest, _ = process.communicate(timeout=30)
        assert process.returncode == 0, rest
        assert "Traceback" not in rest
        assert all_gone(children)
    _wait_until_stopped(alphapulse.data)


def test_a_killed_demo_leaves_nothing_running(alphapulse: Runner) -> None:
    with alphapulse.running("demo", "--port", "0", "--no-browser", "--days", "1") as process:
        address(process)
        children = family(process)
        process.kill()
        process.wait()
        assert all_gone(children)
    _wait_until_stopped(alphapulse.data)


def test_a_second_demo_on_the_same_database_is_refused(alphapulse: Runner) -> None:
    with alphapulse.running("demo", "--port", "0", "--no-browser", "--days", "1") as first:
        address(first)
        second = alphapulse("demo", "--port", "0", "--no-browser", "--days", "1")
        assert second.returncode == 2
        assert second.stderr == (
            "alphapulse: another demo writes to this database already; stop it first\n"
        )


def test_the_demo_leaves_rows_of_others_alone(alphapulse: Runner) -> None:
    with embedded.start(alphapulse.data) as server:
        assert alphapulse("db", "init").returncode == 0
        _execute(
            server.dsn, "INSERT INTO system_metrics (timestamp, metric_name) VALUES (now(), 'x')"
        )
        done = alphapulse("demo", "--port", "0", "--no-browser", "--days", "1")
        assert done.returncode == 2
        assert "rows that the demo desk did not write" in done.stderr
        assert _execute(server.dsn, "SELECT count(*) FROM system_metrics") == 1


def _execute(dsn: str, statement: str) -> Any:
    import psycopg2

    raw = psycopg2.connect(dsn)
    raw.autocommit = True
    with raw.cursor() as cursor:
        cursor.execute(statement)
        row = cursor.fetchone() if cursor.description else None
    raw.close()
    return row and row[0]


def _wait_until_stopped(data: Path) -> None:
    """The watcher stops the database of a killed user within seconds."""
    deadline = time.monotonic() + 20
    while embedded.status(data).running:
        assert time.monotonic() < deadline, embedded.status(data)
        time.sleep(0.1)


@pytest.mark.parametrize(
    ("platform", "environment", "screen"),
    [
        ("linux", {}, False),
        ("linux", {"DISPLAY": ":0"}, True),
        ("linux", {"WAYLAND_DISPLAY": "wayland-0"}, True),
        ("darwin", {}, True),
        ("win32", {}, True),
    ],
)
def test_a_browser_is_opened_only_where_it_could_show_itself(
    monkeypatch: pytest.MonkeyPatch, platform: str, environment: dict[str, str], screen: bool
) -> None:
    monkeypatch.setattr(rehearsal.sys, "platform", platform)
    monkeypatch.setattr(rehearsal.os, "environ", environment)
    assert rehearsal._has_screen() is screen
