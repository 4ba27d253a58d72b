"""Snapshots in a bucket of a real S3 server: what is found, how much is read, what is said if it cannot be."""

import contextlib
import pickle
import socket
import socketserver
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal
from urllib.parse import parse_qs, quote, urlsplit

import boto3
import numpy as np
import pyarrow as pa
import pytest
from botocore.client import BaseClient
from obstore.store import S3Store

from pregen.config import ColumnConfig, S3Config, SnapshotConfig
from pregen.errors import InputError
from pregen.snapshot import Reading, Snapshot
from tests.loopback import LoopbackHandler, LoopbackServer
from tests.pregen.cli.ca import Ca, Program, Value
from tests.pregen.snapshot.desk import AS_OF, Desk, table
from tests.s3 import S3Server

HEX: dict[str, str | ColumnConfig] = {"serial": ColumnConfig(encoding="hex")}


@dataclass
class Bucket:
    """A bucket of the server, and a desk whose files go there."""

    name: str
    writer: S3Store
    desk: Desk

    @classmethod
    def new(cls, server: S3Server, desk: Desk) -> "Bucket":
        name = server.new_bucket()
        return cls(
            name, S3Store(name, client_options={"allow_http": True}), desk
        )  # it finds the server by the variables

    def put(self, key: str, octets: bytes) -> None:
        self.writer.put(key, octets)

    def write(self, key: str, data: pa.Table) -> None:
        self.put(key, self.desk.write(f"local/x{Path(key).suffix}", data).read_bytes())

    def open(self, path: str, config: SnapshotConfig | None = None) -> Snapshot:
        config = config or SnapshotConfig(columns=HEX if path.endswith("csv") else {})
        return self.desk.open(f"s3://{self.name}/{path}", config=config, as_of=AS_OF)

    def refusal(self, path: str) -> tuple[str, str]:
        with pytest.raises(InputError) as caught:
            list(self.open(path).batches())
        assert caught.value.exit_code == 3
        [finding] = [one for one in caught.value.findings if one.severity == "error"]
        return finding.code, finding.message

    def names(self, path: str, config: SnapshotConfig | None = None) -> list[str]:
        files = [str(file) for file in self.open(path, config).files]
        assert all(file.startswith(f"s3://{self.name}/") for file in files)
        return [file.removeprefix(f"s3://{self.name}/") for file in files]


@pytest.fixture
def bucket(s3_environment: S3Server, desk: Desk) -> Bucket:
    return Bucket.new(s3_environment, desk)


@contextlib.contextmanager
def boto3_client(bucket: Bucket) -> Iterator[BaseClient]:
    client = boto3.Session().client("s3")  # the default session keeps the credentials of its first use
    yield client
    client.close()


def rows(snapshot: Snapshot) -> int:
    return sum(map(len, snapshot.batches()))


def test_orc_is_read_from_a_bucket(bucket: Bucket) -> None:
    data = table(100_000, status=pa.array([0] * 100_000, pa.int8()), note=pa.array(["x" * 20] * 100_000))
    for key in ("day/a.orc", "day/000000_0"):
        bucket.write("local.orc", data)
        bucket.put(key, (bucket.desk.folder / "local/x.orc").read_bytes())
    bucket.put("day/ORCHESTRA", b"ORCHESTRA is a word.")

    assert bucket.names("day") == ["day/000000_0", "day/a.orc"]
    assert rows(bucket.open("day")) == 200_000
    bucket.put("day/a.orc", (bucket.desk.folder / "local/x.orc").read_bytes()[:-9])
    assert bucket.refusal("day")[0] == "file.damaged"


@pytest.mark.parametrize("path", ["day", "day/", "day/s.csv", "day/*.csv"])
def test_the_instant_may_lie_beside_the_objects(bucket: Bucket, path: str) -> None:
    bucket.put("day/s.csv", b"serial,status\n0a,good\n")
    config = SnapshotConfig(columns=HEX, as_of_file="as_of.txt")

    with pytest.raises(InputError, match=f"s3://{bucket.name}/day/as_of.txt: there is no such file"):
        bucket.desk.open(f"s3://{bucket.name}/{path}", config=config)
    bucket.put("day/as_of.txt", b"2026-11-24T03:00:00Z\n")
    snapshot = bucket.desk.open(f"s3://{bucket.name}/{path}", config=config)
    assert snapshot.as_of.hour == 3
    assert snapshot.findings() == ()


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
def test_packed_csv_is_read_from_a_bucket(bucket: Bucket, codec: Literal["gzip", "zstd"]) -> None:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, codec) as stream:
        stream.write(b"serial,status\n" + b"".join(b"%06x,good\n" % (at + 0x10000) for at in range(500_000)))
    key = "day/s.csv.gz" if codec == "gzip" else "day/s.csv.zst"
    bucket.put(key, sink.getvalue().to_pybytes())

    assert rows(bucket.open("day", SnapshotConfig(columns=HEX))) == 500_000
    bucket.put(key, sink.getvalue().to_pybytes()[:-9])
    with pytest.raises(InputError, match=f"s3://{bucket.name}/{key}: it is damaged or cut off"):
        rows(bucket.open("day", SnapshotConfig(columns=HEX)))


@pytest.mark.parametrize("name", ["s.parquet", "s.arrow", "s.ipc", "s.csv"])
def test_each_format_is_read_from_a_bucket_as_from_a_disk(bucket: Bucket, name: str) -> None:
    count = 140_000
    serials = pa.array(["%040x" % (at + 1) for at in range(count)])
    data = table(count, serial=serials, note=pa.array(["x" * 20] * count))
    bucket.write(f"day/{name}", data)
    config = SnapshotConfig(columns=HEX)

    remote = pickle.loads(pickle.dumps(bucket.open(f"day/{name}", config)))
    local = bucket.desk.open(bucket.desk.folder / "local" / f"x{Path(name).suffix}", HEX, as_of=AS_OF)

    for one, other in zip(remote.batches(), local.batches(), strict=True):
        assert one.serial.equals(other.serial)
        assert (one.status == other.status).all()
        assert (one.row == other.row).all()
    assert remote.rows_in == count
    assert remote.locate(0, 4) == f"s3://{bucket.name}/day/{name}, row 5"


def test_folders_objects_and_globs_mean_what_they_mean_on_a_disk(bucket: Bucket) -> None:
    for key in ("day/a.parquet", "day/b x%20+ü.parquet", "day/sub/c.parquet", "day/.d.parquet", "e.parquet"):
        bucket.write(key, table(1))
    bucket.put("day/_SUCCESS", b"")
    with boto3_client(bucket) as client:
        client.put_object(Bucket=bucket.name, Key="day/sub2/", Body=b"")  # some programs mark folders so
    bucket.put("day/notes.md", b"x")

    assert bucket.names("day") == bucket.names("day/") == ["day/a.parquet", "day/b x%20+ü.parquet"]
    assert bucket.names("day/b x%20+ü.parquet") == ["day/b x%20+ü.parquet"]
    assert bucket.names("") == ["e.parquet"]
    assert bucket.names("day/?.parquet") == ["day/a.parquet"]
    assert bucket.names("d*/*.parquet") == ["day/a.parquet", "day/b x%20+ü.parquet"]
    assert bucket.names("day/s*") == ["day/sub/c.parquet"]
    assert bucket.names("**/*.parquet") == ["day/a.parquet", "day/b x%20+ü.parquet", "day/sub/c.parquet", "e.parquet"]
    [finding] = bucket.open("day").findings()
    assert finding.code == "file.ignored"
    assert finding.examples == (f"s3://{bucket.name}/day/notes.md", f"s3://{bucket.name}/day/sub")


def test_objects_whose_names_do_not_say_what_they_are_are_told_by_what_they_begin_with(bucket: Bucket) -> None:
    for key in ("day/a.parquet", "day/000000_0", "day/_metadata", "other/b.parquet"):
        bucket.desk.write("made.parquet", table(1))
        bucket.put(key, (bucket.desk.folder / "made.parquet").read_bytes())

    assert bucket.names("day") == bucket.names("d*") == ["day/000000_0", "day/a.parquet"]
    bucket.put("day/c.tmp", (bucket.desk.folder / "made.parquet").read_bytes())
    for path in ("day", "d*"):
        code, message = bucket.refusal(path)
        assert code == "file.suffix"
        assert f"s3://{bucket.name}/day/c.tmp begins as a table does" in message


def test_folders_of_a_bucket_stand_for_columns_too(bucket: Bucket) -> None:
    bucket.desk.issuers = {"r1": 1, "r 2": 2}
    bucket.write("day/issuer=r1/a.parquet", table(2))
    bucket.write("day/issuer=r%202/a.parquet", table(1))
    bucket.write("day/_temporary/a.parquet", table(1))
    with boto3_client(bucket) as client:
        client.put_object(Bucket=bucket.name, Key="day/issuer=r1/", Body=b"")

    hive = bucket.open("day", SnapshotConfig(partitioning="hive"))
    glob = bucket.open("day/issuer=*/a.parquet", SnapshotConfig(partitioning="hive"))
    folders = bucket.open("day/is*", SnapshotConfig(partitioning="hive"))

    for snapshot in (hive, glob, folders):
        assert [batch.issuer.tolist() for batch in snapshot.batches()] == [[2], [1, 1]]
        assert snapshot.findings() == ()


def test_a_database_of_openssl_may_lie_in_a_bucket(bucket: Bucket) -> None:
    bucket.put("ca/index.txt", b"V\t270101000000Z\t\t0A\tunknown\t/CN=a\nX\n")

    snapshot = bucket.open("ca", SnapshotConfig(kind="index-txt"))

    assert rows(snapshot) == 1
    [finding] = snapshot.findings()
    assert finding.examples == (f"s3://{bucket.name}/ca/index.txt, line 2, 'no tab, so no 6 fields'",)


class _Counter(socketserver.ThreadingTCPServer):
    """Passes octets on to a server, and counts those that come back."""

    daemon_threads = True
    received = 0
    target = ("", 0)


class _Passing(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        assert isinstance(self.server, _Counter)
        with socket.create_connection(self.server.target) as upstream:
            threading.Thread(target=self._pass_on, args=(upstream,), daemon=True).start()
            while octets := upstream.recv(1 << 16):
                self.server.received += len(octets)
                self.request.sendall(octets)

    def _pass_on(self, upstream: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while octets := self.request.recv(1 << 16):
                upstream.sendall(octets)
            upstream.shutdown(socket.SHUT_WR)


@pytest.fixture
def counter(s3_server: S3Server) -> Iterator[_Counter]:
    with _Counter(("127.0.0.1", 0), _Passing) as server:
        parts = urlsplit(s3_server.endpoint)
        server.target = (str(parts.hostname), int(parts.port or 0))
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.parametrize("name", ["s.parquet", "s.arrow"])
def test_only_the_needed_columns_are_fetched(bucket: Bucket, counter: _Counter, name: str) -> None:
    count, noise = 20_000, np.random.default_rng(3)
    serials = pa.FixedSizeBinaryArray.from_buffers(
        pa.binary(10), count, [None, pa.py_buffer(noise.integers(1, 127, 10 * count, np.uint8).data)]
    )
    blobs = pa.FixedSizeBinaryArray.from_buffers(pa.binary(200), count, [None, pa.py_buffer(noise.bytes(200 * count))])
    bucket.write(f"day/{name}", table(count, serial=serials, before=blobs, revoked_at=None, after=blobs))
    endpoint = f"http://127.0.0.1:{counter.server_address[1]}"
    config = SnapshotConfig(path=f"s3://{bucket.name}/day", s3=S3Config(endpoint=endpoint, region="us-east-1"))

    snapshot = bucket.desk.open(None, config=config, as_of=AS_OF)
    before = counter.received
    assert rows(snapshot) == count

    assert 10 * count < counter.received - before < 2 * 10 * count  # of 8 MB
    assert counter.received < 4 * 10 * count  # the looks at it included


@pytest.mark.parametrize("name", ["s.parquet", "s.csv"])
def test_an_object_that_is_replaced_is_noticed(bucket: Bucket, name: str) -> None:
    count = 150_000
    data = table(count, serial=pa.array(["%040x" % (at + 1) for at in range(count)]))
    bucket.write(f"day/{name}", data)
    config = SnapshotConfig(columns=HEX)
    snapshot = bucket.open(f"day/{name}", config)
    reading = snapshot.read(0, Reading())
    next(reading)
    bucket.write(f"day/{name}", data.slice(0, count - 1))

    for batches in (reading, snapshot.read(0, Reading())):
        with pytest.raises(InputError) as caught:
            list(batches)
        [finding] = caught.value.findings
        assert finding.code == "file.changed"
        assert finding.message.startswith(f"s3://{bucket.name}/day/{name}: it was changed")


def test_an_object_that_is_removed_in_between_is_noticed(bucket: Bucket) -> None:
    bucket.write("day/s.parquet", table())
    snapshot = bucket.open("day")
    bucket.writer.delete("day/s.parquet")

    with pytest.raises(InputError) as caught:
        list(snapshot.batches())
    assert [finding.code for finding in caught.value.findings] == ["file.changed"]


def test_an_object_that_is_damaged_is_refused_as_a_file_is(bucket: Bucket) -> None:
    whole = bucket.desk.write("s.parquet", table(5_000)).read_bytes()
    bucket.put("day/s.parquet", whole[: len(whole) // 2])
    bucket.put("empty.parquet", b"")

    assert bucket.refusal("day")[0] == "file.damaged"
    assert bucket.refusal("empty.parquet")[0] == "file.empty"


LOGS = ["_delta_log/00000000000000000000.json", ".hoodie/x", "metadata/0.metadata.json"]
PATHS = ["lake", "lake/*.parquet", "lake/a.parquet", "l*/a.parquet", "lake/data/b.parquet"]


@pytest.mark.parametrize(
    ("mark", "path"),
    [  # in every run, each log under one path, and each path beside one log
        pytest.param(mark, path, marks=() if mark == LOGS[at % 3] else pytest.mark.slow)
        for at, path in enumerate(PATHS)
        for mark in LOGS
    ],
)
def test_a_table_with_a_log_is_refused_in_a_bucket_too(bucket: Bucket, mark: str, path: str) -> None:
    bucket.write("lake/a.parquet", table(1))
    bucket.write("lake/data/b.parquet", table(1))
    bucket.write("delta_log/a.parquet", table(1))
    bucket.put(f"lake/{mark}", b"{}")

    code, message = bucket.refusal(path)

    assert code == "snapshot.table-format"
    assert f"s3://{bucket.name}/" in message
    assert bucket.names("delta_log") == ["delta_log/a.parquet"]


def test_a_folder_that_is_marked_by_an_empty_object_is_no_empty_file(bucket: Bucket) -> None:
    bucket.write("day/s.parquet/part-0.parquet", table(1))
    with boto3_client(bucket) as client:
        for key in ("day/", "day/s.parquet/", "day/old.parquet/"):  # as consoles and Hadoop write them
            client.put_object(Bucket=bucket.name, Key=key, Body=b"")

    assert bucket.names("day/s.parquet/") == bucket.names("day/s.parquet") == ["day/s.parquet/part-0.parquet"]
    assert bucket.names("day/s.parquet/*") == bucket.names("day/*/part-*") == ["day/s.parquet/part-0.parquet"]


class _ListedKeys(LoopbackHandler):
    """A bucket whose keys are any text; SeaweedFS keeps files, and has no key with an empty segment."""

    keys: ClassVar[Mapping[str, int]] = {}

    def do_GET(self) -> None:
        asked = parse_qs(urlsplit(self.path).query)
        prefix = asked.get("prefix", [""])[0]
        found = "".join(
            f"<Contents><Key>{quote(key)}</Key><Size>{size}</Size><ETag>x</ETag>"
            "<LastModified>2026-11-24T00:00:00.000Z</LastModified></Contents>"
            for key, size in self.keys.items()
            if key.startswith(prefix)
        )
        self.answer(200, f"<ListBucketResult><EncodingType>url</EncodingType>{found}</ListBucketResult>".encode())

    def do_HEAD(self) -> None:
        self.answer(404, b"")


@pytest.fixture
def any_keys(monkeypatch: pytest.MonkeyPatch, s3_environment: S3Server) -> Iterator[dict[str, int]]:
    keys: dict[str, int] = {}
    monkeypatch.setattr(_ListedKeys, "keys", keys)
    with LoopbackServer(_ListedKeys).running() as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
        yield keys


@pytest.mark.parametrize("path", ["day", "day/", "day//", "day/*.parquet", "d*/*.parquet"])
def test_a_key_with_an_empty_segment_is_named_where_it_would_belong_to_the_snapshot(
    desk: Desk, any_keys: dict[str, int], path: str
) -> None:
    any_keys |= {"day/": 0, "day/a.parquet": 9, "day//b.parquet": 9, "day/./c.parquet": 9, "other//d.parquet": 9}

    [finding] = desk.refusal(f"s3://bucket/{path}").findings

    assert finding.code == "file.bad-key"
    assert finding.examples == ("s3://bucket/day/./c.parquet", "s3://bucket/day//b.parquet")
    assert "copy such objects to keys without" in finding.message


@pytest.mark.parametrize("path", ["/day/a.parquet", "day//a.parquet", "a//b/", "day/../a.parquet", "x/./"])
def test_a_path_with_an_empty_segment_is_refused_as_such(desk: Desk, any_keys: dict[str, int], path: str) -> None:
    [finding] = desk.refusal(f"s3://bucket/{path}").findings

    assert finding.code == "snapshot.bad-address"
    assert "write single slashes" in finding.message


@pytest.mark.parametrize("path", ["nothing", "nothing/*.parquet", "nothing/s.parquet", ""])
def test_what_is_not_there_is_missing(bucket: Bucket, path: str) -> None:
    code, message = bucket.refusal(path)

    assert code == "file.missing"
    assert "correct the path" in message


def test_a_prefix_with_subfolders_alone_is_refused_with_the_way_to_read_them(bucket: Bucket) -> None:
    bucket.write("day/issuer=r1/s.parquet", table())

    code, message = bucket.refusal("day")

    assert code == "file.missing"
    assert 'it has subfolders: set partitioning = "hive"' in message


def test_a_bucket_that_is_not_there_is_said_to_be_missing(bucket: Bucket) -> None:
    bucket.name += "x"

    for path in ("day", "day/*.parquet", "day/s.parquet"):
        code, message = bucket.refusal(path)
        assert code == "file.unreachable"
        assert f"there is no bucket '{bucket.name}'" in message


@pytest.mark.parametrize("address", ["s3://", "s3://a", "s3://key:secret@bucket/x", "s3:///x"])
def test_an_address_without_a_bucket_is_refused_and_not_repeated(desk: Desk, address: str) -> None:
    [finding] = desk.refusal(address).findings

    assert finding.code == "snapshot.bad-address"
    assert "write s3://bucket/prefix" in finding.message
    assert "secret" not in finding.message


@pytest.mark.parametrize("address", ["gs://bucket/x", "https://key:secret@server/x.parquet", "file:///export/x.csv"])
def test_an_address_of_another_kind_is_refused_with_what_is_possible(desk: Desk, address: str) -> None:
    [finding] = desk.refusal(address).findings

    assert finding.code == "snapshot.bad-address"
    assert "://: no snapshot can be there: write a path, or s3://bucket/prefix" in finding.message
    assert "secret" not in finding.message


def test_the_scheme_of_an_address_may_be_written_in_capitals(bucket: Bucket) -> None:
    bucket.write("day/s.parquet", table())

    assert bucket.open("day").files == bucket.desk.open(f"S3://{bucket.name}/day").files


def test_wrong_keys_are_no_rights(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket.write("day/s.parquet", table())
    snapshot = bucket.open("day")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")

    code, message = bucket.refusal("day")
    assert code == "file.unreadable"
    assert "check the credentials" in message
    with pytest.raises(InputError) as caught:
        list(snapshot.batches())
    assert [finding.code for finding in caught.value.findings] == ["file.unreadable"]


def test_no_credentials_at_all_are_missing_with_what_to_set(desk: Desk, without_aws: None) -> None:
    [finding] = desk.refusal("s3://bucket/day").findings

    assert finding.code == "file.unreadable"
    assert "set AWS_PROFILE, or AWS_ACCESS_KEY_ID" in finding.message


@pytest.mark.parametrize("endpoint", ["http://127.0.0.1:1", "https://127.0.0.1:1"])
def test_a_server_that_is_not_there_is_unreachable(
    desk: Desk, s3_environment: S3Server, endpoint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)

    [finding] = desk.refusal("s3://bucket/day").findings

    assert finding.code == "file.unreachable"
    assert endpoint in finding.message
    assert "run again" in finding.message


@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_reads_a_bucket_and_publishes(ca: Ca, pregen: Program, s3_environment: S3Server, workers: int) -> None:
    bucket = Bucket.new(s3_environment, Desk(ca.folder))
    for at in range(2):
        serials = pa.array([bytes([1 + at, number]) for number in range(100)])
        path = ca.export(serial=serials, status=None, revoked_at=pa.nulls(100, pa.timestamp("ms", "UTC")), reason=None)
        bucket.put(f"day/issuer=r1/{at}.parquet", path.read_bytes())
    s3 = {"endpoint": s3_environment.endpoint, "region": s3_environment.region}
    snapshot: dict[str, Value] = {"path": f"s3://{bucket.name}/day", "partitioning": "hive", "s3": s3}
    ca.configure(snapshot=snapshot, run={"workers": workers})

    ended = pregen("run", ca.config, "--json")

    assert (ended.code, ended.err) == (0, "")
    assert ended.document["certificates"] == ended.document["rows_in"] == 200
    assert pregen("lookup", ca.store, "--issuer", ca.pem, "--serial", "0105", "--json").document["status"] == "good"
    bucket.put("day/issuer=r1/notes", b"x")
    assert pregen("run", ca.config, "--snapshot", f"s3://{bucket.name}/none", "--json").code == 3
    ca.assert_clean()
