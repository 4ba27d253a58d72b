"""Encoded messages against those that cryptography signs, recovered with the public key."""

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256

from pregen.signers import ALGORITHMS, Octets
from pregen.signers.emsa import encode_pkcs1v15, encode_pss
from tests.pregen.signers.keyring import keys_of
from tests.pregen.signers.textbook import mask_of

SIZES = [2048, 3072, 4096]
HASHED = np.random.default_rng(1).integers(0, 256, (5, 32), np.uint8)


def encoded_by_cryptography(bits: int, scheme: padding.AsymmetricPadding) -> Octets:
    key = keys_of(ALGORITHMS[f"rsa{bits}-sha256"])[0]
    assert isinstance(key, rsa.RSAPrivateKey)
    public = key.public_key().public_numbers()
    signatures = [key.sign(row.tobytes(), scheme, utils.Prehashed(SHA256())) for row in HASHED]
    recovered = [pow(int.from_bytes(one, "big"), public.e, public.n).to_bytes(bits // 8, "big") for one in signatures]
    return np.array([list(one) for one in recovered], np.uint8)


@pytest.mark.parametrize("bits", SIZES)
def test_pkcs1v15_is_as_cryptography_encodes_it(bits: int) -> None:
    wanted = encoded_by_cryptography(bits, padding.PKCS1v15())
    assert np.array_equal(encode_pkcs1v15(HASHED, bits // 8), wanted)


@pytest.mark.parametrize("bits", SIZES)
def test_pss_is_as_cryptography_encodes_it_with_the_same_salts(bits: int) -> None:
    wanted = encoded_by_cryptography(bits, padding.PSS(padding.MGF1(SHA256()), 32))
    # the salt is what stands last under the mask (RFC 8017, 9.1.2)
    masks = np.array([list(mask_of(row[-33:-1].tobytes(), bits // 8 - 33)) for row in wanted], np.uint8)
    salts = (wanted[:, :-33] ^ masks)[:, -32:]
    assert len(np.unique(salts, axis=0)) == len(salts)
    assert np.array_equal(encode_pss(HASHED, salts, bits // 8), wanted)


@pytest.mark.parametrize("bits", SIZES)
def test_no_rows_are_encoded_to_no_rows(bits: int) -> None:
    none = np.empty((0, 32), np.uint8)
    assert encode_pkcs1v15(none, bits // 8).shape == encode_pss(none, none, bits // 8).shape == (0, bits // 8)
