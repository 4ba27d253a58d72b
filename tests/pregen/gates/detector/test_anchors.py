from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
import xxhash
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.name import _ASN1Type

from pregen.config import Config, load_config
from pregen.errors import ConfigError
from pregen.gates.detector.anchor_files import MAX_ENTRIES, Anchors, load_anchors
from pregen.gates.detector.anchors import Anchored, compare_anchors, identity
from pregen.gates.detector.sightings import SIGHTING, Sightings
from pregen.issuers import Issuer, load_issuers
from pregen.snapshot import NO_EXPIRY, NO_ISSUANCE
from tests import pki
from tests.pki import DAY, NOW
from tests.pregen.gates.detector.authorities import HOUR, columns
from tests.pregen.snapshot.crls.authority import Entry, forged

AS_OF = int(NOW.timestamp())
ROOT = pki.make_issuer()
SERIALS = (5, 0x80, 2**100 + 7)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    ROOT.write(tmp_path, "ca")
    return tmp_path


def configured(folder: Path, *anchors: str) -> tuple[Config, tuple[Issuer, ...]]:
    sections = [f"[[snapshot.anchor]]\n{anchor}" for anchor in anchors]
    issuer = '[[issuer]]\nname = "r1"\ncertificate = "ca.pem"\nkey = "ca.key"'
    path = folder / "pregen.toml"
    path.write_text("\n".join(['[publish]\nstore = "answers"', *sections, issuer]))
    config = load_config(path)
    return config, load_issuers(config, NOW)[0]


def issue(folder: Path, *, serial: int = 0x80, signer: pki.Party = ROOT, days: int = 90) -> Path:
    leaf = pki.make_responder(signer, serial=serial, not_before=NOW - 30 * DAY, not_after=NOW - 30 * DAY + days * DAY)
    pki.write_certificates(folder / "issued.pem", leaf)
    return folder / "issued.pem"


def revoke(folder: Path, *, signer: pki.Party = ROOT, serials: tuple[int, ...] = SERIALS, removed: int = 0) -> Path:
    """Write a CRL; serial i is revoked i hours ago, and the first `removed` ones are good again."""
    builder = x509.CertificateRevocationListBuilder().issuer_name(signer.certificate.subject)
    builder = builder.last_update(NOW).next_update(NOW + DAY)
    for at, serial in enumerate(serials):
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(revocation(at))
        if at < removed:
            entry = entry.add_extension(x509.CRLReason(x509.ReasonFlags.remove_from_crl), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    path = folder / "ca.crl"
    path.write_bytes(builder.sign(signer.key, SHA256()).public_bytes(Encoding.PEM))
    return path


def revocation(at: int) -> datetime:
    return NOW - timedelta(hours=at)


def row(issuer: Issuer, serial: int, **times: int) -> Sightings:
    octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    sighting = np.zeros(1, SIGHTING)
    sighting["key"], sighting["size"] = xxhash.xxh64_intdigest(octets, issuer.issuer_id), len(octets)
    sighting["serial"][0, : len(octets)] = np.frombuffer(octets, np.uint8)
    sighting["not_before"] = times.get("not_before", NO_ISSUANCE)
    sighting["not_after"] = times.get("not_after", NO_EXPIRY)
    sighting["revoked_at"] = times.get("revoked_at", 0)
    sighting["own_zone"] = times.get("own_zone", 0)
    return sighting


def compared(
    anchors: Anchors, issuers: tuple[Issuer, ...], *rows: Sightings, known: frozenset[str] = frozenset()
) -> Anchored:
    sightings = np.concatenate([np.empty(0, SIGHTING), *rows])
    return compare_anchors(anchors, sightings, columns(), issuers, AS_OF, known)


def seconds(moment: datetime) -> int:
    return int(moment.timestamp())


def codes(raised: pytest.ExceptionInfo[ConfigError]) -> list[str]:
    return [finding.code for finding in raised.value.findings]


def test_a_certificate_whose_row_says_the_same_proves_both_columns(folder: Path) -> None:
    issue(folder)
    config, issuers = configured(folder, 'certificate = "issued.pem"')
    anchors = load_anchors(config, issuers)
    right = row(issuers[0], 0x80, not_before=seconds(NOW - 30 * DAY), not_after=seconds(NOW + 60 * DAY) + 1)

    assert anchors.keys.tolist() == [int(right["key"][0])]
    assert compared(anchors, issuers, right) == Anchored((), (), frozenset({"not_before", "not_after"}))


def test_a_row_that_is_off_names_the_offset_the_serial_and_what_is_right(folder: Path) -> None:
    issue(folder)
    config, issuers = configured(folder, 'certificate = "issued.pem"')
    wrong = row(issuers[0], 0x80, not_before=seconds(NOW - 30 * DAY) - 7 * HOUR, not_after=seconds(NOW + 60 * DAY))
    comparison = compared(load_anchors(config, issuers), issuers, wrong)
    (clue,) = comparison.clues

    assert (clue.code, clue.canonical, clue.shift_s) == ("time.anchor-mismatch", "not_before", -7 * HOUR)
    assert clue.examples == ('issuer "r1", serial 80, NOT_BEFORE 2026-10-24T17:00:00Z, in UTC 2026-10-25T00:00:00Z',)
    assert comparison.proved == {"not_after"}


@pytest.mark.parametrize(("days", "severity"), [(90, "error"), (10, "warning")])
def test_an_anchor_without_a_row_is_an_error_unless_it_has_expired(folder: Path, days: int, severity: str) -> None:
    issue(folder, days=days)
    config, issuers = configured(folder, 'certificate = "issued.pem"')
    (finding,) = compared(load_anchors(config, issuers), issuers).findings

    assert (finding.code, finding.severity) == ("time.anchor-not-found", severity)
    assert "issued.pem" in finding.message
    assert "serial 80" in finding.message


def test_equal_keys_of_other_certificates_are_not_compared(folder: Path) -> None:
    issue(folder)
    config, issuers = configured(folder, 'certificate = "issued.pem"')
    anchors = load_anchors(config, issuers)
    other = row(issuers[0], 0x81, not_before=1, not_after=2)
    other["key"] = anchors.keys[0]
    comparison = compared(anchors, issuers, other)

    assert comparison.clues == ()
    assert [finding.code for finding in comparison.findings] == ["time.anchor-not-found"]


def test_a_crl_proves_or_refutes_revocation_times(folder: Path) -> None:
    revoke(folder)
    config, issuers = configured(folder, 'crl = "ca.crl"')
    anchors = load_anchors(config, issuers)
    right = [row(issuers[0], serial, revoked_at=seconds(revocation(at))) for at, serial in enumerate(SERIALS)]
    wrong = [row(issuers[0], serial, revoked_at=seconds(revocation(at)) + HOUR) for at, serial in enumerate(SERIALS)]

    assert compared(anchors, issuers, *right).proved == {"revoked_at"}
    (clue,) = compared(anchors, issuers, *wrong).clues
    assert (clue.canonical, clue.shift_s, clue.count) == ("revoked_at", HOUR, 3)
    assert "3 of 3" in clue.text


def of_crl(folder: Path, *moved_s: int, known: bool = False) -> Anchored:
    """Compare a CRL with rows, of which the first ones differ from it."""
    serials = tuple(range(1, 201))
    revoke(folder, serials=serials)
    config, issuers = configured(folder, 'crl = "ca.crl"')
    moves = dict(enumerate(moved_s))
    rows = [
        row(issuers[0], serial, revoked_at=seconds(revocation(at)) + moves.get(at, 0))
        for at, serial in enumerate(serials)
    ]
    proved = frozenset({identity(columns()["revoked_at"])} if known else ())
    return compared(load_anchors(config, issuers), issuers, *rows, known=proved)


def test_three_entries_of_many_with_one_offset_refute_a_column_even_a_known_one(folder: Path) -> None:
    for known in (False, True):
        comparison = of_crl(folder, -7 * HOUR, -7 * HOUR, -7 * HOUR, known=known)
        (clue,) = comparison.clues

        assert (clue.severity, clue.shift_s, clue.count) == ("error", -7 * HOUR, 3)
        assert comparison.proved == frozenset()


def test_holds_that_were_renewed_since_are_a_warning_and_the_column_is_proved(folder: Path) -> None:
    comparison = of_crl(folder, 100_001, 44_444, 7_777)
    (clue,) = comparison.clues

    assert (clue.severity, clue.shift_s, clue.samples) == ("warning", None, ())
    assert "name a newer CRL" in clue.advice
    assert "taken out" not in clue.advice
    assert comparison.proved == {"revoked_at"}
    assert of_crl(folder, 100_001).clues == ()


def test_two_entries_with_an_offset_refute_a_column_only_while_it_is_not_proved(folder: Path) -> None:
    (clue,) = of_crl(folder, HOUR, HOUR).clues
    (known,) = of_crl(folder, HOUR, HOUR, known=True).clues

    assert (clue.severity, known.severity) == ("error", "warning")
    assert "the anchor may be taken out" in known.advice


def test_a_crl_of_which_nothing_is_in_the_snapshot_is_a_warning(folder: Path) -> None:
    revoke(folder)
    config, issuers = configured(folder, 'crl = "ca.crl"')
    (finding,) = compared(load_anchors(config, issuers), issuers).findings

    assert (finding.code, finding.severity) == ("time.anchor-not-found", "warning")


def test_rows_that_are_good_again_are_not_compared(folder: Path) -> None:
    revoke(folder, removed=1)
    config, issuers = configured(folder, 'crl = "ca.crl"')
    anchors = load_anchors(config, issuers)
    comparison = compared(anchors, issuers, row(issuers[0], SERIALS[1]))

    assert len(anchors.keys) == 2
    assert comparison == Anchored((), (), frozenset())


def test_an_entry_that_cannot_be_used_proves_nothing_and_hinders_nothing(folder: Path) -> None:
    (folder / "odd.crl").write_bytes(forged(ROOT, [Entry(serial=0x80, reason=7), Entry(serial=0x81, reason=1)]))
    config, issuers = configured(folder, 'crl = "odd.crl"')

    (crl,) = load_anchors(config, issuers).crls

    assert crl.serials == (b"\0\x81",)


def test_of_a_large_crl_entries_from_all_over_it_are_taken(folder: Path) -> None:
    count = MAX_ENTRIES + 100
    revoke(folder, serials=tuple(range(1, count + 1)))
    config, issuers = configured(folder, 'crl = "ca.crl"')
    (crl,) = load_anchors(config, issuers).crls

    taken = sorted(int.from_bytes(serial, "big") for serial in crl.serials)
    assert MAX_ENTRIES // 2 <= len(taken) <= MAX_ENTRIES
    assert taken[0] == 1
    assert taken[-1] > count - 3
    assert np.all(np.diff(crl.keys.astype(object)) > 0)


def test_everything_that_cannot_be_used_is_named_at_once(folder: Path) -> None:
    stranger = pki.make_issuer("Example Root R2")
    impostor = pki.make_issuer()
    issue(folder, signer=stranger)
    revoke(folder, signer=impostor)
    (folder / "noise.pem").write_bytes(b"noise")
    config, issuers = configured(
        folder,
        'certificate = "issued.pem"',
        'crl = "ca.crl"',
        'certificate = "noise.pem"',
        'crl = "noise.pem"',
        'crl = "absent.crl"',
    )
    with pytest.raises(ConfigError) as raised:
        load_anchors(config, issuers)

    assert codes(raised) == [
        "anchor.unknown-issuer",
        "anchor.signature",
        "certificate.unreadable",
        "anchor.unreadable",
        "anchor.unreadable",
    ]
    assert "absent.crl" in str(raised.value)


def test_a_certificate_that_another_key_signed_is_refused(folder: Path) -> None:
    issue(folder, signer=pki.make_issuer())
    config, issuers = configured(folder, 'certificate = "issued.pem"')
    with pytest.raises(ConfigError) as raised:
        load_anchors(config, issuers)

    assert codes(raised) == ["anchor.signature"]


def test_the_identity_of_a_column_changes_with_how_it_is_read() -> None:
    column = columns(not_before="America/Denver")["not_before"]
    others = [columns(not_before="America/Boise")["not_before"], columns(not_after="America/Denver")["not_after"]]

    assert identity(column) == identity(columns(not_before="America/Denver")["not_before"])
    assert len({identity(column), *map(identity, others)}) == 3


def test_without_anchors_there_is_nothing_to_look_for(folder: Path) -> None:
    config, issuers = configured(folder)

    assert load_anchors(config, issuers) == Anchors()
    assert Anchors().keys.tolist() == []
    assert datetime.fromtimestamp(AS_OF, UTC) == NOW


def test_a_column_of_dates_is_compared_by_the_day(folder: Path) -> None:
    issue(folder)
    config, issuers = configured(folder, 'certificate = "issued.pem"')
    anchors = load_anchors(config, issuers)
    began = seconds(NOW - 30 * DAY)
    day = began // 86_400 * 86_400

    def said(not_before: int) -> Anchored:
        sightings = row(issuers[0], 0x80, not_before=not_before)
        return compare_anchors(anchors, sightings, columns("not_before"), issuers, AS_OF, frozenset())

    assert said(day).proved == said(day + 86_399).proved == {"not_before"}
    (clue,) = said(day - 86_400).clues
    assert (clue.severity, clue.shift_s) == ("error", None)
    assert "1 by a day or more" in clue.text


def test_every_crl_of_a_file_is_an_anchor(folder: Path) -> None:
    first = revoke(folder, serials=(1, 2)).read_bytes()
    second = revoke(folder, serials=(3,)).read_bytes()
    (folder / "ca.crl").write_bytes(first + second)
    config, issuers = configured(folder, 'crl = "ca.crl"')

    assert [len(crl.serials) for crl in load_anchors(config, issuers).crls] == [2, 1]


def test_a_name_that_is_encoded_otherwise_is_still_the_issuer_s(folder: Path) -> None:
    """RFC 5280, 7.1: PrintableString or UTF8String, and the case of letters, make no other name."""
    name = x509.Name(
        [
            x509.NameAttribute(one.oid, one.value.upper(), _type=_ASN1Type.PrintableString)
            for one in ROOT.certificate.subject
        ]
    )
    leaf = (
        x509.CertificateBuilder()
        .issuer_name(name)
        .subject_name(x509.Name([]))
        .serial_number(0x80)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + DAY)
        .public_key(ROOT.key.public_key())
        .sign(ROOT.key, SHA256())
    )
    (folder / "issued.pem").write_bytes(leaf.public_bytes(Encoding.PEM))
    config, issuers = configured(folder, 'certificate = "issued.pem"')

    assert [one.issuer for one in load_anchors(config, issuers).certificates] == [0]


def test_a_row_that_names_its_own_offset_says_nothing_about_the_declared_zone(folder: Path) -> None:
    issue(folder)
    config, issuers = configured(folder, 'certificate = "issued.pem"')
    anchors = load_anchors(config, issuers)
    times = {"not_before": seconds(NOW - 30 * DAY), "not_after": seconds(NOW + 60 * DAY)}

    assert compared(anchors, issuers, row(issuers[0], 0x80, own_zone=1, **times)).proved == {"not_after"}
    assert compared(anchors, issuers, row(issuers[0], 0x80, own_zone=2, **times)).proved == {"not_before"}
    wrong = row(issuers[0], 0x80, own_zone=3, not_before=5, not_after=times["not_after"])
    assert [clue.severity for clue in compared(anchors, issuers, wrong).clues] == ["error"]
