"""CRLs that must not be used, and anchors that cannot be."""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypedDict, Unpack

import pyarrow as pa
from cryptography.hazmat.primitives.serialization import Encoding

from tests.faults.damages.kinds import Damage, Make
from tests.pki import DAY, Party, make_issuer, make_key, make_responder
from tests.pregen.cli.ca import GOOD, REVOKED, Ca, Value, instants
from tests.pregen.snapshot.crls.authority import Digest, Entry, damaged, forged, pem

HOUR = timedelta(hours=1)
Octets = Callable[[Ca], bytes]


def revoked(
    ca: Ca,
    *,
    serial: int = REVOKED,
    at: datetime | None = None,
    reason: int | None = None,
    extensions: tuple[tuple[str, bool, bytes], ...] = (),
) -> Entry:
    """Return the entry of the one revoked certificate."""
    return Entry(serial=serial, at=at or ca.now - HOUR, reason=reason, extensions=extensions)


class Changes(TypedDict, total=False):
    """What a CRL is made with, other than usual."""

    number: int
    base_number: int
    this_update: datetime
    next_update: datetime | None
    scope: Mapping[str, object]
    extensions: Sequence[tuple[str, bool, bytes]]
    digest: Digest
    encoded_default: bool


def made(ca: Ca, *entries: Entry, issuer: Party | None = None, **changes: Unpack[Changes]) -> bytes:
    """Return a CRL of now."""
    usual: Changes = {"this_update": ca.now, "next_update": ca.now + 7 * DAY}
    all_of_them: Changes = {**usual, **changes}
    return forged(issuer or ca.issuer, entries or (revoked(ca),), **all_of_them)


def crl(octets: Octets, *, delta: Octets | None = None, **snapshot: Value) -> Make:
    """Return what takes revocations from `base.crl`, and from `delta.crl` if there is one."""

    def make(ca: Ca) -> None:
        ca.configure(snapshot={"kind": "crl", "crls": "*.crl", **snapshot})
        ca.export(status=None, revoked_at=None, reason=None)
        (ca.folder / "base.crl").write_bytes(octets(ca))
        if delta is not None:
            (ca.folder / "delta.crl").write_bytes(delta(ca))

    return make


def _unreadable(
    name: str, octets: Octets, value: str, remedy: str = "name a CRL, PEM or DER, or fetch it again"
) -> Damage:
    return Damage(
        name=name,
        make=crl(octets),
        code="crl.unreadable",
        file="base.crl",
        value=value,
        remedy=remedy,
        also=("crl.missing",),
    )


def _with_cas(ca: Ca) -> None:
    crl(lambda same: made(same, scope={"only_contains_user_certs": True}))(ca)
    ca.export(status=None, revoked_at=None, reason=None, kind=pa.array(["ca", None, None]))


def _before_as_of(ca: Ca) -> None:
    crl(lambda same: made(same, this_update=same.now - HOUR), as_of=ca.now)(ca)


CRLS = [
    _unreadable("no octet", lambda _: b"", "0 available"),
    _unreadable("no CRL", lambda _: b"garbage", "holds no CRL"),
    _unreadable("cut off", lambda ca: made(ca)[:-20], "Insufficient data"),
    _unreadable("an octet behind the end", lambda ca: made(ca) + b"\0", "1 bytes of trailing data"),
    _unreadable("a certificate", lambda ca: ca.pem.read_bytes(), "without a block X509 CRL"),
    _unreadable("PEM without its end", lambda ca: pem(made(ca))[:-30], "no BEGIN/END"),
    _unreadable(
        "number given twice",
        lambda ca: made(ca, extensions=[("2.5.29.20", False, b"\2\1\7")]),
        "the extension 2.5.29.20 stands there twice",
        "issue it again as RFC 5280, 5.1 and 5.2, has it",
    ),
    Damage(
        name="no file",
        make=crl(made, crls="no*.crl"),
        code="crl.unreadable",
        file="no*.crl",
        remedy="correct crls in [snapshot]",
        also=("crl.missing",),
    ),
    Damage(
        name="wrong signature",
        make=crl(lambda ca: damaged(made(ca))),
        code="crl.signature",
        file="base.crl",
        value="the issuer 'r1'",
        remedy="it is damaged, or another key's; fetch it again",
    ),
    Damage(
        name="another key of the same name",
        make=crl(lambda ca: made(ca, issuer=make_issuer())),
        code="crl.signature",
        file="base.crl",
        value="was not made with its key",
        remedy="fetch it again",
    ),
    Damage(
        name="MD5",
        make=crl(lambda ca: made(ca, issuer=make_issuer(key=make_key("rsa2048")), digest="md5")),
        code="crl.weak-signature",
        file="base.crl",
        value="md5",
        remedy="issue it with SHA-256",
    ),
    Damage(
        name="another issuer",
        make=crl(lambda ca: made(ca, issuer=make_issuer("Stranger"))),
        code="crl.unknown-issuer",
        file="base.crl",
        value="stranger",
        remedy="add [[issuer]] for it, or leave it out",
        also=("crl.missing",),
    ),
    Damage(
        name="unknown critical extension",
        make=crl(lambda ca: made(ca, extensions=[("1.2.3.4", True, b"\5\0")])),
        code="crl.critical-extension",
        file="base.crl",
        value="1.2.3.4",
        remedy="issue one without them",
    ),
    Damage(
        name="unknown critical extension of an entry",
        make=crl(lambda ca: made(ca, revoked(ca, extensions=(("1.2.3.4", True, b"\5\0"),)))),
        code="crl.critical-extension",
        file="base.crl",
        place="serial",
        value=f"{REVOKED:x}",
        remedy="issue CRLs without them",
    ),
    Damage(
        name="thisUpdate in the future",
        make=crl(lambda ca: made(ca, this_update=ca.now + HOUR)),
        code="crl.future",
        file="base.crl",
        value="its thisUpdate is later than now",
        remedy="look at the clocks",
    ),
    Damage(
        name="expired",
        make=crl(
            lambda ca: made(
                ca, revoked(ca, at=ca.now - 3 * DAY), this_update=ca.now - 2 * DAY, next_update=ca.now - DAY
            )
        ),
        code="crl.expired",
        file="base.crl",
        value="newer revocations are missing",
        remedy="fetch the newest",
    ),
    Damage(
        name="about CA certificates alone",
        make=crl(lambda ca: made(ca, scope={"only_contains_ca_certs": True})),
        code="crl.scope",
        file="base.crl",
        value="onlyContainsCACerts",
        remedy="add the CRL that is about them",
    ),
    Damage(
        name="about end-entity certificates alone, and rows of CAs",
        make=_with_cas,
        code="crl.scope",
        file="base.crl",
        value="onlyContainsUserCerts",
        remedy="add the CRL that is about them",
    ),
    Damage(
        name="about no certificates",
        make=crl(lambda ca: made(ca, scope={"only_contains_user_certs": True, "only_contains_ca_certs": True})),
        code="crl.partial",
        file="base.crl",
        value="about none",
        remedy="name CRLs that tell all",
    ),
    Damage(
        name="an entry of next week",
        make=crl(lambda ca: made(ca, revoked(ca, at=ca.now + 7 * DAY))),
        code="crl.entry-late",
        file="base.crl",
        value=f"{REVOKED:x}",
        remedy="issue the CRL again",
    ),
    Damage(
        name="entries that differ",
        make=crl(lambda ca: made(ca, revoked(ca), revoked(ca, reason=1))),
        code="crl.repeated",
        file="base.crl",
        value=f"{REVOKED:x}",
        remedy="issue it again",
    ),
    Damage(
        name="no entry that is listed",
        make=crl(lambda ca: made(ca, *(revoked(ca, serial=REVOKED + 1 + number) for number in range(10)))),
        code="crl.none-listed",
        file="base.crl",
        value=f"{REVOKED + 1:x}",
        remedy="look how serials are encoded",
        also=("revocation.undone",),
    ),
    Damage(
        name="indirect",
        make=crl(lambda ca: made(ca, scope={"indirect_crl": True})),
        code="crl.indirect",
        file="base.crl",
        value="indirectCRL",
        remedy="issue direct CRLs",
    ),
    Damage(
        name="some reasons alone",
        make=crl(lambda ca: made(ca, scope={"only_some_reasons": {"key_compromise"}})),
        code="crl.partial",
        file="base.crl",
        value="onlySomeReasons",
        remedy="name CRLs that tell all",
    ),
    Damage(
        name="reason 7",
        make=crl(lambda ca: made(ca, revoked(ca, reason=7))),
        code="crl.entry",
        file="base.crl",
        place="serial",
        value=f"{REVOKED:x}",
        remedy="issue the CRL again",
    ),
    Damage(
        name="removeFromCRL in a base",
        make=crl(lambda ca: made(ca, revoked(ca, reason=8))),
        code="crl.entry",
        file="base.crl",
        place="serial",
        value=f"{REVOKED:x}",
        remedy="issue the CRL again",
    ),
    Damage(
        name="revoked in 1969",
        make=crl(lambda ca: made(ca, revoked(ca, at=datetime(1969, 12, 31, tzinfo=UTC)))),
        code="crl.entry",
        file="base.crl",
        place="serial",
        value=f"{REVOKED:x}",
        remedy="a time before 1970 or after 2106",
    ),
    Damage(
        name="serial of 29 octets",
        make=crl(lambda ca: made(ca, revoked(ca, serial=1 << 228))),
        code="crl.entry",
        file="base.crl",
        place="serial",
        value="1" + "0" * 57,
        remedy="issue the CRL again",
    ),
    Damage(
        name="delta alone",
        make=crl(lambda ca: made(ca, number=8, base_number=7)),
        code="crl.delta-without-base",
        file="base.crl",
        remedy="name the base too",
    ),
    Damage(
        name="delta of a newer base",
        make=crl(made, delta=lambda ca: made(ca, number=10, base_number=9)),
        code="crl.delta-without-base",
        file="delta.crl",
        value="it changes the base number 9",
        remedy="name that base, or a newer one",
    ),
    Damage(
        name="older than as_of",
        make=_before_as_of,
        code="crl.before-as-of",
        value="is later than the earliest thisUpdate",
        remedy="fetch newer CRLs, give that as_of, or none",
    ),
]


def anchor(field: str, octets: Octets | None, *, export: Make | None = None) -> Make:
    """Return what names an anchor, whose file holds these octets; None: there is no file."""
    name = "any.pem" if field == "certificate" else "any.crl"

    def make(ca: Ca) -> None:
        ca.configure(snapshot={"anchor": [{field: name}]})
        if octets is not None:
            (ca.folder / name).write_bytes(octets(ca))
        if export is not None:
            export(ca)

    return make


def issued(ca: Ca, issuer: Party | None = None, serial: int = GOOD) -> bytes:
    """Return a certificate that was issued a day ago."""
    party = make_responder(
        issuer or ca.issuer, serial=serial, not_before=ca.now - DAY, not_after=ca.now + DAY, key=ca.responder.key
    )
    return party.certificate.public_bytes(Encoding.PEM)


def _hours_late(ca: Ca) -> None:
    ca.export(not_before=instants(*[ca.now - DAY - 7 * HOUR] * 3))


def _without_a_proof(ca: Ca) -> None:
    times = pa.array([None, (ca.now - DAY).replace(tzinfo=None), None], pa.timestamp("ms"))
    ca.configure(snapshot={"columns": {"revoked_at": {"zone": "Asia/Kathmandu"}}})
    ca.export(revoked_at=times)


_FIX = "correct the file, or name another in [[snapshot.anchor]]"
ANCHORS = [
    Damage(
        name="no certificate",
        make=anchor("certificate", lambda _: b"garbage"),
        code="certificate.unreadable",
        file="any.pem",
        value="holds no certificate",
        remedy="1 anchor cannot be used; correct",
        exit_code=2,
        error="configuration",
    ),
    Damage(
        name="no file of a certificate",
        make=anchor("certificate", None),
        code="certificate.unreadable",
        file="any.pem",
        value="No such file",
        remedy="1 anchor cannot be used; correct",
        exit_code=2,
        error="configuration",
    ),
    Damage(
        name="certificate of another issuer",
        make=anchor("certificate", lambda ca: issued(ca, make_issuer("Stranger"))),
        code="anchor.unknown-issuer",
        file="any.pem",
        remedy=_FIX,
        exit_code=2,
        error="configuration",
    ),
    Damage(
        name="certificate of another key",
        make=anchor("certificate", lambda ca: issued(ca, make_issuer())),
        code="anchor.signature",
        file="any.pem",
        remedy=_FIX,
        exit_code=2,
        error="configuration",
    ),
    Damage(
        name="no CRL",
        make=anchor("crl", lambda _: b"garbage"),
        code="anchor.unreadable",
        file="any.crl",
        value="holds no CRL",
        remedy="or name another in [[snapshot.anchor]]",
        exit_code=2,
        error="configuration",
    ),
    Damage(
        name="CRL with a wrong signature",
        make=anchor("crl", lambda ca: damaged(made(ca))),
        code="anchor.signature",
        file="any.crl",
        remedy=_FIX,
        exit_code=2,
        error="configuration",
    ),
    Damage(
        name="certificate without a row",
        make=anchor("certificate", lambda ca: issued(ca, serial=0x99)),
        code="time.anchor-not-found",
        file="any.pem",
        value="serial 99",
        remedy="look why the export leaves it out",
        error="gate",
    ),
    Damage(
        name="certificate that was issued seven hours later",
        make=anchor("certificate", issued, export=_hours_late),
        code="time.anchor-mismatch",
        column="column 'not_before'",
        value=f"serial {GOOD:x}",
        remedy="its times are local ones of a zone at -07:00, not UTC: correct the export",
        error="gate",
    ),
    Damage(
        name="declared zone that nothing proves",
        make=_without_a_proof,
        code="time.no-anchor",
        column="column 'revoked_at'",
        value="Asia/Kathmandu",
        remedy='add [[snapshot.anchor]] with crl = "issuer.crl"',
        error="gate",
    ),
]
