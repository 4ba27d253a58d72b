"""Every engine with every algorithm: what it signs verifies, whatever the batch."""

import hashlib
from functools import cache
from typing import NamedTuple

import numpy as np
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.hashes import SHA256

from pregen.errors import SigningError
from pregen.signers import ALGORITHMS, ENGINES, P256_SHA256, RSA2048_SHA256, Algorithm, Engine, Octets, PrivateKey
from pregen.signers.base import digests
from storage.response import signature_value
from tests import pki
from tests.pregen.signers.textbook import verifies


class Kind(NamedTuple):
    engine: Engine
    algorithm: Algorithm


KINDS = [
    Kind(engine, algorithm) for engine in ENGINES for algorithm in ALGORITHMS.values() if engine.supports(algorithm)
]


@cache
def key_for(algorithm: Algorithm) -> PrivateKey:
    key = pki.make_key("p256" if algorithm == P256_SHA256 else "rsa2048")
    assert isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    return key


def name_of(kind: Kind) -> str:
    return f"{kind.engine.name}-{kind.algorithm.name}"


@pytest.fixture(params=KINDS, ids=name_of)
def kind(request: pytest.FixtureRequest) -> Kind:
    kind = request.param
    assert isinstance(kind, Kind)
    if reason := kind.engine.unavailable():
        pytest.skip(f"engine {kind.engine.name}: {reason}")
    return kind


def messages_of(rows: int, size: int = 180) -> Octets:
    return np.random.default_rng(rows).integers(0, 256, (rows, size), np.uint8)


def check_by_cryptography(algorithm: Algorithm, messages: Octets, stored: Octets) -> None:
    public = key_for(algorithm).public_key()
    for message, octets in zip(messages, stored, strict=True):
        signature = signature_value(algorithm.encoding, octets.tobytes())
        if isinstance(public, ec.EllipticCurvePublicKey):
            public.verify(signature, message.tobytes(), ec.ECDSA(SHA256()))
        else:
            public.verify(signature, message.tobytes(), padding.PKCS1v15(), SHA256())


def test_every_algorithm_has_an_engine_that_works_everywhere() -> None:
    everywhere = [engine for engine in ENGINES if engine.name == "software"]
    assert [engine.unavailable() for engine in everywhere] == [None]
    assert all(everywhere[0].supports(algorithm) for algorithm in ALGORITHMS.values())


@pytest.mark.parametrize("rows", range(1, 18))
def test_small_batches_verify(kind: Kind, rows: int) -> None:
    signer = kind.engine.open(key_for(kind.algorithm), kind.algorithm)
    messages = messages_of(rows)
    stored = signer.sign(messages)
    assert stored.shape == (rows, kind.algorithm.signature_bytes)
    assert stored.dtype == np.uint8
    check_by_cryptography(kind.algorithm, messages, stored)


@pytest.mark.parametrize("rows", [4095, 4096, 4097])
def test_batches_around_the_size_of_the_buffers_verify(kind: Kind, rows: int) -> None:
    if kind.algorithm == RSA2048_SHA256:
        rows -= 4000  # a second for each thousand; its engine has no buffers
    signer = kind.engine.open(key_for(kind.algorithm), kind.algorithm)
    messages = messages_of(rows)
    check_by_cryptography(kind.algorithm, messages, signer.sign(messages))


def test_signatures_verify_by_the_textbook_too(kind: Kind) -> None:
    signer = kind.engine.open(key_for(kind.algorithm), kind.algorithm)
    messages, public = messages_of(9), key_for(kind.algorithm).public_key()
    stored = signer.sign(messages)
    for message, octets in zip(messages, stored, strict=True):
        assert verifies(public, message.tobytes(), octets.tobytes())
        damaged = bytearray(octets.tobytes())
        damaged[-1] ^= 1
        assert not verifies(public, message.tobytes(), bytes(damaged))


def test_one_signer_signs_batches_of_any_order_and_length(kind: Kind) -> None:
    signer = kind.engine.open(key_for(kind.algorithm), kind.algorithm)
    for rows, size in ((9, 1), (3, 63), (17, 64), (1, 300), (8, 55)):
        messages = messages_of(rows, size)
        check_by_cryptography(kind.algorithm, messages, signer.sign(messages))


def test_rows_that_lie_apart_in_memory_are_signed_as_they_are(kind: Kind) -> None:
    signer = kind.engine.open(key_for(kind.algorithm), kind.algorithm)
    messages = messages_of(20, 400)[::2, 7:250]
    assert not messages.flags.c_contiguous
    check_by_cryptography(kind.algorithm, messages, signer.sign(messages))


def test_signing_leaves_the_messages_as_they_were(kind: Kind) -> None:
    signer = kind.engine.open(key_for(kind.algorithm), kind.algorithm)
    messages = messages_of(9)
    signer.sign(messages)
    assert np.array_equal(messages, messages_of(9))


def test_no_messages_get_no_signatures(kind: Kind) -> None:
    signer = kind.engine.open(key_for(kind.algorithm), kind.algorithm)
    assert signer.sign(np.empty((0, 100), np.uint8)).shape == (0, kind.algorithm.signature_bytes)


def test_a_signature_is_not_one_of_another_message(kind: Kind) -> None:
    signer = kind.engine.open(key_for(kind.algorithm), kind.algorithm)
    messages = messages_of(2)
    stored = signer.sign(messages)
    with pytest.raises(InvalidSignature):
        check_by_cryptography(kind.algorithm, messages[::-1], stored)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.algorithm == P256_SHA256], indirect=True, ids=name_of)
def test_ecdsa_signs_one_message_each_time_with_another_ephemeral_key(kind: Kind) -> None:
    signer = kind.engine.open(key_for(kind.algorithm), kind.algorithm)
    same = np.zeros((20, 50), np.uint8)
    stored = np.concatenate([signer.sign(same), signer.sign(same)])
    assert len(np.unique(stored[:, :32], axis=0)) == 40


def test_a_key_of_the_wrong_kind_is_refused(kind: Kind) -> None:
    other = RSA2048_SHA256 if kind.algorithm == P256_SHA256 else P256_SHA256
    with pytest.raises(SigningError):
        kind.engine.open(key_for(other), kind.algorithm).sign(messages_of(1))


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=lambda algorithm: algorithm.name)
def test_digests_are_those_of_each_row(algorithm: Algorithm) -> None:
    messages = messages_of(5, 77)
    wanted = [hashlib.new(algorithm.digest, row.tobytes()).digest() for row in messages]
    assert [row.tobytes() for row in digests(messages, algorithm.digest)] == wanted


def test_rows_of_no_octets_cannot_be_hashed() -> None:
    with pytest.raises(ValueError, match="no octets"):
        digests(np.empty((3, 0), np.uint8), "sha256")
