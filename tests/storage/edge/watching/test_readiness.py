"""What /readyz says: the worst of what is known."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from storage.edge.respond import HttpRequest, probe, respond
from storage.edge.source import Loaded
from storage.edge.watching.readiness import Reason, State, readiness_of, too_old
from tests.judges.conftest import make_authority
from tests.storage.edge import folder_server
from tests.storage.edge.answers import GENERATION, NEXT_UPDATE, REFRESH_BY, THIS_UPDATE, FakeSource, freshness_until
from tests.storage.edge.processes import ServerProcess, start, wait_until

NOW = REFRESH_BY - 3_600
READYZ = HttpRequest(method="GET", raw_path=b"/readyz", headers={})


def source(*issuers: tuple[str, int, int], end: int = NEXT_UPDATE) -> FakeSource:
    return FakeSource(freshness=freshness_until(end, *issuers))


def codes(loaded: FakeSource, now: int = NOW, *troubles: Reason) -> list[tuple[str, str | None]]:
    return [(reason.code, reason.issuer) for reason in readiness_of(loaded, now, troubles).reasons]


def test_a_generation_that_is_fresh_is_ready() -> None:
    reply = respond(source(("r1", NEXT_UPDATE, REFRESH_BY)), READYZ, NOW)

    assert reply.status == 200
    assert dict(reply.headers)["Content-Type"] == "application/json"
    assert json.loads(reply.body) == {"state": "ready", "generation": GENERATION, "reasons": []}


def test_one_issuer_that_has_run_out_is_degraded_though_others_live() -> None:
    loaded = source(("r1", NEXT_UPDATE, REFRESH_BY), ("r2", NOW + 59, NOW + 59))

    reply = respond(loaded, READYZ, NOW)

    document = json.loads(reply.body)
    assert (reply.status, document["state"]) == (200, "degraded")
    (reason,) = document["reasons"]
    assert (reason["code"], reason["issuer"]) == ("expired", "r2")
    assert reason["message"] == "answers of r2 have run out, at 2026-11-25T23:00:59Z"


def test_one_shard_that_has_run_out_is_degraded_though_others_live() -> None:
    freshness = replace(freshness_until(NEXT_UPDATE), shard_ends=(NOW, NEXT_UPDATE))
    readiness = readiness_of(FakeSource(freshness=freshness), NOW)

    assert readiness.state is State.DEGRADED
    assert readiness.reasons[0].message == "the answers of 1 of 2 shards have run out"


def test_overdue_is_degraded_long_before_anything_expires() -> None:
    loaded = source(("r1", NEXT_UPDATE, REFRESH_BY), ("r2", NEXT_UPDATE, NEXT_UPDATE))

    assert codes(loaded, REFRESH_BY) == []
    assert codes(loaded, REFRESH_BY + 1) == [("overdue", "r1")]
    assert readiness_of(loaded, REFRESH_BY + 1).state is State.DEGRADED


def test_everything_run_out_is_unready() -> None:
    loaded = source(("r1", NEXT_UPDATE, REFRESH_BY))

    assert readiness_of(loaded, NEXT_UPDATE - 60).state is State.DEGRADED
    assert readiness_of(loaded, NEXT_UPDATE - 59).state is State.UNREADY
    assert respond(loaded, READYZ, NEXT_UPDATE).status == 503


def test_nothing_loaded_is_unready_and_says_what_is_wrong_with_the_store() -> None:
    away = Reason(code="store.unreachable", message="ConnectionError: no answer")
    readiness = readiness_of(FakeSource(generation=None, freshness=None), NOW, (away,))

    assert readiness.state is State.UNREADY
    assert [reason.code for reason in readiness.reasons] == ["nothing-loaded", "store.unreachable"]


@pytest.mark.parametrize(
    ("now", "code", "state"),
    [
        (THIS_UPDATE - 61, "not-yet-valid", State.UNREADY),
        (THIS_UPDATE, None, State.READY),
        (THIS_UPDATE + 3539, "clock", State.DEGRADED),
        (THIS_UPDATE + 3540, None, State.READY),
    ],
)
def test_a_clock_that_is_behind_what_is_loaded(now: int, code: str | None, state: State) -> None:
    made = THIS_UPDATE if now <= THIS_UPDATE else THIS_UPDATE + 3600
    freshness = replace(freshness_until(NEXT_UPDATE), first_begins=THIS_UPDATE, begins=THIS_UPDATE, produced_at=made)
    readiness = readiness_of(FakeSource(freshness=freshness), now)

    assert [reason.code for reason in readiness.reasons] == ([code] if code else [])
    assert readiness.state is state


def test_some_answers_that_begin_later_are_degraded() -> None:
    freshness = replace(freshness_until(NEXT_UPDATE), begins=NOW + 1, produced_at=NOW + 1)

    assert readiness_of(FakeSource(freshness=freshness), NOW).state is State.DEGRADED


def test_what_others_have_noticed_is_degraded_and_503_where_that_is_wanted() -> None:
    loaded = source(("r1", NEXT_UPDATE, REFRESH_BY))
    readiness = readiness_of(loaded, NOW, (Reason(code="store.unreachable", message="no answer"),))
    usual = probe(READYZ, NOW, readiness)
    strict = probe(READYZ, NOW, readiness, unready=frozenset({State.DEGRADED, State.UNREADY}))

    assert (usual.status, strict.status) == (200, 503)
    assert json.loads(usual.body) == json.loads(strict.body)
    assert json.loads(usual.body)["state"] == "degraded"


def test_of_a_thousand_issuers_a_hundred_are_listed_and_all_are_counted() -> None:
    loaded = source(*((f"r{number:04}", NEXT_UPDATE, NOW - 1) for number in range(1000)))

    document = json.loads(respond(loaded, READYZ, NOW).body)

    assert (len(document["reasons"]), document["reasons_in_all"]) == (100, 1000)


def test_an_issuer_that_was_left_behind_may_be_too_old_alone() -> None:
    loaded = Loaded(as_of=NOW - 3_600, behind={"r2": NOW - 7_201, "r3": NOW - 7_200}, overlays=0, issuers={})

    def told(most_s: int | None) -> list[tuple[str, str | None]]:
        return [(reason.code, reason.issuer) for reason in too_old(loaded, NOW, most_s)]

    assert told(None) == told(7_201) == []
    assert told(7_200) == [("too-old", "r2")]
    assert told(3_599) == [("too-old", None), ("too-old", "r2"), ("too-old", "r3")]
    assert next(too_old(loaded, NOW, 3_000)).message == (
        "all statuses are those of 2026-11-25T22:00:00Z, 1.0 h ago, of which at most 0.833333 are wanted"
    )


# Servers


def state(server: ServerProcess) -> tuple[int, str, list[str]]:
    reply = server.get(b"/readyz")
    document = json.loads(reply.body)
    return reply.status, document["state"], [reason["code"] for reason in document["reasons"]]


def alarms(server: ServerProcess) -> list[str]:
    lines = [json.loads(line) for line in server.stderr.read_text().splitlines()]
    return [line["message"].partition(":")[0] for line in lines if line.get("alarm")]


def test_a_store_that_gives_errors_is_told_though_nothing_is_asked_and_when_it_is_over(tmp_path: Path) -> None:
    (tmp_path / "generation").write_text("1")
    with start(tmp_path, folder_server.__file__, str(tmp_path), "PORT", "1", "remote") as server:
        assert state(server) == (200, "ready", [])

        (tmp_path / "generation").write_text("broken")
        wait_until(lambda: state(server) == (200, "degraded", ["store.unreachable"]))
        wait_until(lambda: alarms(server) == ["store.unreachable"])

        (tmp_path / "generation").write_text("1")
        wait_until(lambda: state(server) == (200, "ready", []))
        wait_until(lambda: "store.unreachable: over, after" in server.stderr.read_text())


@pytest.mark.parametrize(("option", "status"), [((), 200), (("--unready-when-degraded",), 503)])
def test_degraded_is_503_where_that_is_wanted(tmp_path: Path, option: tuple[str, ...], status: int) -> None:
    store = make_authority(tmp_path).store
    with start(tmp_path, "-m", "storage.edge", str(store), "--port", "PORT", *option) as server:
        assert state(server) == (200, "ready", [])
        assert server.get(b"/healthz").body == b"alive\n"

        shutil.rmtree(store / "packs")
        wait_until(lambda: state(server) == (status, "degraded", ["store.vanished"]))
        assert server.get(b"/healthz").status == 200
