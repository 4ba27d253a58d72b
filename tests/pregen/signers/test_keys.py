import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pregen.errors import SigningError
from pregen.signers import ALGORITHMS, P256_SHA256, RSA2048_SHA256, Algorithm, make_key
from pregen.signers.keys import kind_of, require_kind
from tests.pregen.signers.keyring import keys_of


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=lambda algorithm: algorithm.name)
def test_a_new_key_is_of_the_kind_that_its_algorithm_needs(algorithm: Algorithm) -> None:
    assert kind_of(make_key(algorithm)) == algorithm.key


def test_no_two_new_keys_are_the_same() -> None:
    first, second = (make_key(P256_SHA256) for _ in range(2))
    assert first.public_key() != second.public_key()


def test_kinds_that_no_algorithm_takes_are_named_as_what_they_are() -> None:
    assert kind_of(ec.generate_private_key(ec.SECP256K1())) == "secp256k1"
    assert kind_of(rsa.generate_private_key(65537, 1024)) == "rsa1024"


@pytest.mark.parametrize("algorithm", ALGORITHMS.values(), ids=lambda algorithm: algorithm.name)
def test_keys_of_each_other_kind_are_refused(algorithm: Algorithm) -> None:
    require_kind(keys_of(algorithm), algorithm)
    for other in ALGORITHMS.values():
        if other.key != algorithm.key:
            with pytest.raises(SigningError, match=f"a key of kind {algorithm.key}, and this one is {other.key}$"):
                require_kind([keys_of(algorithm)[0], keys_of(other)[0]], algorithm)


def test_no_key_is_refused() -> None:
    with pytest.raises(SigningError, match="rsa2048-sha256 needs a key"):
        require_kind([], RSA2048_SHA256)
