import hashlib
import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import NamedTuple, TypeAlias

import pytest

from pregen.issuers import read_certificates
from pregen.signers import ALGORITHMS
from storage import commits
from storage.certid import SHA1
from storage.key import issuer_id, key64
from storage.manifest import Shard, read_manifest
from storage.pack import Segment, build_pack, open_pack, pack_name, walk
from storage.reader import load_tables
from storage.response import Assembler
from storage.stores import LocalStore
from storage.tables import Run, Tables
from storage.tables_document import decode_tables, encode_tables, table_name
from storage.windows import encode_windows, windows_name
from tests.pki import DAY, make_issuer, make_key, make_responder, shared_key
from tests.pregen.cli.ca import ALWAYS, GOOD, Ca, Program

Members: TypeAlias = Mapping[str, object]


@pytest.fixture
def published(ca: Ca, pregen: Program) -> Ca:
    """A CA with 1,000 certificates published: 2,000 responses."""
    ca.export_many(1_000)
    assert pregen("run", ca.config).code == 0
    return ca


def test_all_checksums_and_a_sample_of_signatures_are_verified(published: Ca, pregen: Program) -> None:
    for words, verified in (((), 2_000), (("--sample", "10"), 20), (("--sample", "0"), 0), (("--all",), 2_000)):
        ended = pregen("verify", published.store, "--issuer", published.pem, "--json", *words)
        assert (ended.code, ended.err) == (0, "")
        assert ended.document["commit"] == 1
        assert {"holds_until", "refresh_by"} <= ended.document.keys()
        others = (*ALWAYS, "holds_until", "refresh_by")
        assert {name: value for name, value in ended.document.items() if name not in others} == {
            "state": "fresh",
            "packs": 1,
            "history_parts": 1,
            "certificates": 1_000,
            "revoked": 0,
            "overlays": 0,
            "in_overlays": 0,
            "revoked_in_overlays": 0,
            "verified": verified,
            "trust": "named certificates",
        }


def test_what_overlays_hold_is_counted_apart_by_all_that_show_counts(ca: Ca, pregen: Program) -> None:
    assert pregen("run", ca.config).code == 0
    assert pregen("revoke", ca.config, "--issuer", "r1", "--serial", f"{GOOD:x}").code == 0
    counts = {"certificates": 3, "revoked": 1, "overlays": 1, "in_overlays": 1, "revoked_in_overlays": 1}

    for document in (
        pregen("verify", ca.store, "--json").document,
        pregen("inspect", ca.store, "--json").document,
        pregen("history", ca.store, "--json").document["commits"][0]["counts"],  # type: ignore[index]
    ):
        assert {name: document[name] for name in counts} == counts
    in_words = "3 certificates, 1 revoked; overlays: 1 packs with 1 records of urgent changes, 1 revoked"
    assert in_words in pregen("verify", ca.store).out
    assert in_words in pregen("history", ca.store).out


def test_without_a_named_certificate_the_output_says_so(published: Ca, pregen: Program) -> None:
    plain, ended = pregen("verify", published.store), pregen("verify", published.store, "--json")

    assert plain.code == ended.code == 0
    assert "trust comes from the store's own certificates" in plain.out
    assert "name them by --issuer or --config to notice a forged store" in plain.err
    assert ended.document["trust"] == "the store's own certificates"
    assert [one["code"] for one in ended.document["findings"]] == ["verify.trust"]  # type: ignore[attr-defined]


def test_a_config_names_whom_to_trust_also_beside_a_store(published: Ca, pregen: Program) -> None:
    elsewhere = published.configure(publish={"store": "elsewhere"}, name="elsewhere.toml")

    assert pregen("verify", published.store, "--config", elsewhere, "--json").document["trust"] == "named certificates"
    assert pregen("verify", "--config", elsewhere).code == 4, "nothing is published there"


def test_the_certificate_of_another_issuer_is_no_trust(published: Ca, pregen: Program) -> None:
    make_issuer("Another Root").write(published.folder, "other")

    ended = pregen("verify", published.store, "--issuer", published.folder / "other.pem", "--json")

    assert ended.code == 6
    assert ended.error["code"] == "verification"
    assert "is not among the trusted ones: name it too" in ended.err
    both = ("--issuer", published.folder / "other.pem", "--issuer", published.pem)
    assert pregen("verify", published.store, *both).code == 0


def test_a_store_forged_under_the_same_names_is_found_by_a_named_certificate_alone(ca: Ca, pregen: Program) -> None:
    """The forger has neither the issuer's key nor the responder's, but the names, the serials and a store."""
    (ca.folder / "genuine").mkdir()
    genuine = Ca(ca.folder / "genuine")
    assert pregen("run", ca.config).code == 0

    forged_by_name = pregen("verify", ca.store, "--issuer", genuine.pem)

    assert genuine.issuer.certificate.subject == ca.issuer.certificate.subject
    assert pregen("verify", ca.store).code == 0
    assert forged_by_name.code == 6
    assert "not among the trusted ones" in forged_by_name.err


def test_a_responder_that_the_issuer_did_not_certify_is_found(ca: Ca, pregen: Program) -> None:
    """The forger names the true issuer, and has a responder of its own: only a store like that can be made."""
    assert pregen("run", ca.config).code == 0
    forger = make_issuer(key=make_key(), not_before=ca.now - timedelta(days=1))
    responder = make_responder(forger, not_before=ca.now - timedelta(days=1))
    forge(ca.store, lambda issuer: {**issuer, "responder_certificate": _base64(responder.der)})

    for words in ((), ("--issuer", ca.pem)):
        ended = pregen("verify", ca.store, *words)
        assert ended.code == 6, ended.err
        assert "is not signed by its issuer" in ended.err


def test_hashes_that_no_client_sends_are_found(ca: Ca, pregen: Program) -> None:
    """Every answer carries a signature that verifies, and not one client would get it."""
    assert pregen("run", ca.config).code == 0

    def change(issuer: Members) -> Members:
        hashes = issuer["name_hashes"]
        assert isinstance(hashes, dict)
        return {**issuer, "name_hashes": {**hashes, SHA1: _base64(bytes(20))}}

    forge(ca.store, change)

    ended = pregen("verify", ca.store)

    assert ended.code == 6
    assert "sha1 hash of r1 that is not the issuer's" in ended.err


def test_an_issuer_may_have_a_key_that_signs_no_answers_itself(ca: Ca, pregen: Program) -> None:
    ca.issuer = make_issuer(key=make_key("ed25519"), not_before=ca.now - timedelta(days=1))
    ca.responder = make_responder(ca.issuer, not_before=ca.now - timedelta(days=1))
    ca.issuer.write(ca.folder, "issuer")
    ca.responder.write(ca.folder, "ocsp")
    assert pregen("run", ca.config).code == 0

    assert pregen("verify", ca.store, "--issuer", ca.pem).code == 0


def test_an_issuer_that_signs_itself_is_verified(ca: Ca, pregen: Program) -> None:
    path = ca.config
    path.write_text(
        path.read_text().replace('responder_certificate = "ocsp.pem"\n', "").replace("ocsp.key", "issuer.key")
    )
    assert pregen("run", path).code == 0

    assert pregen("verify", ca.store, "--issuer", ca.pem).code == 0


@pytest.mark.parametrize("cert_ids", ["separate", "combined"])
@pytest.mark.parametrize("name", ALGORITHMS)
def test_responses_of_every_algorithm_are_verified(ca: Ca, pregen: Program, name: str, cert_ids: str) -> None:
    sign_by(ca, pregen, name, cert_ids=cert_ids)

    ended = pregen("verify", ca.store, "--issuer", ca.pem, "--all", "--json")

    assert (ended.code, ended.err) == (0, "")
    assert ended.document["verified"] == (6 if cert_ids == "separate" else 3)


@pytest.mark.parametrize("name", ["p384-sha384", "rsa2048-pss-sha256", "ed25519", "ml-dsa-44"])
def test_a_tampered_signature_of_a_combined_response_is_found(ca: Ca, pregen: Program, name: str) -> None:
    sign_by(ca, pregen, name, cert_ids="combined")
    repack(
        ca.store,
        lambda records: [one._replace(octets=one.octets[:-1] + bytes([one.octets[-1] ^ 1])) for one in records],
    )

    ended = pregen("verify", ca.store, "--issuer", ca.pem, "--all")

    assert ended.code == 6
    assert "is wrong: its signature is not one of the responder's key" in ended.err


@pytest.mark.parametrize(
    ("name", "identifier", "message"),
    [
        ("rsa2048-sha256", ALGORITHMS["rsa2048-pss-sha256"].identifier, "its signature is not one of the responder's"),
        ("rsa2048-pss-sha256", ALGORITHMS["rsa2048-sha256"].identifier, "its signature is not one of the responder's"),
        (
            "ed25519",
            bytes.fromhex("300506032b6571"),
            "by an unknown algorithm: signatures of 64 octets under",
        ),
        ("p256-sha256", ALGORITHMS["p384-sha384"].identifier, "by an unknown algorithm: signatures of 64 octets under"),
    ],
    ids=["pss", "pkcs1v15", "ed448", "p384"],
)
def test_an_identifier_that_was_exchanged_in_the_tables_is_found(
    ca: Ca, pregen: Program, name: str, identifier: bytes, message: str
) -> None:
    sign_by(ca, pregen, name)
    old = _base64(ALGORITHMS[name].identifier).encode()
    forge_tables(ca.store, lambda octets: octets.replace(old, _base64(identifier).encode()))

    ended = pregen("verify", ca.store, "--issuer", ca.pem, "--all")

    assert ended.code == 6
    assert message in ended.err


@pytest.mark.parametrize("place", ["packs", "tables", "windows", "manifests", "commits"])
def test_a_flipped_bit_anywhere_is_damage(published: Ca, pregen: Program, place: str) -> None:
    path = next((published.store / place).iterdir())
    whole = path.read_bytes()
    for share in (0.0, 0.2, 0.4, 0.6, 0.8, 0.999):
        damaged = bytearray(whole)
        damaged[int(len(whole) * share)] ^= 1
        path.write_bytes(damaged)

        ended = pregen("verify", published.store, "--sample", "0", "--json")

        assert ended.code == 5
        assert ended.error["code"] == "storage"
        assert f"{place}/{path.name}" in ended.err
        assert "Traceback" not in ended.err


@pytest.mark.parametrize("place", ["packs", "tables", "manifests"])
def test_a_lost_object_is_named(published: Ca, pregen: Program, place: str) -> None:
    path = next((published.store / place).iterdir())
    path.unlink()

    ended = pregen("verify", published.store)

    assert ended.code == 5
    assert path.name in ended.err
    assert "restore what is missing" in ended.err


def test_answers_that_are_due_or_have_run_out_are_worth_a_warning(ca: Ca, pregen: Program) -> None:
    for hours, code in ((3, "verify.due"), (6, "verify.expired")):
        past = ca.now - timedelta(hours=hours)
        ca.configure(validity={"profile": "lab", "lifetime": "4h"}, publish={"store": f"store-{hours}"})
        ca.export(as_of=past)
        assert pregen("run", ca.config, "--now", past.isoformat()).code == 0
        ended = pregen("verify", "--config", ca.config)
        assert ended.code == 0
        assert f"warning {code}" in ended.err


def test_a_record_where_no_edge_looks_is_found(published: Ca, pregen: Program) -> None:
    def change(records: list[Stored]) -> list[Stored]:
        first, *others = records
        return [*others, first._replace(bucket=others[-1].bucket)]

    repack(published.store, change)

    ended = pregen("verify", published.store, "--sample", "0")

    assert ended.code == 6
    assert "of r1 lies where no edge looks for it" in ended.err


def test_a_certificate_that_stands_twice_in_a_pack_is_found(published: Ca, pregen: Program) -> None:
    """Of an old answer and a new one, both genuine, an edge would give the first that it meets."""
    repack(published.store, lambda records: [records[0], *records], rows=1_001)

    ended = pregen("verify", published.store, "--sample", "0")

    assert ended.code == 6
    assert "stands there twice" in ended.err


def test_lost_records_are_found_by_the_counts_of_the_manifest(published: Ca, pregen: Program) -> None:
    repack(published.store, lambda records: records[1:], rows=999)

    ended = pregen("verify", published.store, "--sample", "0")

    assert ended.code == 6
    assert "1000 certificates were published, but its shards hold 999" in ended.err


@pytest.mark.parametrize("field", ["rows", "revoked", "refresh_by", "next_update"])
def test_what_a_manifest_says_of_a_pack_is_compared_with_the_pack(ca: Ca, pregen: Program, field: str) -> None:
    assert pregen("run", ca.config).code == 0
    shard = read_manifest(LocalStore(ca.store), current(ca.store).commit.manifest).shards[0]
    republish(ca.store, replace(shard, **{field: getattr(shard, field) + 1}))

    ended = pregen("verify", ca.store, "--sample", "0")

    assert ended.code == 6
    assert f"the manifest says {field} " in ended.err


def test_nobody_can_tell_which_records_a_sample_leaves_out(published: Ca, pregen: Program) -> None:
    """One signature in two is forged. A sample of ten that always took the same records would never meet one."""
    repack(
        published.store,
        lambda records: [one._replace(octets=one.octets[:-64] + bytes(63) + b"\1") if at % 100 else one
                         for at, one in enumerate(records)],
    )  # fmt: skip

    ended = pregen("verify", published.store, "--sample", "10")

    assert ended.code == 6
    assert "its signature is not one of the responder's key" in ended.err


def test_answers_that_outlive_their_responders_certificate_are_found(ca: Ca, pregen: Program) -> None:
    """The key of a responder that expired long ago may be anybody's; its certificate is genuine all the same."""
    assert pregen("run", ca.config).code == 0
    old = make_responder(ca.issuer, key=ca.responder.key, not_before=ca.now - 90 * DAY, not_after=ca.now - 30 * DAY)
    forge(ca.store, lambda issuer: {**issuer, "responder_certificate": _base64(old.der)})

    ended = pregen("verify", ca.store, "--issuer", ca.pem)

    assert ended.code == 6
    assert "outlive the certificate of their responder" in ended.err


def test_a_responder_of_another_issuer_with_the_same_key_is_found(ca: Ca, pregen: Program) -> None:
    assert pregen("run", ca.config).code == 0
    renamed = make_issuer("Another Name", key=ca.issuer.key, not_before=ca.now - DAY)
    responder = make_responder(renamed, key=ca.responder.key, not_before=ca.now - DAY, not_after=ca.now + 60 * DAY)
    forge(ca.store, lambda issuer: {**issuer, "responder_certificate": _base64(responder.der)})

    ended = pregen("verify", ca.store, "--issuer", ca.pem)

    assert ended.code == 6
    assert "is not signed by its issuer" in ended.err


def test_old_answers_that_were_published_anew_are_worth_a_warning(ca: Ca, pregen: Program) -> None:
    assert pregen("run", ca.config).code == 0
    first = current(ca.store)
    ca.configure(validity={"lifetime": "3d"})
    assert pregen("run", ca.config).code == 0
    second = current(ca.store)

    def back_to_the_first(as_of: int = second.commit.as_of, started_at: int = first.commit.started_at) -> str:
        manifest = read_manifest(LocalStore(ca.store), first.commit.manifest)
        terms = commits.CommitTerms(publisher=commits.new_publisher(), as_of=as_of, started_at=started_at)
        commits.publish(LocalStore(ca.store), current(ca.store), manifest, terms)
        ended = pregen("verify", ca.store, "--issuer", ca.pem)
        assert ended.code == 0
        return ended.err

    assert pregen("verify", ca.store, "--issuer", ca.pem).err == ""
    assert "warning verify.old-answers" in back_to_the_first(started_at=first.commit.started_at + 1)
    assert "warning verify.rollback" in back_to_the_first(as_of=first.commit.as_of - 1)


def test_a_log_that_was_rewritten_or_has_a_gap_is_worth_a_warning(ca: Ca, pregen: Program) -> None:
    for _ in range(2):
        assert pregen("run", ca.config).code == 0
    first = ca.store / "commits" / f"{1:020}"
    first.write_bytes(first.read_bytes().replace(b'"publisher":"', b'"publisher":"0'))
    assert "warning verify.log" in pregen("verify", ca.store).err

    first.unlink()
    assert "is lost, but commits are never to be deleted" in pregen("verify", ca.store).err


def test_an_issuer_without_a_name_is_called_by_its_id(ca: Ca, pregen: Program) -> None:
    assert pregen("run", ca.config).code == 0
    forge(ca.store, lambda issuer: {**issuer, "names": []})
    make_issuer("Another Root").write(ca.folder, "other")
    id_ = f"{issuer_id_of(ca):016x}"

    ended = pregen("verify", ca.store, "--issuer", ca.folder / "other.pem")

    assert ended.code == 6
    assert id_ in ended.err


def test_a_store_whose_tables_hold_nothing_is_an_error_and_no_crash(ca: Ca, pregen: Program) -> None:
    assert pregen("run", ca.config).code == 0
    store, head = LocalStore(ca.store), current(ca.store)
    name = put_tables(store, Tables(issuers=(), templates=(), shapes=()))
    (shard,) = read_manifest(store, head.commit.manifest).shards
    republish(ca.store, replace(shard, windows=name))

    assert pregen("verify", ca.store).code == 5
    assert pregen("inspect", ca.store).code == 0


def test_names_in_a_store_cannot_move_the_cursor_of_a_terminal(ca: Ca, pregen: Program) -> None:
    assert pregen("run", ca.config).code == 0
    forge(ca.store, lambda issuer: {**issuer, "names": ["\x1b[2J\u202eroot"]})
    make_issuer("Another Root").write(ca.folder, "other")

    verified = pregen("verify", ca.store, "--issuer", ca.folder / "other.pem", "--json")
    inspected = pregen("inspect", ca.store, "--json")

    assert (verified.code, inspected.code) == (6, 0)
    assert "\\x1b[2J\\u202eroot" in verified.err
    for text in (verified.out, verified.err, inspected.out):
        assert not set(text) & set("\x1b\u202e")
    assert inspected.document["issuers"][0]["names"] == ["\x1b[2J\u202eroot"]  # type: ignore[index]


@pytest.mark.parametrize(("place", "remedy"), [
    ("packs", "publish anew by pregen run --full"),
    ("tables", "publish into a new store"),
    ("manifests", "publish into a new store"),
    ("commits", "publish into a new store"),
])  # fmt: skip
def test_what_is_said_to_help_against_damage_does_help(ca: Ca, pregen: Program, place: str, remedy: str) -> None:
    assert pregen("run", ca.config).code == 0
    (path,) = (ca.store / place).iterdir()
    octets = bytearray(path.read_bytes())
    octets[len(octets) // 2] ^= 1
    path.write_bytes(octets)

    ended = pregen("verify", ca.store)
    again = pregen("run", ca.config, *(["--full"] if "--full" in remedy else []))

    assert ended.code == 5
    assert remedy in ended.err
    if place == "packs":
        assert again.code == 0
    else:
        assert again.code == 5
        assert remedy in again.err
        ca.configure(publish={"store": "new-store"})
        assert pregen("run", ca.config).code == 0
    assert pregen("verify", "--config", ca.config).code == 0


def sign_by(ca: Ca, pregen: Program, name: str, **issuer: str) -> None:
    """Publish with a responder whose key is for that algorithm."""
    algorithm = ALGORITHMS[name]
    ca.responder = make_responder(ca.issuer, key=shared_key(algorithm.key), not_before=ca.now - DAY)
    ca.responder.write(ca.folder, "ocsp")
    ca.configure(issuer={"rsa_padding": algorithm.padding or "pkcs1v15", **issuer})
    assert pregen("run", ca.config).code == 0


class Stored(NamedTuple):
    """A record, and where it lies."""

    bucket: int
    run: int
    octets: bytes


def current(folder: Path) -> commits.Head:
    head = commits.find_head(LocalStore(folder))
    assert head is not None
    return head


def issuer_id_of(ca: Ca) -> int:
    (certificate,) = read_certificates(ca.pem)
    return issuer_id(certificate.subject, certificate.key_bits)


def repack(folder: Path, change: Callable[[list[Stored]], list[Stored]], rows: int | None = None) -> None:
    """Change the records of the only pack, and let all that depends on them fit again, as a forger would."""
    store = LocalStore(folder)
    (shard,) = read_manifest(store, current(folder).commit.manifest).shards
    strides = load_tables(store, shard.windows).strides
    old = open_pack(shard.pack, store.get(shard.pack), shard.directory_at, shard.directory_crc)
    records = [
        Stored(bucket, run, octets[at : at + strides[run]])
        for bucket in range(old.buckets)
        for run, start, count, octets in walk(old, bucket, strides)
        for at in range(start, start + count * strides[run], strides[run])
    ]
    changed = sorted(change(records), key=lambda one: one.bucket)
    name = pack_name(0, bytes(16))
    segments = [Segment(one.bucket, one.run, at, 0, len(one.octets), 1) for at, one in enumerate(changed)]
    pack = build_pack(bytes(16), old.buckets, segments, [memoryview(one.octets) for one in changed], name)
    store.put(name, pack.octets)
    republish(
        folder,
        replace(
            shard,
            pack=name,
            rows=shard.rows if rows is None else rows,
            size_bytes=len(pack.octets),
            sha256=hashlib.sha256(pack.octets).digest(),
            directory_at=pack.directory_at,
            directory_crc=pack.directory_crc,
        ),
    )


def republish(folder: Path, shard: Shard) -> None:
    """Commit a manifest with another shard in the place of the only one."""
    store, head = LocalStore(folder), current(folder)
    manifest = replace(read_manifest(store, head.commit.manifest), shards=(shard,))
    commits.publish(store, head, manifest, again(head))


def again(head: commits.Head) -> commits.CommitTerms:
    """Return the terms of a commit like this one, of another publisher."""
    return commits.CommitTerms(
        publisher=commits.new_publisher(), as_of=head.commit.as_of, started_at=head.commit.started_at
    )


def forge(folder: Path, change: Callable[[Members], Members]) -> None:
    """Change the issuers of the current tables and let all that depends on them fit again, as a forger would."""

    def changed(octets: bytes) -> bytes:
        document = json.loads(octets)
        document["issuers"] = [change(issuer) for issuer in document["issuers"]]
        return json.dumps(document, separators=(",", ":")).encode()

    forge_tables(folder, changed)


def forge_tables(folder: Path, change: Callable[[bytes], bytes]) -> None:
    """Change the current tables and let all that depends on them fit again, as a forger would."""
    store = LocalStore(folder)
    head = commits.find_head(store)
    assert head is not None
    manifest = read_manifest(store, head.commit.manifest)
    loaded = load_tables(store, manifest.shards[0].windows)
    old = store.get(loaded.tables_name)
    new = change(old)
    assert new != old
    name = put_tables(store, replace(believable(new), windows=loaded.tables.windows, runs=loaded.tables.runs))
    commits.publish(
        store,
        head,
        replace(manifest, shards=tuple(replace(shard, windows=name) for shard in manifest.shards)),
        again(head),
    )


def put_tables(store: LocalStore, tables: Tables) -> str:
    """Put tables and their windows; return the name that shards name them by."""
    octets = encode_tables(tables)
    store.put(table_name(octets), octets)
    windows = encode_windows(tables, table_name(octets))
    store.put(windows_name(windows), windows)
    return windows_name(windows)


def believable(octets: bytes) -> Tables:
    """Return tables whose known answers are those that they make, so that readers believe them."""
    name = table_name(octets)
    tables = decode_tables(name, octets)
    shapes = []
    for number, shape in enumerate(tables.shapes):
        answer = shape.known_answer
        run, stage = Run(answer.issuer, number, 0), replace(tables, windows=(answer.window,))
        made = (Assembler(name, stage, run, which).response(answer.record) for which in range(len(shape.responses)))
        digests = tuple(hashlib.sha256(der).digest() for der in made)
        key = key64(answer.record[: shape.serial_bytes], tables.issuers[answer.issuer].issuer_id)
        shapes.append(replace(shape, known_answer=replace(answer, sha256=digests, key=key)))
    return replace(tables, shapes=tuple(shapes))


def _base64(octets: bytes) -> str:
    return b64encode(octets).decode()
