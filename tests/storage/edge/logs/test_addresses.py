import hashlib
import hmac
from pathlib import Path

import pytest

from storage.edge.logs.addresses import WHOLE_ADDRESSES, ClientForm, ClientLogging, ClientNames, network_in

SECRET = b"0123456789abcdef"


def names(form: ClientForm, *trusted: str, key_file: Path | None = None) -> ClientNames:
    return ClientNames(ClientLogging(form=form, key_file=key_file, trusted=tuple(map(network_in, trusted))))


@pytest.mark.parametrize(
    ("peer", "prefix"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:1:2::3", "2001:db8:1::/48"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("somebody", "somebody"),
    ],
)
def test_a_prefix_is_all_that_is_said_of_an_address(peer: str, prefix: str) -> None:
    assert names("prefix").name(peer) == prefix


def test_a_pseudonym_can_be_compared_with_an_address_by_who_has_the_key_alone(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(SECRET + b"\n")

    name = names("hmac", key_file=key).name("192.0.2.77")

    digest = hmac.new(SECRET, b"192.0.2.77", hashlib.sha256).hexdigest()[:32]
    assert name == f"hmac-{hashlib.sha256(SECRET).hexdigest()[:8]}:{digest}"


def test_a_key_that_was_replaced_makes_other_pseudonyms_and_one_that_is_gone_leaves_them(tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_bytes(SECRET)
    client = names("hmac", key_file=key)
    before = client.name("192.0.2.77")

    key.write_bytes(SECRET[::-1])
    assert client.name("192.0.2.77") == before
    client.refresh()
    after = client.name("192.0.2.77")
    key.unlink()
    with pytest.raises(ValueError, match="cannot be read"):
        client.refresh()

    assert after.partition(":")[0] != before.partition(":")[0]
    assert client.name("192.0.2.77") == after


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", ["1.1.1.1, 198.51.100.7"], "198.51.100.7"),  # what stands before it, anybody may have made up
        ("10.0.0.1", ["198.51.100.7, 10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["198.51.100.7", "10.0.0.2"], "198.51.100.7"),
        ("10.0.0.1", ["10.0.0.9, 10.0.0.2"], "10.0.0.9"),
        ("10.0.0.1", ["198.51.100.7, unknown"], "10.0.0.1"),
        ("10.0.0.1", ["198.51.100.7, unknown, 10.0.0.2"], "10.0.0.2"),
        ("10.0.0.1", ["198.51.100.7:4711"], "198.51.100.7"),
        ("10.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("10.0.0.1", ["2001:db8::1"], "2001:db8::1"),
        ("::ffff:10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("10.0.0.1", [""], "10.0.0.1"),
        ("10.0.0.1", [], "10.0.0.1"),
        ("203.0.113.5", ["198.51.100.7"], "203.0.113.5"),  # nobody trusts that one
    ],
)
def test_behind_trusted_proxies_the_client_is_the_last_address_that_nobody_trusts(
    peer: str, forwarded: list[str], client: str
) -> None:
    assert names("full", "10.0.0.0/8").name(peer, forwarded) == client


def test_a_proxy_at_the_unix_socket_is_believed_where_it_is_trusted() -> None:
    behind = ClientNames(ClientLogging(trusts_unix=True, trusted=(network_in("10.0.0.0/8"),)))

    assert behind.has_proxies
    assert behind.name("unix", ["1.1.1.1, 198.51.100.7, 10.0.0.2"]) == "198.51.100.7"
    assert behind.name("unix") == "unix"
    assert names("full", "10.0.0.0/8").name("unix", ["198.51.100.7"]) == "unix"


def test_who_trusts_no_proxy_believes_none() -> None:
    assert not ClientNames(WHOLE_ADDRESSES).has_proxies
    assert ClientNames(WHOLE_ADDRESSES).name("10.0.0.1", ["198.51.100.7"]) == "10.0.0.1"


def test_what_cannot_be_done_is_refused_before_a_server_starts(tmp_path: Path) -> None:
    short = tmp_path / "short"
    short.write_bytes(b"0123456789")

    for logging, text in [
        (ClientLogging(form="hmac"), "belong together"),
        (ClientLogging(form="prefix", key_file=short), "belong together"),
        (ClientLogging(form="hmac", key_file=short), "has 10 octets"),
        (ClientLogging(form="hmac", key_file=tmp_path / "none"), "cannot be read"),
    ]:
        with pytest.raises(ValueError, match=text):
            logging.check()
    with pytest.raises(ValueError, match=r"write a network as 10\.0\.0\.0/8"):
        network_in("10.0.0.1/8")
