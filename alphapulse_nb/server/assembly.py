"""The parts of which each kind of server is made, put together from the settings."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import TYPE_CHECKING

import platformdirs
from pydantic import SecretStr

from alphapulse_nb.addresses import is_loopback, networks, words
from alphapulse_nb.db.connection import Database
from alphapulse_nb.errors import DatabaseError, DatabaseUnavailable, PermissionDenied, SettingsError
from alphapulse_nb.server import cookies, log
from alphapulse_nb.server.access import Access, Rules
from alphapulse_nb.server.attempts import Attempts
from alphapulse_nb.server.proxy import Proxies
from alphapulse_nb.settings import Settings
from alphapulse_nb.state import State, Users, prepare, standing

if TYPE_CHECKING:
    from alphapulse_nb.actions import Means
    from alphapulse_nb.server.alerting import Alerting
    from alphapulse_nb.server.figures import Figures
    from alphapulse_nb.server.following import Following


def logbook(settings: Settings, figures: Figures, brief: bool = False) -> log.Log:
    """The log; a `brief` one has warnings only."""
    return log.configure(
        form=settings.log_format,
        file=settings.log_file,
        debug=settings.debug,
        brief=brief,
        secrets=[value.get_secret_value() for value in _secrets(settings)],
        figures=figures,
    )


def following(settings: Settings, db: Database, state: State, figures: Figures) -> Following:
    """The events and the feeds, not started."""
    from alphapulse_nb.server.following import Following

    return Following(
        db,
        state,
        figures,
        direct=settings.direct(),
        interval=settings.refresh_interval,
        days=settings.event_days,
        clock=settings.clock,
    )


def alerting(settings: Settings, db: Database, state: State, following: Following) -> Alerting:
    """The alerts, not started."""
    from alphapulse_nb.server.alerting import Alerting

    return Alerting(
        db,
        state,
        following.tail,
        direct=following.direct,
        holder=f"{socket.gethostname()}:{os.getpid()}",
        interval=settings.refresh_interval,
        days=settings.notification_days,
        local=settings.local_channels,
        clock=settings.clock,
    )


def actions(
    settings: Settings, db: Database, state: State, following: Following, alerting: Alerting | None
) -> Means:
    """What people do about alerts and notifications works with these."""
    from alphapulse_nb.actions import Means

    def hurry() -> None:
        """There is something to send, or a rule has changed. Any thread may call."""
        if alerting is not None:
            alerting.hurry()
        if following.stream.hub is not None:
            following.stream.hub.rules_changed()

    return Means(
        db,
        state,
        settings.clock,
        lambda: following.tail.kinds,
        local=settings.local_channels,
        hurry=hurry,
    )


def upgrade(state: State) -> None:
    """Bring our schema, if the database has it, to this release's version."""
    try:
        if standing(state).state in {"old", "newer"}:
            prepare(state)
    except (DatabaseUnavailable, PermissionDenied) as error:
        log.get(__name__).warning("our schema could not be looked at", reason=str(error))


def access(settings: Settings, state: State) -> Access:
    """Who gets in. Raises `SettingsError` where strangers would, on an address they can reach."""
    folder = settings.data_dir or Path(platformdirs.user_data_dir("alphapulse-nb"))
    rules = Rules(
        key=_plain(settings.cookie_secret) or cookies.secret(folder.expanduser()),
        token=_plain(settings.token),
        password=_plain(settings.password),
        remote_user_header=settings.remote_user_header,
        no_auth=settings.no_auth,
        origins=tuple(words(settings.origins)),
        local=is_loopback(settings.host),
    )
    users = Users(state)
    proxies = Proxies(networks(settings.trusted_proxies))
    reached = not rules.local or proxies
    if reached and not rules.no_auth and not settings.guarded() and not _some(users):
        how = f"DASHBOARD_HOST is {settings.host}" if not rules.local else "there is a proxy"
        raise SettingsError(
            f"{how}, which others can reach: set DASHBOARD_TOKEN or "
            "DASHBOARD_PASSWORD, add a user with `alphapulse users add`, or say --no-auth"
        )
    return Access(rules, users, proxies, Attempts())


def _some(users: Users) -> bool:
    try:
        return users.any()
    except DatabaseError as error:
        raise SettingsError(
            f"whether there are users cannot be told ({error}); set DASHBOARD_TOKEN or "
            "DASHBOARD_PASSWORD to serve without them"
        ) from None


def _plain(value: SecretStr | None) -> str:
    return value.get_secret_value() if value else ""


def _secrets(settings: Settings) -> list[SecretStr]:
    """Every secret that the settings hold."""
    values = (getattr(settings, name) for name in type(settings).model_fields)
    return [value for value in values if isinstance(value, SecretStr)]
