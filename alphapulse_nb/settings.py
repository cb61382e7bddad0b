"""The one list of settings: name, default, help. Read once, at the edge.

A setting comes from the environment (or a `.env` file in the working directory) under the name that
this module gives it. A wrong value fails at start and is named, and no secret is ever printed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal, Self

import sqlalchemy as sa
from pydantic import (
    AliasChoices,
    AwareDatetime,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, SettingsConfigDict

from alphapulse_nb.addresses import is_loopback, networks, words
from alphapulse_nb.errors import SettingsError

_EXAMPLE_URL: Final = "postgresql://user:password@host:5432/name"
_DRIVERS: Final = frozenset({"postgresql", "postgres", "postgresql+psycopg2"})
_SERVER: Final = "DASHBOARD_"
"""What the names of the server's own settings begin with; no kernel gets to see those."""
_PREFIXES: Final = ("ALPHAPULSE_", _SERVER)
_CONTROL: Final = re.compile(r"[\x00-\x20\x7f]")
_BASE_URL: Final = re.compile(r"/|(?:/[A-Za-z0-9._~-]*[A-Za-z0-9_~-])+/?")
_HEADER: Final = re.compile(r"[A-Za-z0-9-]{1,100}")
_ORIGIN: Final = re.compile(r"https?://[A-Za-z0-9.-]+(?::\d{1,5})?")


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
    database_direct_url: SecretStr | None = _setting(
        "DATABASE_DIRECT_URL",
        None,
        "the same database without a pooler, for what needs a connection of its own (default: "
        "the same address)",
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
    event_days: float = _setting(
        "ALPHAPULSE_EVENT_DAYS", 7.0, "days for which events are kept", gt=0, le=3650
    )
    notification_days: float = _setting(
        "ALPHAPULSE_NOTIFICATION_DAYS",
        90.0,
        "days for which notifications, and alerts that are over, are kept",
        gt=0,
        le=3650,
    )
    alerts: bool = _setting(
        "DASHBOARD_ALERTS", True, "evaluate rules and send what they find, if no other server does"
    )
    local_channels: bool = _setting(
        "DASHBOARD_LOCAL_CHANNELS",
        False,
        "let channels of notifications reach programs on the server's own machine",
    )
    host: str = _setting("DASHBOARD_HOST", "127.0.0.1", "address that the server listens on")
    port: int = _setting("DASHBOARD_PORT", 8050, "port that the server listens on", ge=0, le=65535)
    stream_port: int = _setting(
        "STREAM_PORT", 8765, "port that `alphapulse stream` listens on", ge=0, le=65535
    )
    debug: bool = _setting("DASHBOARD_DEBUG", False, "verbose log; loopback only")
    base_url: str = _setting("DASHBOARD_BASE_URL", "/", "path that the dashboard lives under")
    token: SecretStr | None = _setting(
        "DASHBOARD_TOKEN", None, "what a viewer must present, once, in the address or a header"
    )
    password: SecretStr | None = _setting(
        "DASHBOARD_PASSWORD", None, "one password for all viewers, asked for on a page"
    )
    no_auth: bool = _setting(
        "DASHBOARD_NO_AUTH", False, "let everybody in, also on an address that others can reach"
    )
    trusted_proxies: str = _setting(
        "DASHBOARD_TRUSTED_PROXIES",
        "",
        "addresses or networks whose X-Forwarded-* headers count (10.0.0.5, 10.1.0.0/16)",
    )
    remote_user_header: str = _setting(
        "DASHBOARD_REMOTE_USER_HEADER",
        "",
        "header in which a trusted proxy names the user it has signed in (X-Remote-User)",
    )
    origins: str = _setting(
        "DASHBOARD_ORIGINS", "", "other sites that may use the API (https://desk.example)"
    )
    cookie_secret: SecretStr | None = _setting(
        "DASHBOARD_COOKIE_SECRET",
        None,
        "key that signs cookies, the same on every server (default: kept in the data folder)",
    )
    max_kernels: int = _setting(
        "DASHBOARD_MAX_KERNELS", 150, "pages with a kernel at a time; more are asked to wait", ge=1
    )
    rate_limit: int = _setting(
        "DASHBOARD_RATE_LIMIT", 600, "API requests a minute for each client; 0 is no limit", ge=0
    )
    self_metrics: bool = _setting(
        "DASHBOARD_SELF_METRICS",
        False,
        "write the server's own figures to system_metrics, the one table of the desk that it "
        "ever writes to",
    )
    log_file: Path | None = _setting(
        "DASHBOARD_LOG_FILE", None, "file that the log goes to (default: standard error)"
    )
    log_format: Literal["text", "json"] = _setting(
        "DASHBOARD_LOG_FORMAT", "text", "text for people, or json with one object a line"
    )
    notice: str = _setting(
        "ALPHAPULSE_NOTICE", "", "a few words beside the name on the page", max_length=60
    )
    now: AwareDatetime | None = _setting(
        "ALPHAPULSE_NOW", None, "a fixed clock, for reproducible notebooks (2026-01-31T12:00:00Z)"
    )
    seed: int = _setting("ALPHAPULSE_SEED", 20_260_101, "seed of the demo desk's market", ge=0)

    @field_validator("database_url", "database_direct_url")
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

    @field_validator("base_url")
    @classmethod
    def _path(cls, value: str) -> str:
        if not _BASE_URL.fullmatch(value):
            raise ValueError("must be a path such as / or /desk/")
        return value if value.endswith("/") else value + "/"

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, value: str) -> str:
        try:
            networks(value)
        except ValueError:
            raise ValueError("must be addresses or networks, such as 10.0.0.5, 10.1.0.0/16") from (
                None
            )
        return value

    @field_validator("remote_user_header")
    @classmethod
    def _header(cls, value: str) -> str:
        if value and not _HEADER.fullmatch(value):
            raise ValueError("must be the name of a header, such as X-Remote-User")
        return value

    @field_validator("origins")
    @classmethod
    def _sites(cls, value: str) -> str:
        for origin in words(value):
            if not _ORIGIN.fullmatch(origin):
                raise ValueError("must be origins such as https://desk.example, without a path")
        return value

    @field_validator("cookie_secret")
    @classmethod
    def _random_enough(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(value.get_secret_value()) < 32:
            raise ValueError("must have at least 32 characters")
        return value

    @field_validator("token", "password")
    @classmethod
    def _long_enough(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        if value is None:
            return None
        given = value.get_secret_value()
        if len(given) < 8:
            raise ValueError("must have at least 8 characters")
        # Nobody could send it: the environment may hold bytes that are no text.
        if re.search(r"[\ud800-\udfff]", given):
            raise ValueError("must be UTF-8 text")
        # A token travels in addresses and headers; a password may be a sentence.
        if _CONTROL.search(given.replace(" ", "") if info.field_name == "password" else given):
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
        if self.database_direct_url is not None and not given and self.database_url is None:
            raise ValueError("DATABASE_DIRECT_URL is set, but DATABASE_URL is not")
        return self

    @model_validator(mode="after")
    def _safe_address(self) -> Self:
        if self.debug and not is_loopback(self.host):
            raise ValueError(
                f"DASHBOARD_DEBUG is on and DASHBOARD_HOST is {self.host}: debug is for 127.0.0.1"
            )
        if self.remote_user_header and not self.trusted_proxies:
            raise ValueError(
                "DASHBOARD_REMOTE_USER_HEADER needs DASHBOARD_TRUSTED_PROXIES: anybody could send "
                "that header"
            )
        closed = self.token or self.password or self.remote_user_header
        if self.no_auth and closed:
            raise ValueError("DASHBOARD_NO_AUTH contradicts a token, password or proxy header")
        return self

    def guarded(self) -> bool:
        """Whether the settings alone keep strangers out (users of the database may, too)."""
        return bool(self.token or self.password or self.remote_user_header)

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

    def direct(self) -> sa.URL | None:
        """Where the database is without a pooler; None where that is no address of its own."""
        if self.database_direct_url is None:
            return None
        return sa.make_url(self.database_direct_url.get_secret_value())

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
    for name, _, _ in listed():
        if name.startswith(_SERVER):
            environment.pop(name, None)
    # Named, since a child's own folder may hold a `.env` with an address it would refuse.
    environment["DASHBOARD_HOST"] = "127.0.0.1"
    for field, (name, _, _) in zip(Settings.model_fields, listed(), strict=True):
        value = getattr(settings, field)
        if name.startswith(_SERVER) or value is None:
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


def _sentence(detail: Any) -> str:
    name = ".".join(str(part) for part in detail["loc"])
    message = str(detail["msg"]).removeprefix("Value error, ")
    return f"{name}: {message}" if name else message
