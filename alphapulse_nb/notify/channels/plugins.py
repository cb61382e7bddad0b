"""apprise's plugins, with our doors in their walls.

A plugin is a class of a module that says `requests.post(…)` or opens an SMTP session. The module is
loaded here a second time, as a copy that nobody else has, and the names by which it would reach the
network are set to those of `doors`. So every connection goes where `reach` allows and ends in time,
whatever the plugin does, and what went wrong is known exactly rather than as False. A copy of an
apprise that reaches the network by another name would go past the doors: its version is pinned, and
a test looks at the names that each copy has.

Only the listed plugins are ever loaded, and they keep nothing: no storage, no configuration, no
attachments, no templates. What apprise logs holds tokens in clear, so none of it goes on.
"""

from __future__ import annotations

import contextlib
import email.charset
import functools
import importlib
import importlib.util
import logging
import warnings
from collections.abc import Iterator
from datetime import UTC
from types import ModuleType
from typing import Any, Final

from alphapulse_nb.errors import InputError
from alphapulse_nb.notify.channels.doors import DOORS
from alphapulse_nb.notify.channels.kinds import Kind
from alphapulse_nb.notify.channels.record import LOG, overheard

_TROUBLES: Final = (TypeError, ValueError, LookupError, AttributeError)
"""What plugins raise for addresses that they do not understand."""


def built(kind: Kind, url: str) -> Any:
    """A plugin for one message. Raises `InputError`, without secrets, for an address that is none.

    `url` is an address of apprise whose options have been looked at.
    """
    said: list[str] = []
    with overheard(said.append):
        try:
            plugin = _made(_class(kind.plugin), url)
        except _TROUBLES:
            plugin = None
    if plugin is None or said:
        raise InputError(f"this is no address for {kind.label}: they look like {kind.example}")
    # We keep to the pace that servers ask for; what sleeps here would keep others waiting.
    plugin.throttle = _without_delay
    # The end of a line between a heading and a text counts where both are one to the service.
    plugin.overflow_buffer = len("\r\n")
    return plugin


def told(plugin: Any, heading: str, text: str, notify_type: str) -> bool:
    """Whether a plugin says that it has delivered a message, as plain text and in one piece.

    Raises what the plugin raises.
    """
    library = importlib.import_module("apprise")
    conversion = importlib.import_module("apprise.conversion")
    plain = library.NotifyFormat.TEXT
    # Escaped here for a service that takes HTML or Markdown: not all plugins do so themselves.
    resolved = plugin.resolve_format(plain)
    if plugin.title_maxlen <= 0:
        heading = conversion.convert_between(plain, resolved, heading)
    return bool(
        plugin.notify(
            title=heading,
            body=conversion.convert_between(plain, resolved, text),
            notify_type=notify_type,
            body_format=resolved,
            body_passthrough=False,
            overflow="truncate",
        )
    )


def _made(plugin: Any, url: str) -> Any:
    found = plugin.parse_url(url)
    return plugin(asset=_asset(), **found) if found else None


@functools.cache
def _class(path: str) -> Any:
    module, _, name = path.partition(":")
    # Its records hold addresses in clear, at all levels, also those of its parts that we share.
    logging.getLogger("apprise").addFilter(_nothing)
    copy = _copied(f"apprise.plugins.{module}")
    for door, ours in DOORS.items():
        if hasattr(copy, door):
            setattr(copy, door, ours(getattr(copy, door)))
    found = getattr(copy, name)
    found.logger = LOG
    return found


def _copied(name: str) -> ModuleType:
    with warnings.catch_warnings(), _charsets():
        # It imports modules that Python 3.13 lacks, and has replacements.
        warnings.simplefilter("ignore", DeprecationWarning)
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            raise ImportError(f"apprise has no {name}")
        copy = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(copy)
    return copy


@functools.cache
def _asset() -> Any:
    library = importlib.import_module("apprise")
    return library.AppriseAsset(
        app_id="AlphaPulse",
        app_desc="AlphaPulse",
        app_url="",
        image_url_mask="",
        image_url_logo="",
        image_path_mask="",
        storage_mode="memory",
        timezone=UTC,
        interpret_emojis=False,
        interpret_escapes=False,
        pgp_autogen=False,
        pem_autogen=False,
        http_redirects=False,
    )


@contextlib.contextmanager
def _charsets() -> Iterator[None]:
    """Keep how this process encodes mail, which apprise changes for all when it is imported."""
    before = dict(email.charset.CHARSETS)
    try:
        yield
    finally:
        email.charset.CHARSETS.update(before)


def _nothing(_: logging.LogRecord) -> bool:
    return False


def _without_delay(*_: Any, **__: Any) -> None:
    """In place of a plugin's `throttle`, which sleeps."""
