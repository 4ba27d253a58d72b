import logging

import pytest

from storage.edge.logs.log import SERVER
from storage.edge.watching.alarms import Alarms
from storage.edge.watching.readiness import Reason


def overdue(issuer: str) -> Reason:
    return Reason(code="overdue", message=f"newer answers of {issuer} were due", issuer=issuer)


def test_an_alarm_is_told_when_it_begins_and_ends_and_seldom_in_between(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, SERVER)
    now = [0.0]
    alarms = Alarms(clock=lambda: now[0])

    alarms.look_at([])
    for _ in range(700):
        alarms.look_at([overdue("r1")])
        now[0] += 1
    alarms.look_at([])
    alarms.look_at([])

    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [
        ("ERROR", "overdue: newer answers of r1 were due"),
        ("ERROR", "overdue: newer answers of r1 were due"),
        ("INFO", "overdue: over, after 700 s"),
    ]
    assert [record.__dict__.get("alarm") for record in caplog.records] == [True, True, None]


def test_another_issuer_is_told_at_once_and_one_fewer_is_not(caplog: pytest.LogCaptureFixture) -> None:
    alarms = Alarms(clock=lambda: 0.0)
    alarms.look_at([overdue("r1")])
    alarms.look_at([overdue("r1"), overdue("r2")])
    alarms.look_at([overdue("r2")])

    assert [record.getMessage() for record in caplog.records] == [
        "overdue: newer answers of r1 were due",
        "overdue: newer answers of r1 were due; newer answers of r2 were due",
    ]


def test_of_many_issuers_three_are_named(caplog: pytest.LogCaptureFixture) -> None:
    Alarms().look_at([overdue(f"r{number}") for number in range(1000)])

    assert caplog.records[0].getMessage().endswith("; newer answers of r2 were due; and 997 more")


def test_what_is_told_elsewhere_is_not_told_twice(caplog: pytest.LogCaptureFixture) -> None:
    Alarms().look_at([Reason(code="generation.waiting", message="commit 8 cannot be served whole yet")])

    assert caplog.records == []
