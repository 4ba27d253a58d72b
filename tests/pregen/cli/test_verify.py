import hashlib
import json
from base64 import b64encode
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TypeAlias

import pytest

from storage import commits
from storage.certid import SHA1
from storage.manifest import read_manifest
from storage.response import Assembler
from storage.stores import LocalStore
from storage.tables import Run, Tables, decode_tables, encode_tables, table_name
from tests.pki import make_issuer, make_key, make_responder
from tests.pregen.cli.ca import Ca, Program

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
        assert ended.document == {
            "commit": 1,
            "packs": 1,
            "certificates": 1_000,
            "verified": verified,
            "trust": "named certificates",
        }


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


@pytest.mark.parametrize("place", ["packs", "tables", "manifests", "commits"])
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


def forge(folder: Path, change: Callable[[Members], Members]) -> None:
    """Change the issuers of the current tables and let all that depends on them fit again, as a forger would."""
    store = LocalStore(folder)
    head = commits.find_head(store)
    assert head is not None
    manifest = read_manifest(store, head.commit.manifest)
    document = json.loads(store.get(manifest.shards[0].tables))
    document["issuers"] = [change(issuer) for issuer in document["issuers"]]
    octets = encode_tables(believable(json.dumps(document, separators=(",", ":")).encode()))
    store.put(table_name(octets), octets)
    commits.publish(
        store,
        head,
        replace(manifest, shards=tuple(replace(shard, tables=table_name(octets)) for shard in manifest.shards)),
        publisher=commits.new_publisher(),
        as_of=head.commit.as_of,
        started_at=head.commit.started_at,
    )


def believable(octets: bytes) -> Tables:
    """Return tables whose known answers are those that they make, so that readers believe them."""
    name = table_name(octets)
    tables = decode_tables(name, octets)
    shapes = []
    for number, shape in enumerate(tables.shapes):
        answer = shape.known_answer
        run = Run(answer.issuer, number, answer.window)
        made = (Assembler(name, tables, run, which).response(answer.record) for which in range(len(shape.responses)))
        digests = tuple(hashlib.sha256(der).digest() for der in made)
        shapes.append(replace(shape, known_answer=replace(answer, sha256=digests)))
    return replace(tables, shapes=tuple(shapes))


def _base64(octets: bytes) -> str:
    return b64encode(octets).decode()
