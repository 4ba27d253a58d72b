"""Every engine with every algorithm: what it signs verifies, whatever the batch and the keys."""

import hashlib
from typing import NamedTuple

import numpy as np
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pregen.errors import SigningError
from pregen.signers import ALGORITHMS, ENGINES, P256_SHA256, RSA2048_SHA256, Algorithm, Engine
from pregen.signers.base import digests
from pregen.signers.multibuffer import ecdsa, ed25519
from pregen.signers.multibuffer import rsa as multibuffer_rsa
from tests.pregen.signers.keyring import KEYS, first_key, keys_of, messages_of, verify_all
from tests.pregen.signers.textbook import verifies


class Kind(NamedTuple):
    engine: Engine
    algorithm: Algorithm


KINDS = [
    Kind(engine, algorithm) for engine in ENGINES for algorithm in ALGORITHMS.values() if engine.supports(algorithm)
]
ECDSA = [kind for kind in KINDS if kind.algorithm.encoding == "ecdsa"]
RSA = [kind for kind in KINDS if kind.algorithm.padding is not None]


def name_of(kind: Kind) -> str:
    return f"{kind.engine.name}-{kind.algorithm.name}"


@pytest.fixture(params=KINDS, ids=name_of)
def kind(request: pytest.FixtureRequest) -> Kind:
    kind = request.param
    assert isinstance(kind, Kind)
    if reason := kind.engine.unavailable():
        pytest.skip(f"engine {kind.engine.name}: {reason}")
    return kind


def only(kinds: list[Kind]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("kind", kinds, indirect=True, ids=name_of)


def batch_rows(algorithm: Algorithm) -> int:
    """Return how many messages `multibuffer` signs with its buffers filled once."""
    if algorithm.encoding == "ecdsa":
        return ecdsa.ECDSA_BATCH_ROWS
    return ed25519.ED25519_BATCH_ROWS if algorithm.padding is None else multibuffer_rsa.RSA_BATCH_ROWS


def test_every_algorithm_has_an_engine_that_works_everywhere() -> None:
    everywhere = [engine for engine in ENGINES if engine.name == "software"]
    assert [engine.unavailable() for engine in everywhere] == [None]
    assert all(everywhere[0].supports(algorithm) for algorithm in ALGORITHMS.values())


def test_each_engine_has_the_algorithms_that_its_library_has() -> None:
    found = {engine.name: {kind.algorithm.name for kind in KINDS if kind.engine is engine} for engine in ENGINES}
    lattices = {"ml-dsa-44", "ml-dsa-65", "ml-dsa-87"}
    assert found["awslc"] == set(ALGORITHMS) - lattices - {"p521-sha512", "ed25519"}
    if ENGINES[0].unavailable():
        pytest.skip(f"engine multibuffer: {ENGINES[0].unavailable()}")
    assert found["multibuffer"] in (set(ALGORITHMS) - lattices, {kind.algorithm.name for kind in RSA})


@pytest.mark.parametrize("rows", [1, 9])
def test_small_batches_verify(kind: Kind, rows: int) -> None:
    signer = kind.engine.open(keys_of(kind.algorithm)[:1], kind.algorithm)
    messages = messages_of(rows)
    stored = signer.sign(messages, first_key(rows))
    assert stored.dtype == np.uint8
    verify_all(kind.algorithm, messages, first_key(rows), stored)


@pytest.mark.parametrize("rows", [1, 7, 8, 9, 27])
def test_rows_are_signed_each_with_its_own_key(kind: Kind, rows: int) -> None:
    signer = kind.engine.open(keys_of(kind.algorithm), kind.algorithm)
    messages, keys = messages_of(rows), (np.arange(rows) * 5 + 3) % KEYS
    verify_all(kind.algorithm, messages, keys, signer.sign(messages, keys))


@only([kind for kind in KINDS if kind.engine.name == "multibuffer"])
@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_batches_around_the_size_of_the_buffers_verify(kind: Kind, beyond: int) -> None:
    rows = batch_rows(kind.algorithm) + beyond
    signer = kind.engine.open(keys_of(kind.algorithm), kind.algorithm)
    messages, keys = messages_of(rows), np.arange(rows) % KEYS
    stored = signer.sign(messages, keys)
    # all around the border, and a sample of the rest
    looked_at = np.unique(np.r_[:9, 9:rows:61, rows - 17 : rows])
    verify_all(kind.algorithm, messages[looked_at], keys[looked_at], stored[looked_at])


@only(ECDSA + RSA)
def test_signatures_verify_by_the_textbook_too(kind: Kind) -> None:
    key = keys_of(kind.algorithm)[0]
    assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    messages, public = messages_of(3), key.public_key()
    stored = kind.engine.open([key], kind.algorithm).sign(messages, first_key(3))
    for message, octets in zip(messages, stored, strict=True):
        assert verifies(public, kind.algorithm, message.tobytes(), octets.tobytes())
        damaged = bytearray(octets.tobytes())
        damaged[-1] ^= 1
        assert not verifies(public, kind.algorithm, message.tobytes(), bytes(damaged))


def test_one_signer_signs_batches_of_any_order_and_length(kind: Kind) -> None:
    signer = kind.engine.open(keys_of(kind.algorithm), kind.algorithm)
    for rows, size in ((9, 1), (3, 63), (17, 64), (1, 300), (8, 55)):
        messages, keys = messages_of(rows, size), np.arange(rows)[::-1] % KEYS
        verify_all(kind.algorithm, messages, keys, signer.sign(messages, keys))


@pytest.mark.parametrize("layout", ["apart", "backwards", "by columns"])
def test_rows_that_lie_elsewise_in_memory_are_signed_as_they_are(kind: Kind, layout: str) -> None:
    signer = kind.engine.open(keys_of(kind.algorithm)[:1], kind.algorithm)
    whole = messages_of(20, 400)
    views = {"apart": whole[::2, 7:250], "backwards": whole[9::-1], "by columns": np.asfortranarray(whole[:10])}
    messages = views[layout]
    assert not messages.flags.c_contiguous
    verify_all(kind.algorithm, messages, first_key(10), signer.sign(messages, first_key(10)))


def test_signing_leaves_the_messages_as_they_were(kind: Kind) -> None:
    signer = kind.engine.open(keys_of(kind.algorithm)[:1], kind.algorithm)
    messages = messages_of(9)
    signer.sign(messages, first_key(9))
    assert np.array_equal(messages, messages_of(9))


def test_no_messages_get_no_signatures(kind: Kind) -> None:
    signer = kind.engine.open(keys_of(kind.algorithm)[:1], kind.algorithm)
    signed = signer.sign(np.empty((0, 100), np.uint8), first_key(0))
    assert signed.shape == (0, kind.algorithm.signature_bytes)


def test_a_signature_is_one_of_no_other_message_and_no_other_key(kind: Kind) -> None:
    signer = kind.engine.open(keys_of(kind.algorithm)[:2], kind.algorithm)
    messages, keys = messages_of(2), np.array([0, 1], np.intp)
    stored = signer.sign(messages, keys)
    for wrong in ((messages[::-1], keys), (messages, keys[::-1])):
        with pytest.raises(InvalidSignature):
            verify_all(kind.algorithm, *wrong, stored)


@only(ECDSA)
def test_ecdsa_signs_one_message_each_time_with_another_ephemeral_key(kind: Kind) -> None:
    signer = kind.engine.open(keys_of(kind.algorithm)[:1], kind.algorithm)
    same = np.zeros((20, 50), np.uint8)
    stored = np.concatenate([signer.sign(same, first_key(20)), signer.sign(same, first_key(20))])
    assert len(np.unique(stored[:, : kind.algorithm.signature_bytes // 2], axis=0)) == 40


@only([kind for kind in RSA if kind.algorithm.padding == "pss"])
def test_pss_signs_one_message_each_time_with_another_salt(kind: Kind) -> None:
    signer = kind.engine.open(keys_of(kind.algorithm)[:1], kind.algorithm)
    stored = signer.sign(np.zeros((9, 50), np.uint8), first_key(9))
    assert len(np.unique(stored, axis=0)) == 9


def test_a_key_of_the_wrong_kind_is_refused_wherever_it_stands(kind: Kind) -> None:
    other = RSA2048_SHA256 if kind.algorithm.padding is None else P256_SHA256
    with pytest.raises(SigningError, match=f"needs|signs with a key of kind {kind.algorithm.key}"):
        kind.engine.open([keys_of(kind.algorithm)[0], keys_of(other)[0]], kind.algorithm)


def test_no_keys_at_all_are_refused(kind: Kind) -> None:
    with pytest.raises(SigningError, match="needs a key"):
        kind.engine.open([], kind.algorithm)


@pytest.mark.parametrize("rows", [1, 8])
@pytest.mark.parametrize("given", ["too few", "too many"])
def test_rows_and_their_keys_must_be_as_many(kind: Kind, rows: int, given: str) -> None:
    signer = kind.engine.open(keys_of(kind.algorithm)[:1], kind.algorithm)
    keys = first_key(rows - 1 if given == "too few" else rows + 1)
    with pytest.raises(ValueError, match=rf"{rows} messages and {len(keys)} indexes of keys: each message needs one"):
        signer.sign(messages_of(rows), keys)


@pytest.mark.parametrize("indexes", [(0, 3), (-1, 2), (0, -3)])
def test_an_index_without_a_key_signs_nothing(kind: Kind, indexes: tuple[int, int]) -> None:
    signer = kind.engine.open(keys_of(kind.algorithm)[:3], kind.algorithm)
    with pytest.raises(IndexError, match=f"from {min(indexes)} to {max(indexes)}: there are 3 keys"):
        signer.sign(messages_of(2), np.array(indexes, np.intp))


@only([kind for kind in RSA if kind.engine.name != "multibuffer"])
def test_a_key_with_a_damaged_crt_part_makes_no_wrong_signature(kind: Kind) -> None:
    """OpenSSL computes again without CRT, AWS-LC refuses the key: either will do."""
    key = keys_of(kind.algorithm)[0]
    assert isinstance(key, rsa.RSAPrivateKey)
    good = key.private_numbers()
    numbers = rsa.RSAPrivateNumbers(good.p, good.q, good.d, good.dmp1 + 2, good.dmq1, good.iqmp, good.public_numbers)
    damaged, messages = numbers.private_key(unsafe_skip_rsa_key_validation=True), messages_of(3)
    try:
        stored = kind.engine.open([damaged], kind.algorithm).sign(messages, first_key(3))
    except SigningError:
        return
    verify_all(kind.algorithm, messages, first_key(3), stored)


@pytest.mark.parametrize("name", ["sha256", "sha384", "sha512"])
def test_digests_are_those_of_each_row(name: str) -> None:
    messages = messages_of(5, 77)
    wanted = [hashlib.new(name, row.tobytes()).digest() for row in messages]
    assert [row.tobytes() for row in digests(messages, name)] == wanted


def test_rows_of_no_octets_cannot_be_hashed() -> None:
    with pytest.raises(ValueError, match="no octets"):
        digests(np.empty((3, 0), np.uint8), "sha256")
