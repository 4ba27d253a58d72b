"""The entries of a CRL, by columns (RFC 5280, 5.3).

With cryptography a million entries (42 MB) take ten seconds on one core, in a process that grows to 250 MiB. For CRLs
that cryptography refuses there is asn1crypto, which needs ten times as long.

Of an entry's extensions the reason counts. An invalidityDate is not copied into answers: no client asks for it there,
nor does anybody ask whether it is one.
"""

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import pyarrow as pa
from asn1crypto import core
from asn1crypto import crl as asn1
from cryptography import x509
from numpy.typing import NDArray

from pregen import clock
from pregen.errors import MAX_EXAMPLES
from pregen.reasons import CRL_REASONS
from pregen.snapshot.batch import NO_REASON
from pregen.snapshot.octets import binary_array

LAST_REVOCATION_S = 2**32 - 1  # a record of the store holds the time in 32 bits
SERIAL_WIDTH = 24  # octets; longer than that of any certificate
# All of them seen from asn1crypto, for octets that are something else or are damaged.
ASN1_ERRORS = (ValueError, TypeError, LookupError, AttributeError, OverflowError)

_REASON, _HOLD_INSTRUCTION, _INVALIDITY_DATE, _CERTIFICATE_ISSUER = "2.5.29.21", "2.5.29.23", "2.5.29.24", "2.5.29.29"
_KNOWN = frozenset({_REASON, _HOLD_INSTRUCTION, _INVALIDITY_DATE, _CERTIFICATE_ISSUER})
_NO_REASON_CODE = -2
_NUMBERS = frozenset(CRL_REASONS.values())
_EntryRow = tuple[
    int, int, int, str
]  # serial, seconds since 1970, reason, and the code of what is wrong with the entry


@dataclass(slots=True)
class OddEntries:
    """Entries that cannot be used for one reason: how many, and the first serials."""

    count: int = 0
    serials: list[str] = field(default_factory=list)

    def note(self, serial: int) -> None:
        """Count one more."""
        self.count += 1
        if len(self.serials) < MAX_EXAMPLES:
            self.serials.append(f"{serial:x}")


@dataclass(frozen=True, slots=True)
class CrlEntries:
    """The entries of a CRL, by columns, in its order.

    Attributes:
        serial: content octets of the DER INTEGERs, minimal.
        revoked_at: int64[n], seconds since 1970, within 0 .. 2**32 - 1.
        reason: int8[n], CRLReason 0-6 and 8-10, or `NO_REASON` where the entry has none.
        odd: what is not among them, by the code of a finding: ``crl.critical-extension``, ``crl.indirect``,
            ``crl.entry``.
    """

    serial: pa.BinaryArray
    revoked_at: NDArray[np.int64]
    reason: NDArray[np.int8]
    odd: Mapping[str, OddEntries]

    def __len__(self) -> int:
        return len(self.revoked_at)

    def filtered(self, keep: NDArray[np.bool_]) -> "CrlEntries":
        """Return the entries where `keep`, bool[n], is true, and none of the odd ones."""
        return CrlEntries(self.serial.filter(pa.array(keep)), self.revoked_at[keep], self.reason[keep], {})


NO_CRL_ENTRIES = CrlEntries(pa.array([], pa.binary()), np.empty(0, np.int64), np.empty(0, np.int8), {})


def strict_entries(crl: x509.CertificateRevocationList, der: bytes) -> CrlEntries:
    """Return the entries of a CRL that cryptography reads; `der` is all of it.

    Raises:
        one of `ASN1_ERRORS`: they cannot be read.
    """
    return _columns(_strict_rows(crl, der))


def loose_entries(der: bytes) -> CrlEntries:
    """Return the entries of a CRL that cryptography refuses.

    Raises:
        one of `ASN1_ERRORS`: they cannot be read.
    """
    return _columns(_loose_rows(der))


def seconds_of(instant: object) -> int:
    """Return what asn1crypto makes of a time, in seconds since 1970.

    Raises:
        ValueError: it is none.
    """
    if not isinstance(instant, datetime):
        raise ValueError("a time that is none")  # noqa: TRY004 - of the file, not of an argument
    return clock.seconds(instant)


def _strict_rows(crl: x509.CertificateRevocationList, der: bytes) -> Iterator[_EntryRow]:
    listed: asn1.RevokedCertificates | None = None
    for at, entry in enumerate(crl):
        reason, odd = NO_REASON, ""
        try:
            extensions = entry.extensions
        except (ValueError, x509.DuplicateExtension):  # by any of them, also by one whose value is not used
            listed = listed or asn1.CertificateList.load(der)["tbs_cert_list"]["revoked_certificates"]
            reason, odd = _loose_extensions(listed[at])
        else:
            for one in extensions:
                value = one.value
                if isinstance(value, x509.CRLReason):
                    reason = CRL_REASONS[value.reason.value]
                elif isinstance(value, x509.CertificateIssuer):
                    odd = "crl.indirect"
                elif one.critical and one.oid.dotted_string not in _KNOWN:
                    odd = "crl.critical-extension"
        yield entry.serial_number, int(entry.revocation_date_utc.timestamp()), reason, odd


def _loose_rows(der: bytes) -> Iterator[_EntryRow]:
    for entry in asn1.CertificateList.load(der)["tbs_cert_list"]["revoked_certificates"] or ():
        reason, odd = _loose_extensions(entry)
        yield entry["user_certificate"].native, seconds_of(entry["revocation_date"].native), reason, odd


def _loose_extensions(entry: asn1.RevokedCertificate) -> tuple[int, str]:
    """Return the reason that an entry gives, and the code of what is wrong with its extensions.

    Their values are looked into where they count alone: an invalidityDate may be any octets.
    """
    given, odd = set[int](), ""
    for one in entry["crl_entry_extensions"] or ():
        oid, critical, octets = plain_extension(one)
        if oid == _REASON:
            given.add(_reason_of(octets))
        elif oid == _CERTIFICATE_ISSUER:
            odd = "crl.indirect"
        elif critical and oid not in _KNOWN:
            odd = "crl.critical-extension"
    reason = next(iter(given), NO_REASON)
    return reason, odd or ("crl.entry" if len(given) > 1 or not given <= _NUMBERS else "")


def plain_extension(extension: core.Sequence) -> tuple[str, bool, bytes]:
    """Return OID, critical flag and the octets of the value, which asn1crypto's own types would look into."""
    parts = core.Sequence.load(extension.dump())
    oid = core.ObjectIdentifier.load(parts[0].dump()).dotted
    is_critical = len(parts) > 2 and bool(core.Boolean.load(parts[1].dump()).native)
    return oid, is_critical, core.OctetString.load(parts[len(parts) - 1].dump()).native


def _reason_of(octets: bytes) -> int:
    """Return the number of a reasonCode, or -2 where it is none."""
    try:
        return int.from_bytes(core.Enumerated.load(octets, strict=True).contents, "big")
    except ASN1_ERRORS:
        return _NO_REASON_CODE


def _columns(rows: Iterator[_EntryRow]) -> CrlEntries:
    serials, seconds, reasons = bytearray(), array("q"), array("b")
    odd: dict[str, OddEntries] = {}
    for serial, second, reason, fault in rows:
        if fault or not 0 <= second <= LAST_REVOCATION_S or serial.bit_length() >= 8 * SERIAL_WIDTH:
            odd.setdefault(fault or "crl.entry", OddEntries()).note(serial)
            continue
        serials += serial.to_bytes(SERIAL_WIDTH, "big", signed=True)
        seconds.append(second)
        reasons.append(reason)
    matrix = np.frombuffer(serials, np.uint8).reshape(-1, SERIAL_WIDTH)
    return CrlEntries(minimal_serials(matrix), np.array(seconds, np.int64), np.array(reasons, np.int8), odd)


def minimal_serials(matrix: NDArray[np.uint8]) -> pa.BinaryArray:
    """Return big-endian two's complement numbers, uint8[n, width], in as few octets as they need (X.690, 8.3.2)."""
    sign = np.where(matrix[:, :1] >> 7, np.uint8(0xFF), np.uint8(0))
    significant = matrix != sign
    significant[:, -1] = True
    first = significant.argmax(axis=1)
    flipped = (np.take_along_axis(matrix, first[:, None], axis=1) ^ sign)[:, 0] >> 7
    size = SERIAL_WIDTH - first + flipped
    return binary_array(matrix[np.arange(SERIAL_WIDTH) >= (SERIAL_WIDTH - size)[:, None]], size)
