"""The names and serials of 1,144 real issuers, from the snapshot to every single response."""

import contextlib
import io
import itertools
import json
import random
import sys
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha1, sha256
from pathlib import Path
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest
from asn1crypto import pem
from asn1crypto import x509 as asn1

from pregen.__main__ import main
from storage.certid import HASH_OIDS, CertID
from storage.reader import Reader, open_reader
from storage.stores import LocalStore
from tests.judges import openssl
from tests.judges.linting import lint
from tests.judges.parsers import PublicKey, Statement, public_key, read_by_asn1crypto, read_by_cryptography
from tests.real_input.make import AS_OF, REASONS, Example, make_example
from tests.real_input.make import main as make

NEXT_UPDATE = AS_OF + timedelta(days=4) - timedelta(seconds=1)
CENTURY = timedelta(days=36_525)
HASHES = {"sha1": sha1, "sha256": sha256}


class Ruling(NamedTuple):
    """What the snapshot says of a certificate."""

    status: str
    revoked_at: datetime | None
    reason: int | None
    not_after: datetime


@dataclass(frozen=True, slots=True)
class Authority:
    """A test CA as its clients know it: hashes are of a CertID, by the name of the hash."""

    file: Path
    key: PublicKey
    is_combined: bool
    subject: bytes
    name_hashes: Mapping[str, bytes]
    key_hashes: Mapping[str, bytes]


class Response(NamedTuple):
    """A response, what it must say of the CertID that was asked for, and whose it is."""

    der: bytes
    meant: Statement
    authority: Authority

    @property
    def statements(self) -> tuple[Statement, ...]:
        """All that it must say."""
        if not self.authority.is_combined:
            return (self.meant,)
        name_hashes, key_hashes = self.authority.name_hashes, self.authority.key_hashes
        return tuple(
            replace(self.meant, hash_name=name, issuer_name_hash=name_hashes[name], issuer_key_hash=key_hashes[name])
            for name in HASHES
        )


@dataclass(frozen=True, slots=True)
class Published:
    """What one run reported, and every response that a reader finds afterwards."""

    report: Mapping[str, object]
    responses: tuple[Response, ...]


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Example:
    return make_example(tmp_path_factory.mktemp("made") / "real")


@pytest.fixture(scope="module")
def rulings(example: Example) -> dict[tuple[str, bytes], Ruling]:
    """Every certificate, an issuer's name and a serial; of repeated ones, the latest not_after."""
    found: dict[tuple[str, bytes], Ruling] = {}
    for row in pq.read_table(example.config.with_suffix(".parquet")).sort_by("not_after").to_pylist():
        reason = row["reason"] or None  # unspecified is absence (RFC 5280, 5.3.1)
        status = "revoked" if row["status"] else "good"
        found[row["issuer"], row["serial"]] = Ruling(status, row["revoked_at"], reason, row["not_after"])
    return found


@pytest.fixture(scope="module")
def authorities(example: Example) -> dict[str, Authority]:
    sections = tomllib.loads(example.config.read_text())["issuer"]
    combined = {section["name"] for section in sections if section.get("cert_ids") == "combined"}
    return {
        name: read_authority(example.folder / "issuers" / f"{name}.pem", name in combined) for name in example.issuers
    }


def read_authority(file: Path, is_combined: bool) -> Authority:
    _, _, der = pem.unarmor(file.read_bytes())
    body = asn1.Certificate.load(der)["tbs_certificate"]
    subject, key_bits = body["subject"].dump(), body["subject_public_key_info"]["public_key"].contents[1:]
    name_hashes = {name: digest(subject).digest() for name, digest in HASHES.items()}
    key_hashes = {name: digest(key_bits).digest() for name, digest in HASHES.items()}
    return Authority(file, public_key(der), is_combined, subject, name_hashes, key_hashes)


def publish(
    config: Path, rulings: Mapping[tuple[str, bytes], Ruling], authorities: Mapping[str, Authority]
) -> Published:
    """Run the example by the command line, then look up every certificate of the snapshot by both hashes."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["run", str(config), "--now", f"{AS_OF:%Y-%m-%dT%H:%M:%SZ}", "--json"]) == 0
    reader = open_reader(LocalStore(config.with_name(f"{config.stem}-store")))
    responses = tuple(
        response
        for (issuer, serial), ruling in rulings.items()
        for hash_name in HASHES
        if (response := look_up(reader, authorities[issuer], serial, hash_name, ruling))
    )
    return Published(json.loads(out.getvalue()), responses)


def look_up(reader: Reader, authority: Authority, serial: bytes, hash_name: str, ruling: Ruling) -> Response | None:
    name_hash, key_hash = authority.name_hashes[hash_name], authority.key_hashes[hash_name]
    answer = reader.lookup(CertID(HASH_OIDS[hash_name], name_hash, key_hash, serial))
    if answer is None:
        return None
    meant = Statement(
        hash_name=hash_name,
        issuer_name_hash=name_hash,
        issuer_key_hash=key_hash,
        serial=int.from_bytes(serial, "big", signed=True),
        status=ruling.status,
        revoked_at=ruling.revoked_at,
        reason=ruling.reason,
        produced_at=AS_OF,
        this_update=AS_OF,
        next_update=NEXT_UPDATE,
        responder=authority.key_hashes["sha1"],
    )
    return Response(answer.der, meant, authority)


@pytest.fixture(scope="module")
def unexpired(
    example: Example, rulings: dict[tuple[str, bytes], Ruling], authorities: dict[str, Authority]
) -> Published:
    return publish(example.config, rulings, authorities)


@pytest.fixture(scope="module")
def endless(example: Example, rulings: dict[tuple[str, bytes], Ruling], authorities: dict[str, Authority]) -> Published:
    return publish(example.config_without_not_after, rulings, authorities)


@pytest.fixture(params=["unexpired", "endless"])
def published(request: pytest.FixtureRequest) -> Published:
    found = request.getfixturevalue(request.param)
    assert isinstance(found, Published)
    return found


def sample(published: Published) -> list[Response]:
    """Return 200 responses, those with a negative serial or one of 21 octets among them."""
    odd = [one for one in published.responses if one.meant.serial < 0 or one.meant.serial >= 1 << 159]
    rest = [one for one in published.responses if one not in odd]
    return odd + random.Random(13).sample(rest, 200 - len(odd))


def test_the_example_says_what_it_leaves_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["make.py", str(tmp_path / "real")])

    assert make() == 0

    said = capsys.readouterr().out
    assert "1,144 CAs, and 10,204 of 10,213 certificates; 9 were dropped, because their issuer is not known" in said


def test_every_test_ca_has_the_name_of_a_real_one_octet_for_octet(
    example: Example, authorities: dict[str, Authority]
) -> None:
    assert len({(one.subject, one.key_hashes["sha1"]) for one in authorities.values()}) == 1_144
    assert {name: one.subject for name, one in authorities.items()} == {
        name: issuer.name for name, issuer in example.issuers.items()
    }


def test_the_test_cas_sign_by_algorithms_in_turn_and_every_fifth_once_for_both_hashes(
    authorities: dict[str, Authority],
) -> None:
    kinds = Counter(type(one.key).__name__ for one in authorities.values())

    assert kinds == {"ECPublicKey": 572, "Ed25519PublicKey": 191, "RSAPublicKey": 381}
    assert sum(one.is_combined for one in authorities.values()) == 229


def test_every_13th_certificate_is_revoked_with_the_reasons_in_turn(example: Example) -> None:
    rows = pq.read_table(example.config.with_suffix(".parquet")).to_pylist()
    rulings = {(row["issuer"], row["serial"]): (row["status"], row["reason"]) for row in rows}  # in order of appearance

    revoked = {number: reason for number, (status, reason) in enumerate(rulings.values()) if status}

    assert revoked == dict(zip(range(0, 10_192, 13), itertools.cycle(REASONS), strict=False))


def test_all_rows_are_accounted_for_where_certificates_expire(example: Example, unexpired: Published) -> None:
    assert (example.rows, example.dropped) == (10_213, 9)
    report = unexpired.report
    assert report["rows_in"] == 10_213 - 9
    assert report["excluded"] == {"expired": 4_371, "repeated": 12}
    assert report["certificates"] == 10_192 - 4_371
    assert report["issuers"] == 1_144
    assert len(unexpired.responses) == 2 * (10_192 - 4_371)
    assert report["responses"] == len({one.der for one in unexpired.responses}) == 10_324


def test_the_certificates_without_an_answer_are_those_that_had_expired(
    unexpired: Published, rulings: dict[tuple[str, bytes], Ruling]
) -> None:
    answered = Counter((one.authority.file.stem, one.meant.serial) for one in unexpired.responses)

    assert answered == {
        (issuer, int.from_bytes(serial, "big", signed=True)): 2
        for (issuer, serial), ruling in rulings.items()
        if ruling.not_after >= AS_OF
    }


def test_all_rows_are_accounted_for_where_nothing_expires(endless: Published) -> None:
    report = endless.report
    assert report["rows_in"] == 10_213 - 9
    assert report["excluded"] == {"repeated": 12}
    assert report["certificates"] == 10_192
    assert report["issuers"] == 1_144
    assert len(endless.responses) == 2 * 10_192
    assert report["responses"] == len({one.der for one in endless.responses}) == 17_488


def test_every_response_says_what_the_snapshot_says_and_is_signed_by_its_issuer(published: Published) -> None:
    for response in published.responses:
        try:
            said, signed = read_by_cryptography(response.der)
        except ValueError:  # an odd serial, for some versions
            said, signed = read_by_asn1crypto(response.der)
        assert said == response.statements
        signed.verify(response.authority.key)
        assert signed.certificates == ()


def test_openssl_verifies_a_sample(published: Published, tmp_path: Path) -> None:
    file = tmp_path / "response.der"
    for response in sample(published):
        file.write_bytes(response.der)
        meant = response.meant

        text = openssl.respin(file, response.authority.file, meant.serial, meant.hash_name, tolerance=CENTURY)

        assert openssl.accepts(text, meant.serial, meant.status), text


def test_pkilint_finds_nothing_in_a_sample_of_whatever_severity(published: Published) -> None:
    assert {finding for response in sample(published) for finding in lint(response.der)} == set()
