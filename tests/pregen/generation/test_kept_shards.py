"""Shards of which nothing has changed and nothing is due stay, unread: counted by a store, night after night."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from pregen.clock import seconds
from pregen.config import load_config
from pregen.gates import Acceptance
from pregen.generation import Published, RunOptions
from pregen.generation.kept_shards import find_keepable
from pregen.generation.looking_back import look_back
from pregen.generation.preparation import prepare
from pregen.generation.publication import publish_prepared
from pregen.generation.rows.sharding import rows_wanted
from pregen.generation.work.steps import Steps
from pregen.snapshot import RowStatus
from storage.certid import SHA1
from storage.history import HistoryIndex, read_index
from storage.key import key32
from storage.manifest import Shard
from tests import pki
from tests.fakes import CountingStore
from tests.pregen.generation.nights import DAY, Nights, quiet
from tests.pregen.generation.workshop import NOW, Row

GOOD, REVOKED = RowStatus.GOOD, RowStatus.REVOKED

SHARDS = 4
NOW_S, DAY_S = seconds(NOW), 86_400


def filler() -> pa.Table:
    """Return rows of certificates that have expired long ago, so many that a few other ones lie in several shards."""
    count = SHARDS * rows_wanted(26 + 2 * 4_627) - 300
    serials = np.random.default_rng(5).integers(0, 256, (count, 12), np.uint8)
    serials[:, 0] = 0x7E
    values = pa.py_buffer(serials.tobytes())
    offsets = pa.py_buffer(np.arange(0, 12 * count + 1, 12, dtype=np.int32).tobytes())
    return pa.table(
        {
            "serial": pa.Array.from_buffers(pa.binary(), count, [None, offsets, values]),
            "status": pa.nulls(count, pa.uint8()).fill_null(0),
            "revoked_at": pa.nulls(count, pa.timestamp("s", "UTC")),
            "reason": pa.nulls(count, pa.int8()),
            "not_after": pa.nulls(count, pa.int64()).fill_null(NOW_S - 900 * DAY_S).cast(pa.timestamp("s", "UTC")),
            "issuer": pa.nulls(count, pa.string()).fill_null("r0"),
        }
    )


FILLER = filler()


@dataclass
class Night:
    """What one run did, by what it asked of its store."""

    published: Published
    store: CountingStore

    def put(self, folder: str) -> int:
        """Return how many objects of a folder were put."""
        return self._count({"put", "put_if_absent"}, folder)

    def read(self, folder: str) -> int:
        """Return how many reads of objects of a folder there were."""
        return self._count({"get", "get_range"}, folder)

    def _count(self, operations: set[str], folder: str) -> int:
        return sum(
            count
            for (operation, name), count in self.store.requests.items()
            if operation in operations and name.startswith(f"{folder}/")
        )

    @property
    def parts(self) -> int:
        """Return how many parts of the history were put; the index is another object."""
        return self.put("history") - 1

    def assert_did(self, *, packs: int, parts: int, forgotten: int = 0) -> None:
        """Fail unless so many packs and parts were made anew, and all others stayed unread.

        What of the history is forgotten is compared with by its pack, which is read once for that.
        """
        assert (self.put("packs"), self.parts) == (packs, parts)
        assert self.read("packs") <= 4 * packs + forgotten, "each is read once to carry over, and once to be verified"
        assert (self.put("windows"), self.put("manifests"), self.put("commits")) == (min(packs, 1), 1, 1)


@dataclass
class KeptNights(Nights):
    """Nights whose runs go to a store that counts."""

    key: pki.KeyKind = "ml-dsa-87"  # whose signatures are so long that few rows make a shard
    refresh: str = "spread = false"
    rows: list[Row] = field(default_factory=list)

    def write(self, rows: Sequence[Row], as_of: datetime) -> None:
        super().write(rows, as_of)
        path = self.folder / "s.parquet"
        table = pyarrow.parquet.read_table(path)
        whole = pa.concat_tables([table.replace_schema_metadata(None), FILLER.cast(table.schema.remove_metadata())])
        pyarrow.parquet.write_table(whole.replace_schema_metadata(table.schema.metadata), path, compression="none")

    def run(self, night: float, **options: Any) -> Night:
        """Publish the rows of a night, counted in days."""
        now = NOW + night * DAY
        self.write(self.rows, now)
        chosen = RunOptions(**{"now": now, "workers": 1, **options})
        prepared = prepare(load_config(self.configure()), chosen)
        counting = CountingStore(self.store)
        prepared = replace(prepared, store=counting, open_store=lambda: counting)
        return Night(publish_prepared(prepared, Steps(), quiet), counting)

    @property
    def shards(self) -> tuple[Shard, ...]:
        return self.generation.manifest.shards

    @property
    def history(self) -> HistoryIndex:
        name = self.generation.manifest.history
        assert name is not None
        return read_index(self.store, name)

    def shard_of(self, row: Row) -> int:
        """Return the number of the shard that a row is in."""
        key = key32(row.serial, self.issuer_id(row.issuer))
        return next(number for number, one in enumerate(self.shards) if one.low <= key < one.high)

    def issuer_id(self, number: int) -> int:
        stored = next(iter(self.generation.tables.values())).tables.issuers
        return next(one.issuer_id for one in stored if one.names[0] == f"r{number}")

    def check_rows(self, night: float) -> None:
        """Verify all answers, and that no others are given."""
        self.check(night, self.rows)
        assert sum(shard.rows for shard in self.shards) == len(self.rows)


def some_rows(count: int = 120) -> list[Row]:
    random = np.random.default_rng(count)
    return [
        Row(
            b"\x11" + random.bytes(15),
            REVOKED if at % 7 == 0 else GOOD,
            NOW_S - 1_000 - at if at % 7 == 0 else 0,
            1 if at % 14 == 0 else -1,
            not_after=NOW_S + (50 + at) * DAY_S,
        )
        for at in range(count)
    ]


@pytest.fixture
def nights(tmp_path: Path) -> KeptNights:
    made = KeptNights(tmp_path, rows=some_rows())
    first = made.run(0)
    first.assert_did(packs=SHARDS, parts=SHARDS)
    assert len(made.shards) == SHARDS
    assert all(shard.rows > 10 for shard in made.shards)
    return made


@pytest.mark.parametrize("later", [0.2, 1.0])
def test_a_run_with_nothing_to_do_writes_a_commit_and_reads_no_pack(nights: KeptNights, later: float) -> None:
    before, parts = nights.shards, nights.history.parts
    night = nights.run(later)
    night.assert_did(packs=0, parts=0)
    assert night.read("packs") == night.put("tables") == 0
    as_of = seconds(NOW + later * DAY)
    assert nights.shards == tuple(replace(shard, as_of=as_of) for shard in before)
    assert nights.history.parts == parts
    assert nights.history.as_of == as_of == nights.generation.commit.as_of
    published = night.published
    assert published.survey.kept == published.committed.responses // 2 == len(nights.rows)
    assert not {"sign", "fill", "open"} & published.cpu_by_step.keys(), "no key is used"
    nights.check_rows(later)


def test_nothing_to_do_stays_nothing_until_answers_are_due(nights: KeptNights) -> None:
    made = [nights.run(number).put("packs") for number in range(1, 8)]
    assert made == [0, 0, SHARDS, 0, 0, SHARDS, 0], "half of 7 days is over before the run of the fourth night"
    nights.check_rows(7)
    assert nights.generation.manifest.counts["certificates"] == len(nights.rows)


def change_status(row: Row) -> Row:
    return row._replace(status=REVOKED, revoked_at=NOW_S - 5, reason=-1) if row.status == GOOD else row


CHANGES: dict[str, Callable[[Row], Row]] = {
    "is revoked": change_status,
    "is revoked with a reason": lambda row: change_status(row)._replace(reason=4),
}


@pytest.mark.parametrize("change", CHANGES)
def test_of_a_row_that_changes_its_shard_alone_is_made_anew(nights: KeptNights, change: str) -> None:
    at = next(at for at, row in enumerate(nights.rows) if row.status == GOOD)
    before = nights.shards
    nights.rows[at] = CHANGES[change](nights.rows[at])
    night = nights.run(1)
    night.assert_did(packs=1, parts=1)
    kept = [old.pack == new.pack for old, new in zip(before, nights.shards, strict=True)]
    assert [number for number, is_kept in enumerate(kept) if not is_kept] == [nights.shard_of(nights.rows[at])]
    assert night.published.reasons.signed["changed"] == 1
    assert night.published.reasons.carried + night.published.survey.kept == len(nights.rows) - 1
    nights.check_rows(1)


def test_a_new_row_and_a_later_time_of_revocation_are_changes_too(nights: KeptNights) -> None:
    nights.rows.append(Row(b"\x11 a new one", not_after=NOW_S + 9 * DAY_S))
    nights.run(1).assert_did(packs=1, parts=1)
    at = next(at for at, row in enumerate(nights.rows) if row.status == REVOKED)
    nights.rows[at] = nights.rows[at]._replace(revoked_at=nights.rows[at].revoked_at - 60)
    nights.run(2).assert_did(packs=1, parts=1)
    nights.check_rows(2)


def test_of_a_certificate_that_ends_at_another_time_the_part_alone_is_made_anew(nights: KeptNights) -> None:
    before = nights.shards
    nights.rows[3] = nights.rows[3]._replace(not_after=NOW_S + 77 * DAY_S)
    number = nights.shard_of(nights.rows[3])
    old = nights.history.parts
    night = nights.run(1, accept=(Acceptance("shrink.expiry", "it was renewed in place", "test"),))
    night.assert_did(packs=0, parts=1)
    assert [one.pack for one in nights.shards] == [one.pack for one in before]
    changed = [at for at, (was, now) in enumerate(zip(old, nights.history.parts, strict=True)) if was != now]
    assert changed == [number]
    assert nights.history.parts[number].digest == old[number].digest
    nights.run(2).assert_did(packs=0, parts=0)
    nights.check_rows(2)


def test_a_certificate_that_expires_goes_from_its_pack(tmp_path: Path) -> None:
    nights = KeptNights(tmp_path, rows=some_rows())
    nights.rows[3] = nights.rows[3]._replace(not_after=NOW_S + DAY_S + 5)
    nights.run(0)
    nights.run(1).assert_did(packs=0, parts=0)
    nights.run(2).assert_did(packs=1, parts=1)
    gone = nights.rows.pop(3)
    assert nights.answers([gone])[0][SHA1] is None
    nights.check_rows(2)


def test_a_certificate_that_vanishes_by_name_goes_from_its_pack(nights: KeptNights) -> None:
    gone = nights.rows.pop(3)
    accept = (Acceptance("shrink", "it never existed", "test"),)
    nights.run(1, accept=accept).assert_did(packs=1, parts=1)
    assert nights.answers([gone])[0][SHA1] is None
    nights.run(2).assert_did(packs=0, parts=0)
    nights.check_rows(2)


def test_an_issuer_that_is_added_is_written_where_it_has_certificates(tmp_path: Path) -> None:
    nights = KeptNights(tmp_path, issuers=[{}, {}], rows=some_rows())
    both, nights.issuers = nights.issuers, nights.issuers[:1]
    nights.run(0)
    nights.issuers = both
    nights.rows.append(Row(b"\x12 of another", issuer=1, not_after=NOW_S + 9 * DAY_S))
    nights.run(1).assert_did(packs=1, parts=1)
    nights.check_rows(1)
    nights.run(2).assert_did(packs=0, parts=0)

    nights.issuers = both[:1]
    nights.rows.pop()
    night = nights.run(3, drop_issuers=("r1",), accept=(Acceptance("shrink", "its CA has ended", "test"),))
    named = {one.names[0] for loaded in nights.generation.tables.values() for one in loaded.tables.issuers}
    assert named == {"r0"}, "nobody asks for it again"
    assert night.put("packs") >= 1
    nights.run(4)
    nights.check_rows(4)


def _renamed(nights: KeptNights) -> None:
    nights.issuers = [{"name": "r0"} | {"cert_ids": "sha1"}]


CONFIGURATIONS: dict[str, Callable[[KeptNights], None]] = {
    "lifetime": lambda nights: setattr(nights, "validity", 'profile = "lab"\nlifetime = "6d"'),
    "backdate": lambda nights: setattr(nights, "validity", 'profile = "lab"\nlifetime = "7d"\nbackdate = "1h"'),
    "ends": lambda nights: setattr(nights, "validity", 'profile = "lab"\nlifetime = "7d"\nend_with_certificate = true'),
    "CertIDs": _renamed,
    "responder": lambda nights: nights.new_responder(),
}


@pytest.mark.parametrize("what", CONFIGURATIONS)
def test_what_the_configuration_changes_makes_every_pack_anew(nights: KeptNights, what: str) -> None:
    CONFIGURATIONS[what](nights)
    assert nights.run(1).published.survey.kept == 0
    nights.run(1.1).assert_did(packs=0, parts=0)


def test_full_makes_every_pack_anew_where_it_is(nights: KeptNights) -> None:
    before = nights.shards
    nights.run(1, full=True).assert_did(packs=SHARDS, parts=SHARDS)
    assert [(one.low, one.high) for one in nights.shards] == [(one.low, one.high) for one in before]
    assert not {one.pack for one in nights.shards} & {one.pack for one in before}
    nights.run(2).assert_did(packs=0, parts=0)
    nights.check_rows(2)


def test_full_keeps_nothing_even_where_some_issuers_are_carried_over(nights: KeptNights) -> None:
    config, bounds = load_config(nights.configure()), (0, *(one.high for one in nights.shards))
    nights.write(nights.rows, NOW + DAY)
    prepared = prepare(config, RunOptions(now=NOW + DAY, workers=1))
    back = look_back(prepared)
    assert len(find_keepable(prepared, back, bounds).shards) == SHARDS
    assert not find_keepable(replace(prepared, full=True), back, bounds).shards
    assert len(find_keepable(prepared, back, (0, *bounds[2:])).shards) == SHARDS - 2, "the others have other bounds"


def test_a_pack_that_is_gone_is_made_again(nights: KeptNights) -> None:
    gone = nights.shards[2]
    nights.store.delete([gone.pack])
    night = nights.run(1)
    assert night.put("packs") == 1
    assert [one.pack == gone.pack for one in nights.shards] == [False] * SHARDS
    nights.check_rows(1)


def test_a_part_of_the_history_that_is_gone_is_made_again(nights: KeptNights) -> None:
    nights.store.delete([nights.history.parts[1].name])
    night = nights.run(1, accept=(Acceptance("history.damaged", "there is no copy", "test"),))
    night.assert_did(packs=0, parts=1, forgotten=1)
    nights.run(2).assert_did(packs=0, parts=0)
    nights.check_rows(2)


def test_a_night_has_its_share_of_keys_and_makes_no_other_pack_anew(tmp_path: Path) -> None:
    nights = KeptNights(tmp_path, rows=some_rows(), refresh="spread = true", validity='profile="lab"\nlifetime="9d"')
    nights.run(0)
    made: list[list[int]] = []
    for number in range(1, 13):
        before = nights.shards
        nights.run(number)
        made.append(
            [at for at, (old, new) in enumerate(zip(before, nights.shards, strict=True)) if old.pack != new.pack]
        )
        nights.run(number + 0.3).assert_did(packs=0, parts=0)
        assert len({one.windows for one in nights.shards}) <= SHARDS
        nights.check_rows(number + 0.3)
    assert all(len(one) == 1 for one in made), made
    assert made[:4] == made[4:8] == made[8:]
    assert sorted(one for (one,) in made[:4]) == list(range(SHARDS))


def test_answers_are_those_of_a_full_run(nights: KeptNights, tmp_path: Path) -> None:
    for number, change in enumerate([1, 5, 9], start=1):
        nights.rows[change] = change_status(nights.rows[change])
        nights.run(number)
    of_kept = nights.answers(nights.rows)
    nights.run(3.1, full=True)
    for one, other in zip(of_kept, nights.answers(nights.rows), strict=True):
        for oid, answer in one.items():
            full = other[oid]
            assert answer is not None
            assert full is not None
            assert answer.status == full.status


def test_bounds_are_those_of_the_shards(nights: KeptNights) -> None:
    nights.run(1)
    assert [one.high for one in nights.shards[:-1]] == [one.low for _, one in pairwise(nights.shards)]
