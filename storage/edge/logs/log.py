"""Where the lines of the log go: requests to stdout or a file, the server's own words to stderr, all as JSON.

Nothing that writes a line ever waits for who reads it: see `storage.edge.logs.lines`.
"""

import json
import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from storage.edge.logs.lines import LINE_BYTES, LineWriter

REQUESTS: Final = "storage.edge.requests"
SERVER: Final = "storage.edge.server"

ALARM: Final = {"alarm": True}
"""As `extra` of a log call: an operator must look."""

_STDOUT, _STDERR = 1, 2
_GATHER_S = 0.05  # of lines about requests, of which there may be thousands
_PATIENCE_S = 1.0  # of the end of a process, for each of its logs

_log = logging.getLogger(SERVER)


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, message, the end of an exception's traceback, and whether it is an alarm."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        fields: dict[str, str | bool] = {
            "time": _written(record.created),
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        if getattr(record, "alarm", False):
            fields["alarm"] = True
        line = json.dumps(fields)
        for field in ("traceback", "message"):
            if len(line) >= LINE_BYTES and field in fields:
                plain = str(fields[field]).encode("ascii", "replace").decode("ascii")
                fields[field] = plain  # of which a character less is at least an octet less
                excess = len(json.dumps(fields)) - (LINE_BYTES - 1)
                fields[field] = f"...{plain[excess + 3 :]}"  # what happened stands at the end
                line = json.dumps(fields)
        return line


class LineHandler(logging.Handler):
    """Hands lines to a `LineWriter`.

    Args:
        target: a descriptor, or the path of a file.
        tells: whether lost lines are told to the server's own log.
        gather_s: how long a line waits for others, to be written with them.
    """

    def __init__(self, target: int | Path, *, tells: bool, gather_s: float = 0) -> None:
        super().__init__()
        self._tells = tells
        self.writer = LineWriter(target, say=self._say, gap=_gap, gather_s=gather_s)

    def emit(self, record: logging.LogRecord) -> None:
        """Take the line."""
        try:
            self.writer.put(self.format(record).encode("ascii", "backslashreplace"))
        except Exception:  # noqa: BLE001 - as all handlers of logging do: no line is worth the request it is about
            self.handleError(record)

    def close(self) -> None:
        """Write what waits, for a second; then say how much is left."""
        super().close()
        if left := self.writer.close(_PATIENCE_S):
            self._say(f"{left} lines of the log could not be written before the end")

    def _say(self, text: str) -> None:
        if self._tells:
            _log.error("%s", text, extra=ALARM)


def _gap(lines: int) -> bytes:
    return json.dumps({"time": _written(time.time()), "lost_lines": lines, "alarm": True}).encode()


def _written(instant: float) -> str:
    return datetime.fromtimestamp(instant, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def configuration(log_file: Path | None, *, is_quiet: bool = False) -> dict[str, object]:
    """Return the configuration for `logging.config.dictConfig`, in every process of the server."""
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": {"format": "%(message)s"}, "json": {"()": JsonFormatter}},
        "handlers": {
            "requests": {
                "formatter": "plain",
                "()": LineHandler,
                "target": log_file or _STDOUT,
                "tells": True,
                "gather_s": _GATHER_S,
            },
            "server": {"formatter": "json", "()": LineHandler, "target": _STDERR, "tells": False},
        },
        "loggers": {
            REQUESTS: {"handlers": ["requests"], "level": "INFO", "propagate": False},
            SERVER: {"handlers": ["server"], "level": "WARNING" if is_quiet else "INFO", "propagate": False},
            "_granian": {"handlers": ["server"], "level": "WARNING", "propagate": False},
        },
    }


def request_lines() -> Callable[[bytes], None]:
    """Return what takes the lines about requests of this process, without a record of `logging` for each of them."""
    for handler in logging.getLogger(REQUESTS).handlers:
        if isinstance(handler, LineHandler):
            return handler.writer.put
    logger = logging.getLogger(REQUESTS)  # not configured, as in a process that is no server
    return lambda line: logger.info("%s", line.decode())


def lost_request_lines() -> int:
    """Return how many lines of the log of requests of this process are lost so far."""
    handlers = logging.getLogger(REQUESTS).handlers
    return sum(handler.writer.lost_count for handler in handlers if isinstance(handler, LineHandler))


def reopen() -> None:
    """Open the file of requests again where it was moved away, also while there is nothing to write."""
    for handler in logging.getLogger(REQUESTS).handlers:
        if isinstance(handler, LineHandler):
            handler.writer.reopen()


def finish() -> None:
    """Write what waits in every log, within a bound; the server's own log is the last one, so that it can tell."""
    for name in (REQUESTS, SERVER):
        for handler in logging.getLogger(name).handlers:
            handler.close()
