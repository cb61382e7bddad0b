"""What the shipped files say, read as plainly as the tests need it."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from typing import Any, Final

import typer
import yaml

from alphapulse_nb.cli import app
from alphapulse_nb.settings import Settings, listed
from tests.conftest import ROOT

DEPLOY: Final = ROOT / "deploy"
KNOWN: Final = {name for name, _, _ in listed()}
SECRET: Final = {
    name
    for (name, _, _), field in zip(listed(), Settings.model_fields.values(), strict=True)
    if "SecretStr" in str(field.annotation)
}
"""The names of the settings, and of those that no file may give a value."""


def command(words: list[str]) -> list[str]:
    """What of the words of an `alphapulse` command line is no command of ours."""
    found: Any = typer.main.get_command(app)
    for at, word in enumerate(words):
        if not hasattr(found, "commands"):
            return []
        found = found.commands.get(word)
        if found is None:
            return words[at:]
    return ["a subcommand is missing"] if hasattr(found, "commands") else []


@functools.cache
def unit() -> dict[str, list[str]]:
    """The values of each key of the systemd unit."""
    found: dict[str, list[str]] = {}
    for line in (DEPLOY / "alphapulse.service").read_text().splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            found.setdefault(key, []).append(value)
    return found


@dataclass(frozen=True)
class Instruction:
    """A line of a Dockerfile."""

    name: str
    value: str

    @property
    def words(self) -> list[str]:
        """Of the exec form; none of the shell's."""
        _, bracket, rest = self.value.partition("[")
        if not bracket:
            return []
        words: list[str] = json.loads(bracket + rest)
        return words


@functools.cache
def dockerfile() -> list[Instruction]:
    text = (DEPLOY / "Dockerfile").read_text()
    lines = re.sub(r"\\\n\s*", " ", text).splitlines()
    parted = [line.partition(" ") for line in lines if line and not line.startswith("#")]
    return [Instruction(name, value.strip()) for name, _, value in parted]


def instructions(name: str) -> list[Instruction]:
    return [one for one in dockerfile() if one.name == name]


def image_environment() -> dict[str, str]:
    """What ENV says."""
    pairs = [pair.partition("=") for one in instructions("ENV") for pair in one.value.split()]
    return {name: value for name, _, value in pairs}


@functools.cache
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def example(*, everything: bool = False) -> dict[str, str]:
    """The example environment; `everything`: with what is commented out."""
    start = "#?" if everything else ""
    text = (DEPLOY / "example.env").read_text()
    return dict(re.findall(rf"^{start}([A-Z_]+)=(.*)$", text, re.MULTILINE))
