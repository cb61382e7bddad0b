"""The doors by which a plugin of apprise reaches the network: HTTP and mail.

A plugin gets `Requests` where it expects the library requests, and `Mail` where it expects
apprise's SMTP session. Both use the connections of `reach` and write into the record of the message
that is being sent.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any, Final

from alphapulse_nb.errors import ChannelError
from alphapulse_nb.notify.channels.answer import Answer, asked
from alphapulse_nb.notify.channels.mail import Mail
from alphapulse_nb.notify.channels.record import LOG, current


class Requests:
    """What a plugin finds under the name `requests`: as much of it as plugins use.

    Time-outs, redirects and certificates are not the plugin's to decide. What is missing here
    raises AttributeError there, rather than finding another way out.
    """

    def __init__(self, library: Any) -> None:
        self._library = library
        self.codes = library.codes
        self.RequestException = library.RequestException
        self.TooManyRedirects = library.TooManyRedirects

    def get(self, url: str, **options: Any) -> Any:
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> Any:
        return self.request("POST", url, **options)

    def put(self, url: str, **options: Any) -> Any:
        return self.request("PUT", url, **options)

    def delete(self, url: str, **options: Any) -> Any:
        return self.request("DELETE", url, **options)

    def request(self, method: str, url: str, **options: Any) -> Any:
        """Like `requests.request`. Raises its ConnectionError, and the record knows why."""
        record = current()
        if record is None:
            raise self._library.ConnectionError("no message is being sent")
        prepared = self._prepared(method.upper(), url, options)
        body = prepared.body or b""
        body = body.encode() if isinstance(body, str) else body
        try:
            answer = asked(method, prepared.url, prepared.headers, body, record.reach, record.ends)
        except ChannelError as problem:
            record.failed(problem)
            raise self._library.ConnectionError("see the record") from None
        record.answered(answer, told=prepared.method != "GET")
        return self._response(prepared, answer)

    def _prepared(self, method: str, url: str, options: Mapping[str, Any]) -> Any:
        names = ("params", "data", "headers", "auth")
        used = {name: options[name] for name in names if options.get(name) is not None}
        if isinstance(used.get("auth"), tuple):
            used["auth"] = tuple(part or "" for part in used["auth"])
        return self._library.Request(method, url, **used).prepare()

    def _response(self, prepared: Any, answer: Answer) -> Any:
        response = self._library.Response()
        response.status_code = answer.status
        response.headers.update(answer.headers)
        response.url = prepared.url
        response.request = prepared
        response.raw = io.BytesIO(answer.body)
        return response


DOORS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "requests": Requests,
    "AppriseSMTPController": lambda _: Mail,
    "logger": lambda _: LOG,
}
"""The names of a plugin's module that are ours to set, and what becomes of what was there."""
