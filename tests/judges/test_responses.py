"""Every kind of response, before every judge: each algorithm and layout is accepted by two of them at least."""

import itertools
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from asn1crypto import algos
from cryptography.exceptions import InvalidSignature
from cryptography.x509 import ocsp

from pregen.signers import ALGORITHMS
from tests.judges import dilithium, gnutls, golang, openssl
from tests.judges.generated import KINDS, LAYOUTS, Answered, Kind, make_store
from tests.judges.linting import lint
from tests.judges.parsers import MldsaPublicKey, Read, public_key, read_by_asn1crypto, read_by_cryptography

ML_DSA = tuple(kind for kind in KINDS if kind.algorithm.startswith("ml-dsa"))
COMBINED = tuple(kind for kind in KINDS if kind.cert_ids == "combined")
# What golang.org/x/crypto/ocsp has no name for, and what Go's crypto packages call it
CUT_OUT = {
    "rsa2048-pss-sha256": "SHA256-RSAPSS",
    "rsa3072-pss-sha256": "SHA256-RSAPSS",
    "rsa4096-pss-sha256": "SHA256-RSAPSS",
    "ed25519": "Ed25519",
    "ml-dsa-44": "ML-DSA-44",
    "ml-dsa-65": "ML-DSA-65",
    "ml-dsa-87": "ML-DSA-87",
}
KNOWN_TO_X_CRYPTO = tuple(kind for kind in KINDS if kind.algorithm not in CUT_OUT)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, Answered]:
    return make_store(tmp_path_factory.mktemp("generated"))


@pytest.fixture(params=KINDS, ids=str)
def answered(store: dict[Kind, Answered], request: pytest.FixtureRequest) -> Answered:
    return store[request.param]


@pytest.fixture(scope="session")
def go_judge(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Path:
    folder = tmp_path_factory.mktemp("go")
    cache = pytestconfig.cache  # the compiler's: the standard library takes it ten seconds, once
    return golang.compile_judge(folder, cache.mkdir("go-build") if cache else folder / "cache")


def test_there_is_every_algorithm_in_every_layout() -> None:
    assert {kind[:2] for kind in KINDS} == set(itertools.product(ALGORITHMS, LAYOUTS))


def assert_right(answered: Answered, reader: Callable[[bytes], Read]) -> None:
    identifier = algos.SignedDigestAlgorithm.load(ALGORITHMS[answered.kind.algorithm].identifier)
    for response in answered.responses:
        statements, signed = reader(response.der)
        assert statements == response.statements
        assert signed.algorithm == identifier["algorithm"].dotted
        signed.verify(public_key(answered.signer.der))
        assert signed.certificates == ((answered.signer.der,) if answered.kind.is_delegated else ())


def test_cryptography_reads_and_verifies_every_response(answered: Answered) -> None:
    assert_right(answered, read_by_cryptography)


def test_asn1crypto_reads_every_response_and_writes_the_same_octets(answered: Answered) -> None:
    assert_right(answered, read_by_asn1crypto)


def test_pkilint_finds_nothing(answered: Answered) -> None:
    assert {finding for response in answered.responses for finding in lint(response.der)} == set()


def test_openssl_verifies_every_response(answered: Answered, tmp_path: Path) -> None:
    if answered.kind in ML_DSA and not openssl.signs(answered.kind.algorithm):
        pytest.skip("this OpenSSL has no ML-DSA: 3.5 is the first that has")
    for response in answered.responses:
        file, meant = tmp_path / "response.der", response.meant
        file.write_bytes(response.der)

        text = openssl.respin(file, answered.certificate, meant.serial, meant.hash_name)

        assert openssl.accepts(text, meant.serial, meant.status), text
        assert ("Reason: " in text) == (meant.reason is not None), text


@pytest.mark.parametrize("answered", [kind for kind in KINDS if kind not in ML_DSA], ids=str, indirect=True)
def test_gnutls_verifies_every_response(answered: Answered, tmp_path: Path) -> None:
    # GnuTLS finds the certificate of a signer who is named by key only among those that came with the response.
    is_found = answered.kind.is_delegated or answered.kind.responder_id == "by-name"
    for response in answered.responses:
        file, meant = tmp_path / "response.der", response.meant
        file.write_bytes(response.der)

        text = gnutls.verify(file, trust=answered.certificate)

        assert (gnutls.ACCEPTED if is_found else gnutls.NO_SIGNER) in text
        assert is_found or gnutls.ACCEPTED in gnutls.verify(file, signer=answered.certificate)
        assert f"Certificate Status: {meant.status}" in text


@pytest.mark.parametrize("answered", KNOWN_TO_X_CRYPTO, ids=str, indirect=True)
def test_go_verifies_every_response(answered: Answered, go_judge: Path) -> None:
    meant = [one.meant for one in answered.responses]
    questions = [golang.Question(answered.issuer.der, one.meant.serial, one.der) for one in answered.responses]

    answers = golang.ask(go_judge, questions)

    assert answers == [
        f"{one.status} {one.serial} {seconds(one.revoked_at)} {one.reason or 0} "
        f"{seconds(one.this_update)} {seconds(one.next_update)} {seconds(one.produced_at)}"
        for one in meant
    ]


def seconds(instant: datetime | None) -> int:
    return int(instant.timestamp()) if instant else 0


@pytest.mark.parametrize("answered", [kind for kind in KINDS if kind.algorithm in CUT_OUT], ids=str, indirect=True)
def test_go_verifies_the_signed_octets_where_its_ocsp_package_lacks_the_algorithm(
    answered: Answered, go_judge: Path
) -> None:
    questions = [golang.Question(answered.issuer.der, one.meant.serial, one.der) for one in answered.responses]

    by_octets = golang.ask(go_judge, [one._replace(way="octets") for one in questions])

    assert by_octets == [f"verified {CUT_OUT[answered.kind.algorithm]}"] * len(questions)
    assert all("algorithm unimplemented" in answer for answer in golang.ask(go_judge, questions))


@pytest.mark.parametrize("answered", ML_DSA, ids=str, indirect=True)
def test_dilithium_py_verifies_every_ml_dsa_signature(answered: Answered) -> None:
    key = public_key(answered.signer.der)
    assert isinstance(key, MldsaPublicKey)
    for response in answered.responses:
        assert dilithium.accepts(read_by_asn1crypto(response.der).signed, key)


@pytest.mark.parametrize("answered", COMBINED, ids=str, indirect=True)
def test_a_combined_response_is_one_for_both_hashes_sha1_first(answered: Answered) -> None:
    for by_sha1, by_sha256 in zip(answered.responses[::2], answered.responses[1::2], strict=True):
        assert by_sha1.der == by_sha256.der
        assert [one.hash_name for one in read_by_asn1crypto(by_sha1.der).statements] == ["sha1", "sha256"]


@pytest.mark.parametrize("answered", KNOWN_TO_X_CRYPTO, ids=str, indirect=True)
def test_go_must_be_told_the_certificate_of_a_combined_response_and_of_no_other(
    answered: Answered, go_judge: Path
) -> None:
    told = [golang.Question(answered.issuer.der, one.meant.serial, one.der) for one in answered.responses]

    untold = golang.ask(go_judge, [question._replace(way="issuer") for question in told])

    refused = ["error: OCSP response contains bad number of responses"] * len(told)
    assert untold == (refused if answered.kind in COMBINED else golang.ask(go_judge, told))


@pytest.mark.parametrize("answered", COMBINED, ids=str, indirect=True)
def test_cryptography_has_a_combined_response_read_entry_by_entry(answered: Answered) -> None:
    response = ocsp.load_der_ocsp_response(answered.responses[0].der)

    with pytest.raises(ValueError, match="contains 2 SINGLERESP structures"):
        response.serial_number  # noqa: B018 - looking at it is what fails
    assert len(list(response.responses)) == 2


def altered(answered: Answered) -> dict[str, bytes]:
    """Return a right response made wrong: in its signature, or in its last nextUpdate."""
    right = answered.responses[0]
    signature = read_by_asn1crypto(right.der).signed.signature
    next_update = f"{right.meant.next_update:%Y%m%d%H%M%SZ}".encode()
    before, _, after = right.der.rpartition(next_update)
    assert right.der.count(signature) == 1
    return {
        "signature": right.der.replace(signature, signature[:-1] + bytes([signature[-1] ^ 1])),
        "longer": before + b"2099" + next_update[4:] + after,
        "backwards": before + b"2001" + next_update[4:] + after,
    }


@pytest.mark.parametrize(
    "answered",
    {kind[:2]: kind for kind in KINDS if kind.cert_ids in {"sha1", "combined"}}.values(),
    ids=str,
    indirect=True,
)
def test_the_judges_notice_what_is_wrong(answered: Answered, go_judge: Path, tmp_path: Path) -> None:
    serial, key = answered.responses[0].meant.serial, public_key(answered.signer.der)
    for name, der in altered(answered).items():
        signed = read_by_cryptography(der).signed
        with pytest.raises(InvalidSignature):
            signed.verify(key)
        (tmp_path / name).write_bytes(der)
        assert "Response verify OK" not in openssl.respin(tmp_path / name, answered.certificate, serial, "sha1")
        if answered.kind not in ML_DSA:
            assert gnutls.ACCEPTED not in gnutls.verify(tmp_path / name, signer=answered.signer_certificate)
        question = golang.Question(answered.issuer.der, serial, der)
        if answered.kind.algorithm in CUT_OUT:
            question = question._replace(way="octets")
        (answer,) = golang.ask(go_judge, [question])
        assert answer.startswith("error: ")
        assert not isinstance(key, MldsaPublicKey) or not dilithium.accepts(signed, key)
    assert lint(altered(answered)["backwards"]) == ["ERROR pkix.ocsp_negative_validity_period"]
