"""An SMTP session for the plugin that writes mail, in place of apprise's own.

The plugin knows providers, recipients and the form of a mail; it is told True or False. Here the
server's codes are read: 4xx may pass and 5xx will not, whichever step they answer.
"""

from __future__ import annotations

import contextlib
import smtplib
from collections.abc import Iterator, Mapping
from email import message_from_string, policy
from typing import Any

from alphapulse_nb.errors import ChannelError
from alphapulse_nb.notify.channels.reach import context, failure, opened
from alphapulse_nb.notify.channels.record import Record, current

Refused = Mapping[str, tuple[int, bytes]]


class Mail:
    """A session as the plugin uses it: made with keywords, entered, then `sendmail` per mail.

    Raises only SMTPException, which says nothing; the record of the message knows why.
    """

    def __init__(
        self,
        host: str,
        port: int,
        secure_mode: str,
        user: str | None = None,
        password: str | None = None,
        **_: Any,
    ) -> None:
        self._host, self._port, self._mode = host, int(port), secure_mode
        self._user, self._password = user or "", password or ""
        self._session: _Session | None = None

    def __enter__(self) -> Mail:
        with self._noting() as record:
            self._session = _Session(self._host, self._port, record, tls=self._mode == "ssl")
            if self._mode == "starttls":
                self._session.starttls(context=context(record.ends))
            if self._user and self._password:
                self._session.login(self._user, self._password)
        return self

    def __exit__(self, *_: object) -> None:
        if self._session is not None:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                self._session.quit()
            self._session.close()

    def sendmail(self, sender: str, recipients: list[str], message: str) -> bool:
        """Whether all recipients of one mail were accepted."""
        if self._session is None:
            return False
        try:
            with self._noting(unknown=True) as record:
                refused = self._session.sendmail(sender, recipients, _folded(message))
                record.arrived = True
                if refused:
                    record.failed(self._recipients(refused, record))
                return not refused
        except smtplib.SMTPException:
            return False

    @contextlib.contextmanager
    def _noting(self, *, unknown: bool = False) -> Iterator[Record]:
        record = current()
        if record is None:
            raise smtplib.SMTPException("no message is being sent")
        try:
            yield record
        except ChannelError as problem:
            record.failed(problem)
        except smtplib.SMTPException as error:
            record.failed(self._refusal(error, record, unknown))
        except OSError as error:
            seconds = record.reach.whole
            record.failed(failure(error, self._place, seconds, unknown=unknown))
        else:
            return
        if not unknown:
            self.__exit__()
        raise smtplib.SMTPException("see the record")

    @property
    def _place(self) -> str:
        return f"{self._host}:{self._port}"

    def _refusal(self, error: smtplib.SMTPException, record: Record, unknown: bool) -> ChannelError:
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            return self._recipients(error.recipients, record)
        if isinstance(error, smtplib.SMTPResponseException):
            return self._answered(error.smtp_code, error.smtp_error, record)
        if isinstance(error.__context__, OSError):  # smtplib calls each of them a disconnection
            return failure(error.__context__, self._place, record.reach.whole, unknown=unknown)
        if isinstance(error, smtplib.SMTPServerDisconnected):
            return ChannelError(f"{self._place} ended the session", True, unknown=unknown)
        return ChannelError(f"{self._place} offers no TLS or no login, as the address demands")

    def _recipients(self, refused: Refused, record: Record) -> ChannelError:
        answers = [self._answered(code, words, record) for code, words in refused.values()]
        return next((one for one in answers if one.retry), answers[0])

    def _answered(self, code: int, words: bytes | str, record: Record) -> ChannelError:
        said = words.decode("utf-8", "replace") if isinstance(words, bytes) else words
        text = f"{self._place} answered {code}: {record.quoted(said)}"
        return ChannelError(text, retry=code < 500)


class _Session(smtplib.SMTP):
    """An SMTP session over a connection of `reach`."""

    def __init__(self, host: str, port: int, record: Record, *, tls: bool) -> None:
        self._record, self._tls = record, tls
        super().__init__(host, port, local_hostname="localhost", timeout=record.reach.whole)

    def _get_socket(self, host: str, port: int, timeout: float) -> Any:  # noqa: ARG002 - its own are set
        link = opened(host, port, self._record.reach, self._record.ends, tls=self._tls)
        # The name of this machine is the DNS's to know, which may take its time to say it; what
        # RFC 5321 wants in its place is the address.
        own = link.getsockname()[0]
        self.local_hostname = f"[IPv6:{own}]" if ":" in own else f"[{own}]"
        return link


def _folded(message: str) -> bytes:
    """The mail as SMTP wants it: apprise writes a long subject as one line, which is too long."""
    return message_from_string(message, policy=policy.SMTP).as_bytes()
