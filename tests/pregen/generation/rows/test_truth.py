"""Rows of a shard beside what overlays say: they become what is true, and what the source does not know stays."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pregen.gates.comparison import RememberedStatus
from pregen.generation.rows.groups import RESPONSE_KINDS
from pregen.generation.rows.rows import ShardRows, load_shard
from pregen.generation.rows.truth import Overlaid, Staying, all_staying, staying_between
from pregen.overlays import Entries, Origin, resolve
from pregen.overlays.entries import concatenated
from pregen.overlays.order import KEY_COMPROMISE, RowsSay
from pregen.reasons import CERTIFICATE_HOLD
from pregen.snapshot import MAX_SERIAL_BYTES, NO_REASON, RowStatus
from storage.key import KEY32, key64
from tests.pregen.generation.workshop import Row, serials_of, spool

GOOD, REVOKED, UNKNOWN = RowStatus

AS_OF = 1_000
IDS = (1, 2)
NEVER = 2**32 - 1


class Entry(NamedTuple):
    serial: bytes
    status: int = RememberedStatus.REVOKED
    revoked_at: int = 500
    reason: int = NO_REASON
    as_of: int = 900
    origin: int = Origin.REVOKE
    not_after: int = NEVER
    issuer: int = 0

    @property
    def row(self) -> Row:
        """The same as a row of a snapshot."""
        status = {RememberedStatus.GOOD: GOOD, RememberedStatus.UNKNOWN: UNKNOWN}.get(
            RememberedStatus(self.status), REVOKED
        )
        return Row(self.serial, status, self.revoked_at, self.reason, issuer=self.issuer)


def entries_of(some: Sequence[Entry]) -> Entries:
    padded = b"".join(one.serial.ljust(MAX_SERIAL_BYTES, b"\0") for one in some)
    return concatenated(
        [
            Entries(
                keys=np.array([key64(one.serial, IDS[one.issuer]) for one in some], np.uint64),
                issuers=np.array([IDS[one.issuer] for one in some], np.uint64),
                serials=np.frombuffer(padded, np.uint8).reshape(len(some), MAX_SERIAL_BYTES),
                sizes=np.array([len(one.serial) for one in some], np.uint8),
                status=np.array([one.status for one in some], np.uint8),
                revoked_at=np.array([one.revoked_at for one in some], np.uint32),
                reason=np.array([one.reason for one in some], np.int8),
                not_after=np.array([one.not_after for one in some], np.uint32),
                as_of=np.array([one.as_of for one in some], np.int64),
                origin=np.array([one.origin for one in some], np.uint8),
            )
        ]
    )


def loaded(
    folder: Path, rows: Sequence[Row], some: Sequence[Entry], *, before: int | None = None, accepted: bool = False
) -> ShardRows:
    overlaid = Overlaid(entries_of(some), np.array(IDS, np.uint64), AS_OF, is_lack_accepted=accepted)
    (file,) = spool(folder, rows, issuer_ids=IDS)
    return load_shard(replace(file, overlaid=overlaid), before)


def said(rows: ShardRows) -> dict[tuple[int, bytes], tuple[str, int, int]]:
    """Return status, time and reason that the rows get, by issuer and serial."""
    return {
        (code >> 8 & 0xFF_FFFF, serial): (RESPONSE_KINDS[code & 3][0], at, reason)
        for serial, code, at, reason in zip(
            serials_of(rows), rows.codes.tolist(), rows.revoked_at.tolist(), rows.reason.tolist(), strict=True
        )
    }


def staying(of: Staying) -> dict[bytes, tuple[int, int, int]]:
    entries = of.entries
    return {
        entries.serial(place): (int(entries.status[place]), int(entries.revoked_at[place]), int(entries.reason[place]))
        for place in range(len(entries))
    }


def test_what_is_revoked_in_an_overlay_is_revoked_in_the_shard_and_stays_there(tmp_path: Path) -> None:
    rows = loaded(tmp_path, [Row(b"\x01"), Row(b"\x02")], [Entry(b"\x01", reason=KEY_COMPROMISE)])

    assert said(rows) == {(0, b"\x01"): ("revoked", 500, KEY_COMPROMISE), (0, b"\x02"): ("good", 0, NO_REASON)}
    assert staying(rows.staying) == {b"\x01": (RememberedStatus.REVOKED, 500, KEY_COMPROMISE)}
    assert rows.staying.is_ahead.tolist() == [True]
    assert rows.staying.is_lacking.tolist() == [False]


def test_what_the_snapshot_confirms_leaves_the_overlay(tmp_path: Path) -> None:
    rows = loaded(tmp_path, [Row(b"\x01", REVOKED, 700, 4), Row(b"\x02")], [Entry(b"\x01"), Entry(b"\x02", GOOD, 0)])

    assert said(rows)[0, b"\x01"] == ("revoked", 700, 4)
    assert not len(rows.staying.entries)


def test_a_certificate_of_another_issuer_with_the_same_serial_is_another_one(tmp_path: Path) -> None:
    rows = loaded(tmp_path, [Row(b"\x01"), Row(b"\x01", issuer=1)], [Entry(b"\x01", issuer=1)])

    assert said(rows)[0, b"\x01"][0] == "good"
    assert said(rows)[1, b"\x01"][0] == "revoked"


def test_a_serial_is_not_another_one_that_begins_with_it(tmp_path: Path) -> None:
    rows = loaded(tmp_path, [Row(b"\x01"), Row(b"\x01\x00")], [Entry(b"\x01")])

    assert said(rows) == {(0, b"\x01"): ("revoked", 500, NO_REASON), (0, b"\x01\x00"): ("good", 0, NO_REASON)}


def test_what_the_snapshot_lacks_stays_until_it_expires(tmp_path: Path) -> None:
    some = [Entry(b"\x01", not_after=99), Entry(b"\x02", not_after=100), Entry(b"\x03"), Entry(b"\x04", GOOD, 0)]
    rows = loaded(tmp_path, [], some, before=100)

    assert set(staying(rows.staying)) == {b"\x02", b"\x03", b"\x04"}
    assert rows.staying.is_lacking.all()


def test_what_is_good_and_lacking_goes_where_that_is_accepted_and_nothing_revoked_does(tmp_path: Path) -> None:
    held = Entry(b"\x03", RememberedStatus.ON_HOLD, reason=CERTIFICATE_HOLD, origin=Origin.HOLD)
    newer = Entry(b"\x04", GOOD, 0, as_of=AS_OF + 1)
    some = [Entry(b"\x01"), Entry(b"\x02", GOOD, 0), held, newer, Entry(b"\x05", RememberedStatus.UNKNOWN, 0)]
    rows = loaded(tmp_path, [], some, accepted=True)

    assert set(staying(rows.staying)) == {b"\x01", b"\x03", b"\x04"}


def test_a_row_that_says_it_has_expired_takes_no_revocation_out_of_an_overlay(tmp_path: Path) -> None:
    rows = loaded(tmp_path, [Row(b"\x01", not_after=50)], [Entry(b"\x01", not_after=500)], before=100)

    assert not len(rows.keys)
    assert set(staying(rows.staying)) == {b"\x01"}


def test_an_entry_without_an_expiry_takes_that_of_its_row(tmp_path: Path) -> None:
    rows = loaded(tmp_path, [Row(b"\x01", not_after=500)], [Entry(b"\x01")])
    gone = loaded(tmp_path / "later", [Row(b"\x01", not_after=500)], [Entry(b"\x01")], before=501)

    assert rows.staying.entries.not_after.tolist() == [500]
    assert not len(gone.staying.entries)


def test_a_row_that_is_bad_confirms_nothing(tmp_path: Path) -> None:
    rows = loaded(tmp_path, [Row(b"\x01", REVOKED, 5, withheld=True)], [Entry(b"\x01")])

    assert set(staying(rows.staying)) == {b"\x01"}
    assert rows.staying.is_lacking.tolist() == [True]


def test_a_row_of_a_precertificate_stays_one(tmp_path: Path) -> None:
    rows = loaded(tmp_path, [Row(b"\x01", precertificate=True)], [Entry(b"\x01")])

    assert rows.counts.alone == 1
    assert said(rows)[0, b"\x01"][0] == "revoked"


serials = st.sampled_from([bytes([number]) for number in range(6)] + [b"\x01\x00"])
kinds = st.sampled_from(
    [
        (RememberedStatus.GOOD, 0, NO_REASON),
        (RememberedStatus.UNKNOWN, 0, NO_REASON),
        (RememberedStatus.ON_HOLD, 400, CERTIFICATE_HOLD),
        (RememberedStatus.REVOKED, 400, NO_REASON),
        (RememberedStatus.REVOKED, 450, KEY_COMPROMISE),
    ]
)
some_entries = st.lists(
    st.builds(
        lambda serial, kind, as_of, origin, issuer: Entry(
            serial, kind[0], kind[1], kind[2], as_of, origin, NEVER, issuer
        ),
        serials,
        kinds,
        st.sampled_from([AS_OF - 1, AS_OF, AS_OF + 1]),
        st.sampled_from([*Origin]),
        st.sampled_from([0, 1]),
    ),
    unique_by=lambda one: (one.issuer, one.serial),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(some_entries, some_entries, st.integers(1, 3))
def test_rows_and_entries_become_what_the_order_of_truth_says(
    tmp_path_factory: pytest.TempPathFactory, source: list[Entry], overlay: list[Entry], shards: int
) -> None:
    folder = tmp_path_factory.mktemp("truth")
    files = spool(folder, [one.row for one in source], shards=shards, issuer_ids=IDS)
    overlaid = Overlaid(entries_of(overlay), np.array(IDS, np.uint64), AS_OF)
    parts = [load_shard(replace(one, overlaid=overlaid.between(one.low, one.high))) for one in files]
    model: dict[tuple[int, bytes], tuple[str, int, int]] = {}
    stays: dict[tuple[int, bytes], int] = {(one.issuer, one.serial): one.status for one in overlay}
    told = {(one.issuer, one.serial): one for one in overlay}
    for one in source:
        name = one.issuer, one.serial
        says = one.status, one.revoked_at, one.reason
        if entry := told.get(name):
            row = RowsSay(*(np.array([value]) for value in (*says, AS_OF, Origin.RUN)))
            truth = resolve(entries_of([entry]), row)
            says = int(truth.status[0]), int(truth.revoked_at[0]), int(truth.reason[0])
            if truth.is_confirmed[0]:
                del stays[name]
        model[name] = ({1: "revoked", 2: "revoked", 0: "good", 3: "unknown"}[says[0]], *says[1:])

    assert {name: value for part in parts for name, value in said(part).items()} == model
    kept = all_staying(part.staying for part in parts).entries
    names = [(IDS.index(int(kept.issuers[at])), kept.serial(at)) for at in range(len(kept))]
    assert dict(zip(names, kept.status.tolist(), strict=True)) == stays
    halves = [staying_between([part.staying for part in parts], *cut) for cut in ((0, KEY32 // 3), (KEY32 // 3, KEY32))]
    assert np.concatenate([half.entries.serials for half in halves]).tolist() == kept.serials.tolist()
    assert sum(int(np.count_nonzero(half.is_lacking)) for half in halves) == sum(
        int(np.count_nonzero(part.staying.is_lacking)) for part in parts
    )
