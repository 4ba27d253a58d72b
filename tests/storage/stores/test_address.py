from pathlib import Path

import pytest

from storage.stores import LocalStore, open_store
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
    store = open_store(address)

    assert isinstance(store, LocalStore)
    assert store.url == Path(root).as_uri()
    assert store.is_local


def test_a_relative_path_is_taken_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    assert open_store("store").url == f"file://{tmp_path}/store"
    assert open_store("./a:b").url == (tmp_path / "a:b").as_uri()


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

    store = open_store(address)

    assert isinstance(store, S3Store)
    assert store.url == url
    assert not store.is_local


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("", "empty"),
        ("memory:", "memory: is no kind of store: possible are a path, file:///path and s3://bucket/prefix"),
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
        open_store(address)

    assert "id:key" not in str(caught.value)


ENDPOINTS = ["localhost:8333", "ftp://host", "http://", "http://id:key@host"]


@pytest.mark.parametrize("endpoint", [*ENDPOINTS, ""])
def test_an_endpoint_that_cannot_be_one_is_refused_and_not_repeated(endpoint: str) -> None:
    with pytest.raises(ValueError, match="the endpoint must be http") as caught:
        open_store("s3://bucket/ca", endpoint=endpoint)

    assert "key" not in str(caught.value)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
@pytest.mark.parametrize("variable", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"])
def test_so_is_one_of_the_environment(
    endpoint: str, variable: str, without_aws: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, endpoint)

    with pytest.raises(ValueError, match="the endpoint must be http"):
        open_store("s3://bucket/ca")
