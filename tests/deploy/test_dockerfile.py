"""The image, as far as it can be judged without a container engine."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from tests.conftest import ROOT, free_port
from tests.deploy import files

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
COPIED = [
    source
    for one in files.instructions("COPY")
    if not one.value.startswith("--from")
    for source in one.value.split()[:-1]
]


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run(
        [hadolint, "--failure-threshold", "style", files.DEPLOY / "Dockerfile"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_it_is_made_in_stages_on_a_python_that_we_support() -> None:
    bases = [one.value.split()[0] for one in files.instructions("FROM")]
    assert len(bases) == 2
    (base,) = set(bases)
    (version,) = re.findall(r"^python:(3\.\d+)-slim-[a-z]+$", base)
    assert SpecifierSet(PROJECT["requires-python"]).contains(f"{version}.0")


def test_it_does_not_run_as_root() -> None:
    last = files.dockerfile()
    user = max(at for at, one in enumerate(last) if one.name == "USER")
    # A number, so that an orchestrator can tell without looking into the image.
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last[user].value)
    assert {one.name for one in last[user:]}.isdisjoint({"RUN", "COPY", "ADD"})


def test_the_server_is_process_1_and_hears_the_signals_itself() -> None:
    (entry,), (command,) = files.instructions("ENTRYPOINT"), files.instructions("CMD")
    assert entry.words == ["alphapulse"]
    assert entry.words[0] in PROJECT["scripts"]
    assert files.command(command.words) == []
    assert files.instructions("HEALTHCHECK")[0].words[0] == "python"


def test_it_holds_no_secret_and_only_settings_that_there_are() -> None:
    given = files.image_environment()
    ours = {name for name in given if name.startswith(("DB_", "DATABASE_", "DASHBOARD_", "ALPHA"))}
    assert ours
    assert ours <= files.KNOWN - files.SECRET
    assert files.instructions("ARG") == []
    assert given["ALPHAPULSE_DATA_DIR"] == files.instructions("VOLUME")[0].value
    assert given["DASHBOARD_PORT"] == files.instructions("EXPOSE")[0].value


def test_nothing_goes_to_the_build_but_what_is_copied() -> None:
    lines = (files.DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == set(COPIED)
    assert {"**/.env", "**/__pycache__"} <= set(rules[1:])


def test_everything_that_the_package_is_built_from_is_copied() -> None:
    assert all((ROOT / name).exists() for name in COPIED)
    sources = {"alphapulse_nb", "pyproject.toml", PROJECT["readme"], *PROJECT["license-files"]}
    build = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["hatch"]["build"]
    assert sources | set(build["targets"]["wheel"]["force-include"]) <= set(COPIED)


class _Health(BaseHTTPRequestHandler):
    """Counts who asks for its health, and says what it is told to."""

    asked: list[str]
    status: int

    def do_GET(self) -> None:
        self.asked.append(self.path)
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def health() -> Iterator[HTTPServer]:
    _Health.asked, _Health.status = [], 200
    server = HTTPServer(("127.0.0.1", 0), _Health)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def healthy(port: int, **environment: str) -> int:
    """The exit code of the health check, which is told by it alone."""
    (check,) = files.instructions("HEALTHCHECK")
    done = subprocess.run(
        [sys.executable, *check.words[1:]],
        env={"DASHBOARD_PORT": str(port)} | environment,
        capture_output=True,
        check=False,
    )
    return done.returncode


@pytest.mark.parametrize(
    ("base_url", "path"),
    [
        (None, "/api/health"),
        ("", "/api/health"),
        ("/", "/api/health"),
        ("/desk", "/desk/api/health"),
        ("/a/desk/", "/a/desk/api/health"),
    ],
)
def test_its_health_is_asked_for_where_it_is(
    health: HTTPServer, base_url: str | None, path: str
) -> None:
    given = {} if base_url is None else {"DASHBOARD_BASE_URL": base_url}
    assert healthy(health.server_port, **given) == 0
    assert _Health.asked == [path]


def test_a_server_that_is_ill_or_gone_is_not_healthy(health: HTTPServer) -> None:
    _Health.status = 500
    assert healthy(health.server_port) == 1
    assert healthy(free_port()) == 1
