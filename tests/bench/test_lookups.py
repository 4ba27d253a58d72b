from collections.abc import Sequence
from pathlib import Path

import pytest

from bench.figure import BenchError
from bench.lookups import Buckets, WantedAnswer, check_answers, choose, figures_of_lookups, record_reads
from bench.workload import Workload, make_workload
from pregen.snapshot import RowStatus
from storage.reader import Reader, open_reader
from storage.stores import LocalStore

GOOD, REVOKED = RowStatus.GOOD, RowStatus.REVOKED

COUNT = 400


@pytest.fixture
def reader(published: Workload) -> Reader:
    return open_reader(LocalStore(published.store))


@pytest.fixture
def wanted(published: Workload) -> list[WantedAnswer]:
    return choose(published, COUNT)


def with_first(wanted: Sequence[WantedAnswer], first: WantedAnswer) -> list[WantedAnswer]:
    return [first, *wanted[1:]]


def test_the_same_certificates_are_looked_up_every_time(published: Workload, wanted: list[WantedAnswer]) -> None:
    assert choose(published, COUNT) == wanted
    assert {one.status for one in wanted} == {GOOD, REVOKED}


def test_right_answers_pass(published: Workload, reader: Reader, wanted: list[WantedAnswer]) -> None:
    check_answers(published, reader, wanted)


def test_a_missing_answer_is_noticed(published: Workload, reader: Reader, wanted: list[WantedAnswer]) -> None:
    absent = WantedAnswer(wanted[0].cert_id._replace(serial=b"\x01" * 16), GOOD)
    with pytest.raises(BenchError, match="has no response"):
        check_answers(published, reader, [*wanted[:50], absent])


def test_an_answer_of_another_status_is_noticed(
    published: Workload, reader: Reader, wanted: list[WantedAnswer]
) -> None:
    first = wanted[0]
    other = first._replace(status=REVOKED if first.status == GOOD else GOOD)
    with pytest.raises(BenchError, match=r"says (GOOD|REVOKED) of"):
        check_answers(published, reader, with_first(wanted, other))


def test_an_answer_signed_by_another_is_noticed(reader: Reader, wanted: list[WantedAnswer], tmp_path: Path) -> None:
    stranger = make_workload(tmp_path / "stranger", 3)
    with pytest.raises(BenchError, match="wrong signature"):
        check_answers(stranger, reader, wanted)


def test_a_lookup_is_one_ranged_read_of_a_bucket(published: Workload, wanted: list[WantedAnswer]) -> None:
    reads = record_reads(published, wanted)
    assert len(reads) == COUNT
    assert all(read.name.startswith("packs/") for read in reads)


def test_the_reference_reads_what_the_reader_read(published: Workload, wanted: list[WantedAnswer]) -> None:
    with Buckets(published.store, record_reads(published, wanted)) as buckets:
        buckets.read_all()
        buckets.check()


def test_a_reference_that_reads_something_else_is_noticed(published: Workload, wanted: list[WantedAnswer]) -> None:
    reads = record_reads(published, wanted)
    reads[7] = reads[7]._replace(start=reads[7].start + 1)
    with Buckets(published.store, reads) as buckets:
        buckets.read_all()
        with pytest.raises(BenchError, match="other octets"):
            buckets.check()


def test_rates_of_rounds_are_summed_up_by_time() -> None:
    # a hundred lookups at 100/s and a hundred at 300/s: 200 in 4/3 s
    found = {figure.name: figure.value for figure in figures_of_lookups([100, 300], [600, 600], 1.0)}
    assert found["lookups.rate"] == pytest.approx(150)
    assert found["lookups.ratio"] == pytest.approx(0.25)
