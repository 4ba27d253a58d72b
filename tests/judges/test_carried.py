"""Answers that were carried over for nights, and those that were signed beside them, before OpenSSL."""

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from pregen.clock import seconds
from pregen.snapshot import RowStatus
from storage.certid import SHA1
from tests.judges import openssl
from tests.pregen.generation.nights import Nights
from tests.pregen.generation.workshop import NOW, plain_rows

WORDS: Mapping[int, str] = {RowStatus.GOOD: "good", RowStatus.REVOKED: "revoked"}
TOLERANCE = timedelta(days=20 * 365)  # the nights are at a fixed instant


def test_openssl_accepts_what_was_carried_over_and_what_was_signed_beside_it(tmp_path: Path) -> None:
    nights = Nights(tmp_path, [{"cert_ids": "sha1"}])
    rows = plain_rows(12)
    nights.publish(0, rows)
    revoked = [row._replace(status=RowStatus.REVOKED, revoked_at=seconds(NOW), reason=1) for row in rows[:3]]
    rows = [*revoked, *rows[3:], *plain_rows(4)]
    published = [nights.publish(1, rows), nights.publish(2, rows)]
    assert published[0].reasons.carried > 0
    assert published[0].reasons.signed["changed"] == 3
    produced = set()
    for at, (row, answers) in enumerate(zip(rows, nights.answers(rows), strict=True)):
        answer = answers[SHA1]
        assert answer is not None
        produced.add(answer.produced_at)
        path = tmp_path / f"answer{at}.der"
        path.write_bytes(answer.der)
        serial = int.from_bytes(row.serial, "big")
        said = openssl.respin(path, tmp_path / "ca0.pem", serial, "sha1", tolerance=TOLERANCE)
        assert openssl.accepts(said, serial, WORDS[row.status]), said
    assert len(produced) > 1, "nothing was carried over"
