"""Makes golden files anew: `python -m tests.storage.make_golden WHAT`; see golden/README.md for when that is right.

What is one of `STORES`. Serials, statuses and times are fixed, keys are read from folders of keys or made there.
Signatures, pack ids and documents are random, so every run of this script makes another store: its output is committed,
and tests read only that.
"""

import hashlib
import json
import random
import shutil
import struct
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NoReturn

import numpy as np
import pyarrow as pa
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from pregen.clock import seconds
from pregen.config import load_config
from pregen.generation.comparing.counting import CountTask, ShardCounter
from pregen.generation.comparing.tally import add_up
from pregen.generation.making.plan import make_plan
from pregen.generation.making.shard import ShardSigner, SigningJob, SignTask
from pregen.generation.rows.routing import route
from pregen.generation.rows.spool import FolderSpool
from pregen.generation.work.steps import Steps
from pregen.issuers import Issuer, load_issuers
from pregen.snapshot import StatusBatch
from pregen.snapshot.batch import NO_EXPIRY, NO_ISSUANCE, NO_REASON, RowStatus
from pregen.validity import ValidityWindow
from storage.certid import HASH_NAMES, CertID
from storage.commits import CommitTerms, Head, find_head, publish
from storage.history import Columns, HistoryEntry, HistoryIndex, IssuerHistory, encode_index, encode_part, word
from storage.key import KEY32, split
from storage.manifest import Manifest, Shard
from storage.reader import open_reader
from storage.stores.memory import MemoryStore
from tests import pki
from tests.judges.parsers import public_key, read_by_asn1crypto
from tests.storage.damage import CASES, ODDITIES
from tests.storage.damage_of_overlays import CASES_OF_OVERLAYS
from tests.storage.damage_of_version_2 import CASES_OF_VERSION_2
from tests.storage.golden_store import GOLDEN, OVERLAYS, VERSION_2, golden_store, objects_of

GOOD, REVOKED, UNKNOWN = RowStatus

SHARDS = 3
# Labels of the answers that are written whole.
WHOLE = {"overlay-new", "overlay-revoked", "overlay-expired", "good-01", "good-16", "good-negative", "unknown"}
WHOLE |= {"changed-revoked", "changed-good", "changed-new", "urgent", "urgent-2", "on-hold"}
WHOLE |= {"revoked", "revoked-reason-5", "good-self-signed", "revoked-self-signed-reason-9"}
START = datetime(2026, 11, 24, 6, 0, 0, tzinfo=UTC)
AS_OF = datetime(2026, 11, 24, 5, 30, 0, tzinfo=UTC)
REVOKED_AT = seconds(datetime(2026, 11, 20, 12, 34, 56, tzinfo=UTC))
# All three issuers, as tests read them; `pregen` itself takes no issuer twice, and reads the last one alone.
ROLLED = """
[[issuer]]
name = "delegated"
certificate = "../../keys/delegated.pem"
responder_certificate = "responder.pem"
key = "responder.key"
"""
OTHERS = """
[[issuer]]
name = "delegated"
key = "../../keys/responder.key"
[[issuer]]
name = "self-signed"
key = "../../keys/self-signed.key"
"""


@dataclass(frozen=True, slots=True)
class Row:
    """One certificate; `label` names those whose responses are committed whole."""

    issuer: int
    serial: bytes
    status: int = GOOD
    reason: int = NO_REASON
    label: str = ""


def rows() -> list[Row]:
    """Return the certificates of the shards: every serial length, status and reason, and some bulk."""
    rng = random.Random("pregen golden store")
    found = [Row(0, bytes([0x10 + size]) * size, label=f"good-{size:02}") for size in range(1, 22)]
    found.append(Row(0, b"\x80\x01", label="good-negative"))
    found.append(Row(0, b"\x00\x80", label="good-leading-zero"))
    for issuer, name in enumerate(("", "-self-signed")):
        for reason in (NO_REASON, 1, 2, 3, 4, 5, 6, 9, 10):
            label = f"revoked{name}" + ("" if reason < 0 else f"-reason-{reason}")
            found.append(Row(issuer, b"\x2a" + rng.randbytes(15), REVOKED, reason, label))
        found.append(Row(issuer, b"\x2b" + rng.randbytes(19), UNKNOWN, label=f"unknown{name}"))
        found.append(Row(issuer, b"\x2c" + rng.randbytes(15), label=f"good{name}"))
    found.append(Row(1, b"\xff", label="good-self-signed-negative"))
    found.append(Row(1, found[0].serial, label="good-self-signed-same-serial"))
    for issuer, count in ((0, 150), (1, 130)):
        for _ in range(count):
            status = rng.choices((GOOD, REVOKED, UNKNOWN), (90, 8, 2))[0]
            found.append(Row(issuer, b"\x40" + rng.randbytes(rng.choice((8, 15, 19))), status))
    return found


def newest_overlay(of: Sequence[Row]) -> list[Row]:
    """Return two urgent changes: a certificate that was good is revoked, and one that the shards do not hold.

    The first is signed by another responder of the same issuer.
    """
    good = next(row for row in of if row.label == "good")
    return [
        Row(2, good.serial, REVOKED, 1, "overlay-revoked"),
        Row(0, b"\x2dnot in the shards", label="overlay-new"),
    ]


def older_overlay(of: Sequence[Row]) -> list[Row]:
    """Return changes whose window has run out: one that a newer overlay replaces, one that hides a shard's answer."""
    good = {row.label: row for row in of}
    return [
        Row(0, good["good"].serial, UNKNOWN),
        Row(0, good["good-09"].serial, REVOKED, 4, "overlay-expired"),
    ]


class Maker:
    """Signs rows into packs of one store."""

    def __init__(self, store: MemoryStore, issuers: tuple[Issuer, ...]) -> None:
        self.store = store
        self.issuers = issuers

    def shards(self, of: Sequence[Row], start: datetime, parts: int) -> tuple[Shard, ...]:
        """Return stored shards of rows, as a run makes them; windows of the second issuer are longer."""
        windows = tuple(_window(start, days=5 if number == 1 else 4) for number in range(len(self.issuers)))
        engines = {issuer.responder.use: "software" for issuer in self.issuers}
        ids = np.array([issuer.issuer_id for issuer in self.issuers], np.uint64)
        current = open_reader(self.store).current if find_head(self.store) else None
        tables = {one.tables_name: one.tables for one in current.tables.values()} if current else {}
        with tempfile.TemporaryDirectory() as spool:
            files = route([_batch(of)], FolderSpool(Path(spool)), split(0, KEY32, parts), ids, Steps())
            plan = make_plan(self.issuers, windows, add_up(map(ShardCounter(), map(CountTask, files))).groups, tables)
            for name, octets in plan.objects.items():
                self.store.put(name, octets)
            sign = ShardSigner(SigningJob(self.issuers, windows, plan, engines, lambda: self.store, seconds(AS_OF)))
            return tuple(sign(SignTask(file)).shard for file in files)

    def publish(self, parent: Head | None, shards: tuple[Shard, ...], overlays: tuple[Shard, ...], author: str) -> Head:
        """Return the new commit."""
        counts: dict[str, object] = {"certificates": sum(shard.rows for shard in shards)}
        manifest = Manifest(profile="lab", shards=shards, overlays=overlays, counts=counts, gates={})
        terms = CommitTerms(publisher=author, as_of=seconds(AS_OF), started_at=seconds(START))
        head, _ = publish(self.store, parent, manifest, terms)
        return head


def make_version_2() -> None:
    """Write the golden store of version 2, one shard of which is still of version 1, and the expected answers."""
    issuers, base, store = _issuers(), rows(), MemoryStore()
    maker = Maker(store, issuers[:2])
    night = maker.shards(base, START, SHARDS)
    first = maker.publish(None, night, (), "3" * 32)
    (renewed, *_) = maker.shards(base, START + timedelta(days=1), SHARDS)
    *_, kept = (carried := open_reader(golden_store()).current or _nothing()).manifest.shards
    for name in (kept.pack, kept.windows):
        store.put(name, objects_of(GOLDEN / "store")[name])
    newest = Maker(store, issuers).shards(newest_overlay(base), START, 1)
    older = maker.shards(older_overlay(base), START - timedelta(days=30), 1)
    carried_on = replace(kept, as_of=carried.commit.as_of)
    maker.publish(first, (renewed, night[1], carried_on), (*newest, *older), "4" * 32)
    named = {one.pack for one in (renewed, kept, *night, *newest, *older)}
    objects = {info.name: store.get(info.name) for info in store.list()}
    unnamed = {name for name in objects if name.startswith(("packs/", "history/"))} - named
    write_objects(VERSION_2 / "store", {name: octets for name, octets in objects.items() if name not in unnamed})
    write_answers(VERSION_2, store, issuers, [*newest_overlay(base), *older_overlay(base), *base])
    make_changed()


def _nothing() -> NoReturn:
    raise AssertionError("the golden store of version 1 has nothing to carry on")


def make_changed() -> None:
    """Write the damaged and the odd copies of the golden stores as they are: the same octets in every run."""
    for folder, cases in ((GOLDEN, CASES), (VERSION_2, CASES_OF_VERSION_2), (OVERLAYS, CASES_OF_OVERLAYS)):
        objects, index = objects_of(folder / "store"), dict[str, object]()
        shutil.rmtree(folder / "damaged", ignore_errors=True)
        for case in cases:
            if case.is_committed:
                write_objects(folder / "damaged" / case.name, case.changed(objects))
                index[case.name] = {"error": case.error.__name__, "seen": case.seen}
        (folder / "damaged" / "index.json").write_text(json.dumps(index, indent=1) + "\n")
    objects = objects_of(GOLDEN / "store")
    shutil.rmtree(GOLDEN / "accepted", ignore_errors=True)
    for oddity in ODDITIES:
        write_objects(GOLDEN / "accepted" / oddity.name, oddity.changed(objects))
    asked = {oddity.name: oddity.asked(objects) for oddity in ODDITIES}
    (GOLDEN / "accepted" / "index.json").write_text(json.dumps(asked, indent=1) + "\n")


def make_history() -> None:
    """Make a history alone: the same octets in every run."""
    given = [
        HistoryEntry(7, "good", 1_800_000_000),
        HistoryEntry(7, "revoked", None),
        HistoryEntry(1 << 63, "on-hold", 4_294_967_295),
    ]
    given.append(HistoryEntry(2**64 - 1, "unknown", 1_023))
    keys = b"".join(one.key.to_bytes(8, "little") for one in given)
    words = b"".join(word(one.status, one.not_after).to_bytes(3, "little") for one in given)
    part, octets = encode_part(bytes(range(16)), 0, 1 << 32, Columns(keys, words))
    newest = seconds(AS_OF) - 60
    index = HistoryIndex(
        as_of=seconds(AS_OF),
        parts=(part,),
        issuers={
            0x0123456789ABCDEF: IssuerHistory(
                certificates=3,
                newest=newest,
                until=newest - 240,
                lags=(60, 3_600),
                silence_s=900,
                accepted=2,
                stopped_s=7_200,
                holes=((newest - 90_000, newest - 86_400),),
            ),
            2**64 - 1: IssuerHistory(certificates=1, newest=None),
        },
        witnesses=struct.pack("<QqqQqq", 7, newest, 0, 1 << 63, -1, REVOKED_AT),
        anchored=("not_before",),
        revocations=IssuerHistory(certificates=0, newest=newest, until=newest, lags=(60,), silence_s=7_200),
    )
    name, document = encode_index(index)
    write_objects(GOLDEN / "history", {part.name.partition("/")[2]: octets, name.partition("/")[2]: document})


def write_answers(folder: Path, store: MemoryStore, issuers: Sequence[Issuer], of: Iterable[Row]) -> None:
    """Write what each CertID is answered: the digest of all, the octets of some of those with a label."""
    reader, seen, answers = open_reader(store), set[tuple[int, bytes]](), []
    shutil.rmtree(folder / "answers", ignore_errors=True)
    (folder / "answers").mkdir()
    for row in of:
        issuer = issuers[row.issuer]
        hidden = (issuer.issuer_id, row.serial) in seen  # by an overlay, which comes first here
        seen.add((issuer.issuer_id, row.serial))
        if hidden:
            continue
        key = public_key(issuer.responder.certificate or issuer.certificates[0])
        for oid, name in HASH_NAMES.items():
            cert_id = CertID(oid, issuer.name_hashes[oid], issuer.key_hashes[oid], row.serial)
            answer = reader.lookup(cert_id)
            asked: dict[str, object] = {"issuer": row.issuer, "hash": name, "serial": row.serial.hex()}
            answers.append(asked)
            if answer is None:
                asked["sha256"] = None
                continue
            statements, signed = read_by_asn1crypto(answer.der)
            signed.verify(key)
            if {one.status for one in statements} != {("good", "revoked", "unknown")[row.status]}:
                raise AssertionError(f"{row} is answered {statements}")
            digest = hashlib.sha256(answer.der).hexdigest()
            asked |= {"sha256": digest, "next_update": answer.next_update}
            if row.label in WHOLE:
                file = f"{row.label}.{'-'.join(one.hash_name for one in statements)}.der"
                asked["file"] = file
                (folder / "answers" / file).write_bytes(answer.der)
    hashes = [
        {name: [issuer.name_hashes[oid].hex(), issuer.key_hashes[oid].hex()] for oid, name in HASH_NAMES.items()}
        for issuer in issuers
    ]
    lines = ",\n".join(json.dumps(one) for one in answers)
    (folder / "answers.json").write_text(f'{{"issuers": {json.dumps(hashes)},\n"answers": [\n{lines}\n]}}\n')


def _batch(of: Sequence[Row]) -> StatusBatch:
    return StatusBatch(
        serial=pa.array([row.serial for row in of], pa.binary()),
        issuer=np.array([row.issuer for row in of], np.int32),
        status=np.array([row.status for row in of], np.uint8),
        revoked_at=np.array([REVOKED_AT * (row.status == REVOKED) for row in of], np.int64),
        reason=np.array([row.reason for row in of], np.int8),
        not_after=np.full(len(of), NO_EXPIRY),
        not_before=np.full(len(of), NO_ISSUANCE),
        row=np.arange(len(of)),
    )


def _window(start: datetime, days: int) -> ValidityWindow:
    this_update = start - timedelta(minutes=30)
    return ValidityWindow(
        this_update=this_update,
        next_update=this_update + timedelta(days=days) - timedelta(seconds=1),
        produced_at=start,
        refresh_by=this_update + timedelta(days=2),
    )


def _issuers() -> tuple[Issuer, ...]:
    """Return the issuers of the golden store of version 1, and the first of them once more with another responder.

    The responder's key and certificate are made where there are none.
    """
    keys, rolled = GOLDEN / "keys", VERSION_2 / "keys"
    if not (rolled / "responder.key").exists():
        rolled.mkdir(parents=True, exist_ok=True)
        authority = x509.load_pem_x509_certificate((keys / "delegated.pem").read_bytes())
        key = load_pem_private_key((keys / "delegated.key").read_bytes(), None)
        assert isinstance(key, EllipticCurvePrivateKey)
        pki.make_responder(pki.Party(authority, key), "Golden Responder, rolled").write(rolled, "responder")
        (rolled / "rolled.toml").write_text(f'{ROLLED.lstrip()}[publish]\nstore = "store"\n')
        (rolled / "pregen.toml").write_text(f"{OTHERS.lstrip()}{ROLLED.lstrip()}")
    return (*issuers_of(GOLDEN), *_load_issuers(rolled / "rolled.toml"))


def issuers_of(folder: Path) -> tuple[Issuer, ...]:
    """Return the issuers of a golden store, which take part in making it."""
    return _load_issuers(folder / "keys" / "pregen.toml")


def _load_issuers(config: Path) -> tuple[Issuer, ...]:
    for path in config.parent.glob("*.key"):
        path.chmod(0o600)
    return load_issuers(load_config(config), START)[0]


def write_objects(folder: Path, objects: dict[str, bytes]) -> None:
    """Write the objects of a store into a folder, in the place of what is there."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, octets in objects.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(octets)


STORES = {"version-2": make_version_2, "history": make_history, "changed": make_changed}

if __name__ == "__main__":
    STORES[sys.argv[1]]()
