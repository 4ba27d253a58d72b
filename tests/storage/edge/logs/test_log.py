import json
import logging
import sys

from storage.edge.logs.lines import LINE_BYTES
from storage.edge.logs.log import ALARM, JsonFormatter


def line_of(message: str, **options: object) -> dict[str, object]:
    record = logging.LogRecord("name", logging.ERROR, "path", 1, message, None, None)
    for name, value in options.items():
        setattr(record, name, value)
    line = JsonFormatter().format(record)
    assert len(line) < LINE_BYTES
    parsed: dict[str, object] = json.loads(line)
    return parsed


def test_an_alarm_is_marked_and_other_lines_are_not() -> None:
    assert line_of("a word", **ALARM)["alarm"] is True
    assert "alarm" not in line_of("a word")


def test_a_long_message_keeps_its_end() -> None:
    message = line_of("\u20ac" * 5000 + "the cause")["message"]

    assert isinstance(message, str)
    assert message.startswith("...")
    assert message.endswith("the cause")


def test_a_long_traceback_keeps_its_end_and_the_message_stays_whole() -> None:
    nothing: dict[str, int] = {}
    try:
        nothing["x" * 10_000 + "the cause"]
    except KeyError:
        line = line_of("a word", exc_info=sys.exc_info())

    assert line["message"] == "a word"
    assert str(line["traceback"]).endswith("the cause'")
