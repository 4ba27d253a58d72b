from storage.edge.record import LoggedRequest, Outcome
from storage.edge.watching.troubles import Troubles


def record(outcome: Outcome, detail: str | None = None) -> LoggedRequest:
    return LoggedRequest(method="GET", outcome=outcome, http=200, detail=detail)


def codes(troubles: Troubles) -> list[str]:
    return [reason.code for reason in troubles.reasons()]


def test_a_lookup_that_fails_is_told_until_another_one_is_answered() -> None:
    troubles = Troubles()
    troubles.look_at(record(Outcome.UNREACHABLE, "ConnectionError: no answer"))
    troubles.look_at(record(Outcome.MALFORMED))
    assert [reason.message for reason in troubles.reasons()] == ["lookups fail: ConnectionError: no answer"]

    troubles.look_at(record(Outcome.ANSWERED))
    assert codes(troubles) == []


def test_damage_is_told_though_other_lookups_are_answered() -> None:
    for outcome in (Outcome.DAMAGED, Outcome.WRONG_ANSWER):
        troubles = Troubles()
        troubles.look_at(record(outcome))
        troubles.look_at(record(Outcome.ANSWERED))
        assert codes(troubles) == ["store.damaged"]


def test_nothing_is_told_for_longer_than_a_minute() -> None:
    now = [0.0]
    troubles = Troubles(clock=lambda: now[0])
    troubles.look_at(record(Outcome.DAMAGED))
    troubles.look_at(record(Outcome.UNREACHABLE))

    now[0] = 60.0
    assert codes(troubles) == ["store.unreachable", "store.damaged"]
    now[0] = 60.1
    assert codes(troubles) == []
