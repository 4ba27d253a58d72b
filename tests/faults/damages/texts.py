"""CSV, and index.txt of `openssl ca`: texts that people and programs cut off, convert and edit."""

import bz2
import gzip
from collections.abc import Callable

from tests.faults.damages.kinds import Damage, Make, rfc3339, utc_time
from tests.pki import DAY
from tests.pregen.cli.ca import SERIALS, Ca, Value

_HEX = {"serial": {"encoding": "hex"}}
Change = Callable[[bytes], bytes]


def csv(change: Change, **columns: Value) -> Make:
    """Return what exports the usual rows as CSV instead, and then changes the octets."""

    def make(ca: Ca) -> None:
        ca.configure(snapshot={"path": "day.csv", "as_of": ca.now, "columns": {**_HEX, **columns}})
        good, revoked, unknown = (f"{serial:x}" for serial in SERIALS)
        rows = ["serial,status,revoked_at", f"{good},good,", f"{revoked},revoked,2026-01-02T03:04:05Z"]
        text = "".join(f"{row}\n" for row in [*rows, f"{unknown},unknown,"])
        (ca.folder / "day.csv").write_bytes(change(text.encode()))

    return make


def index_txt(change: Change) -> Make:
    """Return what makes a database of the usual certificates instead, all of them valid or revoked."""

    def make(ca: Ca) -> None:
        ca.configure(snapshot={"path": "index.txt", "kind": "index-txt", "as_of": ca.now})
        ends, revoked_at = utc_time(ca.now + 60 * DAY), "260102030405Z,keyCompromise"
        good, revoked, unknown = (f"{serial:018X}" for serial in SERIALS)
        lines = [f"V\t{ends}\t\t{good}\tunknown\t/CN=a", f"R\t{ends}\t{revoked_at}\t{revoked}\tunknown\t/CN=b"]
        text = "".join(f"{line}\n" for line in [*lines, f"V\t{ends}\t\t{unknown}\tunknown\t/CN=c"])
        (ca.folder / "index.txt").write_bytes(change(text.encode()))

    return make


def _revoked_soon(ca: Ca) -> None:
    csv(lambda data: data.replace(b"2026-01-02T03:04:05Z", rfc3339(ca.now + DAY).encode()))(ca)


def put(old: bytes, new: bytes) -> Change:
    """Return what replaces something that is there."""

    def change(data: bytes) -> bytes:
        assert old in data
        return data.replace(old, new, 1)

    return change


def _flipped(data: bytes) -> bytes:
    octets = bytearray(gzip.compress(data))
    octets[-7] ^= 1  # of its checksum
    return bytes(octets)


def _utf16(data: bytes) -> bytes:
    return data.decode().encode("utf-16")


CSV = [
    Damage(name="UTF-16", make=csv(_utf16), code="file.encoding", file="day.csv", remedy="export it as UTF-8"),
    Damage(
        name="Latin-1 in a value",
        make=csv(put(b"unknown", b"unkn\xf6wn")),
        code="file.damaged",
        file="day.csv",
        place="row 3",
        column="column 'status'",
        value="invalid UTF8",
        remedy="export it again",
    ),
    Damage(
        name="Latin-1 in the header",
        make=csv(put(b"status", b"st\xe4tus")),
        code="file.damaged",
        file="day.csv",
        value="utf-8",
        remedy="export it again",
    ),
    Damage(
        name="packed",
        make=csv(lambda data: bz2.compress(data) + b"\n"),
        code="file.format",
        file="day.csv",
        value="bzip2",
        remedy="unpack it",
    ),
    Damage(
        name="row with a field too few",
        make=csv(put(b"ff,unknown,", b"ff,unknown")),
        code="file.damaged",
        file="day.csv",
        place="row 3",
        value="Expected 3 columns, got 2: ff,unknown",
        remedy="export it again",
    ),
    Damage(
        name="row with a field too many",
        make=csv(put(b"11,good,", b"11,good,,")),
        code="file.damaged",
        file="day.csv",
        place="row 1",
        value="Expected 3 columns, got 4: 11,good,,",
        remedy="export it again",
    ),
    Damage(
        name="cut off within the last row",
        make=csv(lambda data: data[:-4]),
        code="file.truncated",
        file="day.csv",
        remedy="export it again, or append the line end",
    ),
    Damage(
        name="quotation mark that is not closed",
        make=csv(lambda data: data + b'aa,good,"\n'),
        code="file.truncated",
        file="day.csv",
        value="a quotation mark is opened and never closed",
        remedy="quotation marks are doubled",
    ),
    Damage(
        name="header alone",
        make=csv(lambda data: data.splitlines(keepends=True)[0]),
        code="snapshot.no-rows",
        file="day.csv",
        remedy="look whether the export worked",
    ),
    Damage(
        name="line ends alone",
        make=csv(lambda _: b"\n\r\n\n"),
        code="file.damaged",
        file="day.csv",
        value="Empty CSV file",
        remedy="export it again",
    ),
    Damage(
        name="semicolons",
        make=csv(lambda data: data.replace(b",", b";")),
        code="file.separator",
        file="day.csv",
        value="separated by semicolons",
        remedy="export it with commas",
    ),
    Damage(
        name="tabs",
        make=csv(lambda data: data.replace(b",", b"\t")),
        code="file.separator",
        file="day.csv",
        value="separated by tabs",
        remedy="export it with commas",
    ),
    Damage(
        name="UTF-16 without a mark",
        make=csv(lambda data: data.decode().encode("utf-16-le")),
        code="file.encoding",
        file="day.csv",
        value="UTF-16 without a mark",
        remedy="export it as UTF-8",
    ),
    Damage(
        name="packed and cut off",
        make=csv(lambda data: gzip.compress(data)[:-9]),
        code="file.damaged",
        file="day.csv",
        remedy="export it again",
    ),
    Damage(
        name="packed and damaged",
        make=csv(_flipped),
        code="file.damaged",
        file="day.csv",
        remedy="export it again",
    ),
    Damage(
        name="cut off and packed",
        make=csv(lambda data: gzip.compress(data[:-1])),
        code="file.truncated",
        file="day.csv",
        remedy="export it again, or append the line end",
    ),
    Damage(
        name="two columns of one name",
        make=csv(put(b"revoked_at", b"serial")),
        code="column.duplicate",
        file="day.csv",
        column="2 columns are called 'serial'",
        remedy="export it once",
    ),
    Damage(
        name="name between spaces",
        make=csv(put(b",status,", b", status ,")),
        code="column.similar",
        file="day.csv",
        column="column ' status '",
        remedy='status = " status "',
    ),
    Damage(
        name="NUL in a name",
        make=csv(put(b"status", b"sta\0tus")),
        code="column.similar",
        file="day.csv",
        column="column 'sta\\x00tus'",
        remedy="rename it in the export",
    ),
    Damage(
        name="NUL in a serial",
        make=csv(put(b"\n11,", b"\n1\0001,")),
        code="row.serial.not-hex",
        file="day.csv",
        place="row 1",
        column="serial",
        value="'1\\x001'",
        remedy="correct the rows",
    ),
    Damage(
        name="line end within a serial",
        make=csv(put(b"\n11,", b'\n"1\n1",')),
        code="row.serial.not-hex",
        file="day.csv",
        place="row 1",
        column="serial",
        value="'1\\n1'",
        remedy="correct the rows",
    ),
    Damage(
        name="letters beyond f",
        make=csv(put(b"\n11,", b"\n11xy,")),
        code="row.serial.not-hex",
        file="day.csv",
        place="row 1",
        column="serial",
        value="'11xy'",
        remedy='set serial.encoding = "decimal"',
    ),
    Damage(
        name="prefix without a number",
        make=csv(put(b"\n11,", b"\n0x,")),
        code="row.serial.not-hex",
        file="day.csv",
        place="row 1",
        column="serial",
        value="'0x'",
        remedy="correct the rows",
    ),
    Damage(
        name="empty serial",
        make=csv(put(b"\n11,", b"\n,")),
        code="row.serial.empty",
        file="day.csv",
        place="row 1",
        column="serial",
        value="''",
        remedy="export a serial for every certificate",
    ),
    Damage(
        name="45 hexadecimal digits",
        make=csv(put(b"\n11,", b"\n1" + b"0" * 44 + b",")),
        code="row.serial.too-long",
        file="day.csv",
        place="row 1",
        column="serial",
        value="'1" + "0" * 44 + "'",
        remedy="look for another kind of serial",
    ),
    Damage(
        name="spreadsheet's number",
        make=csv(lambda _: b"serial,status\n1.1E+01,good\n", serial={"encoding": "decimal"}),
        code="row.serial.rounded",
        file="day.csv",
        place="row 1",
        column="serial",
        value="'1.1E+01'",
        remedy="export them again as text",
        also=("shrink.vanished", "issuer.vanished"),
    ),
    Damage(
        name="empty status",
        make=csv(put(b"good", b" ")),
        code="row.status.null",
        file="day.csv",
        place="row 1",
        column="status",
        value="' '",
        remedy="export the status of every certificate",
    ),
    Damage(
        name="status of nobody's",
        make=csv(put(b"unknown", b"lost")),
        code="row.status.unknown",
        file="day.csv",
        place="row 3",
        column="status",
        value="'lost'",
        remedy="map them to good, revoked, unknown or excluded",
    ),
    Damage(
        name="time without a zone",
        make=csv(put(b"05Z", b"05")),
        code="row.time.not-utc",
        file="day.csv",
        place="row 2",
        column="revoked_at",
        value="'2026-01-02T03:04:05'",
        remedy="append Z, or declare the zone",
    ),
    Damage(
        name="30 February",
        make=csv(put(b"2026-01-02", b"2026-02-30")),
        code="row.time.malformed",
        file="day.csv",
        place="row 2",
        column="revoked_at",
        value="'2026-02-30T03:04:05Z'",
        remedy="write RFC 3339",
    ),
    Damage(
        name="hour 24",
        make=csv(put(b"T03:04:05Z", b"T24:00:00Z")),
        code="row.time.malformed",
        file="day.csv",
        place="row 2",
        column="revoked_at",
        value="'2026-01-02T24:00:00Z'",
        remedy="hour 24 and second 60 are not taken",
    ),
    Damage(
        name="yesterday",
        make=csv(put(b"2026-01-02T03:04:05Z", b"yesterday")),
        code="row.time.malformed",
        file="day.csv",
        place="row 2",
        column="revoked_at",
        value="'yesterday'",
        remedy="write RFC 3339",
    ),
    Damage(
        name="epoch of more than 64 bits",
        make=csv(put(b"2026-01-02T03:04:05Z", b"9" * 20), revoked_at={"encoding": "epoch-s"}),
        code="row.time.out-of-range",
        file="day.csv",
        place="row 2",
        column="revoked_at",
        value="'" + "9" * 20 + "'",
        remedy="look whether its unit is the declared one",
    ),
    Damage(
        name="revoked tomorrow",
        make=_revoked_soon,
        code="row.revoked.after-as-of",
        file="day.csv",
        place="row 2",
        column="revoked_at",
        remedy="either as_of is too early",
    ),
]

_LINE = "restore or correct them; none may be left out"
INDEX_TXT = [
    Damage(
        name="no octet", make=index_txt(lambda _: b""), code="file.empty", file="index.txt", remedy="export it again"
    ),
    Damage(
        name="cut off within the last line",
        make=index_txt(lambda data: data[:-1]),
        code="file.truncated",
        file="index.txt",
        remedy="copy it again",
    ),
    Damage(
        name="a table",
        make=index_txt(lambda data: b"PAR1" + data),
        code="file.format",
        file="index.txt",
        remedy='set kind = "files" in [snapshot]',
    ),
    Damage(
        name="line of six megabytes",
        make=index_txt(lambda data: data + b"V" * (6 << 20) + b"\n"),
        code="file.format",
        file="index.txt",
        place="line 4",
        remedy="this is no index.txt",
    ),
    Damage(
        name="five fields",
        make=index_txt(put(b"\tunknown\t/CN=c", b"\t/CN=c")),
        code="line.malformed",
        file="index.txt",
        place="line 3",
        value="5 field(s) instead of 6",
        remedy=_LINE,
    ),
    Damage(
        name="blanks instead of tabs",
        make=index_txt(lambda data: data.splitlines(keepends=True)[0].replace(b"\t", b" ") + data.partition(b"\n")[2]),
        code="line.malformed",
        file="index.txt",
        place="line 1",
        value="no tab, so no 6 fields",
        remedy=_LINE,
    ),
    Damage(
        name="BOM",
        make=index_txt(lambda data: b"\xef\xbb\xbf" + data),
        code="line.malformed",
        file="index.txt",
        place="line 1",
        value="octets that are neither printable nor ASCII",
        remedy=_LINE,
    ),
    Damage(
        name="NUL",
        make=index_txt(put(b"/CN=b", b"/CN=\0")),
        code="line.malformed",
        file="index.txt",
        place="line 2",
        value="octets that are neither printable nor ASCII",
        remedy=_LINE,
    ),
    Damage(
        name="another status",
        make=index_txt(put(b"V\t", b"S\t")),
        code="line.malformed",
        file="index.txt",
        place="line 1",
        value="the status is none of V, E and R",
        remedy=_LINE,
    ),
    Damage(
        name="expired, and is still valid",
        make=index_txt(put(b"V\t", b"E\t")),
        code="row.expired.after-as-of",
        file="index.txt",
        place="line 1",
        column="not_after",
        remedy="look whether as_of is right",
    ),
    Damage(
        name="revoked without a time",
        make=index_txt(put(b"260102030405Z,keyCompromise", b"")),
        code="line.malformed",
        file="index.txt",
        place="line 2",
        value="revoked without a time of revocation",
        remedy=_LINE,
    ),
    Damage(
        name="valid with a time of revocation",
        make=index_txt(put(b"R\t", b"V\t")),
        code="line.malformed",
        file="index.txt",
        place="line 2",
        value="a time of revocation, but not revoked",
        remedy=_LINE,
    ),
    Damage(
        name="unknown reason",
        make=index_txt(put(b"keyCompromise", b"stolen")),
        code="line.malformed",
        file="index.txt",
        place="line 2",
        value="an unknown reason of revocation",
        remedy=_LINE,
    ),
    Damage(
        name="removeFromCRL",
        make=index_txt(put(b"keyCompromise", b"removeFromCRL")),
        code="line.malformed",
        file="index.txt",
        place="line 2",
        value="removeFromCRL means that it is not revoked, R that it is",
        remedy=_LINE,
    ),
    Damage(
        name="pseudo reason without its argument",
        make=index_txt(put(b"keyCompromise", b"keyTime")),
        code="line.malformed",
        file="index.txt",
        place="line 2",
        value="a reason without its argument",
        remedy=_LINE,
    ),
    Damage(
        name="month 13",
        make=index_txt(put(b"260102", b"261302")),
        code="row.time.malformed",
        file="index.txt",
        place="line 2",
        column="revoked_at",
        value="'261302030405Z'",
        remedy="restore or correct these lines",
    ),
    Damage(
        name="time without Z",
        make=index_txt(put(b"260102030405Z", b"260102030405+0100")),
        code="row.time.malformed",
        file="index.txt",
        place="line 2",
        column="revoked_at",
        value="'260102030405+0100'",
        remedy="restore or correct these lines",
    ),
    Damage(
        name="serial that is no number",
        make=index_txt(put(b"0000000000000000FF", b"unknown")),
        code="row.serial.not-hex",
        file="index.txt",
        place="line 3",
        column="serial",
        value="'unknown'",
        remedy="restore or correct these lines",
    ),
    Damage(
        name="serial of 22 octets",
        make=index_txt(put(b"0000000000000000FF", b"11" * 22)),
        code="row.serial.too-long",
        file="index.txt",
        place="line 3",
        column="serial",
        value="'" + "11" * 22 + "'",
        remedy="restore or correct these lines",
    ),
    Damage(
        name="one certificate valid and revoked",
        make=index_txt(put(b"1234567890ABCDEF12", b"000000000000000011")),
        code="row.conflict",
        file="index.txt",
        place="line 2",
        column="column serial",
        value="11: contradicts",
        remedy="decide at the source",
    ),
]
