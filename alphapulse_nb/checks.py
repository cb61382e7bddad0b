"""`alphapulse check`: what a working dashboard needs, each with its state and the next step.

A check that fails does not stop the others; those that need it are left out. No line holds a
secret.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

from alphapulse_nb import settings as settings_module
from alphapulse_nb.errors import AlphaPulseError, ChartError, SettingsError

if TYPE_CHECKING:
    from alphapulse_nb.db.connection import Database
    from alphapulse_nb.settings import Settings

State = Literal["ok", "warning", "failed"]

PACKAGE: Final = "alphapulse-nb"

_PUSHES: Final = "`alphapulse db install-triggers` makes them; the README says what they cost"


@dataclass(frozen=True)
class Check:
    """One line of the report."""

    name: str
    state: State
    detail: str
    next_step: str = ""


def run() -> Iterator[Check]:
    """Every check, in the order in which a reader would mend things."""
    yield python()
    yield from packages()
    yield from browser_assets()
    try:
        settings = settings_module.read()
    except SettingsError as error:
        yield Check("settings", "failed", str(error), "correct the named setting")
        return
    yield names(os.environ)
    yield from database(settings)


def python() -> Check:
    """The running Python against the range that the package asks for."""
    from packaging.specifiers import SpecifierSet

    here = platform.python_version()
    wanted = importlib.metadata.metadata(PACKAGE)["Requires-Python"]
    if SpecifierSet(wanted).contains(here, prereleases=True):
        return Check("Python", "ok", here)
    return Check("Python", "failed", f"{here}, expected {wanted}", "install a Python in that range")


def packages() -> Iterator[Check]:
    """The installed packages against those that ours requires: one line, or one per problem."""
    from packaging.requirements import Requirement

    required = [Requirement(text) for text in importlib.metadata.requires(PACKAGE) or ()]
    ours = [r for r in required if r.marker is None or r.marker.evaluate({"extra": ""})]
    problems = [(r, problem) for r in ours if (problem := _problem(r.name, str(r.specifier)))]
    for requirement, problem in problems:
        step = f'python -m pip install "{requirement.name}{requirement.specifier}"'
        yield Check(f"package {requirement.name}", "failed", problem, step)
    if not problems:
        yield Check("packages", "ok", f"{len(ours)} required, all installed in their range")


def names(environment: Iterable[str]) -> Check:
    """The settings were read: are there others that were meant for us?"""
    strange = settings_module.unknown(environment)
    if strange:
        known = ", ".join(name for name, _, _ in settings_module.listed())
        return Check(
            "settings", "warning", f"nobody reads {', '.join(strange)}", f"known are {known}"
        )
    return Check("settings", "ok", "all values are valid")


def browser_assets() -> Iterator[Check]:
    """plotly.js, the widgets' scripts and the page's template."""
    from alphapulse_nb.widgets import assets

    try:
        sizes = len(assets.plotly_script()) / 1e6, len(assets.bundle()) / 1e3
    except (ChartError, OSError) as error:
        yield Check("browser assets", "failed", str(error), f"reinstall plotly and {PACKAGE}")
        return
    detail = "plotly.min.js {:.1f} MB, our scripts {:.0f} kB".format(*sizes)
    yield Check("browser assets", "ok", detail)
    yield _template()


def database(settings: Settings) -> Iterator[Check]:
    """The database, and what stands in it."""
    from alphapulse_nb.db import connection

    try:
        with connection.connect(
            settings.database(),
            statement_timeout=settings.statement_timeout,
            data_dir=settings.data_dir,
        ) as db:
            yield from inside(db)
    except AlphaPulseError as error:
        step = "see that it runs and that DATABASE_URL, or DB_HOST and those beside it, name it"
        yield Check("database", "failed", str(error), step)


def inside(db: Database) -> Iterator[Check]:
    """The checks of a database that answers. Raises `DatabaseError` when it does not."""
    import sqlalchemy as sa

    from alphapulse_nb.db import timescale

    with db.connection() as link:
        version = link.execute(sa.text("SHOW server_version")).scalar_one()
        found = timescale.detect(link)
    yield Check("database", "ok", f"{db.where}, Postgres {version}")
    yield Check("TimescaleDB", "ok", str(found))
    yield from tables(db)
    yield own_schema(db)
    yield triggers(db)


def tables(db: Database) -> Iterator[Check]:
    """What is missing of the trading tables: one line, or one per problem."""
    from alphapulse_nb.db import check
    from alphapulse_nb.db.tables import metadata

    findings = check.check(db)
    if db.embedded is not None and {f.table for f in findings if f.problem == "missing"} == set(
        metadata.tables
    ):
        step = "`alphapulse demo` fills it, `alphapulse db init` makes empty tables"
        yield Check("tables", "warning", "the embedded database is still empty", step)
        return
    for finding in findings:
        state: State = "failed" if finding.serious else "warning"
        yield Check("tables", state, str(finding), finding.next_step)
    if not findings:
        yield Check("tables", "ok", f"{len(metadata.tables)} tables, all columns as expected")


def triggers(db: Database) -> Check:
    """Whether new rows are told of at once, or looked for now and then."""
    from alphapulse_nb.db import triggers as ours

    found = ours.status(db)
    without = [outcome for outcome in found if outcome.state != "installed"]
    if not without:
        return Check("triggers", "ok", f"on {len(found)} tables: new rows are shown at once")
    if len(without) == len(found):
        return Check("triggers", "warning", "not installed: new rows are looked for", _PUSHES)
    names = ", ".join(
        f"{outcome.table} ({outcome.detail})" if outcome.state == "refused" else outcome.table
        for outcome in without
    )
    return Check("triggers", "warning", f"missing, so that rows are looked for: {names}", _PUSHES)


def own_schema(db: Database) -> Check:
    """The schema in which users and our other state are kept."""
    from alphapulse_nb import state as own

    with own.State(db) as state:
        found = own.standing(state)
    if found.state == "missing":
        detail = "not made yet: `alphapulse serve` and `alphapulse users add` make it"
        return Check("own schema", "ok", detail)
    marks: dict[str, State] = {"ok": "ok", "old": "warning", "denied": "warning"}
    return Check("own schema", marks.get(found.state, "failed"), str(found), found.next_step)


def _problem(name: str, wanted: str) -> str | None:
    from packaging.specifiers import SpecifierSet

    try:
        version = importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return f"not installed, required {wanted}"
    if SpecifierSet(wanted).contains(version, prereleases=True):
        return None
    return f"{version} installed, required {wanted}"


def _template() -> Check:
    from jupyter_core.paths import jupyter_path

    from alphapulse_nb.server import app

    ours = Path(app.__file__).parent / "share/voila/templates/alphapulse/index.html.j2"
    base = [Path(root) / "voila/templates/lab/index.html.j2" for root in jupyter_path()]
    try:
        app.notebook()
    except SettingsError as error:
        return Check("page", "failed", str(error), f"reinstall {PACKAGE}")
    if not ours.is_file():
        return Check("page", "failed", f"{ours} is missing", f"reinstall {PACKAGE}")
    if not any(path.is_file() for path in base):
        return Check("page", "failed", "Voila's template `lab` is missing", "reinstall voila")
    return Check("page", "ok", "notebook and Voila template found")
