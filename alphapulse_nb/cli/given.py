"""What the commands are given: settings, a database, files; and how they are ended."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from alphapulse_nb.errors import InputError

if TYPE_CHECKING:
    from alphapulse_nb.db.connection import Database
    from alphapulse_nb.settings import Settings


def settings(**overrides: object) -> Settings:
    """The settings, with what the command line says instead."""
    from alphapulse_nb import settings as all_settings

    return all_settings.read(**overrides)


def listening(
    host: str | None, base_url: str | None, no_auth: bool, debug: bool, **port: int | None
) -> Settings:
    """The settings of a server, as far as its command line overrides them."""
    return settings(
        DASHBOARD_HOST=host,
        DASHBOARD_BASE_URL=base_url,
        DASHBOARD_NO_AUTH=True if no_auth else None,
        DASHBOARD_DEBUG=True if debug else None,
        **port,
    )


def database(chosen: Settings | None = None) -> Database:
    """The database that the settings name."""
    from alphapulse_nb.db import connection

    chosen = chosen or settings()
    return connection.connect(
        chosen.database(),
        statement_timeout=chosen.statement_timeout,
        data_dir=chosen.data_dir,
    )


def text_of(file: Path) -> str:
    """What a file holds; - is standard input."""
    if str(file) == "-":
        return sys.stdin.read()
    try:
        return file.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} cannot be read: {error}") from None


def object_of(what: str, text: str) -> dict[str, Any]:
    """The JSON object that a text is."""
    import json

    try:
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{what} is no JSON: {error}") from None
    if not isinstance(found, dict):
        raise InputError(f"{what} is no JSON object")
    return found


@contextmanager
def stoppable() -> Iterator[None]:
    """Ctrl-C and SIGTERM end the block, and all that was begun in it, without a traceback."""
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        yield
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(_number: int, _frame: object) -> None:
    raise KeyboardInterrupt
