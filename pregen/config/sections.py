"""The sections of the configuration file, field by field, and what each section can check by itself.

A section is frozen and holds what the file says; whatever needs another section, the disk or the clock is checked
elsewhere (`pregen.config.file`, `pregen.issuers`, `pregen.validity`). `problems` of a section yields everything that
the types alone cannot refuse.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal, TypeAlias

import msgspec

from pregen.config.columns import ColumnConfig, column_problems
from pregen.config.section import Duration, FieldProblem, Section, duration_problems, empty_problems, parse_duration
from pregen.config.upkeep import KeepConfig
from pregen.credentials import aws_credentials
from pregen.validity import PROFILES
from storage.stores import StoreAddress, StoreOptions
from storage.stores.s3_url import check_endpoint

CertIds: TypeAlias = Literal["separate", "combined", "sha1", "sha256"]
RsaPadding: TypeAlias = Literal["pkcs1v15", "pss"]


class S3Config(Section, frozen=True, kw_only=True):
    """What of an S3 store is not in its address; credentials are never in the file.

    Attributes:
        endpoint: the server's address where it is not Amazon's. Absent: as `AWS_ENDPOINT_URL_S3` or `AWS_ENDPOINT_URL`
            says.
        region: the region, such as "eu-central-1". Absent: as `AWS_REGION` or `AWS_DEFAULT_REGION` says.
    """

    endpoint: Annotated[str, msgspec.Meta(description='an address such as "https://s3.example:8333"')] | None = None
    region: str | None = None

    def problems(self) -> Iterator[FieldProblem]:
        """Yield what is wrong beyond the types."""
        if self.endpoint is not None:
            try:
                check_endpoint(self.endpoint)
            except ValueError as error:
                yield FieldProblem("config.bad-value", "endpoint", str(error))
        yield from empty_problems(region=self.region)

    @property
    def options(self) -> StoreOptions:
        """How to reach a bucket: with these, and credentials as boto3 finds them."""
        return StoreOptions(self.endpoint, self.region, aws_credentials)


class AnchorConfig(Section, frozen=True, kw_only=True):
    """Something issued by the CA itself, whose times are UTC by standard, to compare rows with; one of the two.

    Attributes:
        certificate: file of any issued certificate that is in the snapshot, PEM or DER; this or `crl`. It proves
            `not_before` and `not_after`.
        crl: file of a CRL of a configured issuer, PEM or DER; this or `certificate`. It proves `revoked_at`, and
            what it lists must not be good.
    """

    certificate: str | None = None
    crl: str | None = None

    def problems(self) -> Iterator[FieldProblem]:
        """Yield what is wrong beyond the types."""
        if bool(self.certificate) == bool(self.crl):
            yield FieldProblem(
                "config.bad-value",
                "certificate",
                "name either a certificate or a crl, one in each [[snapshot.anchor]]",
                ("crl",),
            )


class SnapshotConfig(Section, frozen=True, kw_only=True):
    """Which files are the snapshot, and how to read them.

    Attributes:
        kind: what the files are: tables ("files"), databases of `openssl ca` ("index-txt"), or tables of what was
            issued, whose revocations come from CRLs ("crl").
        path: file, glob or folder, relative to the configuration file, or ``s3://bucket/prefix`` of these; all files
            that it means are one snapshot. Needed, unless `--snapshot` names them, which wins over it.
        crls: files of CRLs, base and delta, PEM or DER, or globs of them; with kind "crl", and only there.
        partitioning: what the names of subfolders say: nothing, and they are not read ("none"), columns as in
            `issuer=r1` ("hive"), or the values of `partition_columns` ("directory").
        partition_columns: names of the columns that subfolders stand for, the outermost first; with partitioning
            "directory", and only there.
        s3: endpoint and region where `path` is on S3.
        anchor: what times and labels are compared with: sections ``[[snapshot.anchor]]``.
        keep_expired: how long after `not_after` answers are still made; "all": for ever.
        as_of: the instant for which the snapshot is complete: when its export began. `--as-of` wins over it. Absent: as
            the files' metadata (`pregen.as_of`) or `as_of_file` say.
        as_of_file: the name of a file that lies in the folder of `path` and holds that instant as text, for files that
            cannot hold it themselves, such as CSV. Not beside `as_of`.
        columns: where the columns are not called and written as Pregen's own: the name that the files use, or a table
            with the fields of a column. Not with kind "index-txt".
    """

    kind: Literal["files", "index-txt", "crl"] = "files"
    path: str | None = None
    crls: str | tuple[str, ...] = ()
    partitioning: Literal["none", "hive", "directory"] = "none"
    partition_columns: tuple[str, ...] = ()
    s3: S3Config = S3Config()
    anchor: tuple[AnchorConfig, ...] = ()
    keep_expired: Annotated[str, msgspec.Meta(description='a duration such as "4d", or "all"')] = "0d"
    as_of: Annotated[datetime, msgspec.Meta(tz=True, description="an instant with its zone")] | None = None
    as_of_file: str | None = None
    columns: dict[str, str | ColumnConfig] = {}  # noqa: RUF012 each section gets its own from msgspec

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

    def problems(self) -> Iterator[FieldProblem]:
        """Yield what is wrong beyond the types."""
        yield from empty_problems(crls=self.crl_files, partition_columns=self.partition_columns)
        if bool(self.crl_files) != (self.kind == "crl"):
            yield FieldProblem(
                "config.bad-value", "crls", 'CRLs and kind = "crl" belong together: name both or neither', ("kind",)
            )
        if bool(self.partition_columns) != (self.partitioning == "directory"):
            text = 'belongs to partitioning = "directory" alone: set that, or leave it out'
            if not self.partition_columns:
                text = (
                    'is needed with partitioning = "directory", whose folders are values of columns: name them: '
                    'partition_columns = ["issuer", ...], the outermost folder first'
                )
            yield FieldProblem("config.bad-value", "partition_columns", text, ("partitioning",))
        if self.as_of_file is not None:
            yield from self._as_of_file_problems(self.as_of_file)
        if self.kind == "index-txt" and self.columns:
            yield FieldProblem(
                "config.bad-value", "columns", "an index.txt has no other columns than its own: leave it out", ("kind",)
            )
        if self.keep_expired != "all":
            yield from duration_problems("keep_expired", self.keep_expired)
        for canonical, source in self.columns.items():
            column = ColumnConfig(name=source) if isinstance(source, str) else source
            for problem in column_problems(canonical, column):
                yield problem._replace(field=f"columns.{canonical}{problem.field}")

    def _as_of_file_problems(self, name: str) -> Iterator[FieldProblem]:
        if self.as_of is not None:
            yield FieldProblem("config.bad-value", "as_of_file", "as_of says it already: name one of them", ("as_of",))
        if not name or "/" in name or name in {".", ".."}:
            text = f"{name!r} is no name of a file: it lies in the folder of the snapshot, so leave the folders out"
            yield FieldProblem("config.bad-value", "as_of_file", text)


ProfileName: TypeAlias = Literal[
    "strict", "cabf-tls", "cabf-smime", "cabf-cs", "mozilla", "microsoft", "offline-ca", "lab"
]


class IssuerValidityConfig(Section, frozen=True, kw_only=True):
    """What differs from ``[validity]`` for one issuer; what is absent is as there.

    Attributes:
        profile: the rules for this issuer.
        lifetime: how long its answers are valid.
        backdate: how much earlier they begin.
        end_with_certificate: whether they may not be valid for longer than their certificates.
    """

    profile: ProfileName | None = None
    lifetime: Duration | None = None
    backdate: Duration | None = None
    end_with_certificate: bool | None = None


# How to configure several keys of one CA, whose rows one column calls alike.
SEVERAL_KEYS = (
    "where the issuer column calls the certificates of several keys alike, export what tells them apart (such as the "
    "authority key identifier) and name that column, issuer_key in [snapshot.columns]: rows are then called by both, "
    'name = "r1/5a3c..."; where nothing tells them apart, also = "r1" in the second section answers all rows of r1 '
    "under its key as well"
)


class IssuerConfig(Section, frozen=True, kw_only=True):
    """One issuer, which is one name and one key, and who signs its answers.

    Attributes:
        name: what the issuer column calls it; several where a database labels cross-certificates apart. No two issuers
            share one.
        certificate: file of the issuer's certificate, PEM or DER; several for cross-certificates, and where its name is
            written in several encodings, each of which gets answers.
        also: names of other issuers whose rows are answered for this one as well: another key of the same CA, where
            nothing tells whose certificates the rows are.
        responder_certificate: file of the delegated responder's certificate, PEM or DER; as PEM, it may hold one for
            each encoding of the issuer's name. Absent: the issuer signs itself.
        key: file of the signer's private key, PEM or DER, PKCS#8: the responder's, or the issuer's own where no
            responder is named.
        key_passphrase_env: the environment variable that holds the key's passphrase. Absent: the key has none.
        rsa_padding: how an RSA key signs; "pss": with SHA-256, MGF1 with SHA-256 and a salt of 32 octets. Other keys
            must not say "pss".
        responder_id: how answers name their signer.
        cert_ids: which CertIDs get answers: "separate": SHA-1 and SHA-256, one response for each; "combined": one
            response for both (RFC 9919), which docs/clients.md says who refuses; or one of them alone.
        validity: what differs from ``[validity]`` for this issuer: its section is ``[issuer.validity]``.
        empty: whether it has issued nothing yet, so that a snapshot without a row of it is right.
        on_trouble: what becomes of a run where its certificate or its responder's has ended, or its key cannot be
            opened: nothing is published ("refuse"), or the other issuers are, and its own answers stay until they run
            out ("leave-behind"): docs/operations.md says what that means for its revocations.
    """

    name: str | tuple[str, ...]
    certificate: str | tuple[str, ...]
    also: str | tuple[str, ...] = ()
    responder_certificate: str | None = None
    key: str
    key_passphrase_env: str | None = None
    rsa_padding: RsaPadding = "pkcs1v15"
    responder_id: Literal["by-key", "by-name"] = "by-key"
    cert_ids: CertIds = "separate"
    validity: IssuerValidityConfig = IssuerValidityConfig()
    empty: bool = False
    on_trouble: Literal["refuse", "leave-behind"] = "refuse"

    @property
    def names(self) -> tuple[str, ...]:
        """Every name of the issuer, one at least."""
        return (self.name,) if isinstance(self.name, str) else self.name

    @property
    def others(self) -> tuple[str, ...]:
        """Every name of another issuer whose rows are answered for this one as well."""
        return (self.also,) if isinstance(self.also, str) else self.also

    @property
    def certificates(self) -> tuple[str, ...]:
        """Every certificate file of the issuer, one at least."""
        return (self.certificate,) if isinstance(self.certificate, str) else self.certificate

    def problems(self) -> Iterator[FieldProblem]:
        """Yield what is wrong beyond the types."""
        for field, values, remedy in (
            ("name", self.names, "write what the issuer column calls it"),
            ("certificate", self.certificates, "name the file of the issuer's certificate"),
        ):
            if not values or not all(values):
                yield FieldProblem("config.bad-value", field, f"must not be empty: {remedy}")
        if not self.key:
            yield FieldProblem("config.bad-value", "key", "must not be empty: name the file of the private key")
        yield from empty_problems(
            also=self.others,
            responder_certificate=self.responder_certificate,
            key_passphrase_env=self.key_passphrase_env,
        )


class ValidityConfig(Section, frozen=True, kw_only=True):
    """How long answers are valid.

    Attributes:
        profile: the rules that windows and reasons of revocation must obey: docs/profiles.md.
        lifetime: how long an answer is valid, from thisUpdate to nextUpdate, both ends included; which lengths are
            allowed depends on the profile.
        backdate: how much earlier an answer begins than it was known to be right, which is at the earlier of `as_of`
            and the start of the run; less than the lifetime, which it consumes.
        end_with_certificate: whether no answer may be valid for longer than its certificate; needs the column
            `not_after`. docs/profiles.md says what it costs.
    """

    profile: ProfileName = "strict"
    lifetime: Duration = "4d"
    backdate: Duration = "0s"
    end_with_certificate: bool = False

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

    def problems(self) -> Iterator[FieldProblem]:
        """Yield what is wrong beyond the types."""
        bad = [*duration_problems("lifetime", self.lifetime), *duration_problems("backdate", self.backdate)]
        yield from bad
        if bad:
            return
        if problem := PROFILES[self.profile].lifetime_problem(self.lifetime_span):
            yield FieldProblem("config.lifetime", "lifetime", problem, ("profile",))
        if self.backdate_span >= self.lifetime_span:
            text = f"must be shorter than the lifetime of {self.lifetime}, else answers would be born expired"
            yield FieldProblem("config.bad-value", "backdate", text, ("lifetime",))


USUAL_SPOOL = "/var/tmp"  # noqa: S108 a place on disk, not /tmp; the spool makes its own folder of mode 0700


class RunConfig(Section, frozen=True, kw_only=True):
    """Who does the work, and where it spills.

    Attributes:
        workers: worker processes; 0: one for each CPU that this process may use. `--workers` wins over it.
        engine: who computes the signatures (`pregen engines` shows which work here); "auto": for each algorithm the
            fastest that works. `--engine` wins over it.
        spool: folder for spill files, relative to the configuration file; 48 octets a row must be free. They are
            removed at the end; the journal of a run that was stopped stays there, for the next one to go on from. A
            store (``s3://bucket/prefix``) is for ``--cluster`` alone; journals, and rows of what runs without, are in
            /var/tmp then.
    """

    workers: Annotated[int, msgspec.Meta(ge=0)] = 0
    engine: Literal["auto", "multibuffer", "awslc", "software"] = "auto"
    spool: str = USUAL_SPOOL

    def problems(self) -> Iterator[FieldProblem]:
        """Yield what is wrong beyond the types."""
        yield from empty_problems(spool=self.spool)
        try:
            StoreAddress(self.spool)
        except ValueError as error:
            if self.spool:
                yield FieldProblem("config.bad-value", "spool", str(error))


class ClusterConfig(Section, frozen=True, kw_only=True):
    """How the workers of a Dask cluster are reached (`--cluster`), and what they have.

    Attributes:
        config: configuration file of each worker, on its own machine, which names its keys. Absent: where this one is
            here.
        tls_ca: certificates that those of scheduler and workers are signed with, PEM.
        tls_certificate: our own certificate, PEM, that the scheduler asks for.
        tls_key: the private key of it, PEM.
        task_timeout: after how long a worker that has not done a task counts as hanging, and others get its tasks.
    """

    config: str | None = None
    tls_ca: str | None = None
    tls_certificate: str | None = None
    tls_key: str | None = None
    task_timeout: Duration = "30m"

    @property
    def task_timeout_s(self) -> float:
        """After how long a worker counts as hanging, in seconds."""
        return parse_duration(self.task_timeout).total_seconds()

    def problems(self) -> Iterator[FieldProblem]:
        """Yield what is wrong beyond the types."""
        yield from empty_problems(
            config=self.config, tls_ca=self.tls_ca, tls_certificate=self.tls_certificate, tls_key=self.tls_key
        )
        yield from duration_problems("task_timeout", self.task_timeout)


class PublishConfig(Section, frozen=True, kw_only=True):
    """Where the answers go.

    Attributes:
        store: ``s3://bucket/prefix``, ``file:///folder`` or a path relative to the configuration file.
        s3: endpoint and region where `store` is on S3.
        keep: which old generations stay: what nothing keeps is removed at the end of each run. Absent: nothing is ever
            removed by a run.
    """

    store: str
    s3: S3Config = S3Config()
    keep: KeepConfig = KeepConfig()

    def problems(self) -> Iterator[FieldProblem]:
        """Yield what is wrong beyond the types."""
        try:
            StoreAddress(self.store)
        except ValueError as error:
            yield FieldProblem("config.bad-value", "store", str(error))
