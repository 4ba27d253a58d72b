import os
import pickle
from pathlib import Path

import pytest

from pregen.credentials import aws_credentials
from storage.stores import LocalStore, StoreAddress, StoreOptions, open_store
from storage.stores.address import SCHEMES
from storage.stores.s3 import S3Store


@pytest.mark.parametrize(
    ("address", "root"),
    [
        ("/var/lib/pregen", "/var/lib/pregen"),
        ("file:///var/lib/pregen", "/var/lib/pregen"),
        ("FILE:///var/lib/pregen/", "/var/lib/pregen"),
        ("file://localhost/var/lib/pregen", "/var/lib/pregen"),
        ("file:///var/a%20b%23c", "/var/a b#c"),
        ("/var/a b#c?d", "/var/a b#c?d"),
    ],
)
def test_a_path_and_a_file_address_are_a_local_store(address: str, root: str) -> None:
    store = open_store(StoreAddress(address))

    assert isinstance(store, LocalStore)
    assert store.url == Path(root).as_uri()
    assert store.is_local


def test_a_relative_path_is_taken_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert open_store(StoreAddress("store")).url == f"file://{tmp_path}/store"
    assert open_store(StoreAddress("./a:b")).url == (tmp_path / "a:b").as_uri()


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/", "s3://bucket"),
        ("S3://bucket/ca/ocsp/", "s3://bucket/ca/ocsp"),
    ],
)
def test_an_s3_address_is_a_remote_store(
    address: str, url: str, without_aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "id")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "key")

    store = open_store(StoreAddress(address))

    assert isinstance(store, S3Store)
    assert store.url == url
    assert not store.is_local


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("", "empty"),
        ("memory:", "memory: is no kind of store: write a path, file:///path or s3://bucket/prefix"),
        ("gs://bucket/ca", "gs: is no kind of store"),
        ("https://s3.example.com/bucket", "https: is no kind of store"),
        ("file://host/path", "not file:///path"),
        ("file:relative", "not file:///path"),
        ("file:///a?b", "not file:///path"),
        ("s3:bucket", "the name of a bucket is needed"),
        ("s3://", "the name of a bucket is needed"),
        ("s3://b", "the name of a bucket is needed"),
        ("s3://id:key@bucket/ca", "the name of a bucket is needed"),
        ("s3://bucket/../other", "cannot be a prefix"),
        ("s3://bucket//ca", "cannot be a prefix"),
        ("s3://bucket/ca?versionId=1", "cannot be a prefix"),
    ],
)
def test_other_addresses_are_refused_with_what_is_possible(address: str, text: str) -> None:
    with pytest.raises(ValueError, match=text) as caught:
        open_store(StoreAddress(address))

    assert "id:key" not in str(caught.value)


def test_an_address_travels_to_other_processes_and_names_what_finds_credentials() -> None:
    address = StoreAddress("s3://bucket/ca/", StoreOptions("https://s3.example", "eu-west-1", aws_credentials))

    octets = pickle.dumps(address)

    assert pickle.loads(octets) == address
    assert b"aws_credentials" in octets


def test_an_address_in_another_form_is_the_same_address(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert StoreAddress("store") == StoreAddress(f"file://localhost{tmp_path}/store")
    assert StoreAddress("S3://bucket/ca/") == StoreAddress("s3://bucket/ca")
    assert StoreAddress("s3://bucket/ca") != StoreAddress("s3://bucket/ca", StoreOptions(region="eu-west-1"))


def test_a_folder_whose_name_is_no_text_is_opened_as_it_is(tmp_path: Path) -> None:
    named = os.fsdecode(os.fsencode(tmp_path) + b"/\xe4 store%20#?")
    store = open_store(StoreAddress(named))

    store.put("one", b"octets")

    assert Path(named, "one").read_bytes() == b"octets"


def test_a_path_of_a_file_starts_from_its_folder_and_an_address_from_nowhere(tmp_path: Path) -> None:
    def seen(written: str) -> str:
        return StoreAddress.seen_from(tmp_path, written, StoreOptions()).url

    assert seen("store") == seen("./store") == seen(f"{tmp_path}/store") == (tmp_path / "store").as_uri()
    assert seen("./s3:bucket") == (tmp_path / "s3:bucket").as_uri()
    assert seen("S3://bucket/ca/") == "s3://bucket/ca"
    with pytest.raises(ValueError, match="empty"):
        seen("")


@pytest.mark.parametrize("scheme", [scheme for scheme in SCHEMES if scheme])
def test_each_kind_of_store_has_an_example_that_is_an_address_of_it(scheme: str) -> None:
    assert StoreAddress(SCHEMES[scheme].example).url.startswith(f"{scheme}://")


ENDPOINTS = ["localhost:8333", "ftp://host", "http://", "http://id:key@host"]


@pytest.mark.parametrize("endpoint", [*ENDPOINTS, ""])
def test_an_endpoint_that_cannot_be_one_is_refused_and_not_repeated(endpoint: str) -> None:
    with pytest.raises(ValueError, match="the endpoint must be http") as caught:
        open_store(StoreAddress("s3://bucket/ca", StoreOptions(endpoint=endpoint)))

    assert "key" not in str(caught.value)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_so_is_one_of_the_environment(
    endpoint: str, variable: str, without_aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, endpoint)

    with pytest.raises(ValueError, match="the endpoint must be http"):
        open_store(StoreAddress("s3://bucket/ca"))
