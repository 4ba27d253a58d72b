"""The handler under what runs it on AWS Lambda, `awslambdaric`, against a runtime API on loopback."""

import subprocess
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.ocsp import OCSPCertStatus, OCSPRequestBuilder, load_der_ocsp_response

from tests.judges.conftest import REVOKED, Authority, make_authority
from tests.s3 import S3Server
from tests.storage.edge.aws_lambda.runtime_api import Instance, RuntimeApi
from tests.storage.edge.aws_lambda.shapes import CLIENT, SHAPES, event_of

LOOK_EVERY_S = 0.2


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return make_authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def api() -> Iterator[RuntimeApi]:
    with RuntimeApi().running() as server:
        yield server


def request_about(authority: Authority) -> bytes:
    builder = OCSPRequestBuilder().add_certificate(authority.server, authority.issuer, SHA1())
    return builder.build().public_bytes(Encoding.DER)


def status_in(body: str) -> OCSPCertStatus:
    return load_der_ocsp_response(b64decode(body)).certificate_status


def test_every_shape_is_answered_and_logged(authority: Authority, api: RuntimeApi, tmp_path: Path) -> None:
    path = "/" + b64encode(request_about(authority)).decode()
    with Instance(api, tmp_path, {"PREGEN_STORE": str(authority.store)}) as instance:
        for shape in SHAPES:
            for event in (
                event_of(shape, "GET", path),
                event_of(shape, "POST", "/ocsp", body=request_about(authority)),
            ):
                response = instance.invoke(event)
                assert response["statusCode"] == 200
                assert status_in(response["body"]) is OCSPCertStatus.GOOD
        lines = instance.lines()

    assert [line["method"] for line in lines] == ["GET", "POST"] * len(SHAPES)
    assert {line["outcome"] for line in lines} == {"answered"}
    assert {line["remote"] for line in lines} == {CLIENT}
    assert {line["serial"] for line in lines} == {f"{authority.server.serial_number:x}"}


def test_a_thawed_instance_says_revoked_of_what_was_revoked_while_it_was_frozen(
    api: RuntimeApi, tmp_path: Path
) -> None:
    authority = make_authority(tmp_path)
    event = event_of("http-api-v2", "POST", "/", body=request_about(authority))
    environment = {"PREGEN_STORE": str(authority.store), "PREGEN_LOOK_EVERY": str(LOOK_EVERY_S)}
    with Instance(api, tmp_path, environment) as instance:
        assert status_in(instance.invoke(event)["body"]) is OCSPCertStatus.GOOD
        instance.freeze()
        authority.publish(revoked=(REVOKED, authority.server.serial_number))
        time.sleep(LOOK_EVERY_S)  # so that its last look is older than that, however fast the machine is
        instance.thaw()
        assert status_in(instance.invoke(event)["body"]) is OCSPCertStatus.REVOKED


def test_a_store_in_a_bucket_is_served(
    authority: Authority, api: RuntimeApi, s3_server: S3Server, tmp_path: Path
) -> None:
    bucket = s3_server.new_bucket()
    for path in authority.store.rglob("*"):
        if path.is_file():
            s3_server.client.put_object(
                Bucket=bucket, Key=f"ca/{path.relative_to(authority.store)}", Body=path.read_bytes()
            )
    environment = s3_server.environment() | {"PREGEN_STORE": f"s3://{bucket}/ca"}
    with Instance(api, tmp_path, environment) as instance:
        response = instance.invoke(event_of("rest-api", "POST", "/", body=request_about(authority)))
    assert status_in(response["body"]) is OCSPCertStatus.GOOD


def test_a_store_that_is_away_at_the_start_is_try_later_and_then_served(
    authority: Authority, api: RuntimeApi, tmp_path: Path
) -> None:
    link = tmp_path / "store"
    event = event_of("function-url", "POST", "/", body=request_about(authority))
    with Instance(api, tmp_path, {"PREGEN_STORE": str(link), "PREGEN_LOOK_EVERY": "0"}) as instance:
        assert b64decode(instance.invoke(event)["body"]) == bytes((0x30, 3, 0x0A, 1, 3))
        link.symlink_to(authority.store)
        assert status_in(instance.invoke(event)["body"]) is OCSPCertStatus.GOOD


def test_a_wrong_variable_is_told_when_the_instance_starts(api: RuntimeApi, tmp_path: Path) -> None:
    with Instance(api, tmp_path, {"PREGEN_STORE": "gopher://x"}) as instance:
        assert "PREGEN_STORE" in instance.error()


def test_the_function_imports_neither_a_server_nor_columns_nor_signing() -> None:
    unwanted = ("granian", "pyarrow", "numpy", "asn1crypto", "cryptography", "boto3", "multiprocessing", "pregen")
    code = f"import sys, storage.edge.aws_lambda; print([name for name in {unwanted} if name in sys.modules])"
    assert subprocess.check_output([sys.executable, "-c", code], text=True, timeout=60).strip() == "[]"
