"""Whole runs, from a snapshot file to a commit, with real workers and a local store."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from bench.runs import run_apart
from pregen.clock import seconds
from pregen.config import load_config
from pregen.errors import GateError, InputError, VerificationError
from pregen.generation import Published, RunOptions, run
from pregen.generation.committing import check_counts
from pregen.generation.comparing.tally import ShardCount, add_up
from pregen.generation.made import Made
from pregen.generation.making.shard import SignedShard
from pregen.generation.preparation import prepare
from pregen.generation.rows.groups import Group
from pregen.generation.rows.sharding import SHARD_ROWS
from pregen.generation.survey import Survey
from pregen.issuers import Issuer, load_issuers
from pregen.signers import ALGORITHMS
from pregen.snapshot import RowStatus
from pregen.verification import load_public_key, parse_response, verify_signature
from storage.certid import HASH_OIDS, SHA1, SHA256, CertID
from storage.commits import find_head
from storage.errors import CommitRefusedError
from storage.pack import walk
from storage.reader import Answer, Generation
from storage.stores.local import LocalStore
from tests import pki
from tests.pregen.generation.workshop import NOW, Row, plain_rows, various_rows, write_snapshot

REVOKED, UNKNOWN = RowStatus.REVOKED, RowStatus.UNKNOWN

DAY_S = 86_400
NOW_S = seconds(NOW)
LONG_AGO_S = NOW_S - 3 * 365 * DAY_S


def quiet(_step: str, _done: int, _total: int) -> None:
    """Show no progress."""


@dataclass
class Authority:
    """A certification authority with its folder: issuers, snapshots and a store."""

    folder: Path
    key: pki.KeyKind = "p256"
    issuers: list[dict[str, str]] = field(default_factory=lambda: [{}])
    keep_expired: str = "0d"
    store_name: str = "store"

    def __post_init__(self) -> None:
        for number in range(len(self.issuers)):
            ca = pki.make_issuer(f"Example Root R{number}", key=pki.make_key(self.key))
            ca.write(self.folder, f"ca{number}")
            pki.make_responder(ca, f"Example OCSP {number}", key=pki.make_key(self.key)).write(
                self.folder, f"ocsp{number}"
            )

    def configure(self, only: Sequence[int] | None = None) -> Path:
        lines = [
            f'[snapshot]\npath = "s.parquet"\nkeep_expired = "{self.keep_expired}"',
            '[validity]\nprofile = "lab"\nlifetime = "4d"',
            f'[run]\nspool = "."\n[publish]\nstore = "{self.store_name}"',
        ]
        for number, section in enumerate(self.issuers):
            if only is not None and number not in only:
                continue
            fields = {"name": f"r{number}", "certificate": f"ca{number}.pem"} | section
            if fields.pop("alone", ""):
                fields["key"] = f"ca{number}.key"
            else:
                fields |= {"responder_certificate": f"ocsp{number}.pem", "key": f"ocsp{number}.key"}
            lines += ["[[issuer]]", *(f'{name} = "{value}"' for name, value in fields.items())]
        path = self.folder / "pregen.toml"
        path.write_text("\n".join(lines))
        return path

    def write(self, rows: Sequence[Row]) -> None:
        write_snapshot(self.folder / "s.parquet", rows, NOW)

    def publish(
        self, rows: Sequence[Row] | None = None, only: Sequence[int] | None = None, **options: object
    ) -> Published:
        if rows is not None:
            self.write(rows)
        chosen = {"now": NOW, "workers": 1, **options}
        return run(load_config(self.configure(only)), RunOptions(**chosen), quiet)  # type: ignore[arg-type]

    @property
    def store(self) -> LocalStore:
        return LocalStore(self.folder / self.store_name)

    def generation(self) -> Generation:
        head = find_head(self.store)
        assert head is not None
        return Generation(self.store, head)

    def load(self) -> tuple[Issuer, ...]:
        return load_issuers(load_config(self.configure()), NOW)[0]

    def answer(self, generation: Generation, row: Row, oid: str = SHA1) -> Answer | None:
        issuer = self.load()[row.issuer]
        return generation.lookup(CertID(oid, issuer.name_hashes[oid], issuer.key_hashes[oid], row.serial))

    def check_all(self, rows: Sequence[Row], oids: Sequence[str]) -> None:
        """Look up every row, and verify what is answered."""
        generation, issuers = self.generation(), self.load()
        for row in rows:
            issuer = issuers[row.issuer]
            for oid in oids:
                cert_id = CertID(oid, issuer.name_hashes[oid], issuer.key_hashes[oid], row.serial)
                answer = generation.lookup(cert_id)
                assert answer is not None, row
                parsed = parse_response(answer.der)
                algorithm = ALGORITHMS[issuer.responder.algorithm]
                verify_signature(parsed, load_public_key(issuer.responder.public_key), algorithm)
                said = next(one for one in parsed.statements if one.hash_oid == oid)
                assert (said.hash_oid, said.issuer_key_hash) == (oid, issuer.key_hashes[oid])
                assert said.serial_number == int.from_bytes(row.serial, "big", signed=True)
                assert said.status == answer.status == ("good", "revoked", "unknown")[row.status]
                assert said.reason == (row.reason if row.reason > 0 else None)
                assert (said.this_update, said.next_update) == (NOW_S, NOW_S + 4 * DAY_S - 1)


def stored_serials(generation: Generation) -> Iterator[tuple[int, int, bytes]]:
    """Yield shard, run and serial of every record in the order of the store."""
    for number, shard in enumerate(generation.manifest.shards):
        loaded, pack = generation.tables[shard.windows], generation.pack(shard)
        for bucket in range(pack.buckets):
            for run_number, start, count, octets in walk(pack, bucket, loaded.strides):
                size = loaded.tables.shapes[loaded.tables.runs[run_number].shape].serial_bytes
                stride = loaded.strides[run_number]
                for at in range(start, start + count * stride, stride):
                    yield number, run_number, octets[at : at + size]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.mark.parametrize("cert_ids", ["sha1", "sha256", "separate", "combined"])
def test_every_row_is_answered_under_the_configured_hashes(tmp_path: Path, cert_ids: str) -> None:
    authority = Authority(tmp_path, issuers=[{"cert_ids": cert_ids}])
    rows = various_rows(60)
    published = authority.publish(rows)
    oids = [SHA1, SHA256] if cert_ids in {"separate", "combined"} else [HASH_OIDS[cert_ids]]
    responses = 120 if cert_ids == "separate" else 60
    assert (published.survey.rows_in, published.survey.certificates, published.committed.responses) == (
        60,
        60,
        responses,
    )
    authority.check_all(rows, oids)
    for oid in {SHA1, SHA256} - set(oids):
        assert authority.answer(authority.generation(), rows[0], oid) is None


def test_two_issuers_with_one_serial_get_their_own_answers(tmp_path: Path) -> None:
    authority = Authority(tmp_path, issuers=[{}, {"alone": "yes", "responder_id": "by-name"}])
    rows = [Row(b"\x11" * 16), Row(b"\x11" * 16, REVOKED, NOW_S - 5, 1, issuer=1), *various_rows(30, issuers=2)]
    published = authority.publish(rows)
    assert (len(published.prepared.issuers), published.survey.certificates) == (2, 32)
    authority.check_all(rows, [SHA1, SHA256])


@pytest.mark.parametrize("section", [{}, {"alone": "yes"}], ids=["delegated", "alone"])
def test_rsa_keys_sign_too(tmp_path: Path, section: dict[str, str]) -> None:
    authority = Authority(tmp_path, key="rsa2048", issuers=[section])
    rows = various_rows(25)
    assert authority.publish(rows, engine="software").engine == "software"
    authority.check_all(rows, [SHA1, SHA256])


def test_expired_repeated_and_answered_rows_add_up(authority: Authority) -> None:
    rows = [
        *plain_rows(10),
        *[row._replace(not_after=NOW_S - 1) for row in various_rows(7)],
        *plain_rows(3),  # of other serials than the ten
        *plain_rows(10)[:4],
    ]
    published = authority.publish(rows)
    assert published.survey.excluded == {"expired": 7, "repeated": 4}
    assert (published.survey.rows_in, published.survey.certificates, published.committed.responses) == (24, 13, 26)


def test_certificates_expire_to_the_second_after_what_is_kept(authority: Authority) -> None:
    authority.keep_expired = "2d"
    limit = NOW_S - 2 * DAY_S
    last, first = Row(b"\x11" * 8, not_after=limit), Row(b"\x12" * 8, not_after=limit - 1)
    published = authority.publish([last, first])
    assert (published.survey.certificates, published.survey.excluded) == (1, {"expired": 1})
    generation = authority.generation()
    assert authority.answer(generation, last) is not None
    assert authority.answer(generation, first) is None


def test_a_snapshot_of_expired_certificates_alone_is_refused(authority: Authority) -> None:
    with pytest.raises(GateError, match="nothing is left to sign"):
        authority.publish([Row(b"\x11" * 8, not_after=LONG_AGO_S)])
    assert find_head(authority.store) is None


def test_contradicting_rows_are_refused_with_their_places(authority: Authority) -> None:
    rows = [Row(b"\x11" * 8), *plain_rows(3), Row(b"\x11" * 8, REVOKED, NOW_S - 5), Row(b"\x11" * 8, UNKNOWN)]
    with pytest.raises(InputError) as caught:
        authority.publish(rows)
    (finding,) = caught.value.findings
    assert (finding.code, finding.count, len(finding.examples)) == ("row.conflict", 2, 2)
    assert "s.parquet, row 5, column serial, 1111111111111111: contradicts" in finding.examples[0]
    assert finding.examples[0].endswith("s.parquet, row 1")
    assert find_head(authority.store) is None
    assert not list(authority.folder.glob("pregen-spool-*"))


def test_an_issuer_of_the_current_commit_is_not_lost_by_accident(tmp_path: Path) -> None:
    authority = Authority(tmp_path, issuers=[{}, {}])
    rows = various_rows(20, issuers=2)
    authority.publish(rows)
    first = [row for row in rows if row.issuer == 0]
    with pytest.raises(GateError, match=r"commit 1 answers for r1, .* --drop-issuer r1") as caught:
        authority.publish(first, only=[0])
    assert caught.value.exit_code == 3
    assert authority.generation().commit.number == 1

    published = authority.publish(only=[0], drop_issuers=("r1", "nobody"))
    assert (published.commit, len(published.prepared.issuers)) == (2, 1)
    assert [warning.code for warning in published.warnings] == ["drop-issuer.nothing", "drop-issuer.no-reason"]
    shrink = next(result for result in published.committed.gates if result.gate == "shrink")
    assert (shrink.outcome, shrink.figures["dropped"]) == ("passed", len(rows) - len(first))
    assert shrink.figures["vanished"] == 0
    assert authority.answer(authority.generation(), rows[1]) is None


def test_of_two_publishers_one_wins_and_the_other_is_told(authority: Authority) -> None:
    authority.write(plain_rows(5))
    config, options = load_config(authority.configure()), RunOptions(now=NOW, workers=1)
    won: list[Published] = []

    def overtake(step: str, _done: int, _total: int) -> None:
        if step == "sign":
            won.append(run(config, options, quiet))

    with pytest.raises(CommitRefusedError, match="commit 1 already belongs to publisher"):
        run(config, options, overtake)
    assert [published.commit for published in won] == [1]
    assert authority.generation().commit.number == 1
    authority.check_all(plain_rows(5), [SHA1, SHA256])


def test_a_key_that_was_exchanged_after_the_check_publishes_nothing(authority: Authority) -> None:
    authority.publish(plain_rows(3))
    before = {path: path.read_bytes() for path in (authority.folder / "store" / "commits").iterdir()}
    config = load_config(authority.configure())

    def exchange(step: str, _done: int, _total: int) -> None:
        if step == "read":
            pki.write_key(authority.folder / "ocsp0.key", pki.make_key("p256"))

    with pytest.raises(VerificationError, match="not one of the responder's key"):
        run(config, RunOptions(now=NOW, workers=1, full=True), exchange)
    assert {path: path.read_bytes() for path in (authority.folder / "store" / "commits").iterdir()} == before


def test_a_run_is_the_same_again_but_for_signatures_and_names(tmp_path: Path) -> None:
    rows = [*plain_rows(SHARD_ROWS), *various_rows(2_000)]
    authority = Authority(tmp_path, issuers=[{"cert_ids": "sha1"}])
    first = authority.publish(rows, workers=2)
    assert (len(first.made.signed), first.workers) == (2, 2)
    one = authority.generation()
    authority.store_name = "other"
    authority.publish(workers=1)
    other = authority.generation()
    assert list(stored_serials(one)) == list(stored_serials(other))
    assert sum(1 for _ in stored_serials(one)) == len(rows)
    ours, theirs = one.manifest.shards, other.manifest.shards
    assert [(s.low, s.high, s.rows, s.revoked, s.as_of) for s in ours] == [
        (s.low, s.high, s.rows, s.revoked, s.as_of) for s in theirs
    ]
    assert [loaded.tables for loaded in one.tables.values()] == [loaded.tables for loaded in other.tables.values()]
    assert {s.pack for s in ours}.isdisjoint(s.pack for s in theirs)
    sample = [rows[i] for i in np.random.default_rng(1).integers(0, len(rows), 300)]
    authority.check_all(sample, [SHA1])


def test_a_shard_of_which_all_rows_have_expired_is_published_empty(tmp_path: Path) -> None:
    kept, *gone = plain_rows(SHARD_ROWS + 1)
    authority = Authority(tmp_path, issuers=[{"cert_ids": "sha1"}])
    published = authority.publish([kept, *(row._replace(not_after=LONG_AGO_S) for row in gone)])
    assert (published.survey.certificates, len(published.made.signed)) == (1, 2)
    assert sorted(shard.rows for shard in authority.generation().manifest.shards) == [0, 1]
    authority.check_all([kept], [SHA1])


MEASURE = """
import resource, sys
from pathlib import Path
from pregen.config import load_config
from pregen.gates import Acceptance
from pregen.generation import RunOptions, run
from tests.pregen.generation.test_publication import quiet
from tests.pki import NOW
if __name__ == "__main__":
    others = tuple(Acceptance(gate, "other certificates than before", "test") for gate in ("shrink", "growth"))
    published = run(load_config(Path(sys.argv[1])), RunOptions(now=NOW, workers=1, accept=others), quiet)
    assert published.committed.history_bytes <= 12 * published.survey.certificates
    users = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    print(published.survey.certificates, max(resource.getrusage(user).ru_maxrss for user in users) // 1024)
"""


def peak_mib(authority: Authority, count: int) -> int:
    """Return the peak memory of the largest process of a run over `count` rows."""
    octets = np.random.default_rng(count).integers(0, 256, (count, 16), np.uint8)
    octets[:, 0] = octets[:, 0] & 0x3F | 0x40  # positive, and minimal whatever follows
    serials = pa.FixedSizeBinaryArray.from_buffers(pa.binary(16), count, [None, pa.py_buffer(octets.tobytes())]).cast(
        pa.binary()
    )
    table = pa.table({"serial": serials, "status": pa.array(np.zeros(count, np.uint8))})
    table = table.append_column("revoked_at", pa.nulls(count, pa.timestamp("s", "UTC")))
    table = table.replace_schema_metadata({"pregen.as_of": NOW.isoformat()})
    pa.parquet.write_table(table, authority.folder / "s.parquet", row_group_size=1 << 18)
    script = authority.folder / "measure.py"
    script.write_text(MEASURE)
    paths = f"PYTHONPATH={Path(__file__).parents[3]}"
    # Apart, because Linux would count the memory of these tests as the program's.
    code, out = run_apart(["env", paths, sys.executable, str(script), str(authority.configure())])
    assert code == 0
    certificates, mib = out.split()
    assert int(certificates) == count
    return int(mib)


def test_memory_does_not_grow_with_the_snapshot(tmp_path: Path) -> None:
    authority = Authority(tmp_path, issuers=[{"cert_ids": "sha1"}])
    few, many = peak_mib(authority, 150_000), peak_mib(authority, 600_000)
    assert many < 450
    assert many - few < 100


@pytest.mark.slow
def test_memory_does_not_grow_with_a_large_snapshot(tmp_path: Path) -> None:
    authority = Authority(tmp_path, issuers=[{"cert_ids": "sha1"}])
    few, many = peak_mib(authority, 200_000), peak_mib(authority, 5_000_000)
    assert many < 450
    assert many - few < 120


@pytest.mark.parametrize(
    ("rows_in", "records", "responses", "match"),
    [
        (6, 5, 10, r"6 rows came in, but 5 certificates were read back and 0 rows were excluded"),
        (5, 4, 10, r"5 rows came in, but 4 certificates"),
        (5, 5, 9, r"9 responses were read back where 10 belong"),
    ],
)
def test_every_row_is_accounted_for_by_what_was_read_back(
    authority: Authority, rows_in: int, records: int, responses: int, match: str
) -> None:
    authority.publish(plain_rows(5))
    (shard,) = authority.generation().manifest.shards
    prepared = prepare(load_config(authority.configure()), RunOptions(now=NOW))
    surveyed = Survey(
        files=(),
        tally=add_up([ShardCount(0, {Group(0, 16, 0): 5})]),
        rows_in=rows_in,
        excluded={},
        warnings=(),
    )
    signed = SignedShard(0, replace(shard, rows=records), responses, 1)
    with pytest.raises(VerificationError, match=match):
        check_counts(prepared, surveyed, Made(signed=[signed]))
    surveyed = replace(surveyed, rows_in=5)
    right = Made(signed=[replace(signed, shard=replace(shard, rows=5), responses=10)])
    assert check_counts(prepared, surveyed, right) == 10
