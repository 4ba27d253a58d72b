"""Lists of what goes away: written and read again, and never a list of what must stay."""

import json
from hashlib import sha256

import pytest

from storage.errors import ChecksumError, FormatError, MalformedError, UnsupportedVersionError
from storage.removals import encode_removals, read_removals
from storage.stores.memory import MemoryStore

PACK, RUN = f"packs/00000000-{1:032x}", "runs/0a1b"
NAMES = {
    PACK,
    RUN,
    f"tables/{2:064x}",
    f"windows/{3:064x}",
    f"manifests/{4:064x}",
    f"history/{5:032x}",
    f"keys/{6:064x}",
    f"removals/{7:064x}",
}


def stored(octets: bytes) -> tuple[MemoryStore, str]:
    """Return a store that holds a list under the name that its octets give it."""
    store, name = MemoryStore(), f"removals/{sha256(octets).hexdigest()}"
    store.put(name, octets)
    return store, name


def test_a_list_comes_back_and_no_two_have_one_name() -> None:
    name, octets = encode_removals(NAMES)
    store = MemoryStore()
    store.put(name, octets)
    assert read_removals(store, name) == NAMES
    assert encode_removals(NAMES)[0] != name


def test_a_list_may_be_empty_and_may_be_long() -> None:
    many = {f"packs/00000000-{number:032x}" for number in range(50_000)}
    for names in (set(), many):
        store, name = stored(encode_removals(names)[1])
        assert read_removals(store, name) == names


@pytest.mark.parametrize(
    "never", ["commits/00000000000000000001", "LATEST", "packs/", "packs/../commits/1", "other/1", "packs/a/b", ""]
)
def test_what_must_never_go_is_in_no_list(never: str) -> None:
    with pytest.raises(MalformedError, match="which is never removed"):
        encode_removals([PACK, never])
    octets = json.dumps({"version": 1, "random": "00" * 16, "names": [PACK, never]}).encode()
    with pytest.raises(MalformedError, match="which is never removed"):
        read_removals(*stored(octets))


def test_a_list_that_is_damaged_newer_or_something_else_is_refused() -> None:
    name, octets = encode_removals(NAMES)
    store = MemoryStore()
    store.put(name, octets.replace(b"runs/0a1b", b"runs/0a1c"))
    with pytest.raises(ChecksumError):
        read_removals(store, name)
    with pytest.raises(MalformedError, match="is not the name of a list"):
        read_removals(store, PACK)
    with pytest.raises(MalformedError, match="is not the name of a list"):
        read_removals(store, "")  # what a commit with an odd member says
    with pytest.raises(UnsupportedVersionError):
        read_removals(*stored(octets.replace(b'"version":1', b'"version":2')))
    with pytest.raises(FormatError):
        read_removals(*stored(octets.replace(b'"names"', b'"other"')))
