"""The compose file, against its specification and against what it starts."""

from __future__ import annotations

import copy
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from check_jsonschema.builtin_schemas import get_builtin_schema
from jsonschema.validators import validator_for

from alphapulse_nb.server.descriptors import BASE, CONNECTIONS, EACH
from alphapulse_nb.settings import read
from tests.deploy import files

SERVICES: dict[str, Any] = files.compose()["services"]
OURS = {name: SERVICES[name] for name in ("dashboard", "tables")}


def faults(compose: dict[str, Any]) -> list[str]:
    """What the specification's JSON schema finds wrong."""
    schema = get_builtin_schema("vendor.compose-spec")
    return [error.message for error in validator_for(schema)(schema).iter_errors(compose)]


def test_it_is_as_the_specification_says() -> None:
    assert faults(files.compose()) == []


def test_a_slip_of_the_pen_would_be_found() -> None:
    wrong = copy.deepcopy(files.compose())
    wrong["services"]["dashboard"]["stop_grace"] = "30s"
    assert [fault for fault in faults(wrong) if "'stop_grace' was unexpected" in fault]


def test_docker_understands_it(tmp_path: Path) -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], check=False).returncode:
        pytest.skip("docker compose is not on this machine: the file was held to its schema only")
    folder = tmp_path / "deploy"
    shutil.copytree(files.DEPLOY, folder)
    (folder / ".env").write_text((folder / "example.env").read_text())
    done = subprocess.run(
        [docker, "compose", "-f", folder / "compose.yaml", "config", "--quiet"],
        env=os.environ | {"DB_PASSWORD": "a long word"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_dashboard_waits_for_a_database_with_tables() -> None:
    waits = {name: one["condition"] for name, one in SERVICES["dashboard"]["depends_on"].items()}
    assert waits == {"database": "service_healthy", "tables": "service_completed_successfully"}
    assert SERVICES["tables"]["depends_on"] == {"database": {"condition": "service_healthy"}}
    assert SERVICES["tables"]["restart"] == "no"
    assert files.command(SERVICES["tables"]["command"]) == []
    assert SERVICES["database"]["healthcheck"]["test"][:2] == ["CMD", "pg_isready"]


def test_no_secret_is_written_into_it() -> None:
    for service in SERVICES.values():
        for name, value in service["environment"].items():
            if "PASSWORD" in name or name in files.SECRET:
                assert value == "${DB_PASSWORD:?set it in deploy/.env}", name


def test_every_setting_exists_and_fits_its_neighbours(monkeypatch: pytest.MonkeyPatch) -> None:
    database = SERVICES["database"]["environment"]
    for service in OURS.values():
        given = service["environment"]
        assert set(given) <= files.KNOWN
        assert given["DB_HOST"] in SERVICES
        assert given["DB_NAME"] == database["POSTGRES_DB"]
        assert given["DB_USER"] == database["POSTGRES_USER"]
        assert given["DB_PASSWORD"] == database["POSTGRES_PASSWORD"]
    for name, value in (files.example() | OURS["dashboard"]["environment"]).items():
        monkeypatch.setenv(name, value)
    settings = read()
    assert settings.host == "0.0.0.0"
    (network,) = files.compose()["networks"]["inside"]["ipam"]["config"]
    assert settings.trusted_proxies == network["gateway"]


def test_the_dashboard_is_reached_from_this_machine_only_and_writes_to_its_volume_only() -> None:
    dashboard = SERVICES["dashboard"]
    port = dashboard["environment"]["DASHBOARD_PORT"]
    assert dashboard["ports"] == [f"127.0.0.1:8050:{port}"]
    assert "ports" not in SERVICES["database"]
    folder = files.image_environment()["ALPHAPULSE_DATA_DIR"]
    assert dashboard["volumes"] == [f"state:{folder}"]
    for service in OURS.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    volumes = [volume for one in SERVICES.values() for volume in one.get("volumes", [])]
    assert {volume.partition(":")[0] for volume in volumes} == set(files.compose()["volumes"])


def test_it_has_descriptors_for_all_places_and_time_to_stop() -> None:
    dashboard = SERVICES["dashboard"]
    places = int(files.example()["DASHBOARD_MAX_KERNELS"])
    assert dashboard["ulimits"]["nofile"] >= BASE + EACH * places + CONNECTIONS
    assert dashboard["stop_grace_period"] == f"{files.unit()['TimeoutStopSec'][0]}s"
