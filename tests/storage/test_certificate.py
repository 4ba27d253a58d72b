from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from storage.certid import SHA256
from storage.certificate import CertificateEnds, certificate_ends, not_after_of
from storage.tables import Tables, Window
from tests.pki import make_issuer
from tests.storage.test_freshness import USUAL, issuer

NOW = datetime(2026, 11, 24, 1, 2, 3, tzinfo=UTC)


def certificate(not_after: datetime) -> bytes:
    return make_issuer(not_before=NOW - timedelta(days=1), not_after=not_after).certificate.public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    "not_after",
    [
        datetime(2026, 12, 31, 23, 59, 59, tzinfo=UTC),
        datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC),  # the last UTCTime
        datetime(2050, 1, 1, tzinfo=UTC),  # the first GeneralizedTime
        datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC),
    ],
)
def test_the_end_of_a_certificate_is_read(not_after: datetime) -> None:
    assert not_after_of(certificate(not_after)) == int((not_after - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())


def test_a_utc_time_of_the_last_century_is_of_that() -> None:
    der = certificate(datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC))

    assert not_after_of(der.replace(b"491231235959Z", b"991231235959Z")) == 946_684_799


@pytest.mark.parametrize(
    "text", [b"49123123595Z0", b"491331235959Z", b"4912312359+00", b"-91231235959Z", b"491231235959\xb2"]
)
def test_what_is_no_certificate_has_no_end(text: bytes) -> None:
    der = certificate(datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC))

    assert not_after_of(der.replace(b"491231235959Z", text)) is None
    assert [not_after_of(der[:size]) for size in (0, 1, 20, 60)] == [None] * 4


def tables(window: Window, *issuers: tuple[int, bytes, list[bytes], bytes | None]) -> Tables:
    stored = tuple(
        replace(issuer(number), key_hashes={SHA256: key}, certificates=tuple(own), responder_certificate=responder)
        for number, key, own, responder in issuers
    )
    return Tables(issuers=stored, templates=(), shapes=(), windows=(window,), runs=())


def test_the_certificate_of_an_issuer_that_lives_longest_counts_and_the_responder_of_the_newest_run() -> None:
    ends = [NOW + timedelta(days=days) for days in (10, 20, 30)]
    first, second, third = map(certificate, ends)
    newer = replace(USUAL, produced_at=USUAL.produced_at + 1)

    found = certificate_ends(
        [
            tables(newer, (1, b"k", [first, second], third), (2, b"k", [first], None)),
            tables(USUAL, (1, b"k", [first], first), (3, b"other", [], None)),
        ]
    )

    seconds = [int(end.timestamp()) for end in ends]
    assert found == {
        1: CertificateEnds(seconds[1], seconds[2]),
        2: CertificateEnds(seconds[1], None),  # another name of the same key
        3: CertificateEnds(None, None),
    }
