"""The sections of the configuration file, field by field, and what each section can check by itself.

A section is frozen and holds what the file says; whatever needs another section, the disk or the clock is checked
elsewhere (`pregen.config.file`, `pregen.issuers`, `pregen.validity`). `problems` of a section yields everything that
the types alone cannot refuse.
"""

import difflib
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Annotated, Literal, NamedTuple, TypeAlias

import msgspec

from pregen.validity import PROFILES
from pregen.zones import zone_problem

COLUMNS = ("issuer", "serial", "status", "revoked_at", "reason", "not_before", "not_after", "kind", "needs_ocsp")
TIMES = ("revoked_at", "not_before", "not_after")
SERIAL_ENCODINGS = ("binary", "unsigned-binary", "hex", "decimal")
TIME_ENCODINGS = (
    "timestamp",
    "date",
    "iso8601",
    "epoch-s",
    "epoch-ms",
    "epoch-us",
    "epoch-ns",
    "utctime",
    "generalizedtime",
    "asn1",
)
KINDS = ("ca", "end-entity")
TRUTHS = ("true", "false")
STATUSES = ("good", "revoked", "unknown", "excluded")
# CRLReason (RFC 5280, 5.3.1); 7 is unused, and 8 (removeFromCRL) exists only in delta CRLs.
REASONS: Mapping[str, int] = MappingProxyType(
    {
        "unspecified": 0,
        "keyCompromise": 1,
        "cACompromise": 2,
        "affiliationChanged": 3,
        "superseded": 4,
        "cessationOfOperation": 5,
        "certificateHold": 6,
        "privilegeWithdrawn": 9,
        "aACompromise": 10,
    }
)
CertIds: TypeAlias = Literal["separate", "combined", "sha1", "sha256"]
RsaPadding: TypeAlias = Literal["pkcs1v15", "pss"]
_DURATION = re.compile(r"(\d{1,12})([smhd])", re.ASCII)
_ENDPOINT = re.compile(r"https?://[^/]")
_UNITS_S = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d:[0-5]\d", re.ASCII)
_VALUES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "status": STATUSES,
        "reason": (*REASONS, *map(str, REASONS.values()), "absent"),
        "kind": KINDS,
        "needs_ocsp": TRUTHS,
    }
)
_CENTURY = timedelta(days=36_525)


class Problem(NamedTuple):
    """What is wrong with one field: a code for `Finding`, the field's place within its section, and what to do."""

    code: str
    field: str
    text: str


def parse_duration(text: str) -> timedelta:
    """Return the duration that a text such as ``90m`` names: an integer and one of s, m, h, d.

    >>> parse_duration("4d")
    datetime.timedelta(days=4)

    Raises:
        ValueError: another form, or more than a century (far beyond any certificate, and safe to add to any date).
    """
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a duration: write an integer and one of s, m, h, d, such as 4d")
    duration_s = int(match[1]) * _UNITS_S[match[2]]
    if duration_s > _CENTURY.total_seconds():
        raise ValueError(f"{text!r} is more than a century: a day is d, an hour h, a minute m, a second s")
    return timedelta(seconds=duration_s)


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of the configuration file."""

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong beyond the types."""
        yield from ()


class ColumnConfig(Section, frozen=True, kw_only=True):
    """Where one canonical column comes from, and how it is written there.

    Attributes:
        name: the column's name in the files; its canonical name when absent.
        encoding: how a serial (`SERIAL_ENCODINGS`, else "binary") or a time (`TIME_ENCODINGS`) is written; a time's
            may be absent where its type leaves no doubt.
        values: canonical value to the texts that mean it (columns of codes alone).
        zone: of times that name none: a name of the IANA time zone database, or "UTC".
        ambiguous: which instant a local time is that a clock change has made occur twice.
        nonexistent: which instant a local time is that a clock change has skipped: the first one after the gap, or the
            last second before it.
        time_of_day: of dates, ``HH:MM:SS``.
    """

    name: str | None = None
    encoding: str | None = None
    values: dict[str, list[str]] | None = None
    zone: str | None = None
    ambiguous: Literal["error", "earliest", "latest"] = "error"
    nonexistent: Literal["error", "shift-forward", "shift-backward"] = "error"
    time_of_day: str | None = None


class S3Config(Section, frozen=True, kw_only=True):
    """What of an S3 store is not in its address; credentials are never in the file."""

    endpoint: str | None = None
    region: str | None = None

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong beyond the types."""
        if self.endpoint is not None and not _ENDPOINT.match(self.endpoint):
            text = f"{self.endpoint!r} is no address: write http://host:port or https://host"
            yield Problem("config.bad-value", "endpoint", text)


class AnchorConfig(Section, frozen=True, kw_only=True):
    """Something issued by the CA itself, whose times are UTC by standard, to compare rows with; one of the two.

    Attributes:
        certificate: file of any issued certificate that is in the snapshot, PEM or DER.
        crl: file of a CRL of a configured issuer, PEM or DER.
    """

    certificate: str | None = None
    crl: str | None = None

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong beyond the types."""
        if bool(self.certificate) == bool(self.crl):
            yield Problem("config.bad-value", "certificate", "name either a certificate or a crl")


class SnapshotConfig(Section, frozen=True, kw_only=True):
    """Which files are the snapshot, and how to read them.

    Attributes:
        kind: what the files are: tables ("files"), databases of `openssl ca` ("index-txt"), or tables of issued
            serials whose revocations come from CRLs ("crl").
        path: file, glob or folder, relative to the configuration file, or ``s3://bucket/prefix``; `--snapshot` wins
            over it.
        crls: files of CRLs, base and delta, or globs of them (kind "crl" alone).
        partitioning: what the names of subfolders say: nothing (they are not read), columns as ``name=value``
            ("hive"), or the values of `partition_columns` ("directory").
        partition_columns: names of the columns that subfolders stand for, the outermost first.
        s3: where `path` is on S3.
        anchor: what to compare times with.
        keep_expired: how long after not_after answers are still made: a duration, or "all".
        as_of: the instant for which the snapshot is complete, in whole UTC seconds.
        columns: canonical name to the column's name in the files, or to a `ColumnConfig`.
    """

    kind: Literal["files", "index-txt", "crl"] = "files"
    path: str | None = None
    crls: str | tuple[str, ...] = ()
    partitioning: Literal["none", "hive", "directory"] = "none"
    partition_columns: tuple[str, ...] = ()
    s3: S3Config = S3Config()
    anchor: tuple[AnchorConfig, ...] = ()
    keep_expired: str = "0d"
    as_of: Annotated[datetime, msgspec.Meta(tz=True)] | None = None
    columns: dict[str, str | ColumnConfig] = {}

    def __post_init__(self) -> None:
        if self.as_of is not None:  # as `clock.parse_instant` does: a fraction is cut towards the past
            msgspec.structs.force_setattr(self, "as_of", self.as_of.astimezone(UTC).replace(microsecond=0))

    @property
    def keep_expired_s(self) -> int | None:
        """How long after not_after answers are still made, in seconds; None: for ever."""
        if self.keep_expired == "all":
            return None
        return int(parse_duration(self.keep_expired).total_seconds())

    @property
    def crl_files(self) -> tuple[str, ...]:
        """Every CRL file, or glob."""
        return (self.crls,) if isinstance(self.crls, str) else self.crls

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong beyond the types."""
        if bool(self.crl_files) != (self.kind == "crl"):
            yield Problem("config.bad-value", "crls", 'CRLs and kind = "crl" belong together: name both or neither')
        if bool(self.partition_columns) != (self.partitioning == "directory"):
            text = 'belongs to partitioning = "directory" alone: set that, or leave it out'
            if not self.partition_columns:
                text = (
                    'is needed with partitioning = "directory", whose folders are values of columns: name them: '
                    'partition_columns = ["issuer", ...], the outermost folder first'
                )
            yield Problem("config.bad-value", "partition_columns", text)
        if self.kind == "index-txt" and self.columns:
            yield Problem("config.bad-value", "columns", "an index.txt has no other columns than its own: leave it out")
        if self.keep_expired != "all":
            yield from _duration_problems("keep_expired", self.keep_expired)
        for canonical, source in self.columns.items():
            column = ColumnConfig(name=source) if isinstance(source, str) else source
            for problem in _column_problems(canonical, column):
                yield problem._replace(field=f"columns.{canonical}{problem.field}")


ProfileName: TypeAlias = Literal["strict", "cabf-tls", "cabf-cs", "mozilla", "microsoft", "lab"]


class IssuerValidityConfig(Section, frozen=True, kw_only=True):
    """What differs from ``[validity]`` for one issuer; what is absent is as there."""

    profile: ProfileName | None = None
    lifetime: str | None = None
    backdate: str | None = None


class IssuerConfig(Section, frozen=True, kw_only=True):
    """One issuer, which is one name and one key, and who signs its answers.

    Attributes:
        name: what the issuer column calls it; several where a database labels cross-certificates apart.
        certificate: file of the issuer's certificate; several for cross-certificates.
        responder_certificate: file of the delegated responder's certificate; absent: the issuer signs itself.
        key: file of the signer's private key, PEM or DER PKCS#8.
        key_passphrase_env: the environment variable that holds the key's passphrase.
        rsa_padding: how an RSA key signs; PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 octets.
        responder_id: how answers name their signer.
        cert_ids: which CertID hashes get answers; "combined": both, two SingleResponses under one signature (RFC 9919).
        validity: what differs from the section ``[validity]``.
    """

    name: str | tuple[str, ...]
    certificate: str | tuple[str, ...]
    responder_certificate: str | None = None
    key: str
    key_passphrase_env: str | None = None
    rsa_padding: RsaPadding = "pkcs1v15"
    responder_id: Literal["by-key", "by-name"] = "by-key"
    cert_ids: CertIds = "separate"
    validity: IssuerValidityConfig = IssuerValidityConfig()

    @property
    def names(self) -> tuple[str, ...]:
        """Every name of the issuer, one at least."""
        return (self.name,) if isinstance(self.name, str) else self.name

    @property
    def certificates(self) -> tuple[str, ...]:
        """Every certificate file of the issuer, one at least."""
        return (self.certificate,) if isinstance(self.certificate, str) else self.certificate

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong beyond the types."""
        for field, values in (("name", self.names), ("certificate", self.certificates)):
            if not values or not all(values):
                yield Problem("config.bad-value", field, "must not be empty")
        for field, value in (("key", self.key), ("responder_certificate", self.responder_certificate)):
            if value == "":
                yield Problem("config.bad-value", field, "must not be empty: name a file, or leave the field out")


class ValidityConfig(Section, frozen=True, kw_only=True):
    """How long answers are valid.

    Attributes:
        profile: the rules that a window must obey (`pregen.validity.PROFILES`).
        lifetime: length of a window, both ends included.
        backdate: how much earlier than it was known to be right an answer begins; it consumes the lifetime.
    """

    profile: ProfileName = "strict"
    lifetime: str = "4d"
    backdate: str = "0s"

    def changed_by(self, other: IssuerValidityConfig | None) -> "ValidityConfig":
        """Return what holds for an issuer that has a section of its own."""
        if other is None:
            return self
        given = {field: value for field in other.__struct_fields__ if (value := getattr(other, field)) is not None}
        return msgspec.structs.replace(self, **given)

    @property
    def lifetime_span(self) -> timedelta:
        """Length of a window, both ends included."""
        return parse_duration(self.lifetime)

    @property
    def backdate_span(self) -> timedelta:
        """How much earlier an answer begins."""
        return parse_duration(self.backdate)

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong beyond the types."""
        bad = [*_duration_problems("lifetime", self.lifetime), *_duration_problems("backdate", self.backdate)]
        yield from bad
        if bad:
            return
        if problem := PROFILES[self.profile].lifetime_problem(self.lifetime_span):
            yield Problem("config.lifetime", "lifetime", problem)
        if self.backdate_span >= self.lifetime_span:
            text = f"must be shorter than the lifetime of {self.lifetime}, else answers would be born expired"
            yield Problem("config.bad-value", "backdate", text)


class RunConfig(Section, frozen=True, kw_only=True):
    """Who does the work, and where it spills.

    Attributes:
        workers: worker processes; 0: one for each CPU that this process may use.
        engine: name of the signer engine (`pregen engines` lists them), or "auto".
        spool: folder for spill files, relative to the configuration file.
    """

    workers: Annotated[int, msgspec.Meta(ge=0)] = 0
    engine: Literal["auto", "multibuffer", "awslc", "software"] = "auto"
    spool: str = "/var/tmp"  # noqa: S108 a default place on disk, not /tmp; the spool makes its own folder of mode 0700


class Limit(Section, frozen=True, kw_only=True):
    """How much of something is usual; what exceeds it stops a run. In the file, what is absent is the gate's default.

    Attributes:
        share: of the certificates that are compared, 0 to 1.
        count: of certificates.
    """

    share: Annotated[float, msgspec.Meta(ge=0, le=1_000)]
    count: Annotated[int, msgspec.Meta(ge=0)]


class GatesConfig(Section, frozen=True, kw_only=True):
    """What of a snapshot is so unusual that it is not published (`pregen.gates`).

    Attributes:
        skew: how far times may lie ahead of as_of.
        shrink: certificates that vanished without expiring; refused where share or count is exceeded.
        growth: more certificates than before; refused where share and count are exceeded.
        issuer_missing: configured issuers that had certificates, and now have none.
        unrevoke: certificates that were revoked, other than held, and no longer are.
        mass_revocation: newly revoked certificates; warned of where share and count are exceeded.
        stale_snapshot: greatest age of as_of at the start of the run; absent: a day under public profiles.
        duplicate: rows that repeat another one; refused where share and count are exceeded.
        rows_invalid: rows that cannot be read.
    """

    skew: str = "5m"
    shrink: Limit = Limit(share=0.001, count=100)
    growth: Limit = Limit(share=1.0, count=10_000)
    issuer_missing: Annotated[int, msgspec.Meta(ge=0)] = 0
    unrevoke: Annotated[int, msgspec.Meta(ge=0)] = 0
    mass_revocation: Limit = Limit(share=0.01, count=100)
    stale_snapshot: str | None = None
    duplicate: Limit = Limit(share=0.01, count=100)
    rows_invalid: Annotated[int, msgspec.Meta(ge=0)] = 0

    @property
    def skew_s(self) -> int:
        """How far times may lie ahead of as_of, in seconds."""
        return int(parse_duration(self.skew).total_seconds())

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong beyond the types."""
        yield from _duration_problems("skew", self.skew)
        if self.stale_snapshot is not None:
            yield from _duration_problems("stale_snapshot", self.stale_snapshot)


class PublishConfig(Section, frozen=True, kw_only=True):
    """Where the answers go: ``s3://bucket/prefix``, ``file:///folder`` or a path relative to the configuration file."""

    store: str
    s3: S3Config = S3Config()

    def problems(self) -> Iterator[Problem]:
        """Yield what is wrong beyond the types."""
        if text := _address_problem(self.store):
            yield Problem("config.bad-value", "store", text)


def _duration_problems(field: str, text: str) -> Iterator[Problem]:
    try:
        parse_duration(text)
    except ValueError as error:
        yield Problem("config.duration", field, str(error))


def _column_problems(canonical: str, column: ColumnConfig) -> Iterator[Problem]:
    if column.name == "":
        yield Problem("config.bad-value", "", "must not be empty: name the column as the files call it")
    yield from _encoding_problems(canonical, column)
    if column.values is None:
        return
    known = _VALUES.get(canonical)
    if known is None:
        yield Problem("config.bad-value", ".values", f"only the columns {', '.join(_VALUES)} translate values")
        return
    meanings: dict[str, str] = {}
    for meaning, texts in column.values.items():
        if meaning not in known:
            text = f"{meaning!r} is no {canonical}: the keys are {', '.join(known)}"
            yield Problem("config.bad-value", ".values", text)
        for text in texts:
            if meanings.setdefault(text, meaning) != meaning:
                both = f"{text!r} cannot mean both {meanings[text]} and {meaning}: keep one of them"
                yield Problem("config.bad-value", ".values", both)


def _encoding_problems(canonical: str, column: ColumnConfig) -> Iterator[Problem]:
    """Yield what is wrong with how a serial or a time is said to be written."""
    known = SERIAL_ENCODINGS if canonical == "serial" else TIME_ENCODINGS if canonical in TIMES else ()
    if column.encoding is not None and column.encoding not in known:
        text = f"{column.encoding!r} is not one of {', '.join(known)}" if known else "only serials and times have one"
        if near := difflib.get_close_matches(column.encoding, known, n=1):
            text += f"; did you mean {near[0]!r}?"
        yield Problem("config.bad-value", ".encoding", text)
    if canonical not in TIMES:
        for field in ("zone", "ambiguous", "nonexistent", "time_of_day"):
            if getattr(column, field) not in {None, "error"}:
                yield Problem("config.bad-value", f".{field}", "only times have one")
        return
    if column.zone is None and "error" not in {column.ambiguous, column.nonexistent}:
        yield Problem("config.bad-value", ".zone", "is needed where clock changes are to be dealt with")
    if column.zone is not None and (problem := zone_problem(column.zone)):
        yield Problem("config.bad-value", ".zone", problem)
    if column.time_of_day is not None and not _TIME_OF_DAY.fullmatch(column.time_of_day):
        yield Problem("config.bad-value", ".time_of_day", f"{column.time_of_day!r} is not HH:MM:SS")


def _address_problem(address: str) -> str | None:
    possible = "write s3://bucket/prefix, file:///folder or a path"
    scheme, separator, rest = address.partition("://")
    if not address:
        return f"must not be empty: {possible}"
    if address.startswith("memory:"):
        return f"a memory store ends with its process and is for tests alone: {possible}"
    if not separator:
        return None
    if scheme == "file":
        return None if rest.startswith("/") else f"{address!r} needs three slashes, as in file:///var/lib/pregen"
    if scheme == "s3":
        return None if rest.strip("/") and not rest.startswith("/") else f"{address!r} names no bucket: {possible}"
    return f"{address!r} is no store that is known here: {possible}"
