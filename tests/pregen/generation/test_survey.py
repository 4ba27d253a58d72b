"""Snapshots of several files, counted in their shards by several workers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from pregen.config import load_config
from pregen.errors import InputError, VerificationError
from pregen.generation.comparing.counting import CountTask, ShardCounter
from pregen.generation.making.shard import ShardSigner
from pregen.generation.preparation import Prepared, RunOptions, prepare
from pregen.generation.rows.rows import load_shard
from pregen.generation.rows.sharding import record_bytes
from pregen.generation.survey import Survey, survey
from pregen.generation.work.steps import Steps
from pregen.generation.workplace import open_workplace
from pregen.progress import Progress
from tests.pregen.cli.ca import Ca, instants
from tests.pregen.generation.workshop import Bench, make_issuers, serials_of, various_rows

SIZES = (9_000, 30_000, 1, 21_000)


@pytest.fixture
def ca(tmp_path: Path) -> Ca:
    """A CA whose snapshot has enough rows for two shards, in four files; each repeats the last rows of the one before.

    Of the last file, some rows are excluded.
    """
    ca = Ca(tmp_path)
    ca.configure(snapshot={"path": "day", "columns": {"status": {"values": {"good": ["0"], "excluded": ["6"]}}}})
    (tmp_path / "day").mkdir()
    first = 0
    for number, size in enumerate(SIZES):
        numbers = range(first, first + size)
        write(ca, f"day/{number}.parquet", numbers, [6 if number == 3 and n % 1_000 == 0 else 0 for n in numbers])
        first += size - size // 100
    return ca


@contextmanager
def surveyed_by(prepared: Prepared, progress: Progress) -> Iterator[Survey]:
    with open_workplace(prepared) as place:
        yield survey(prepared, place, Steps(), progress)


def write(ca: Ca, name: str, numbers: Sequence[int], statuses: Sequence[int]) -> None:
    ca.export(
        to=name,
        serial=pa.array([(1 << 40 | n).to_bytes(6, "big") for n in numbers], pa.binary()),
        status=pa.array(statuses, pa.uint8()),
        revoked_at=instants(*[None] * len(numbers)),
        reason=None,
    )


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_a_survey_is_the_same_however_many_workers_read(ca: Ca, workers: int) -> None:
    told: list[tuple[str, int, int]] = []
    prepared = prepare(load_config(ca.config), RunOptions(now=ca.now, workers=workers))
    with surveyed_by(prepared, lambda *step: told.append(step)) as surveyed:
        assert (surveyed.rows_in, surveyed.excluded) == (sum(SIZES), {"repeated": 90 + 300, "status": 21})
        assert sum(file.rows for file in surveyed.files) == sum(SIZES), "excluded ones are compared with the others"
        assert surveyed.certificates == sum(SIZES) - 411
        parts = surveyed.files[0].pieces.names
        assert (len(parts) == 1) == (workers == 1), "one worker leaves the reading to the parent, more do it themselves"
        shards = [load_shard(file, prepared.expired_before) for file in surveyed.files]
        assert len(shards) == 2
        for rows in shards:
            assert (np.diff(rows.key32.astype(np.int64)) >= 0).all()
    assert sorted(serial for rows in shards for serial in serials_of(rows)) == [
        (1 << 40 | n).to_bytes(6, "big") for n in range(9_000 - 90 + 30_000 - 300 + 1 + 21_000) if known(n)
    ]
    assert {step for step, _, _ in told} == {"read"}
    assert [done for _, done, _ in told] == sorted(done for _, done, _ in told)
    assert told[-1] == ("read", sum(SIZES), sum(SIZES))
    assert len(told) >= len(SIZES)
    ca.assert_clean()


def known(number: int) -> bool:
    """Whether a certificate is in a file before the last one, or is not excluded there."""
    return number < 9_000 - 90 + 30_000 - 300 + 1 or number % 1_000 != 0


@pytest.mark.parametrize("workers", [1, 2])
def test_rows_of_two_files_that_contradict_each_other_are_both_named(ca: Ca, workers: int) -> None:
    ca.configure(snapshot={"path": "day"})
    write(ca, "day/3.parquet", range(60_000, 81_000), [2 if n == 60_005 else 0 for n in range(60_000, 81_000)])
    write(ca, "day/4.parquet", [5, 60_005, 99_999], [2, 0, 0])
    prepared = prepare(load_config(ca.config), RunOptions(now=ca.now, workers=workers))
    with pytest.raises(InputError) as caught, surveyed_by(prepared, lambda *_: None):
        pytest.fail("it should be refused")
    (finding,) = caught.value.findings
    assert (finding.code, finding.count) == ("row.conflict", 2)
    day = ca.folder / "day"
    assert set(finding.examples) == {
        f"{day}/4.parquet, row 1, column serial, {1 << 40 | 5:x}: contradicts {day}/0.parquet, row 6",
        f"{day}/4.parquet, row 2, column serial, {1 << 40 | 60_005:x}: contradicts {day}/3.parquet, row 6",
    }
    ca.assert_clean()


def test_what_is_signed_must_be_what_was_surveyed(ca: Ca) -> None:
    prepared = prepare(load_config(ca.config), RunOptions(now=ca.now, workers=1))
    with surveyed_by(prepared, lambda *_: None) as surveyed:
        first, second = surveyed.files
        assert len(load_shard(first).codes) > 20_000
        with pytest.raises(VerificationError, match="please report this"):
            load_shard(replace(first, digest=second.digest))


def test_a_shard_with_other_rows_than_were_surveyed_is_not_signed(tmp_path: Path) -> None:
    bench = Bench(tmp_path, make_issuers(tmp_path / "pki"))
    plan = bench.spool(various_rows(50))
    (task,), signer = bench.tasks(), ShardSigner(bench.job(plan))
    right = ShardCounter()(CountTask(task.file)).digest()
    assert signer(replace(task, file=replace(task.file, digest=right))).responses == 100
    with pytest.raises(VerificationError, match="please report this"):
        signer(replace(task, file=replace(task.file, digest=right ^ 1)))


def test_files_of_the_folder_that_are_not_read_are_among_the_warnings(ca: Ca) -> None:
    (ca.folder / "day" / "4.json").touch()
    prepared = prepare(load_config(ca.config), RunOptions(now=ca.now, workers=2))
    with surveyed_by(prepared, lambda *_: None) as surveyed:
        assert [warning.code for warning in surveyed.warnings] == ["file.ignored"]


def test_the_largest_record_of_any_issuer_counts(tmp_path: Path) -> None:
    small, large = make_issuers(tmp_path, {"cert_ids": "sha1"}, {"cert_ids": "separate"})
    assert record_bytes([small]) == 26 + 64
    assert record_bytes([small, large]) == record_bytes([large]) == 26 + 2 * 64
    (rsa,) = make_issuers(tmp_path / "rsa", {"cert_ids": "sha256"}, key="rsa2048")
    assert record_bytes([small, rsa]) == 26 + 256
