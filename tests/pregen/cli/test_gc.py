"""`pregen gc`, and what a run cleans at its end."""

import os
import signal
import time
from datetime import timedelta

import pytest

from pregen import clock
from pregen.config import load_config
from pregen.errors import Finding
from pregen.generation.rows.spool import spool_folder
from pregen.upkeep.afterwards import clean_as_configured
from storage.commits import find_head
from storage.markers import encode_marker
from storage.stores import LocalStore
from tests.pregen.cli.ca import GOOD, Ca, Program
from tests.pregen.upkeep.stores import put
from tests.s3 import S3Server

DAY_S = 86_400


def runs(ca: Ca, pregen: Program, count: int, *words: object) -> None:
    """Publish some generations, each signed anew."""
    for _ in range(count):
        ca.export(as_of=ca.now + timedelta(seconds=len(ca.published())))
        outcome = pregen("run", ca.config, "--full", *words)
        assert outcome.code == 0, outcome.err


def age(ca: Ca, days: float) -> None:
    """Let all objects of a store be older."""
    for path in ca.store.rglob("*"):
        if path.is_file():
            written = path.stat().st_mtime - days * DAY_S
            os.utime(path, (written, written))


def packs(ca: Ca) -> set[str]:
    return {name for name in ca.stored() if name.startswith("packs/")}


def test_old_generations_go_and_the_current_one_answers_as_before(ca: Ca, pregen: Program) -> None:
    runs(ca, pregen, 3)
    age(ca, 20)
    runs(ca, pregen, 1)
    before = packs(ca)

    told = pregen("gc", ca.store, "--dry-run", "--keep", "1", "--json").document
    assert packs(ca) == before
    done = pregen("gc", ca.store, "--keep", "1", "--by", "alice", "--note", "t-1", "--json")

    assert done.code == 0, done.err
    assert (done.document["dry_run"], told["dry_run"]) == (False, True)
    assert done.document["removed"] == told["removed"]
    removed = done.document["removed"]
    assert isinstance(removed, dict)
    assert removed["folders"]["packs"]["count"] == 2  # the third was the current one a moment ago
    assert (done.document["commit"], done.document["commits"]) == (5, [5])
    assert len(packs(ca)) == 2
    assert pregen("verify", ca.store, "--all").code == 0
    assert pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", f"{GOOD:x}").code == 0
    history = pregen("history", ca.store, "--json").document["commits"]
    assert isinstance(history, list)
    assert [(one["kind"], one["by"], one["note"]) for one in history[:1]] == [("gc", "alice", "t-1")]
    assert [one["rollback"]["why_not"] for one in history[3:]] == ["it was cleaned up", "it was cleaned up"]
    runs(ca, pregen, 1)


def test_without_options_it_keeps_seven_generations_and_fourteen_days(ca: Ca, pregen: Program) -> None:
    runs(ca, pregen, 9)
    assert pregen("gc", ca.store, "--dry-run", "--json").document["kept_generations"] == 9
    age(ca, 15)

    assert pregen("gc", ca.store, "--dry-run", "--json").document["kept_generations"] == 7
    assert pregen("gc", ca.store, "--dry-run", "--keep-for", "16d", "--json").document["kept_generations"] == 9
    assert pregen("gc", ca.store, "--dry-run", "--keep", "2", "--json").document["kept_generations"] == 2


def test_a_configuration_says_what_is_kept_and_the_command_line_wins(ca: Ca, pregen: Program) -> None:
    runs(ca, pregen, 4)
    age(ca, 15)
    ca.configure(publish={"keep": {"generations": 3}})

    assert pregen("gc", ca.config, "--dry-run", "--json").document["kept_generations"] == 3
    assert pregen("gc", ca.config, "--dry-run", "--keep", "2", "--json").document["kept_generations"] == 2
    told = pregen("gc", ca.config, "--dry-run", "--json").document
    assert told["configuration"] == str(ca.config)
    assert told["store"] == ca.store.as_uri()


def test_an_inspection_shows_what_could_go_histories_too(ca: Ca, pregen: Program) -> None:
    runs(ca, pregen, 2)
    assert pregen("inspect", ca.store, "--json").document["could_go"] == {}
    runs(ca, pregen, 6)
    age(ca, 20)

    shown = pregen("inspect", ca.store, "--json").document["could_go"]

    told = pregen("gc", ca.store, "--dry-run", "--json").document["removed"]
    assert isinstance(shown, dict)
    assert isinstance(told, dict)
    assert shown == told["folders"]
    assert shown["history"]["count"] == 2
    assert shown["history"]["bytes"] > 0
    line = pregen("inspect", ca.store).out.splitlines()[-1]
    assert line.startswith("could go: ")
    assert f"history {shown['history']['bytes']:,}" in line
    ca.configure(publish={"keep": {"generations": 9}})
    assert pregen("inspect", "--config", ca.config, "--json").document["could_go"] == {}


def test_what_a_killed_run_holds_back_is_told_and_until_when(ca: Ca, pregen: Program) -> None:
    runs(ca, pregen, 1)
    began, store, marker = int(time.time()) - 3 * 3_600, LocalStore(ca.store), f"runs/{1:032x}"
    orphan = put(store, "packs")
    store.put(marker, encode_marker(began))
    age(ca, 2 / 24)

    told = pregen("gc", ca.store, "--grace", "0", "--json").document
    assert (told["publishers_at_work"], told["held_back"]) == (1, {"count": 1, "bytes": 1})
    publisher = told["publishers"][0]  # type: ignore[index]
    assert (publisher["marker"], publisher["began"]) == (marker, clock.text(began))
    for shown in (pregen("gc", ca.store, "--grace", "0"), pregen("inspect", ca.store)):
        until = f"if it was killed, it counts as dead from {publisher['counts_until']} on"
        assert (until in shown.out) == ("gone: " in shown.out), "an inspection goes by the usual grace"
    age(ca, 2 / 24)

    assert pregen("gc", ca.store, "--grace", "0").code == 0
    assert not {marker, orphan} & ca.stored().keys()


def test_nothing_is_cleaned_by_a_run_until_that_is_configured(ca: Ca, pregen: Program) -> None:
    runs(ca, pregen, 2)
    age(ca, 400)
    before = packs(ca)

    runs(ca, pregen, 1)

    assert before < packs(ca)
    assert "cleaned" not in pregen("run", ca.config, "--json").document


def test_a_run_cleans_at_its_end_where_that_is_configured(ca: Ca, pregen: Program) -> None:
    runs(ca, pregen, 3)
    age(ca, 3)
    ca.configure(publish={"keep": {"generations": 2}})
    ca.export(as_of=ca.now + timedelta(seconds=9))

    done = pregen("run", ca.config, "--full", "--by", "alice", "--json")

    assert done.code == 0, done.err
    assert done.document["commit"] == 4
    cleaned = done.document["cleaned"]
    assert isinstance(cleaned, dict)
    assert (cleaned["commits"], cleaned["removed"]["folders"]["packs"]["count"]) == ([5], 2)
    assert len(packs(ca)) == 2
    assert not any(name.startswith("runs/") for name in ca.stored())
    ca.assert_clean()


def test_a_cleaning_that_fails_is_a_warning_of_the_run(ca: Ca, pregen: Program) -> None:
    runs(ca, pregen, 2)
    age(ca, 3)
    ca.configure(publish={"keep": {"generations": 1}})
    ca.export(as_of=ca.now + timedelta(seconds=9))
    # No list can be put where a file lies in the place of their folder.
    (ca.store / "removals").write_bytes(b"")

    done = pregen("run", ca.config, "--full", "--json")

    assert done.code == 0
    assert done.document["commit"] == 3
    findings = done.document["findings"]
    assert isinstance(findings, list)
    assert "gc.failed" in [one["code"] for one in findings]
    assert "the run is published, but cleaning up after it has failed" in done.err
    assert pregen("verify", ca.store).code == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_cleaning_behind_a_run_and_nothing_else(
    ca: Ca, pregen: Program, number: signal.Signals
) -> None:
    runs(ca, pregen, 3)
    age(ca, 3)
    ca.configure(publish={"keep": {"generations": 1}})

    def stop(_step: str, _done: int, _all: int) -> None:
        signal.raise_signal(number)

    said = clean_as_configured(load_config(ca.config), None, stop)

    assert isinstance(said, Finding)
    assert (said.code, said.severity) == ("gc.failed", "warning")
    assert "a signal has stopped it" in said.message
    assert pregen("gc", ca.config).code == 0
    assert len(packs(ca)) == 1
    assert pregen("verify", ca.store).code == 0


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--keep", "0"), "the current generation always stays"),
        (("--keep", "-1"), "a number from 0 on"),
        (("--keep-for", "two weeks"), "no length of time"),
        (("--grace", "1 day"), "no length of time"),
        (("--by", " "), "--by is empty"),
    ],
)
def test_words_that_mean_nothing_are_refused(ca: Ca, pregen: Program, words: tuple[str, ...], text: str) -> None:
    refused = pregen("gc", ca.store, *words)

    assert refused.code == 2
    assert text in refused.err


def test_a_configuration_that_is_not_there_is_no_store(ca: Ca, pregen: Program) -> None:
    assert pregen("gc", ca.folder / "absent.toml").code == 2
    assert pregen("gc", ca.folder / "absent").code == 4
    assert not (ca.folder / "absent").exists()


def test_old_generations_go_from_a_bucket_too(ca: Ca, pregen: Program, s3_environment: S3Server) -> None:
    bucket = s3_environment.new_bucket()
    ca.configure(publish={"store": f"s3://{bucket}/ocsp"})
    runs(ca, pregen, 3)
    time.sleep(1.1)  # a server tells whole seconds

    done = pregen("gc", ca.config, "--keep", "1", "--grace", "0", "--json")

    assert done.code == 0, done.err
    removed = done.document["removed"]
    assert isinstance(removed, dict)
    assert removed["folders"]["packs"]["count"] == 2
    assert pregen("verify", "--config", ca.config, "--all").code == 0


def test_a_cleaning_keeps_the_as_of_so_that_the_next_snapshot_need_not_be_newer_than_it(
    ca: Ca, pregen: Program
) -> None:
    runs(ca, pregen, 2)
    assert pregen("gc", ca.store, "--keep", "1", "--grace", "0").code == 0
    head = find_head(LocalStore(ca.store))
    assert head is not None
    assert head.commit.kind == "gc"
    ca.export(as_of=ca.now + timedelta(seconds=2))  # as that of the second run

    assert pregen("run", ca.config).code == 0


def test_the_spool_is_cleaned_of_what_a_killed_run_has_left(ca: Ca, pregen: Program) -> None:
    runs(ca, pregen, 1)
    with spool_folder(ca.spool, 1):
        left = ca.spool / next(ca.spool.glob("pregen-spool-*")).name.replace("-spool-", "-spool-x")
        left.mkdir()
        (left / "part").write_bytes(b"rows")
        os.utime(left, (0, 0))

        told = pregen("gc", ca.config, "--dry-run", "--json").document
        assert left.exists()
        done = pregen("gc", ca.config)

        assert told["spool"] == {"count": 1, "bytes": 4}
        assert "spool: 1 files of 4 octets, of runs that were killed, gone" in done.out
        assert len(list(ca.spool.glob("pregen-spool-*"))) == 1, "that of the run under way stays"
    assert "spool" not in pregen("gc", ca.store, "--json").document


def test_a_spool_that_is_away_makes_cleaning_warn_and_no_more(
    ca: Ca, pregen: Program, s3_environment: S3Server
) -> None:
    runs(ca, pregen, 1)
    ca.configure(run={"spool": "s3://no-such-bucket/spool"})
    done = pregen("gc", ca.config)
    assert done.code == 0
    assert "gc.spool: s3://no-such-bucket/spool: what killed runs have left" in done.err
