"""Databases of `openssl ca`: what OpenSSL says of a line is what we say, and odd lines are named by their numbers."""

import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.x509 import ocsp
from hypothesis import given
from hypothesis import strategies as st

from pregen.config import SnapshotConfig
from pregen.errors import InputError
from pregen.snapshot import NO_REASON, RowStatus, Snapshot
from pregen.snapshot.files import BATCH_ROWS, ODD, open_file
from tests.judges.programs import judge
from tests.pregen.snapshot.desk import AS_OF, Desk

GOOD, REVOKED = RowStatus.GOOD, RowStatus.REVOKED

INDEX = SnapshotConfig(path="index.txt", kind="index-txt")
GOOD_LINE = b"V\t270101000000Z\t\t%s\tunknown\t/CN=leaf\n"
NAMES = ["serial", "status", "revoked_at", "reason", "not_after"]

CNF = """
[ca]
default_ca = d
[d]
database = index.txt
new_certs_dir = .
serial = serial
default_md = sha256
policy = p
unique_subject = no
[p]
commonName = supplied
"""


def opened(desk: Desk, octets: bytes) -> Snapshot:
    (desk.folder / "index.txt").write_bytes(octets)
    return desk.open(None, config=INDEX, as_of=AS_OF)


def test_each_kind_of_line_gives_its_columns(tmp_path: Path) -> None:
    path = tmp_path / "index.txt"
    path.write_bytes(
        b"V\t270101000000Z\t\t0A\tunknown\t/CN=a\\\tb\r\n"
        b"E\t20250101000000Z\t\t-7F\tunknown\t/CN=\xff\xc3\n"
        b"R\t270101000000Z\t261101000000Z\t0b\tunknown\t\n"
        b"R\t99991231235959Z\t20261101000000Z,KeyCompromise\t0C\tx\\\ty\t/CN=c\n"
        b"# written by hand\n"
        b"R\t270101000000Z\t261101000000Z,holdInstruction,1.2.840.10040.2.3\t0D\tunknown\t/CN=d\n"
        b"R\t270101000000Z\t261101000000Z,keyTime,20261001000000Z\t0E\tunknown\t/CN=e\n"
        b"R\t270101000000Z\t261101000000Z,CAkeyTime,20261001000000Z\t0F\tunknown\t/CN=f\n"
        b"R\t270101000000Z\t261101000000Z,superseded,left,over\t10\tunknown\t/CN=g\n"
    )

    [batch] = open_file(path, "index-txt").batches(NAMES)

    assert batch.to_pydict() == {
        "serial": ["0A", "-7F", "0b", "0C", "", "0D", "0E", "0F", "10"],
        "status": ["V", "E", "R", "R", "#", "R", "R", "R", "R"],
        "revoked_at": ["", "", "261101000000Z", "20261101000000Z", "", *["261101000000Z"] * 4],
        "reason": ["", "", "", "keyCompromise", "", "certificateHold", "keyCompromise", "cACompromise", "superseded"],
        "not_after": [
            "270101000000Z",
            "20250101000000Z",
            "270101000000Z",
            "99991231235959Z",
            "",
            *["270101000000Z"] * 4,
        ],
        ODD: [None] * 9,
    }


ODD_LINES = {
    b"": "no tab, so no 6 fields",
    b"V\t270101000000Z\t\t0A\tunknown": "5 field(s) instead of 6",
    b"V\t270101000000Z\t\t0A\tunknown\t/CN=a\t": "7 field(s) instead of 6",
    b"V 270101000000Z  0A unknown /CN=a": "no tab, so no 6 fields",
    b"\xef\xbb\xbfV\t270101000000Z\t\t0A\tunknown\t/CN=a": "octets that are neither printable nor ASCII",
    b"V\t270101000000Z\t\t0A\0\tunknown\t/CN=a": "octets that are neither printable nor ASCII",
    b"V\t270101000000Z\t\t0A\tunknown\t/CN=\0": "octets that are neither printable nor ASCII",
    b"S\t270101000000Z\t\t0A\tunknown\t/CN=a": "the status is none of V, E and R",
    b"\t270101000000Z\t\t0A\tunknown\t/CN=a": "the status is none of V, E and R",
    b"R\t270101000000Z\t\t0A\tunknown\t/CN=a": "revoked without a time of revocation",
    b"R\t270101000000Z\t,superseded\t0A\tunknown\t/CN=a": "revoked without a time of revocation",
    b"V\t270101000000Z\t261101000000Z\t0A\tunknown\t/CN=a": "a time of revocation, but not revoked",
    b"E\t270101000000Z\t261101000000Z\t0A\tunknown\t/CN=a": "a time of revocation, but not revoked",
    b"R\t270101000000Z\t261101000000Z,removeFromCRL\t0A\tunknown\t/CN=a": "removeFromCRL means that it is not revoked, "
    "R that it is",
    b"R\t270101000000Z\t261101000000Z,lost\t0A\tunknown\t/CN=a": "an unknown reason of revocation",
    b"R\t270101000000Z\t261101000000Z,keyTime\t0A\tunknown\t/CN=a": "a reason without its argument",
    b"R\t270101000000Z\t261101000000Z,holdInstruction,\t0A\tunknown\t/CN=a": "a reason without its argument",
}


def test_odd_lines_are_counted_and_shown_by_number_beside_bad_values(desk: Desk) -> None:
    sound = [GOOD_LINE % b"01", GOOD_LINE % b"zz", b"#\n", GOOD_LINE % b"02"]
    snapshot = opened(desk, b"".join([*sound, *(line + b"\n" for line in ODD_LINES)]))

    [batch] = snapshot.batches()

    assert batch.serial.to_pylist() == [b"\1", b"\2"]
    assert batch.row.tolist() == [0, 3]
    found = {finding.code: finding for finding in snapshot.findings()}
    place = f"{desk.folder}/index.txt"
    assert found["line.malformed"].count == len(ODD_LINES)
    assert found["line.malformed"].severity == "error"
    assert found["line.malformed"].examples == tuple(
        f"{place}, line {at}, '{what}'" for at, what in enumerate(ODD_LINES.values(), 5)
    )
    assert found["row.serial.not-hex"].examples == (f"{place}, line 2, serial, 'zz'",)
    assert set(found) == {"line.malformed", "row.serial.not-hex"}
    assert (snapshot.rows_in, snapshot.excluded) == (4 + len(ODD_LINES), {"status": 1})
    assert snapshot.locate(0, 3) == f"{place}, line 4"


@pytest.mark.parametrize(
    ("expiry", "count"), [(b"261124000500Z", 0), (b"261124000501Z", 1), (b"20261201000000Z", 1), (b"", 1), (b"?", 0)]
)
def test_a_line_that_says_expired_before_it_has_is_an_error(desk: Desk, expiry: bytes, count: int) -> None:
    """Nobody but `updatedb` writes E, after the expiry: what else happened to the line nobody can tell."""
    snapshot = opened(desk, b"E\t" + expiry + b"\t\t0A\tunknown\t/CN=a\n" + GOOD_LINE % b"01")

    rows = [row for batch in snapshot.batches() for row in batch.row.tolist()]

    found = {finding.code: finding for finding in snapshot.findings()}
    assert ("row.expired.after-as-of" in found) == bool(count)
    if count:
        finding = found["row.expired.after-as-of"]
        assert (finding.severity, finding.count, rows) == ("error", 1, [1])
        assert finding.examples == (f"{desk.folder}/index.txt, line 1, not_after, '{expiry.decode()}'",)
        assert "5m after as_of" in finding.message


def fields_of(line: bytes) -> list[bytes] | None:
    """Split a line as TXT_DB_read of OpenSSL does (crypto/txt_db/txt_db.c), octet by octet; None: it refuses it."""
    fields, escaped = [b""], False
    for octet in line:
        if octet == ord("\t"):
            if not escaped:
                fields.append(b"")
                continue
            fields[-1] = fields[-1][:-1]
        escaped = octet == ord("\\")
        fields[-1] += bytes([octet])
    return fields if len(fields) == 6 else None


pieces = st.sampled_from(
    [b"\t", b"\t", b"\t", b"\\", b",", b"#", b"V", b"R", b"E", b"0a", b"261101000000Z", b"\x80", b"x"]
)
usual = st.tuples(
    st.sampled_from([b"V", b"R", b"E", b"S"]),
    st.just(b"270101000000Z"),
    st.sampled_from(
        [b"", b"1Z", b"1Z,", b"1Z,superseded", b"1Z,keyTIME,2Z", b"1Z,keyTime", b"1Z,x,y", b",,", b"1Z,,,"]
    ),
    st.sampled_from([b"", b"0A", b"-1", b"\\"]),
    st.sampled_from([b"", b"unknown", b"a\\\tb"]),
    st.sampled_from([b"", b"/CN=x", b"\\\t", b"\xff"]),
).map(b"\t".join)


@given(st.lists(usual | st.lists(pieces, max_size=12).map(b"".join), min_size=1, max_size=12))
def test_lines_are_taken_apart_as_openssl_does_it(tmp_path_factory: pytest.TempPathFactory, lines: list[bytes]) -> None:
    path = tmp_path_factory.mktemp("index") / "index.txt"
    path.write_bytes(b"\n".join([*lines, b""]))

    [batch] = open_file(path, "index-txt").batches(NAMES)

    rows = batch.to_pylist()
    assert len(rows) == len(lines)
    for line, row in zip(lines, rows, strict=True):
        fields = fields_of(line)
        if line.startswith(b"#"):
            assert (row["status"], row[ODD]) == ("#", None)
        elif fields is None:
            assert "6 fields" in row[ODD] or "instead of 6" in row[ODD]
        else:
            date, _, rest = fields[2].partition(b",")
            reason, _, argument = rest.partition(b",")
            names = {b"": "", b"superseded": "superseded", b"keytime": "keyCompromise" if argument else None}
            name = names.get(reason.lower())
            known = date and name is not None if fields[0] == b"R" else fields[0] in (b"V", b"E") and not fields[2]
            assert (row[ODD] is None) == bool(known and b"".join(fields[:4]).isascii())
            if row[ODD] is None:
                read = [row[column].encode() for column in ("status", "not_after", "revoked_at", "serial")]
                assert [one.replace(b"\\\t", b"\t") for one in read] == [fields[0], fields[1], date, fields[3]]
                assert row["reason"] == name


def test_all_odd_lines_are_counted_and_twenty_are_shown_from_anywhere(desk: Desk) -> None:
    lines = [GOOD_LINE % b"%x" % (at + 1) for at in range(120_000)]  # several blocks of the file
    odd = [*range(100_000, 100_050), 119_999]
    for at in odd:
        lines[at] = b"V\t\t\t\t\n"

    snapshot = opened(desk, b"".join(lines))
    rows = [row for batch in snapshot.batches() for row in batch.row.tolist()]

    [finding] = snapshot.findings()
    assert (finding.count, len(finding.examples)) == (51, 20)
    assert finding.examples[0].endswith("index.txt, line 100001, '5 field(s) instead of 6'")
    assert rows == sorted(set(range(120_000)) - set(odd))


@pytest.mark.parametrize(
    ("octets", "code"),
    [
        (b"", "file.empty"),
        (GOOD_LINE[:-1] % b"01", "file.truncated"),
        (b"PAR1\n", "file.format"),
        (b"V" * (6 << 20) + b"\n", "file.format"),
    ],
)
def test_what_is_no_database_is_refused(desk: Desk, octets: bytes, code: str) -> None:
    with pytest.raises(InputError) as caught:
        list(opened(desk, octets).batches())
    [finding] = caught.value.findings
    assert finding.code == code


def test_a_database_without_an_as_of_is_refused_with_the_option(desk: Desk) -> None:
    (desk.folder / "index.txt").write_bytes(GOOD_LINE % b"01")

    with pytest.raises(InputError) as caught:
        desk.open(None, config=INDEX)
    [finding] = caught.value.findings
    assert finding.code == "as-of.missing"
    assert "give --as-of" in finding.message


def test_an_index_of_an_issuer_lies_in_the_issuers_folder_with_what_openssl_puts_beside_it(desk: Desk) -> None:
    desk.issuers = {"r1": 1, "r2": 2}
    for name in desk.issuers:
        folder = desk.folder / "ca" / f"issuer={name}"
        folder.mkdir(parents=True)
        (folder / "index.txt").write_bytes(GOOD_LINE % b"01" * int(name[1:]))
        for companion in ("index.txt.attr", "index.txt.old", "index.txt.attr.old"):
            (folder / companion).touch()
    config = SnapshotConfig(path="ca", kind="index-txt", partitioning="hive")

    snapshot = desk.open(None, config=config, as_of=AS_OF)

    assert [batch.issuer.tolist() for batch in snapshot.batches()] == [[1], [2, 2]]
    assert snapshot.findings() == ()

    config = SnapshotConfig(path="ca/*/index.txt", kind="index-txt")
    with pytest.raises(InputError) as caught:
        desk.open(None, config=config, as_of=AS_OF)
    assert {finding.code for finding in caught.value.findings} == {"column.missing"}


@pytest.mark.parametrize("name", ["index.txt", "r1.txt", "database", "index.txt.new"])
def test_a_path_that_is_named_is_read_whatever_its_name(desk: Desk, name: str) -> None:
    (desk.folder / name).write_bytes(GOOD_LINE % b"01")

    snapshot = desk.open(desk.folder / name, config=INDEX, as_of=AS_OF)

    assert sum(map(len, snapshot.batches())) == 1


def test_a_table_is_not_taken_for_a_database_nor_the_other_way_round(desk: Desk) -> None:
    (desk.folder / "index.txt").write_bytes(GOOD_LINE % b"01")

    [finding] = desk.refusal(desk.folder / "index.txt").findings

    assert finding.code == "file.format"
    assert 'kind = "index-txt"' in finding.message


def test_memory_is_bounded_by_the_batch_even_if_all_lines_are_empty(tmp_path: Path) -> None:
    path = tmp_path / "index.txt"
    path.write_bytes(b"\n" * 300_000)

    sizes = [batch.num_rows for batch in open_file(path, "index-txt").batches(NAMES)]

    assert sum(sizes) == 300_000
    assert max(sizes) == BATCH_ROWS


def ca(folder: Path, *words: object) -> None:
    arguments = [judge("openssl"), "ca", "-config", "ca.cnf", "-batch", "-cert", "ca.pem", "-keyfile", "ca.key"]
    subprocess.run([*arguments, *map(str, words)], cwd=folder, check=True, capture_output=True)


def openssl(folder: Path, *words: object) -> None:
    subprocess.run([judge("openssl"), *map(str, words)], cwd=folder, check=True, capture_output=True)


REVOCATIONS: list[list[str]] = [
    [],
    ["-crl_reason", "unspecified"],
    ["-crl_reason", "keyCompromise"],
    ["-crl_reason", "CACompromise"],
    ["-crl_reason", "affiliationChanged"],
    ["-crl_reason", "superseded"],
    ["-crl_reason", "cessationOfOperation"],
    ["-crl_reason", "certificateHold"],
    ["-crl_hold", "holdInstructionReject"],
    ["-crl_compromise", "20260101000000Z"],
    ["-crl_CA_compromise", "20260101000000Z"],
]


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A folder with a database that `openssl ca` wrote: two good certificates, and one of each kind of revocation."""
    folder = tmp_path / "ca"
    folder.mkdir()
    (folder / "ca.cnf").write_text(CNF)
    (folder / "index.txt").touch()
    (folder / "serial").write_text("00FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFA\n")  # the top bit comes and goes
    ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    openssl(folder, "req", "-x509", *ec, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=ca", "-days", 400)
    openssl(folder, "req", *ec, "-keyout", "leaf.key", "-out", "leaf.csr", "-subj", "/CN=leaf")
    for at in range(len(REVOCATIONS) + 2):
        end = ("-days", 30) if at % 2 else ("-enddate", "20991231235959Z")
        ca(folder, *end, "-in", "leaf.csr", "-out", f"{at}.pem", "-notext")
    for at, words in enumerate(REVOCATIONS):
        ca(folder, "-revoke", f"{at}.pem", *words)
    return folder


def asked(folder: Path) -> dict[int, tuple[bool, int | None, datetime | None]]:
    """Return what `openssl ocsp` answers from the database: revoked, reason, time, by serial."""
    serials = [x509.load_pem_x509_certificate(path.read_bytes()).serial_number for path in folder.glob("[0-9]?.pem")]
    serials += [x509.load_pem_x509_certificate(path.read_bytes()).serial_number for path in folder.glob("[0-9].pem")]
    words = [word for serial in serials for word in ("-serial", f"{serial:#x}")]
    openssl(folder, "ocsp", "-issuer", "ca.pem", *words, "-no_nonce", "-reqout", "req.der")
    signer = ("-CA", "ca.pem", "-rsigner", "ca.pem", "-rkey", "ca.key")
    openssl(folder, "ocsp", "-index", "index.txt", *signer, "-reqin", "req.der", "-respout", "resp.der")
    answers = {}
    for one in ocsp.load_der_ocsp_response((folder / "resp.der").read_bytes()).responses:
        revoked = one.certificate_status is ocsp.OCSPCertStatus.REVOKED
        assert revoked or one.certificate_status is ocsp.OCSPCertStatus.GOOD
        reason = one.revocation_reason
        number = None if reason is None else list(x509.ReasonFlags).index(reason)
        answers[one.serial_number] = (revoked, number, one.revocation_time_utc)
    assert len(answers) == len(serials)
    return answers


def test_what_openssl_wrote_is_read_as_openssl_reads_it(database: Path, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    desk = Desk(tmp_path, now=now)
    config = SnapshotConfig(path="ca", kind="index-txt")

    snapshot = desk.open(None, config=config, as_of=now)
    [batch] = snapshot.batches()

    # the folder holds certificates too, which are not read
    assert [finding.code for finding in snapshot.findings()] == ["file.ignored"]
    assert "index.txt.old" not in " ".join(snapshot.findings()[0].examples)
    read = {}
    for at, serial in enumerate(batch.serial.to_pylist()):
        assert serial is not None
        revoked = batch.status[at] == REVOKED
        assert revoked or batch.status[at] == GOOD
        reason = None if batch.reason[at] == NO_REASON else int(batch.reason[at])
        moment = datetime.fromtimestamp(int(batch.revoked_at[at]), UTC) if revoked else None
        read[int.from_bytes(serial, "big", signed=True)] = (revoked, reason, moment)
    expected = {
        serial: (revoked, reason or None, moment)  # unspecified is never encoded
        for serial, (revoked, reason, moment) in asked(database).items()
    }
    assert read == expected
    assert sum(revoked for revoked, _, _ in read.values()) == len(REVOCATIONS)
    ends = {
        certificate.serial_number: int(certificate.not_valid_after_utc.timestamp())
        for path in database.glob("*.pem")
        if re.fullmatch(r"\d+\.pem", path.name)
        for certificate in [x509.load_pem_x509_certificate(path.read_bytes())]
        if len(path.name) < 8
    }
    assert dict(zip(read, batch.not_after.tolist(), strict=True)) == ends


def test_what_openssl_expires_was_valid_until_then(database: Path, tmp_path: Path) -> None:
    path = database / "index.txt"
    path.write_bytes(re.sub(rb"^V\t\d+Z", b"V\t250101000000Z", path.read_bytes(), flags=re.MULTILINE))
    ca(database, "-updatedb")
    assert path.read_bytes().count(b"E\t250101000000Z") == 2

    [batch] = Desk(tmp_path, now=datetime.now(UTC)).open(path, config=INDEX, as_of=datetime.now(UTC)).batches()

    expired = batch.not_after == 1_735_689_600
    assert batch.status[expired].tolist() == [GOOD] * 2


def test_what_to_do_about_bad_values_is_possible_for_these_files(desk: Desk) -> None:
    """Their columns cannot be declared otherwise, so no advice says so."""
    bad = [GOOD_LINE % b"xyz", GOOD_LINE % b"", GOOD_LINE % (b"11" * 22), GOOD_LINE[:14] + GOOD_LINE[15:] % b"01"]
    snapshot = opened(desk, b"".join(bad))
    list(snapshot.batches())

    found = {finding.code: finding.message for finding in snapshot.findings()}

    assert set(found) == {"row.serial.not-hex", "row.serial.empty", "row.serial.too-long", "row.time.malformed"}
    for message in found.values():
        assert "[snapshot.columns]" not in message
        assert "restore or correct these lines" in message
