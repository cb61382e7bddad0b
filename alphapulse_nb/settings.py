"""The one list of settings: name, default, help. Read once, at the edge.

A setting comes from the environment (or a `.env` file in the working directory) under the name that
this module gives it. A wrong value fails at start and is named, and no secret is ever printed.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import sqlalchemy as sa
from pydantic import (
    AliasChoices,
    AwareDatetime,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from alphapulse_nb.errors import SettingsError

_EXAMPLE_URL: Final = "postgresql://user:password@host:5432/name"
_DRIVERS: Final = frozenset({"postgresql", "postgres", "postgresql+psycopg2"})
_SERVER_ONLY: Final = ("DASHBOARD_HOST", "DASHBOARD_PORT", "DASHBOARD_DEBUG", "DASHBOARD_TOKEN")
_PREFIXES: Final = ("ALPHAPULSE_", "DASHBOARD_")
_CONTROL: Final = re.compile(r"[\x00-\x20\x7f]")


def _setting(name: str, default: Any, help_text: str, **limits: Any) -> Any:
    return Field(default, validation_alias=AliasChoices(name), description=help_text, **limits)


class Settings(BaseSettings):
    """Everything that can be set from outside. Make one with `read()`."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
    )

    database_url: SecretStr | None = _setting(
        "DATABASE_URL", None, f"Postgres address, {_EXAMPLE_URL}"
    )
    db_host: str | None = _setting("DB_HOST", None, "database host, instead of DATABASE_URL")
    db_port: int = _setting("DB_PORT", 5432, "database port", ge=1, le=65535)
    db_name: str | None = _setting("DB_NAME", None, "database name")
    db_user: str | None = _setting("DB_USER", None, "database user")
    db_password: SecretStr | None = _setting("DB_PASSWORD", None, "database password")
    data_dir: Path | None = _setting(
        "ALPHAPULSE_DATA_DIR", None, "folder of the embedded database (default: the user's data)"
    )
    statement_timeout: float = _setting(
        "ALPHAPULSE_STATEMENT_TIMEOUT", 10.0, "seconds after which a query is cancelled", gt=0
    )
    refresh_interval: float = _setting(
        "ALPHAPULSE_REFRESH_INTERVAL", 10.0, "seconds between refreshes", ge=1, le=3600
    )
    host: str = _setting("DASHBOARD_HOST", "127.0.0.1", "address that the server listens on")
    port: int = _setting("DASHBOARD_PORT", 8050, "port that the server listens on", ge=0, le=65535)
    debug: bool = _setting("DASHBOARD_DEBUG", False, "verbose log; loopback only")
    token: SecretStr | None = _setting(
        "DASHBOARD_TOKEN", None, "what a viewer must present; required beyond loopback"
    )
    notice: str = _setting(
        "ALPHAPULSE_NOTICE", "", "a few words beside the name on the page", max_length=60
    )
    now: AwareDatetime | None = _setting(
        "ALPHAPULSE_NOW", None, "a fixed clock, for reproducible notebooks (2026-01-31T12:00:00Z)"
    )
    seed: int = _setting("ALPHAPULSE_SEED", 20_260_101, "seed of the demo desk's market", ge=0)

    @field_validator("database_url")
    @classmethod
    def _postgres(cls, value: SecretStr | None) -> SecretStr | None:
        if value is None:
            return None
        try:
            driver = sa.make_url(value.get_secret_value()).drivername
        except (sa.exc.ArgumentError, ValueError):
            raise ValueError(f"cannot be read; expected {_EXAMPLE_URL}") from None
        if driver not in _DRIVERS:
            raise ValueError(f"is not the address of a Postgres; expected {_EXAMPLE_URL}")
        return value

    @field_validator("token")
    @classmethod
    def _long_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 8:
            raise ValueError("must have at least 8 characters")
        if value is not None and _CONTROL.search(value.get_secret_value()):
            raise ValueError("must hold no space or control character")
        return value

    @model_validator(mode="after")
    def _one_database(self) -> Self:
        parts = {"DB_HOST": self.db_host, "DB_NAME": self.db_name, "DB_USER": self.db_user}
        given = [name for name, value in parts.items() if value is not None]
        if self.database_url is not None and given:
            raise ValueError(f"DATABASE_URL and {', '.join(given)} are both set; keep one way")
        if given and len(given) < len(parts):
            missing = [name for name in parts if name not in given]
            raise ValueError(f"{', '.join(missing)} missing beside {', '.join(given)}")
        if self.db_password is not None and not given and self.database_url is None:
            raise ValueError("DB_PASSWORD is set, but DB_HOST, DB_NAME and DB_USER are not")
        return self

    @model_validator(mode="after")
    def _safe_address(self) -> Self:
        if is_loopback(self.host):
            return self
        if self.debug:
            raise ValueError(
                f"DASHBOARD_DEBUG is on and DASHBOARD_HOST is {self.host}: debug is for 127.0.0.1"
            )
        if self.token is None:
            raise ValueError(
                f"DASHBOARD_HOST is {self.host}, which others can reach: set DASHBOARD_TOKEN"
            )
        return self

    def database(self) -> sa.URL | None:
        """Where the database is; None for the embedded one."""
        if self.database_url is not None:
            return sa.make_url(self.database_url.get_secret_value())
        if self.db_host is None:
            return None
        return sa.URL.create(
            "postgresql+psycopg2",
            username=self.db_user,
            password=self.db_password.get_secret_value() if self.db_password else None,
            host=self.db_host,
            port=self.db_port,
            database=self.db_name,
        )

    def clock(self) -> datetime:
        """The moment that counts as now: the fixed one, or the system's."""
        return datetime.now(UTC) if self.now is None else self.now.astimezone(UTC)


def read(**overrides: Any) -> Settings:
    """The settings from the environment; `overrides` (by environment name) come first.

    Raises `SettingsError` that names each wrong setting and never shows its value.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    try:
        return Settings(**given)
    except ValidationError as error:
        raise SettingsError("; ".join(_sentence(detail) for detail in error.errors())) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise SettingsError(f"the file .env cannot be read: {reason}") from None


def hand_down(settings: Settings, environment: MutableMapping[str, str]) -> None:
    """Make the environment say what the settings say, for kernels and other children.

    A child starts in another folder, where our `.env` is not, and knows no command-line options.
    What concerns the server alone is left out, above all the token, which no notebook may see.
    """
    for name in _SERVER_ONLY:
        environment.pop(name, None)
    # Named, since a child's own folder may hold a `.env` with an address it would refuse.
    environment["DASHBOARD_HOST"] = "127.0.0.1"
    for field, (name, _, _) in zip(Settings.model_fields, listed(), strict=True):
        value = getattr(settings, field)
        if name in _SERVER_ONLY or value is None:
            continue
        if isinstance(value, SecretStr):
            value = value.get_secret_value()
        if isinstance(value, Path):
            value = value.expanduser().resolve()
        environment[name] = value.isoformat() if isinstance(value, datetime) else str(value)


def unknown(names: Iterable[str]) -> list[str]:
    """Those environment names that look like ours and are none: most often a slip of the pen."""
    known = {name for name, _, _ in listed()}
    return sorted(name for name in names if name.startswith(_PREFIXES) and name not in known)


def listed() -> list[tuple[str, str, str]]:
    """Every setting as (name, default, help)."""
    rows = []
    for field in Settings.model_fields.values():
        alias = field.validation_alias
        name = str(alias.choices[0]) if isinstance(alias, AliasChoices) else str(alias)
        rows.append(
            (name, "" if field.default is None else str(field.default), field.description or "")
        )
    return rows


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _sentence(detail: Any) -> str:
    name = ".".join(str(part) for part in detail["loc"])
    message = str(detail["msg"]).removeprefix("Value error, ")
    return f"{name}: {message}" if name else message
