"""Credentials for publishing come from wherever boto3 finds them."""

import subprocess
import sys
from pathlib import Path

import pytest

from pregen.credentials import aws_credentials
from storage.stores import LocalStore, Store, StoreAddress, StoreOptions, open_store
from storage.stores.s3_access import S3Access
from tests.s3 import S3Server


def opened(address: str, endpoint: str | None = None, region: str | None = None) -> Store:
    return open_store(StoreAddress(address, StoreOptions(endpoint, region, aws_credentials)))


def write_profile(folder: Path, monkeypatch: pytest.MonkeyPatch, lines: list[str]) -> None:
    path = folder / "config"
    path.write_text("\n".join(["[profile ca]", *lines]) + "\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(path))
    monkeypatch.setenv("AWS_PROFILE", "ca")


def test_a_profile_gives_credentials_and_region(
    without_aws: None, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [f"aws_access_key_id = {s3_server.access_key}", f"aws_secret_access_key = {s3_server.secret_key}"]
    write_profile(tmp_path, monkeypatch, [*keys, "region = us-east-1"])

    store = opened(f"s3://{s3_server.new_bucket()}/ca", endpoint=s3_server.endpoint)

    store.put_if_absent("commits/1", b"octets")
    assert store.get("commits/1") == b"octets"


def test_the_region_of_the_configuration_goes_before_the_variables_and_these_before_a_profile(
    without_aws: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = ["aws_access_key_id = id", "aws_secret_access_key = secret"]
    write_profile(tmp_path, monkeypatch, [*keys, "region = eu-west-1"])

    def region(configured: str | None = None) -> str | None:
        return S3Access.of("s3://bucket/ca", StoreOptions(None, configured, aws_credentials)).region

    assert region() == "eu-west-1"
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-2")
    assert region() == "eu-west-2"
    monkeypatch.setenv("AWS_REGION", "eu-west-3")
    assert region() == "eu-west-3"
    assert region("eu-central-1") == "eu-central-1"


def test_a_program_that_gives_credentials_is_asked(
    without_aws: None, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "credentials.sh"
    program.write_text(
        f"""echo '{{"Version": 1, "AccessKeyId": "{s3_server.access_key}", """
        f""""SecretAccessKey": "{s3_server.secret_key}"}}'\n"""
    )
    write_profile(tmp_path, monkeypatch, [f"credential_process = sh {program}"])

    store = opened(f"s3://{s3_server.new_bucket()}/ca", endpoint=s3_server.endpoint, region="us-east-1")

    store.put("one", b"octets")
    assert store.get("one") == b"octets"


def test_without_credentials_the_error_says_what_to_set(without_aws: None) -> None:
    with pytest.raises(PermissionError, match="s3://bucket/ca: no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY"):
        opened("s3://bucket/ca")


def test_a_profile_that_does_not_exist_is_named(without_aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_PROFILE", "nobody")

    with pytest.raises(PermissionError, match=r"cannot be used: .*nobody"):
        opened("s3://bucket/ca")


def test_credentials_that_cannot_be_had_are_an_error_at_once(
    without_aws: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_profile(tmp_path, monkeypatch, ["credential_process = false"])

    with pytest.raises(PermissionError, match="cannot be used"):
        opened("s3://bucket/ca")


def test_half_a_pair_of_keys_is_an_error(without_aws: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")

    with pytest.raises(PermissionError, match=r"cannot be used: .*AWS_SECRET_ACCESS_KEY"):
        opened("s3://bucket/ca")


def test_a_local_store_needs_no_credentials_and_no_boto3(tmp_path: Path) -> None:
    assert isinstance(opened(str(tmp_path)), LocalStore)

    code = (
        "import sys; from pregen.credentials import aws_credentials as found;"
        "from storage.stores import StoreAddress, StoreOptions, open_store;"
        "open_store(StoreAddress('/a', StoreOptions(credentials=found))); print('boto3' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_an_address_that_leads_nowhere_is_refused_before_credentials_are_sought(without_aws: None) -> None:
    with pytest.raises(ValueError, match="gs: is no kind of store"):
        opened("gs://bucket/ca")
    with pytest.raises(ValueError, match="the name of a bucket"):
        opened("s3://")
