"""A run that was killed goes on where it stopped, and not where anything that decides about its answers has changed."""

import os
import re
import signal
import sys
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.ipc
import pytest

from pregen.__main__ import main
from pregen.generation.making.journal import Attempt, Journal, Numbering
from pregen.snapshot.files.base import USUAL_ROW_BYTES
from storage.reader import open_reader
from storage.stores import LocalStore
from tests.faults.processes import RunningProgram
from tests.pregen.cli.ca import Ca, Outcome, Program

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes in /proc")

ROWS, SHARDS = 2_000, 16
KNOWN = 10  # rows of the generation before
SERIALS = [1 << 40 | number for number in range(ROWS)]
ANY_SIZE = {"shrink": {"share": 1.0, "count": 1_000_000}, "growth": {"share": 1.0, "count": 1_000_000}}


def packs(ca: Ca) -> set[str]:
    """Return the names of all packs in the store."""
    return {f"packs/{path.name}" for path in (ca.store / "packs").iterdir() if path.suffix != ".tmp"}


def current(ca: Ca) -> set[str]:
    """Return the names of packs that are published."""
    generation = open_reader(LocalStore(ca.store)).current
    assert generation is not None
    return {shard.pack for shard in generation.manifest.shards}


def journals(ca: Ca) -> list[Path]:
    return [path for path in ca.spool.iterdir() if path.name.startswith("pregen-journal-")]


def export(ca: Ca, rows: int, revoked: Collection[int] = ()) -> None:
    """Write a snapshot that looks as if it had many rows, so that there are many shards, each of which is small."""
    padding = SHARDS * 65_536 * USUAL_ROW_BYTES // rows if rows == ROWS else 0
    at = ca.now - timedelta(hours=1)
    table = pa.table(
        {
            "serial": pa.array([serial.to_bytes(6, "big") for serial in SERIALS[:rows]], pa.binary()),
            "status": pa.array([int(serial in revoked) for serial in SERIALS[:rows]], pa.uint8()),
            "revoked_at": pa.array(
                [at if serial in revoked else None for serial in SERIALS[:rows]], pa.timestamp("ms", "UTC")
            ),
            "padding": pa.array([bytes(padding)] * rows, pa.large_binary()),
        }
    ).replace_schema_metadata({"pregen.as_of": ca.now.isoformat()})
    with pa.ipc.new_file(str(ca.folder / "snapshot.arrow"), table.schema) as file:
        file.write_table(table)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Ca:
    """A CA with a small current generation, whose next run was killed when it had signed some of its shards."""
    ca = Ca(tmp_path_factory.mktemp("original"))
    ca.configure(issuer={"cert_ids": "sha1"}, gates=ANY_SIZE, snapshot={"path": "snapshot.arrow"})
    export(ca, KNOWN)
    assert main(["run", str(ca.config)]) == 0
    export(ca, ROWS)
    kill_in_the_middle(ca, 3)
    return ca


def kill_in_the_middle(ca: Ca, finished: int) -> None:
    """Kill a run when it has finished so many shards."""
    with RunningProgram(ca.folder, "run", ca.config) as running:
        running.wait_until(lambda: any(path.read_bytes().count(b"\n") > finished for path in journals(ca)))
        os.kill(running.pid, signal.SIGKILL)
        running.process.wait()


@pytest.fixture
def ca(original: Ca, tmp_path: Path) -> Ca:
    """The same CA; the journal knows a configuration by its path, and learns of the copy's."""
    ca = original.copied_to(tmp_path)
    (journal,) = journals(ca)
    with Journal(ca.spool, f"{ca.config.resolve()}\n{ca.store.as_uri()}") as its:
        path = its.path
    journal.rename(path)
    return ca


def resumed(ended: Outcome) -> int:
    count = ended.document["resumed"]
    assert isinstance(count, int)
    return count


def warned(ended: Outcome) -> str:
    """Return what the one warning about resuming says."""
    (said,) = re.findall(r"warning resume[.].*", ended.err)
    return str(said)


def assert_whole(ca: Ca, pregen: Program, rows: int = ROWS) -> None:
    """All that is published is right, and no spill file or journal is left; of a kill, half an object may be."""
    assert pregen("verify", ca.store, "--issuer", ca.pem, "--all", "--json").document["certificates"] == rows
    ca.assert_spool_is_clean()
    assert journals(ca) == []


def test_a_killed_run_goes_on_with_the_packs_that_it_had_stored(ca: Ca, pregen: Program) -> None:
    left = packs(ca)

    ended = pregen("run", ca.config, "--json")

    assert 1 <= resumed(ended) < SHARDS
    assert len(current(ca) & left) == resumed(ended)
    assert len(packs(ca)) == len(left) + SHARDS - resumed(ended), "they were not put again"
    assert "resume" not in ended.err
    assert_whole(ca, pregen)


def test_a_run_that_is_told_to_go_on_says_with_how_much(ca: Ca, pregen: Program) -> None:
    ended = pregen("run", ca.config, "--resume", "--workers", 2)

    assert ended.code == 0
    assert re.search(r"^resumed +[0-9]+ of these shards were stored by the run that began at ", ended.out, re.MULTILINE)
    assert_whole(ca, pregen)


def test_a_run_that_is_killed_again_and_again_comes_to_its_end(ca: Ca, pregen: Program) -> None:
    (journal,) = journals(ca)
    kill_in_the_middle(ca, journal.read_bytes().count(b"\n"))

    assert resumed(pregen("run", ca.config, "--json")) >= 2
    assert_whole(ca, pregen)


def change_configuration(ca: Ca) -> None:
    ca.config.write_text(ca.config.read_text() + "\n# changed\n")


def publish_otherwise(ca: Ca) -> None:
    other = ca.configure(
        name="other.toml", issuer={"cert_ids": "sha1"}, gates=ANY_SIZE, snapshot={"path": "snapshot.arrow"}
    )
    export(ca, 20)
    assert main(["run", str(other), "--quiet"]) == 0
    export(ca, ROWS)


def take_another_snapshot(ca: Ca) -> None:
    ca.now += timedelta(seconds=1)
    export(ca, ROWS)


def lose_time(ca: Ca) -> None:
    """Let the run have begun days ago."""
    change_journal(ca, lambda attempt: replace(attempt, started=attempt.started - 3 * 86_400))


def come_from_the_future(ca: Ca) -> None:
    change_journal(ca, lambda attempt: replace(attempt, started=attempt.started + 86_400))


def lose_what_numbers_mean(ca: Ca) -> None:
    change_journal(ca, lambda attempt: attempt, lambda one: replace(one, octets=b"{}", digest="0" * 64))


def change_journal(
    ca: Ca, change: Callable[[Attempt], Attempt], renumber: Callable[[Numbering], Numbering] = lambda one: one
) -> None:
    with Journal(ca.spool, f"{ca.config.resolve()}\n{ca.store.as_uri()}") as journal:
        assert journal.attempt is not None
        finished, numberings = list(journal.finished.values()), list(journal.numberings.values())
        journal.begin(change(journal.attempt))
        for numbering in numberings:
            journal.number(renumber(numbering))
        for one in finished:
            journal.note(one.made_of, one.shard)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (change_configuration, "the configuration file has changed since"),
        (publish_otherwise, "another generation is published (it began on commit 1, now it is 2)"),
        (take_another_snapshot, "it was of another snapshot (as of "),
        (lose_time, "windows"),
        (come_from_the_future, "which is later than now"),
        (lose_what_numbers_mean, "their tables cannot be read any more"),
    ],
)
def test_a_run_begins_anew_where_what_decides_has_changed_and_says_what(
    ca: Ca, pregen: Program, change: Callable[[Ca], None], why: str
) -> None:
    change(ca)

    refused = pregen("run", ca.config, "--resume", "--json")
    assert (refused.code, refused.error["code"]) == (3, "resume")
    assert why in refused.err
    assert "leave --resume out" in refused.err
    ended = pregen("run", ca.config, "--json")
    assert resumed(ended) == 0
    assert why in warned(ended)
    assert_whole(ca, pregen)


def test_a_run_with_nothing_to_go_on_with_says_so_only_where_it_was_told_to(ca: Ca, pregen: Program) -> None:
    (journal,) = journals(ca)
    journal.unlink()

    refused = pregen("run", ca.config, "--resume", "--json")
    assert (refused.code, refused.error["code"]) == (3, "resume")
    assert f"no run of this configuration and store was stopped after its first shard (there is no {journal})" in (
        refused.err
    )
    assert journals(ca) == []
    assert "resume" not in pregen("run", ca.config, "--json").err


def lose_a_pack(path: Path) -> None:
    path.unlink()


def damage_a_pack(path: Path) -> None:
    octets = bytearray(path.read_bytes())
    octets[len(octets) // 2] ^= 1
    path.write_bytes(octets)


def exchange_a_pack(path: Path) -> None:
    """Put octets of the same length in its place."""
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("change", [lose_a_pack, damage_a_pack, exchange_a_pack])
def test_a_pack_that_is_not_there_as_it_was_is_signed_again(
    ca: Ca, pregen: Program, change: Callable[[Path], None]
) -> None:
    with Journal(ca.spool, f"{ca.config.resolve()}\n{ca.store.as_uri()}") as journal:
        names = [one.shard.pack for one in journal.finished.values()]
    change(ca.store / names[0])

    assert resumed(pregen("run", ca.config, "--json")) == len(names) - 1
    assert_whole(ca, pregen)


def change(command: str, ca: Ca, *numbers: int) -> None:
    """Revoke some certificates that are published."""
    if command == "revoke":
        words = [word for number in numbers for word in ("--serial", f"{SERIALS[number]:x}")]
        assert main(["revoke", str(ca.config), "--issuer", "r1", *words, "--quiet"]) == 0
        return
    export(ca, KNOWN, revoked=[SERIALS[number] for number in numbers])
    changes = (ca.folder / "snapshot.arrow").rename(ca.folder / "changes.arrow")
    assert main(["delta", str(ca.config), str(changes), "--quiet"]) == 0
    export(ca, ROWS)


def statuses(ca: Ca, pregen: Program, *numbers: int) -> list[object]:
    words = ("lookup", ca.store, "--issuer", ca.pem, "--json", "--serial")
    return [pregen(*words, f"{SERIALS[number]:x}").document["status"] for number in numbers]


def finished_rows(ca: Ca) -> int:
    """Return how many rows the shards have that are finished."""
    with Journal(ca.spool, f"{ca.config.resolve()}\n{ca.store.as_uri()}") as journal:
        return sum(one.shard.rows for one in journal.finished.values())


def signed(ended: Outcome) -> int:
    by_reason = ended.document["signed"]
    assert isinstance(by_reason, dict)
    return sum(by_reason.values())


@pytest.mark.parametrize("command", ["revoke", "delta"])
@pytest.mark.parametrize("words", [(), ("--resume",)])
def test_a_run_goes_on_over_urgent_changes_which_count(
    ca: Ca, pregen: Program, command: str, words: tuple[str, ...]
) -> None:
    done = finished_rows(ca)
    change(command, ca, 0, 1, 2, 3, 4)

    ended = pregen("run", ca.config, "--json", *words)

    assert ended.code == 0, ended.err
    assert "resume" not in ended.err
    assert resumed(ended) >= 1
    assert signed(ended) <= ROWS - done + 5, "what the first attempt has signed is copied"
    assert statuses(ca, pregen, 0, 1, 2, 3, 4, 5, 6, ROWS - 1) == ["revoked"] * 5 + ["good"] * 3
    assert_whole(ca, pregen)


def test_a_run_that_signs_all_goes_on_over_an_urgent_change_too(ca: Ca, pregen: Program) -> None:
    done = finished_rows(ca)
    change("revoke", ca, 0, 1)

    ended = pregen("run", ca.config, "--full", "--json")

    assert ended.code == 0, ended.err
    assert resumed(ended) >= 1
    again = KNOWN + 2  # what the killed run has carried over from before, and two records that stay in an overlay
    assert signed(ended) <= ROWS - done + again, "what the first attempt has signed is copied"
    assert statuses(ca, pregen, 0, 1, 2) == ["revoked", "revoked", "good"]
    assert_whole(ca, pregen)


def test_a_run_goes_on_as_often_as_it_is_killed_and_overtaken(ca: Ca, pregen: Program) -> None:
    for number in range(2):
        change("revoke", ca, number)
        (journal,) = journals(ca)
        kill_in_the_middle(ca, journal.read_bytes().count(b"\n") + 2)
    with Journal(ca.spool, f"{ca.config.resolve()}\n{ca.store.as_uri()}") as its:
        finished = len(its.finished)
        assert len(its.numberings) >= 2
    change("revoke", ca, 2)

    ended = pregen("run", ca.config, "--json")

    assert ended.code == 0, ended.err
    assert resumed(ended) == finished >= 3
    assert statuses(ca, pregen, 0, 1, 2, 3) == ["revoked"] * 3 + ["good"]
    assert_whole(ca, pregen)


def test_a_pack_that_is_lost_after_an_urgent_change_is_signed_again(ca: Ca, pregen: Program) -> None:
    with Journal(ca.spool, f"{ca.config.resolve()}\n{ca.store.as_uri()}") as journal:
        names = [one.shard.pack for one in journal.finished.values()]
    change("revoke", ca, 0)
    (ca.store / names[0]).unlink()

    ended = pregen("run", ca.config, "--json")

    assert ended.code == 0, ended.err
    assert (resumed(ended), "damaged" in ended.err) == (len(names) - 1, False), ended.err
    assert statuses(ca, pregen, 0, 1) == ["revoked", "good"]
    assert_whole(ca, pregen)


def test_rows_are_believed_and_not_the_journal(ca: Ca, pregen: Program) -> None:
    """The snapshot of the same instant says something else now: its rows are signed, whatever was stored."""
    bad = SERIALS[7]
    export(ca, ROWS, revoked=[bad])

    assert pregen("run", ca.config, "--json").code == 0
    said = pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", f"{bad:x}", "--json")
    assert said.document["status"] == "revoked"
    assert_whole(ca, pregen)


def test_a_torn_journal_is_believed_up_to_the_tear(ca: Ca, pregen: Program) -> None:
    (journal,) = journals(ca)
    journal.write_bytes(journal.read_bytes()[:-10])
    lines = journal.read_bytes().count(b"\n")

    assert resumed(pregen("run", ca.config, "--json")) == lines - 2
    assert_whole(ca, pregen)


def test_a_journal_that_a_living_run_writes_is_left_alone(ca: Ca, pregen: Program) -> None:
    with Journal(ca.spool, f"{ca.config.resolve()}\n{ca.store.as_uri()}") as journal:
        before = journal.path.read_bytes()
        refused = pregen("run", ca.config, "--resume", "--json")
        assert (refused.code, refused.error["code"]) == (3, "resume")
        assert "another run of this configuration is at work" in refused.err
        ended = pregen("run", ca.config, "--json")
        assert "another run of this configuration is at work" in warned(ended)
        assert journal.path.read_bytes() == before


def test_a_journal_that_cannot_be_kept_is_a_warning(ca: Ca, pregen: Program) -> None:
    (journal,) = journals(ca)
    journal.unlink()
    journal.symlink_to(ca.folder / "elsewhere")

    ended = pregen("run", ca.config, "--json")

    assert ended.code == 0
    assert "no journal could be kept" in warned(ended)
    assert not (ca.folder / "elsewhere").exists()
