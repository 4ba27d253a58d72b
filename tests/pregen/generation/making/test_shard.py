"""Shards signed, stored and read back in this process: what comes out, and what cannot get out."""

import hashlib
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pregen.errors import VerificationError
from pregen.generation.comparing.counting import CountTask, ShardCounter
from pregen.generation.making.layout import Layout
from pregen.generation.making.messages import MESSAGE_ROWS, generalized_times
from pregen.generation.making.plan import Plan, stored_plan
from pregen.generation.making.readback import SAMPLE_EVERY, ReadBack
from pregen.generation.making.shard import ShardSigner, SignTask
from pregen.generation.rows.rows import ShardRows, load_shard
from pregen.signers import P256_SHA256, KeyIndexes, Octets, Signer, open_signer
from pregen.snapshot import RowStatus
from pregen.verification import load_public_key, parse_response, verify_signature
from storage.certid import SHA1, SHA256
from storage.key import KEY32
from storage.pack import Pack, open_pack, walk
from storage.response import Assembler, generalized_time
from storage.stores.local import LocalStore
from storage.tables import Tables
from tests import pki
from tests.pregen.generation.workshop import Bench, Row, make_issuers, make_window, plain_rows, spool, various_rows

REVOKED = RowStatus.REVOKED


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, make_issuers(tmp_path))


@pytest.fixture
def two(tmp_path: Path) -> Bench:
    """Two issuers with responders of their own, whose answers have the same templates."""
    return Bench(tmp_path, make_issuers(tmp_path, {}, {}))


def every_response(bench: Bench, plan: Plan, number: int = 0) -> list[bytes]:
    """Return all responses of a stored shard."""
    signed = bench.sign(plan)[number]
    stored = bench.store.get(signed.shard.pack)
    pack = open_pack(signed.shard.pack, stored, signed.shard.directory_at, signed.shard.directory_crc)
    strides = [plan.tables.shapes[run.shape].stride for run in plan.tables.runs]
    responses = []
    for bucket in range(pack.buckets):
        for run, start, count, octets in walk(pack, bucket, strides):
            shape = plan.tables.shapes[plan.tables.runs[run].shape]
            for which in range(len(shape.responses)):
                assembler = Assembler(plan.name, plan.tables, plan.tables.runs[run], which)
                records = (octets[start + i * strides[run] :][: strides[run]] for i in range(count))
                responses += [assembler.response(record) for record in records]
    return responses


def test_every_row_gets_every_response_and_each_verifies(two: Bench) -> None:
    rows = various_rows(200, issuers=2)
    responses = [parse_response(response) for response in every_response(two, two.spool(rows))]
    assert len(responses) == 400
    keys = {
        issuer.name_hashes[oid]: load_public_key(issuer.responder.public_key)
        for issuer in two.issuers
        for oid in (SHA1, SHA256)
    }
    said = set()
    for parsed in responses:
        (one,) = parsed.statements
        verify_signature(parsed, keys[one.issuer_name_hash], P256_SHA256)
        issuer = next(i for i, issuer in enumerate(two.issuers) if one.issuer_name_hash in issuer.name_hashes.values())
        said.add((issuer, one.hash_oid, one.serial_number, one.status, one.revoked_at, one.reason))
    assert said == {
        (
            row.issuer,
            oid,
            int.from_bytes(row.serial, "big", signed=True),
            ("good", "revoked", "unknown")[row.status],
            row.revoked_at if row.status == REVOKED else None,
            row.reason if row.reason >= 0 else None,
        )
        for row in rows
        for oid in (SHA1, SHA256)
    }


@pytest.mark.parametrize("engine", ["auto", "software"])
def test_rows_of_many_issuers_share_batches_and_each_is_signed_with_its_own_key(tmp_path: Path, engine: str) -> None:
    """Nine issuers in eight lanes; the last two share a key."""
    sections = [{"cert_ids": ids} for ids in ["sha1"] * 5 + ["combined"] * 2 + ["separate"] * 2]
    bench = Bench(tmp_path, make_issuers(tmp_path, *sections), engine=engine)
    bench.issuers = (*bench.issuers[:-1], replace(bench.issuers[-1], responder=bench.issuers[-2].responder))
    rows = various_rows(324, issuers=9)
    numbers = {issuer.name_hashes[oid]: at for at, issuer in enumerate(bench.issuers) for oid in (SHA1, SHA256)}
    plan = bench.spool(rows)
    shared = Counter(run.shape for run in plan.tables.runs)
    assert max(shared.values()) >= 5, "no batch has rows of several issuers"
    seen: Counter[int] = Counter()
    for response in every_response(bench, plan):
        parsed = parse_response(response)
        (number,) = {numbers[one.issuer_name_hash] for one in parsed.statements}
        verify_signature(parsed, load_public_key(bench.issuers[number].responder.public_key), P256_SHA256)
        seen[number] += 1
    assert seen == {number: 36 if number < 7 else 72 for number in range(9)}


def test_more_rows_of_two_issuers_than_a_batch_holds_are_signed_with_their_own_keys(tmp_path: Path) -> None:
    bench = Bench(tmp_path, make_issuers(tmp_path, {"cert_ids": "sha1"}, {"cert_ids": "sha1"}), engine="auto")
    plan = bench.spool([row._replace(issuer=at % 2) for at, row in enumerate(plain_rows(2 * MESSAGE_ROWS + 10))])
    assert len(plan.tables.shapes) == 1
    keys = {one.key_hashes[SHA1]: load_public_key(one.responder.public_key) for one in bench.issuers}
    responses = [parse_response(response) for response in every_response(bench, plan)]
    assert len({one.statements[0].serial_number for one in responses}) == len(responses) == 2 * MESSAGE_ROWS + 10
    for parsed in responses[::7]:
        verify_signature(parsed, keys[parsed.statements[0].issuer_key_hash], P256_SHA256)


def test_what_a_shard_says_of_itself_is_true(bench: Bench) -> None:
    rows = various_rows(500)
    plan = bench.spool(rows, shards=3)
    signed = bench.sign(plan)
    assert [one.number for one in signed] == [0, 1, 2]
    assert sum(one.shard.rows for one in signed) == 500
    assert sum(one.shard.revoked for one in signed) == sum(row.status == REVOKED for row in rows)
    assert sum(one.responses for one in signed) == 1_000
    for one, file in zip(signed, bench.files, strict=True):
        stored = bench.store.get(one.shard.pack)
        assert (one.shard.low, one.shard.high) == (file.low, file.high)
        assert one.shard.size_bytes == len(stored)
        assert one.shard.sha256 == hashlib.sha256(stored).digest()
        assert one.verified >= 2 * len(load_shard(file).groups()), "a group without a proof"


@pytest.mark.parametrize("shards", [1, 7])
def test_a_shard_without_rows_is_an_empty_pack(bench: Bench, shards: int) -> None:
    plan = bench.spool([Row(b"\x11" * 16)], shards=shards)
    signed = bench.sign(plan)
    assert sorted(one.shard.rows for one in signed) == [*[0] * (shards - 1), 1]
    assert len({one.shard.pack for one in signed}) == shards


def test_a_shard_whose_rows_have_all_expired_is_an_empty_pack(bench: Bench) -> None:
    plan = bench.spool([Row(b"\x11" * 16)])
    files = Bench(bench.folder / "expired", bench.issuers)
    files.spool([Row(b"\x11" * 16, not_after=5)])
    signed = ShardSigner(bench.job(plan))(SignTask(files.files[0], 6))
    assert (signed.shard.rows, signed.responses) == (0, 0)
    counted = ShardCounter()(CountTask(files.files[0], 6))
    assert (counted.groups, counted.counts.expired) == ({}, 1)


def test_the_same_rows_give_the_same_records_in_the_same_order_but_other_signatures(bench: Bench) -> None:
    plan = bench.spool(various_rows(300))
    first, second = ([parse_response(der) for der in every_response(bench, plan)] for _ in range(2))
    assert [one.data for one in first] == [one.data for one in second]
    assert not {one.signature for one in first} & {one.signature for one in second}


def test_times_are_written_as_readers_write_them() -> None:
    moments = [0, 1, 951_782_400, 1_709_164_800, 2**31, 4_102_444_799, 2**32 - 1]
    octets = np.array(moments, "<u4").view(np.uint8).reshape(-1, 4)
    written = generalized_times(octets)
    assert [row.tobytes() for row in written] == [generalized_time(moment) for moment in moments]


# What is wrong from the beginning: tables that say something else than the configuration and the rows.


def with_tables(plan: Plan, tables: Tables) -> Plan:
    return stored_plan(tables, plan.runs)


def refuse(bench: Bench, plan: Plan, match: str) -> None:
    with pytest.raises(VerificationError, match=match) as caught:
        bench.sign(plan)
    assert caught.value.exit_code == 6


def flip_template(tables: Tables, at: int, number: int = 0) -> Tables:
    template = tables.templates[number]
    tbs = bytearray(template.tbs)
    tbs[at] ^= 1
    changed = replace(template, tbs=bytes(tbs))
    return replace(tables, templates=tuple(changed if i == number else t for i, t in enumerate(tables.templates)))


def test_no_octet_of_a_template_can_be_wrong(bench: Bench) -> None:
    plan = bench.spool([Row(b"\x11" * 16)])
    template = plan.tables.templates[0]
    holes = {at for hole in template.holes for at in range(hole.at, hole.at + hole.size)}
    for at in sorted(set(range(len(template.tbs))) - holes):
        refuse(bench, with_tables(plan, flip_template(plan.tables, at)), r"wrong|differs|not an OCSP response")


def test_two_holes_that_were_exchanged_are_caught(bench: Bench) -> None:
    plan = bench.spool([Row(b"\x11" * 16)])
    template = plan.tables.templates[0]
    swap = {"this_update": "next_update", "next_update": "this_update"}
    holes = tuple(replace(hole, field=swap.get(hole.field, hole.field)) for hole in template.holes)
    tables = replace(plan.tables, templates=(replace(template, holes=holes), *plan.tables.templates[1:]))
    refuse(bench, with_tables(plan, tables), "this_update is .* where .* belongs")


@pytest.mark.parametrize("field", ["produced_at", "this_update", "next_update"])
def test_a_wrong_window_is_caught(bench: Bench, field: str) -> None:
    plan = bench.spool([Row(b"\x11" * 16)])
    window = plan.tables.windows[0]
    tables = replace(plan.tables, windows=(replace(window, **{field: getattr(window, field) + 1}),))
    refuse(bench, with_tables(plan, tables), f"{field} is .* where .* belongs")


def test_the_window_of_another_issuer_is_caught(two: Bench) -> None:
    two.windows = (make_window(), make_window(days=5))
    plan = two.spool(various_rows(20, issuers=2))
    tables = replace(plan.tables, windows=plan.tables.windows[::-1])
    refuse(two, with_tables(plan, tables), "next_update is")


@pytest.mark.parametrize("field", ["name_hashes", "key_hashes"])
@pytest.mark.parametrize("oid", [SHA1, SHA256])
@pytest.mark.parametrize("number", [0, 1])
def test_a_wrong_hash_of_an_issuer_is_caught(two: Bench, field: str, oid: str, number: int) -> None:
    plan = two.spool(various_rows(40, issuers=2))
    issuer = plan.tables.issuers[number]
    hashes = {**getattr(issuer, field), oid: bytes(len(getattr(issuer, field)[oid]))}
    changed = replace(issuer, name_hashes=hashes) if field == "name_hashes" else replace(issuer, key_hashes=hashes)
    issuers = tuple(changed if i == number else one for i, one in enumerate(plan.tables.issuers))
    refuse(two, with_tables(plan, replace(plan.tables, issuers=issuers)), f"issuer_{field[:-2]} is")


@pytest.mark.parametrize("field", ["responder_id", "responder_certificate"])
def test_the_responder_of_another_issuer_is_caught(two: Bench, field: str) -> None:
    # of one template, so that only the issuer is new
    plan = two.spool([row._replace(issuer=at % 2) for at, row in enumerate(plain_rows(40))])
    first, second = plan.tables.issuers
    changed = replace(second, **{field: getattr(first, field)})
    refuse(two, with_tables(plan, replace(plan.tables, issuers=(first, changed))), "r1 differs from the oracle's")


def test_a_run_that_names_the_wrong_issuer_is_caught(two: Bench) -> None:
    plan = two.spool(various_rows(40, issuers=2))
    runs = tuple(replace(run, issuer=0) for run in plan.tables.runs)
    refuse(two, with_tables(plan, replace(plan.tables, runs=runs)), "issuer_name_hash is")


def test_a_shape_with_another_status_is_caught(bench: Bench) -> None:
    plan = bench.spool([Row(b"\x11" * 16), Row(b"\x12" * 16, status=2)])
    good, unknown = plan.tables.runs
    runs = (replace(good, shape=unknown.shape), replace(unknown, shape=good.shape))
    refuse(bench, with_tables(plan, replace(plan.tables, runs=runs)), "status is unknown where good belongs")


# What goes wrong on the way: signers that are not what they should be.


class FaultySigner:
    """Signs by the real signer, with a fault before or after."""

    def __init__(
        self,
        inner: Signer,
        before: Callable[[Octets], Octets] = lambda messages: messages,
        after: Callable[[Octets], Octets] = lambda signatures: signatures,
    ) -> None:
        self._inner = inner
        self._before = before
        self._after = after

    def sign(self, messages: Octets, keys: KeyIndexes) -> Octets:
        return self._after(self._inner.sign(self._before(messages.copy()), keys))


def flip(octets: Octets, *, row: int | slice, at: int) -> Octets:
    octets[row, at] ^= 1
    return octets


def sign_with(bench: Bench, plan: Plan, wrap: Callable[[Signer], Signer]) -> None:
    """Sign the only shard with what `wrap` makes of its signer."""
    signer = ShardSigner(bench.job(plan), lambda *what: wrap(open_signer(*what)))
    (task,) = bench.tasks()
    signer(task)


@pytest.mark.parametrize("at", [0, 31, 32, 63], ids=["r", "r-end", "s", "s-end"])
def test_a_bit_flipped_in_the_signature_of_a_first_record_is_caught(bench: Bench, at: int) -> None:
    plan = bench.spool(plain_rows(30))
    faulty = partial(FaultySigner, after=partial(flip, row=0, at=at))
    with pytest.raises(VerificationError, match="signature is not one of the responder's key"):
        sign_with(bench, plan, faulty)


def test_a_bit_flipped_on_the_way_to_the_signer_is_caught(bench: Bench) -> None:
    plan = bench.spool(plain_rows(30))
    faulty = partial(FaultySigner, before=partial(flip, row=0, at=40))
    with pytest.raises(VerificationError, match="signature is not one of the responder's key"):
        sign_with(bench, plan, faulty)


def test_signatures_in_another_order_are_caught(bench: Bench) -> None:
    plan = bench.spool(plain_rows(30))
    with pytest.raises(VerificationError, match="signature is not one"):
        sign_with(bench, plan, partial(FaultySigner, after=lambda signatures: signatures[::-1]))


def test_the_key_of_someone_else_is_caught(bench: Bench) -> None:
    plan = bench.spool(plain_rows(3))
    other = pki.make_key("p256")
    pki.write_key(bench.folder / "ocsp0.key", other)  # exchanged after the configuration was checked
    refuse(bench, plan, "signature is not one of the responder's key")


def test_a_fault_in_all_records_but_the_first_is_caught_by_the_sample(tmp_path: Path) -> None:
    bench = Bench(tmp_path, make_issuers(tmp_path, {"cert_ids": "sha1"}), engine="auto")
    plan = bench.spool(plain_rows(2 * SAMPLE_EVERY))
    with pytest.raises(VerificationError, match="signature is not one"):
        sign_with(bench, plan, partial(FaultySigner, after=partial(flip, row=slice(1, None), at=5)))


@dataclass
class FaultyKey:
    """Signs by the real signer; what one key makes of messages of one length is wrong."""

    inner: Signer
    key: int
    size: int

    def sign(self, messages: Octets, keys: KeyIndexes) -> Octets:
        signatures = self.inner.sign(messages, keys)
        if messages.shape[1] == self.size:
            signatures[keys == self.key, 5] ^= 1
        return signatures


def test_a_fault_in_one_group_of_one_issuer_is_caught_by_its_proof(two: Bench) -> None:
    """Neither template nor issuer is new where it happens, and a sample would hit one of six records hardly ever."""
    rows = [
        Row(bytes([0x11 + at]) * 16, REVOKED * (at % 2), 1_700_000_000 * (at % 2), issuer=at // 4) for at in range(8)
    ]
    plan = two.spool(rows)
    (revoked,) = {
        len(plan.tables.templates[response.template].tbs)
        for shape in plan.tables.shapes
        for response in shape.responses[:1]
        if shape.status == "revoked"
    }
    for key in (0, 1):
        with pytest.raises(VerificationError, match="signature is not one of the responder's key"):
            sign_with(two, plan, partial(FaultyKey, key=key, size=revoked))


@dataclass
class StuckLane:
    """A fault in one of eight lanes."""

    lane: int

    def __call__(self, signatures: Octets) -> Octets:
        signatures[self.lane :: 8, 9] ^= 4
        return signatures


@pytest.mark.parametrize("lane", range(8))
def test_a_lane_that_always_fails_is_caught_in_a_pack_of_8_000_records(tmp_path: Path, lane: int) -> None:
    issuers = make_issuers(tmp_path, {"cert_ids": "sha1"})
    bench = Bench(tmp_path, issuers, engine="auto")
    plan = bench.spool(plain_rows(8 * SAMPLE_EVERY))
    with pytest.raises(VerificationError, match="signature is not one"):
        sign_with(bench, plan, partial(FaultySigner, after=StuckLane(lane)))


# What goes wrong afterwards: a store, or a plan, that gives something else.


class DamagingStore(LocalStore):
    """Flips a bit of every pack that is read back."""

    def get(self, name: str) -> bytes:
        octets = bytearray(super().get(name))
        octets[len(octets) // 2] ^= 1
        return bytes(octets)


def test_a_store_that_returns_other_octets_is_caught(bench: Bench) -> None:
    plan = bench.spool(plain_rows(30))
    bench.store = DamagingStore(bench.folder / "store")
    refuse(bench, plan, "the store returns other octets than were put")


def test_a_serial_that_was_exchanged_for_another_is_caught(bench: Bench) -> None:
    plan = bench.spool([Row(b"\x11" * 16)])
    other = Bench(bench.folder / "other", bench.issuers)
    other.spool([Row(b"\x12" * 16)])
    (signed,) = other.sign(plan)
    name, shard = signed.shard.pack, signed.shard
    pack = Pack(bytearray(other.store.get(name)), shard.directory_at, shard.directory_crc)
    rows = load_shard(bench.files[0])
    read_back = ReadBack(bench.issuers, bench.windows, plan)
    with pytest.raises(VerificationError, match="serial_number is"):
        read_back.check(other.store, name, pack, (0, KEY32), rows, plain_layout(rows, 1), frozenset())


def plain_layout(rows: ShardRows, count: int) -> Layout:
    """Return the layout of the first rows of one group, or of more rows than there are."""
    return Layout(replace(rows, key32=np.resize(rows.key32, count)), np.zeros(count, np.intp), np.zeros(1, np.intp))


def test_rows_that_went_to_shards_where_no_edge_looks_are_caught(bench: Bench) -> None:
    """Everything is signed as it should be, and each certificate would be unauthorized."""
    rows = plain_rows(256)
    plan = bench.spool(rows)
    bench.files = spool(bench.folder / "astray", rows, shards=64, issuer_ids=[7])
    refuse(bench, plan, "where no edge would look for it")


def test_a_record_too_many_or_too_few_is_caught(bench: Bench) -> None:
    plan = bench.spool(plain_rows(5))
    (signed,) = bench.sign(plan)
    name, shard = signed.shard.pack, signed.shard
    pack = Pack(bytearray(bench.store.get(name)), shard.directory_at, shard.directory_crc)
    rows = load_shard(bench.files[0])
    read_back = ReadBack(bench.issuers, bench.windows, plan)
    for count in (4, 6):
        with pytest.raises(VerificationError, match=r"where .* belong"):
            read_back.check(bench.store, name, pack, (0, KEY32), rows, plain_layout(rows, count), frozenset())


def test_a_damaged_bucket_is_caught_also_where_the_store_gives_what_was_put(bench: Bench) -> None:
    plan = bench.spool(plain_rows(5))
    (signed,) = bench.sign(plan)
    name, shard = signed.shard.pack, signed.shard
    octets = bytearray(bench.store.get(name))
    octets[40] ^= 1
    bench.store.put(name, octets)
    pack = Pack(octets, shard.directory_at, shard.directory_crc)
    rows = load_shard(bench.files[0])
    with pytest.raises(VerificationError, match=r"cannot be read back: .* damaged"):
        ReadBack(bench.issuers, bench.windows, plan).check(
            bench.store, name, pack, (0, KEY32), rows, plain_layout(rows, 5), frozenset()
        )
