"""The alerts area of the dashboard."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

import traitlets

from alphapulse_nb.charts.breaches import Alert
from alphapulse_nb.errors import AlphaPulseError
from alphapulse_nb.lane import Lane
from alphapulse_nb.widgets import assets
from alphapulse_nb.widgets.base import Widget

MOST: Final = 50
"""Alerts on screen; the oldest beyond that are left out."""
MOST_ASKED: Final = 32
"""Questions of pages that wait for their answer; more are refused."""
_LONGEST_ID: Final = 64

Answer = Callable[[str, Mapping[str, Any], object], Mapping[str, Any]]
"""Called with an action's name, its values and its body; may raise an `AlphaPulseError`."""


class Alerts(Widget):
    """A list of alerts, newest first.

    Parameters
    ----------
    feed: the feed of the server's stream that brings the same, for pages that have a stream.
    answer: what pages without a stream ask about notifications (see `api.js`) goes to it, one
        question after another in a thread of its own, so that the kernel goes on meanwhile. What it
        returns is the answer, or with a single `error` a refusal with a `code` and a `message`.
    """

    _alerts: traitlets.List[Any] = traitlets.List().tag(sync=True)
    _feed_name = traitlets.Unicode().tag(sync=True)
    _answers = traitlets.Bool(False).tag(sync=True)

    def __init__(self, *, feed: str = "", answer: Answer | None = None, **traits: Any) -> None:
        self._answer = answer
        self._lane = Lane("alphapulse-answers")
        self._asked = threading.BoundedSemaphore(MOST_ASKED)
        super().__init__("alerts", _feed_name=feed, _answers=answer is not None, **traits)

    def __repr__(self) -> str:
        return f"Alerts({len(self._alerts)})"

    def show(self, alerts: Sequence[Alert]) -> None:
        """Show these alerts and no others."""
        newest = sorted(alerts, key=lambda alert: alert.at, reverse=True)[:MOST]
        self._alerts = [asdict(alert) for alert in newest]

    def receive(self, message: dict[str, Any]) -> None:
        """Send the drawer's script, or have a question answered."""
        match message:
            case {"kind": "drawer"}:
                self.send({"kind": "drawer"}, [assets.bundle(assets.DRAWER).encode()])
            case {"kind": "ask", "id": str(ref), "name": str(name)} if len(ref) <= _LONGEST_ID:
                self._take_question(ref, name, message.get("values") or {}, message.get("body"))

    def close(self) -> None:
        """End the thread that answers, too."""
        self._lane.close()
        super().close()

    def _take_question(self, ref: str, name: str, values: object, body: object) -> None:
        if self._answer is None or not isinstance(values, dict):
            self._refuse(ref, "not_found", "Nobody answers such questions here.")
        elif not self._asked.acquire(blocking=False):
            self._refuse(ref, "too_many_requests", "Too much is asked at a time. Try again.")
        else:
            answer = functools.partial(self._answer, name, values, body)
            self._lane.submit(lambda: self._reply(ref, answer))

    def _reply(self, ref: str, answer: Callable[[], Mapping[str, Any]]) -> None:
        try:
            found = answer()
            error = found.get("error") if set(found) == {"error"} else None
            said = {"error": error} if error else {"body": found}
            self.send({"kind": "answer", "id": ref, **said})
        except AlphaPulseError as error:
            self._refuse(ref, error.code, str(error))
        except Exception as error:  # noqa: BLE001 - the page waits for an answer
            self._refuse(ref, "internal", f"{type(error).__name__}: {error}")
        finally:
            self._asked.release()

    def _refuse(self, ref: str, code: str, message: str) -> None:
        error = {"code": code, "message": message}
        self.send({"kind": "answer", "id": ref, "error": error})
