"""Where the lines of the log go: requests to stdout or a file, the server's own words to stderr, all as JSON."""

import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

REQUESTS: Final = "storage.edge.requests"
SERVER: Final = "storage.edge.server"


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, message, and the traceback of an exception."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        fields = {"time": time, "level": record.levelname.lower(), "message": record.getMessage()}
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields)


def configuration(log_file: Path | None) -> dict[str, object]:
    """Return the configuration for `logging.config.dictConfig`, in every process of the server.

    Each line is one write to a file opened for appending, so the workers share it; it is opened again when logrotate
    moved it away.
    """
    stdout = {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}
    file = {"class": "logging.handlers.WatchedFileHandler", "filename": str(log_file), "delay": True}
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"plain": {"format": "%(message)s"}, "json": {"()": JsonFormatter}},
        "handlers": {
            "requests": {"formatter": "plain", **(file if log_file else stdout)},
            "server": {"formatter": "json", "class": "logging.StreamHandler", "stream": "ext://sys.stderr"},
        },
        "loggers": {
            REQUESTS: {"handlers": ["requests"], "level": "INFO", "propagate": False},
            SERVER: {"handlers": ["server"], "level": "INFO", "propagate": False},
            "_granian": {"handlers": ["server"], "level": "WARNING", "propagate": False},
        },
    }
