"""The server's log: one event a line, with time, level, what happened and its fields.

Events come from our code (`log.get(__name__).info("kernel started", kernel=…)`) and, through the
standard library's `logging`, from tornado, Voila and Jupyter. All take the same way: the fields are
freed of secrets, the line is made (`line`), and a thread of its own writes it (`logfile`).
"""

from __future__ import annotations

import errno
import logging
import sys
from collections.abc import Iterable, MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Literal

import structlog
from structlog.stdlib import ExtraAdder, ProcessorFormatter

from alphapulse_nb.errors import SettingsError
from alphapulse_nb.server import line
from alphapulse_nb.server.figures import Figures
from alphapulse_nb.server.logfile import LogFile, Sink, StandardError, Target
from alphapulse_nb.server.redaction import Redactor

Format = Literal["text", "json"]
Event = MutableMapping[str, Any]

OURS: Final = "alphapulse_nb"
_PASSING: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.ENFILE, errno.EMFILE, errno.ENXIO})
"""What may keep a file from being opened now and not later."""


def get(name: str) -> Any:
    """A logger whose calls take fields: `get(__name__).warning("no zygote", reason=…)`."""
    return structlog.wrap_logger(
        logging.getLogger(name),
        processors=[structlog.stdlib.filter_by_level, ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
    )


def configure(
    *,
    form: Format = "text",
    file: Path | None = None,
    debug: bool = False,
    brief: bool = False,
    secrets: Iterable[str] = (),
    figures: Figures | None = None,
) -> Log:
    """Send everything that is logged to `file` or, without one, to standard error.

    Parameters
    ----------
    form: text for people, or JSON with one object a line.
    debug: also what is only of use when something is wrong.
    brief: warnings and worse only.
    secrets: what must not come out, in whatever field.
    figures: where lines, and those that were lost, are counted.

    Raises `SettingsError` for a file that cannot be had. Close the `Log` at the end, and call its
    `adopt` after other libraries have set up theirs.
    """
    target: Target = StandardError() if file is None else _opened(file)
    level = logging.DEBUG if debug else logging.WARNING if brief else logging.INFO
    return Log(target, form, level, Redactor(secrets), figures)


def _opened(path: Path) -> LogFile:
    file = LogFile(path)
    try:
        file.open()
    except OSError as error:
        if error.errno not in _PASSING:
            reason = error.strerror or str(error)
            raise SettingsError(f"DASHBOARD_LOG_FILE: {path} cannot be written: {reason}") from None
    return file


class Log:
    """The log as it was configured. Use `configure`."""

    def __init__(
        self,
        target: Target,
        form: Format,
        level: int,
        redactor: Redactor,
        figures: Figures | None,
    ) -> None:
        self._figures = figures
        self._handler = _Handler(_formatter(form, redactor), figures)
        self._sink = self._handler.sink = Sink(target, self._count_lost, self._resumed)
        self._root = logging.getLogger()
        self._ours = logging.getLogger(OURS)
        self._before = (self._root.level, self._ours.level)
        for handler in list(self._root.handlers):
            if type(handler) is logging.StreamHandler:
                self._root.removeHandler(handler)
        self._root.addHandler(self._handler)
        self._root.setLevel(logging.DEBUG if level == logging.DEBUG else logging.WARNING)
        self._ours.setLevel(level)
        logging.captureWarnings(True)
        self.adopt()

    def adopt(self) -> None:
        """Bring in the loggers that libraries have given handlers or levels of their own."""
        for name, logger in list(logging.root.manager.loggerDict.items()):
            if not isinstance(logger, logging.Logger) or name.partition(".")[0] == OURS:
                continue
            for handler in list(logger.handlers):
                if isinstance(handler, logging.StreamHandler):
                    logger.removeHandler(handler)
                    logger.propagate = True
                    logger.setLevel(logging.NOTSET)

    def flush(self, seconds: float = 2.0) -> bool:
        """Wait until what was logged is written; False when that took too long."""
        return self._sink.flush(seconds)

    def close(self) -> None:
        """Write what waits and leave `logging` as it was."""
        logging.captureWarnings(False)
        self._root.removeHandler(self._handler)
        self._root.setLevel(self._before[0])
        self._ours.setLevel(self._before[1])
        self._sink.close()

    def _count_lost(self, lines: int) -> None:
        if self._figures is not None:
            self._figures.count("log_lines_lost", lines)

    def _resumed(self, lost: int) -> str:
        event = {"event": "the log goes on after lines were lost", "lost": lost}
        record = logging.makeLogRecord(
            {"name": __name__, "levelno": logging.WARNING, "levelname": "WARNING", "msg": event}
        )
        record.__dict__.update(_logger=None, _name="warning")
        return self._handler.format(record)


class _Handler(logging.Handler):
    """Makes a line of each record, in the thread that logs, and hands it on."""

    sink: Sink

    def __init__(self, formatter: logging.Formatter, figures: Figures | None) -> None:
        super().__init__()
        self.setFormatter(formatter)
        self._figures = figures

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception as error:  # noqa: BLE001 - somebody else's arguments; the line says so
            text = self.format(_broken(record, error))
        if self._figures is not None:
            self._figures.count("log_lines", level=record.levelname.lower())
        self.sink.put(text)

    def flush(self) -> None:
        self.sink.flush()

    def close(self) -> None:
        """Only write what waits: libraries that configure `logging` close every handler there is,
        and this one goes on."""
        self.flush()


def _broken(record: logging.LogRecord, error: Exception) -> logging.LogRecord:
    said = f"a line of {record.name}:{record.lineno} cannot be shown ({type(error).__name__})"
    return logging.makeLogRecord({"name": __name__, "levelname": "ERROR", "msg": said})


def _formatter(form: Format, redactor: Redactor) -> logging.Formatter:
    def redact(_logger: Any, _method: str, event: Event) -> Event:
        return {redactor.text(name): redactor.value(of, name) for name, of in event.items()}

    def render(_logger: Any, _method: str, event: Event) -> str:
        return line.as_json(event) if form == "json" else line.as_text(event)

    return ProcessorFormatter(
        foreign_pre_chain=[ExtraAdder()],
        processors=[_facts, ProcessorFormatter.remove_processors_meta, _faults, redact, render],
    )


def _facts(_logger: Any, _method: str, event: Event) -> Event:
    """When it was, how grave it is and who says so."""
    record: logging.LogRecord = event["_record"]
    when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
    event["timestamp"] = when.replace("+00:00", "Z")
    event["level"] = record.levelname.lower()
    event["logger"] = record.name
    return event


def _faults(_logger: Any, _method: str, event: Event) -> Event:
    """An exception as the fields `error` and `trace`: a traceback would take many lines."""
    given = event.pop("exc_info", None)
    event.pop("stack_info", None)
    if isinstance(given, tuple):
        given = given[1]
    elif given and not isinstance(given, BaseException):
        given = sys.exc_info()[1]
    if isinstance(given, BaseException):
        event["error"], event["trace"] = line.fault(given), line.trace(given)
    return event
