"""Every kind of response, before every judge."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import pytest
from cryptography.exceptions import InvalidSignature

from tests.judges import golang, openssl
from tests.judges.generated import KINDS, Answered, Kind, Response, make_store
from tests.judges.linting import lint
from tests.judges.parsers import Signed, Statement, public_key, read_by_asn1crypto, read_by_cryptography


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, Answered]:
    return make_store(tmp_path_factory.mktemp("generated"))


@pytest.fixture(params=KINDS, ids=str)
def answered(store: dict[Kind, Answered], request: pytest.FixtureRequest) -> Answered:
    return store[request.param]


@pytest.fixture(scope="session")
def go_judge(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return golang.compile_judge(tmp_path_factory.mktemp("go"))


def assert_right(answered: Answered, response: Response, reader: Callable[[bytes], tuple[Statement, Signed]]) -> None:
    said, signed = reader(response.der)
    assert said == response.meant
    signed.verify(public_key(answered.signer.der))
    assert signed.certificates == ((answered.signer.der,) if answered.kind.is_delegated else ())


def test_cryptography_reads_and_verifies_every_response(answered: Answered) -> None:
    for response in answered.responses:
        assert_right(answered, response, read_by_cryptography)


def test_asn1crypto_reads_and_verifies_every_response_and_writes_the_same_octets(answered: Answered) -> None:
    for response in answered.responses:
        assert_right(answered, response, read_by_asn1crypto)


def test_pkilint_finds_nothing(answered: Answered) -> None:
    assert {finding for response in answered.responses for finding in lint(response.der)} == set()


def test_openssl_verifies_every_response(answered: Answered, tmp_path: Path) -> None:
    for response in answered.responses:
        file, meant = tmp_path / "response.der", response.meant
        file.write_bytes(response.der)

        text = openssl.respin(file, answered.certificate, meant.serial, meant.hash_name)

        assert openssl.accepts(text, meant.serial, meant.status), text
        assert ("Reason: " in text) == (meant.reason is not None), text


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


def forgeries(answered: Answered) -> dict[str, bytes]:
    """Return a right response made wrong: in its signature, or in nextUpdate, once so that it ends before it begins."""
    right = answered.responses[0]
    this_update = f"{right.meant.this_update:%Y%m%d%H%M%SZ}".encode()
    next_update = f"{right.meant.next_update:%Y%m%d%H%M%SZ}".encode()
    assert right.der.count(next_update) == 1
    return {
        "signature": right.der[:-1] + bytes([right.der[-1] ^ 1]),
        "longer": right.der.replace(next_update, b"2099" + next_update[4:]),
        "backwards": right.der.replace(next_update, b"2001" + this_update[4:]),
    }


def test_the_judges_notice_what_is_wrong(store: dict[Kind, Answered], go_judge: Path, tmp_path: Path) -> None:
    answered = store[Kind("p256", is_delegated=False, responder_id="by-key")]
    serial = answered.responses[0].meant.serial
    for name, der in forgeries(answered).items():
        _, signed = read_by_cryptography(der)
        with pytest.raises(InvalidSignature):
            signed.verify(public_key(answered.signer.der))
        (tmp_path / name).write_bytes(der)
        assert "Response verify OK" not in openssl.respin(tmp_path / name, answered.certificate, serial, "sha1")
        (answer,) = golang.ask(go_judge, [golang.Question(answered.issuer.der, serial, der)])
        assert answer.startswith("error: ")
    assert lint(forgeries(answered)["backwards"]) == ["ERROR pkix.ocsp_negative_validity_period"]
