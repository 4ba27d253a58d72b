"""Folders that stand for columns, and configurations that contradict themselves or the files."""

from datetime import timedelta

import pyarrow as pa

from tests.faults.damages.kinds import Damage, Make, columns, octets, snapshot
from tests.pregen.cli.ca import SERIALS, Ca, instants
from tests.pregen.cli.ca import octets as contents

_HIVE = 'partitioning = "directory" or "none" in [snapshot]'


def spread(*folders: str, partitioning: str = "hive", **more: str | list[str]) -> Make:
    """Return what lays the usual rows into the folders, one row into each, in turn."""

    def make(ca: Ca) -> None:
        ca.configure(snapshot={"path": "lake", "partitioning": partitioning, **more})
        for number in range(len(SERIALS)):
            folder = ca.folder / "lake" / folders[number % len(folders)]
            folder.mkdir(parents=True, exist_ok=True)
            row(ca, number, f"lake/{folders[number % len(folders)]}/{number}.parquet")

    return make


def row(ca: Ca, number: int, to: str) -> None:
    """Export one of the usual rows."""
    revoked = instants(ca.now - timedelta(hours=1) if number == 1 else None)
    status = pa.array([number], pa.uint8())
    ca.export(to=to, serial=contents(SERIALS[number]), status=status, revoked_at=revoked, reason=None)


FOLDERS = [
    Damage(
        name="folder without a name",
        make=spread("issuer=r1", "r1"),
        code="partition.scheme",
        file="lake/r1/1.parquet",
        remedy=_HIVE,
    ),
    Damage(
        name="folders that name one column twice",
        make=spread("issuer=r1/issuer=r1"),
        code="partition.repeated",
        file="lake/issuer=r1/issuer=r1/0.parquet",
        remedy="a file has one value of each",
    ),
    Damage(
        name="stray percent sign",
        make=spread("issuer=r1", "issuer=r%1"),
        code="partition.encoding",
        file="lake/issuer=r%1/1.parquet",
        remedy="write %25 for a percent sign",
    ),
    Damage(
        name="percent-encoded octets that are no UTF-8",
        make=spread("issuer=r1", "issuer=%FF"),
        code="partition.encoding",
        file="lake/issuer=%FF/1.parquet",
        remedy="write %25 for a percent sign",
    ),
    Damage(
        name="folders of different depths",
        make=spread("issuer=r1", "issuer=r1/day=1"),
        code="partition.depth",
        file="lake/issuer=r1/day=1/1.parquet",
        value="has issuer, day",
        remedy="put all files below the same columns",
    ),
    Damage(
        name="folder too few",
        make=spread("r1/1", "r1", partitioning="directory", partition_columns=["issuer", "day"]),
        code="partition.depth",
        file="lake/r1/1.parquet",
        value="lies 1 folder(s) deep, and partition_columns in [snapshot] names 2 (issuer, day)",
        remedy="name one column for each folder",
    ),
    Damage(
        name="column that the files have too",
        make=spread("status=good"),
        code="partition.column",
        file="lake/status=good/0.parquet",
        column="column 'status'",
        value="'good'",
        remedy="export it without the column, or rename the folder",
        also=("partition.column", "partition.column"),
    ),
    Damage(
        name="folder of another issuer",
        make=spread("issuer=r1", "issuer=r2"),
        code="row.issuer.unknown",
        file="lake/issuer=r2/1.parquet",
        place="row 1",
        column="issuer",
        value="'r2'",
        remedy="add [[issuer]]",
    ),
    Damage(
        name="folder of no issuer",
        make=spread("issuer=r1", "issuer=__HIVE_DEFAULT_PARTITION__"),
        code="row.issuer.null",
        file="lake/issuer=__HIVE_DEFAULT_PARTITION__/1.parquet",
        place="row 1",
        column="issuer",
        value="null",
        remedy="export the issuer of every certificate",
    ),
    Damage(
        name="folders that nobody declared",
        make=spread("issuer=r1", partitioning="none"),
        code="file.missing",
        file="lake",
        remedy='set partitioning = "hive" in [snapshot]',
    ),
]


def _mistake(name: str, make: Make, field: str, remedy: str, code: str = "config.bad-value", value: str = "") -> Damage:
    """Return a mistake of the configuration: file, field, what stands there, and what belongs there."""
    return Damage(
        name=name,
        make=make,
        code=code,
        file="pregen.toml",
        column=field,
        value=value,
        remedy=remedy,
        exit_code=2,
        error="configuration",
    )


CONFIGURATIONS = [
    _mistake("no TOML", octets("pregen.toml", lambda data: data + b"[snapshot"), "", "not TOML", "config.syntax"),
    _mistake("no UTF-8", octets("pregen.toml", lambda data: data + b"# \xff\n"), "", "UTF-8", "config.syntax"),
    _mistake(
        "unknown field", snapshot(colums={}), "snapshot.colums", "did you mean 'columns'?", "config.unknown-field"
    ),
    _mistake(
        "unknown column",
        columns(serail="SN"),
        "snapshot.columns.serail",
        "did you mean 'serial'?",
        "config.unknown-field",
    ),
    _mistake(
        "unknown kind", snapshot(kind="excel"), "snapshot.kind", "is not one of files, index-txt, crl", value="'excel'"
    ),
    _mistake(
        "unknown zone",
        columns(revoked_at={"zone": "America/Denvr"}),
        "snapshot.columns.revoked_at.zone",
        "America/Denver",
        value="America/Denvr",
    ),
    _mistake(
        "encoding that serials have not",
        columns(serial={"encoding": "base64"}),
        "snapshot.columns.serial.encoding",
        "is not one of binary, unsigned-binary, hex, decimal",
        value="'base64'",
    ),
    _mistake(
        "zone of a serial",
        columns(serial={"zone": "UTC"}),
        "snapshot.columns.serial.zone",
        "only times have one",
    ),
    _mistake(
        "one text that means two things",
        columns(status={"values": {"good": ["V"], "revoked": ["V"]}}),
        "snapshot.columns.status.values",
        "keep one of them",
        value="'V' cannot mean both good and revoked",
    ),
    _mistake(
        "meaning that there is not",
        columns(status={"values": {"fine": ["V"]}}),
        "snapshot.columns.status.values",
        "the keys are good, revoked, unknown, excluded",
        value="'fine'",
    ),
    _mistake("CRLs of another kind", snapshot(crls="*.crl"), "snapshot.crls", "name both or neither"),
    _mistake(
        "partition columns of nothing",
        snapshot(partition_columns=["issuer"]),
        "snapshot.partition_columns",
        'belongs to partitioning = "directory" alone',
    ),
    _mistake(
        "columns of an index.txt",
        snapshot(kind="index-txt", columns={"serial": "SN"}),
        "snapshot.columns",
        "leave it out",
    ),
    _mistake(
        "anchor that is neither",
        snapshot(anchor=[{}]),
        "snapshot.anchor",
        "name either a certificate or a crl",
    ),
    _mistake(
        "duration without a unit",
        snapshot(keep_expired="90"),
        "snapshot.keep_expired",
        "write an integer and one of s, m, h, d",
        "config.duration",
        "'90'",
    ),
    Damage(
        name="status beside CRLs",
        make=snapshot(kind="crl", crls="*.crl", columns={"status": "status"}),
        code="config.bad-value",
        column="status cannot be mapped",
        remedy='leave it out, or set kind = "files"',
        exit_code=2,
        error="configuration",
    ),
]
