import resource
from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.orc
import pyarrow.parquet as pq
import pytest

from pregen import clock
from pregen.gates.author import system_user
from tests.pregen.cli.ca import ALWAYS, SERIALS, Ca, Program, instants, octets

FIELDS = [
    *ALWAYS,
    "rows_in",
    "certificates",
    "excluded",
    "excluded_values",
    "precertificates",
    "again",
    "responses",
    "issuers",
    "by_issuer",
    "signed",
    "signed_because",
    "carried",
    "kept",
    "octets_read",
    "octets_written",
    "engine",
    "signing_rates",
    "workers",
    "seconds",
    "cpu_seconds",
    "cpu_by_step",
    "responses_per_second",
    "responses_per_cpu_second",
    "stored_bytes",
    "history_bytes",
    "bytes_per_response",
    "peak_rss_mib",
    "shards",
    "resumed",
    "this_update",
    "next_update",
    "refresh_by",
    "cycle",
    "left_behind",
    "gates",
]


def test_a_run_prints_one_object_with_the_promised_fields(ca: Ca, pregen: Program) -> None:
    ended = pregen("run", ca.config, "--json")

    assert (ended.code, ended.err) == (0, "")
    assert list(ended.document) == FIELDS
    assert ended.document["engine"] == "software"
    assert ended.document["commit"] == ended.document["workers"] == ended.document["shards"] == 1
    assert ended.document["this_update"] == f"{ca.now:%Y-%m-%dT%H:%M:%SZ}"
    assert ended.document["next_update"] == f"{ca.now + timedelta(days=4, seconds=-1):%Y-%m-%dT%H:%M:%SZ}"
    assert ended.document["refresh_by"] == f"{ca.now + timedelta(days=2):%Y-%m-%dT%H:%M:%SZ}"
    stored = ca.stored()
    history = sum(len(octets) for name, octets in stored.items() if name.startswith("history/"))
    assert ended.document["history_bytes"] == history > 0
    assert ended.document["stored_bytes"] == sum(map(len, stored.values())) - history
    ca.assert_clean()


@pytest.mark.parametrize(("cert_ids", "each"), [("separate", 2), ("combined", 1), ("sha1", 1), ("sha256", 1)])
def test_every_row_is_a_certificate_or_excluded_and_every_certificate_has_its_signatures(
    ca: Ca, pregen: Program, cert_ids: str, each: int
) -> None:
    ca.configure(
        issuer={"cert_ids": cert_ids},
        snapshot={"columns": {"status": {"values": {"good": ["0"], "revoked": ["1"], "excluded": ["6"]}}}},
    )
    gone, ahead = ca.now - timedelta(days=1), ca.now + timedelta(days=1)
    ca.export(
        serial=octets(1, 2, 2, 3, 4, 5),
        status=pa.array([0, 1, 1, 0, 6, 0], pa.uint8()),
        revoked_at=instants(None, gone, gone, None, None, None),
        reason=None,
        not_after=instants(ahead, ahead, ahead, gone, ahead, None),
    )

    found = pregen("run", ca.config, "--json").document

    assert found["rows_in"] == 6
    assert found["excluded"] == {"expired": 1, "repeated": 1, "status": 1}
    assert found["excluded_values"] == {"status": {"6": 1}}
    assert found["certificates"] == 3
    assert found["responses"] == 3 * each


@pytest.mark.parametrize("codes", ["text", "number"])
def test_excluded_rows_are_shown_by_column_and_value_so_that_a_count_is_no_code(
    ca: Ca, pregen: Program, codes: str
) -> None:
    """40 rows that are excluded, where 40 is the code for revoked."""
    values = {"good": ["20"], "revoked": ["40"], "excluded": ["60", "70"]}
    ca.configure(snapshot={"columns": {"status": {"name": "STATE", "values": values}, "needs_ocsp": "HAS_URL"}})
    kind = pa.string() if codes == "text" else pa.int32()
    states = [20, 40, *[60] * 40, 70]
    count = len(states)
    ca.export(
        serial=octets(*range(1, count + 1)),
        status=None,
        STATE=pa.array([str(one) for one in states], pa.string()).cast(kind),
        revoked_at=instants(None, ca.now - timedelta(hours=1), *[None] * 41),
        reason=None,
        HAS_URL=pa.array([True] * count, pa.bool_()),
    )

    checked = pregen("check", ca.config)
    found = pregen("run", ca.config, "--json").document

    assert '40 rows (STATE is "60"), 1 rows (STATE is "70")' in checked.out
    assert "status 4" not in checked.out
    assert found["excluded"] == {"status": 41}
    assert found["excluded_values"] == {"STATE": {"60": 40, "70": 1}}
    assert "status 4" not in pregen("inspect", ca.store).out


def test_rows_without_ocsp_are_shown_by_column_and_value(ca: Ca, pregen: Program) -> None:
    ca.export(needs_ocsp=pa.array(["f", "t", "f"]), status=pa.array([0, 1, 0], pa.uint8()))

    found = pregen("check", ca.config, "--json").document

    assert found["excluded"] == {"no-ocsp": 2}
    assert found["excluded_values"] == {"needs_ocsp": {"f": 2}}


def test_a_run_says_for_people_what_it_did(ca: Ca, pregen: Program) -> None:
    ended = pregen("run", ca.config)

    assert ended.code == 0
    assert ended.err == ""
    assert "published commit 1: 6 responses for 3 certificates" in ended.out
    assert "software, 1 worker(s)" in ended.out


def test_each_run_is_a_new_generation_and_leaves_the_old_one_where_it_was(ca: Ca, pregen: Program) -> None:
    pregen("run", ca.config)
    first = ca.stored()

    assert pregen("run", ca.config, "--json").document["commit"] == 2

    second = ca.stored()
    assert second.pop("LATEST") == b"2"
    assert {name: second[name] for name in first if name != "LATEST"} == {
        name: data for name, data in first.items() if name != "LATEST"
    }


def test_the_command_line_wins_over_the_configuration(ca: Ca, pregen: Program) -> None:
    ca.configure(
        snapshot={"path": "nowhere.parquet"},
        validity={"profile": "lab", "lifetime": "1h"},
        run={"engine": "awslc", "workers": 1},
    )
    now = ca.now - timedelta(hours=2)
    as_of = now - timedelta(minutes=1)
    ca.export(as_of=now)
    words = ("--snapshot", ca.snapshot, "--engine", "software", "--workers", "2", "--now", now.isoformat())

    found = pregen("run", ca.config, "--json", *words, "--as-of", as_of.isoformat())

    assert found.code == 0, found.err
    assert (found.document["engine"], found.document["workers"]) == ("software", 1)  # one shard, so one worker
    assert found.document["this_update"] == f"{as_of:%Y-%m-%dT%H:%M:%SZ}"


def test_warnings_go_to_stderr_and_into_the_object(ca: Ca, pregen: Program) -> None:
    (ca.folder / "ocsp.key").chmod(0o644)

    ended = pregen("run", ca.config, "--json")

    assert ended.code == 0
    assert "warning key.permissions" in ended.err
    assert "chmod o-rw" in ended.err
    assert [one["code"] for one in ended.document["findings"]] == ["key.permissions"]  # type: ignore[attr-defined]


@pytest.mark.parametrize("jump", [timedelta(days=-1), timedelta(days=3)], ids=["back", "stopped for days"])
def test_a_run_whose_answers_are_for_another_time_at_its_end_publishes_nothing(
    ca: Ca, pregen: Program, monkeypatch: pytest.MonkeyPatch, jump: timedelta
) -> None:
    """The clock is set right while a run signs, or the run is stopped and goes on days later."""

    def now() -> datetime:
        return ca.now + (jump if any((ca.store / "packs").glob("*")) else timedelta(0))

    monkeypatch.setattr(clock, "now", now)

    ended = pregen("run", ca.config)

    assert ended.code == 3
    assert "nothing was published" in ended.err
    assert ca.published() == {}
    ca.assert_clean()


def test_a_check_says_what_a_run_would_do_and_leaves_the_store_as_it_was(ca: Ca, pregen: Program) -> None:
    ended = pregen("check", ca.config, "--json")

    assert ended.code == 0
    found = ended.document
    assert (found["rows_in"], found["certificates"], found["responses"]) == (3, 3, 2 * len(SERIALS))
    assert found["current_commit"] is None
    assert ca.stored() == {}, "the probe cleans up"
    ca.assert_clean()

    pregen("run", ca.config)
    before = ca.stored()
    assert pregen("check", ca.config, "--json").document["current_commit"] == 1
    assert ca.stored() == before
    assert "racing creates have one winner" in pregen("check", ca.config).out


def test_a_check_takes_the_options_of_the_run_that_it_is_about(ca: Ca, pregen: Program) -> None:
    ca.configure(snapshot={"path": "nowhere.parquet"}, run={"engine": "awslc"})
    as_of = ca.now - timedelta(minutes=1)
    ca.export(as_of=as_of - timedelta(hours=1))
    words = ("--snapshot", ca.snapshot, "--engine", "software", "--workers", "1", "--as-of", as_of.isoformat())

    checked = pregen("check", ca.config, "--json", *words)

    assert checked.code == 0, checked.err
    assert checked.document["as_of"] == f"{as_of:%Y-%m-%dT%H:%M:%SZ}"
    assert pregen("run", ca.config, *words).code == 0
    late = pregen("check", ca.config, *words[:-1], ca.now - timedelta(days=1))
    assert (late.code, "older than that of the current commit" in late.err) == (3, True)


def test_what_the_reader_of_orc_takes_is_cpu_time_of_the_run(ca: Ca, pregen: Program) -> None:
    table = pq.read_table(ca.snapshot)
    status = table["status"].cast(pa.int64())  # ORC has no unsigned numbers
    table = table.set_column(table.schema.get_field_index("status"), "status", status)
    pa.orc.write_table(table, ca.folder / "snapshot.orc")
    ca.configure(snapshot={"path": "snapshot.orc", "as_of": ca.now.isoformat()})
    before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime

    ended = pregen("run", ca.config, "--json")

    assert ended.code == 0, ended.err
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - before > 0.05  # it has imported pyarrow at least


def test_who_runs_it_and_what_for_is_kept_with_the_commit(ca: Ca, pregen: Program) -> None:
    assert pregen("run", ca.config, "--by", "A. Turing", "--note", "CHG-4711: new shards").code == 0
    assert pregen("run", ca.config).code == 0

    commits = pregen("history", ca.store, "--json").document["commits"]
    assert isinstance(commits, list)
    said = {one["number"]: (one["by"], one["note"]) for one in commits}
    assert said == {1: ("A. Turing", "CHG-4711: new shards"), 2: (system_user(), None)}
