"""One signature wrong modulo one prime gives an RSA key away: no fault may leave the signer."""

import ctypes

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from pregen.errors import SigningError
from pregen.signers import ALGORITHMS, RSA2048_SHA256, Algorithm
from pregen.signers.multibuffer import MultibufferEngine
from tests.pregen.signers.keyring import first_key, keys_of, messages_of, verify, verify_all
from tests.pregen.signers.multibuffer.faults import Diversion, Fault, Moment, faulty_engine

ALL = [algorithm for algorithm in ALGORITHMS.values() if algorithm.padding is not None]
OF_2048 = [algorithm for algorithm in ALL if algorithm.key == "rsa2048"]
PRIVATE, PUBLIC = "mbx_rsa_private_crt_mb8", "mbx_rsa_public_mb8"
ENCODED, RESULT, P, Q, DP, DQ, IQ = range(7)
SIGNATURE, RECOVERED, MODULUS = range(3)
MOMENTS: tuple[Moment, Moment] = ("for the call", "before it")
MESSAGES = messages_of(19)
KEYS = np.arange(19) % 9


def numbers_of(algorithm: Algorithm = RSA2048_SHA256) -> rsa.RSAPrivateNumbers:
    key = keys_of(algorithm)[0]
    assert isinstance(key, rsa.RSAPrivateKey)
    return key.private_numbers()


FLIPPED: list[tuple[str, int, Moment]] = [
    *[(PRIVATE, part, moment) for part in (ENCODED, P, Q, DP, DQ, IQ) for moment in MOMENTS],
    (PRIVATE, RESULT, "after it"),
    *[(PUBLIC, part, moment) for part in (SIGNATURE, MODULUS) for moment in MOMENTS],
    (PUBLIC, RECOVERED, "after it"),
]
# Larger keys go the same way and take ten times as long: of each function, one fault is in every run.
IN_EVERY_RUN = [(PRIVATE, DP, "before it"), (PUBLIC, RECOVERED, "after it")]


@pytest.mark.parametrize(
    ("algorithm", "function", "argument", "moment"),
    [
        pytest.param(
            algorithm,
            *flipped,
            id="-".join(map(str, (algorithm.name, *flipped))),
            marks=() if algorithm in OF_2048 or flipped in IN_EVERY_RUN else pytest.mark.slow,
        )
        for algorithm in ALL
        for flipped in FLIPPED
    ],
)
def test_a_flipped_bit_never_leaves_the_signer(
    library: ctypes.CDLL, algorithm: Algorithm, function: str, argument: int, moment: Moment
) -> None:
    # the 23rd octet of an encoded message by PSS is masked salt or padding, by PKCS#1 padding, and the 100th too
    for lane, octet, bit in ((0, 23, 0), (5, 100, 7)):
        engine = faulty_engine(library, Fault(function, argument, lane, octet, bit, moment, call=1))
        signer = engine.open(keys_of(algorithm), algorithm)
        with pytest.raises(SigningError, match=r"wrong signature of message \d+: check the key"):
            signer.sign(MESSAGES, KEYS)


@pytest.mark.parametrize("algorithm", OF_2048, ids=lambda algorithm: algorithm.name)
@pytest.mark.parametrize("octet", [255, 254, 230, 224])
def test_a_flipped_bit_of_the_digest_in_the_buffer_is_noticed(
    library: ctypes.CDLL, algorithm: Algorithm, octet: int
) -> None:
    engine = faulty_engine(library, Fault(PRIVATE, ENCODED, 2, octet, 4, "before it"))
    with pytest.raises(SigningError, match="wrong signature of message 2"):
        engine.open(keys_of(algorithm), algorithm).sign(MESSAGES, KEYS)


def test_a_fault_in_a_lane_without_a_message_matters_to_nobody(library: ctypes.CDLL) -> None:
    signer = faulty_engine(library, Fault(PRIVATE, ENCODED, 7, 99)).open(keys_of(RSA2048_SHA256), RSA2048_SHA256)
    verify_all(RSA2048_SHA256, MESSAGES[:3], KEYS[:3], signer.sign(MESSAGES[:3], KEYS[:3]))


@pytest.mark.parametrize("algorithm", OF_2048, ids=lambda algorithm: algorithm.name)
def test_a_result_that_was_led_elsewhere_lets_nothing_leave_the_signer(
    library: ctypes.CDLL, algorithm: Algorithm
) -> None:
    fault = Diversion(PRIVATE, RESULT, lane=3, call=1)
    with pytest.raises(SigningError, match="wrong signature of message 11"):
        faulty_engine(library, fault).open(keys_of(algorithm), algorithm).sign(MESSAGES, KEYS)
    assert any(fault.elsewhere.raw), "the fault did not happen"


class TiringLibrary(ctypes.CDLL):
    """The real library, whose public operation does nothing after so many calls, and says that all went well."""

    def __init__(self, library: ctypes.CDLL, calls: int) -> None:
        super().__init__(library._name)  # noqa: SLF001 - ctypes says nowhere else what it loaded
        self._left = calls

    def __getitem__(self, name: str) -> object:  # type: ignore[override]  # for a C function
        real = super().__getitem__(name)
        if name != PUBLIC:
            return real
        real.argtypes = [*[ctypes.c_void_p] * 3, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]

        def public(*arguments: int) -> int:
            self._left -= 1
            return int(real(*arguments)) if self._left >= 0 else 0

        return public


def test_what_the_batch_before_left_does_not_pass_for_a_check(library: ctypes.CDLL) -> None:
    tiring = TiringLibrary(library, calls=3)
    signer = MultibufferEngine(lambda: tiring).open(keys_of(RSA2048_SHA256), RSA2048_SHA256)
    verify_all(RSA2048_SHA256, MESSAGES, KEYS, signer.sign(MESSAGES, KEYS))
    with pytest.raises(SigningError, match="wrong signature of message 0"):
        signer.sign(MESSAGES, KEYS)


@pytest.mark.parametrize("algorithm", ALL, ids=lambda algorithm: algorithm.name)
def test_a_key_with_a_damaged_crt_part_signs_nothing(library: ctypes.CDLL, algorithm: Algorithm) -> None:
    good = numbers_of(algorithm)
    parts = (good.p, good.q, good.d, good.dmp1 + 2, good.dmq1, good.iqmp)
    damaged = rsa.RSAPrivateNumbers(*parts, good.public_numbers).private_key(unsafe_skip_rsa_key_validation=True)
    signer = MultibufferEngine().open([*keys_of(algorithm)[:2], damaged], algorithm)
    with pytest.raises(SigningError, match="wrong signature of message 5"):
        signer.sign(MESSAGES, np.where(np.arange(19) == 5, 2, np.arange(19) % 2))


@pytest.mark.parametrize("algorithm", ALL, ids=lambda algorithm: algorithm.name)
def test_a_key_whose_first_prime_is_the_smaller_one_signs(library: ctypes.CDLL, algorithm: Algorithm) -> None:
    numbers = numbers_of(algorithm)
    p, q = sorted((numbers.p, numbers.q))
    parts = (p, q, numbers.d, numbers.d % (p - 1), numbers.d % (q - 1), rsa.rsa_crt_iqmp(p, q))
    key = rsa.RSAPrivateNumbers(*parts, numbers.public_numbers).private_key()
    stored = MultibufferEngine().open([key], algorithm).sign(MESSAGES, first_key(19))
    verify_all(algorithm, MESSAGES, first_key(19), stored)


def test_a_key_with_primes_of_unequal_length_is_refused_with_what_to_do(library: ctypes.CDLL) -> None:
    p, q = (rsa.generate_private_key(65537, bits).private_numbers().p for bits in (2096, 2000))
    n, phi = p * q, (p - 1) * (q - 1)
    assert n.bit_length() == 2048
    d = pow(65537, -1, phi)
    parts = (p, q, d, d % (p - 1), d % (q - 1), rsa.rsa_crt_iqmp(p, q))
    key = rsa.RSAPrivateNumbers(*parts, rsa.RSAPublicNumbers(65537, n)).private_key()
    with pytest.raises(SigningError, match=r"primes are of one length.*use --engine software"):
        MultibufferEngine().open([key], RSA2048_SHA256)


@pytest.mark.parametrize("algorithm", OF_2048, ids=lambda algorithm: algorithm.name)
def test_keys_with_another_exponent_sign_beside_usual_ones(library: ctypes.CDLL, algorithm: Algorithm) -> None:
    ring = [rsa.generate_private_key(3, 2048), keys_of(algorithm)[0]]
    stored = MultibufferEngine().open(ring, algorithm).sign(MESSAGES, np.arange(19) % 2)
    for row in range(19):
        verify(ring[row % 2], algorithm, MESSAGES[row].tobytes(), stored[row].tobytes())


@pytest.mark.parametrize("algorithm", OF_2048, ids=lambda algorithm: algorithm.name)
@pytest.mark.parametrize(("argument", "moment"), [(DP, "for the call"), (ENCODED, "before it"), (RESULT, "after it")])
def test_a_flipped_bit_never_leaves_the_signer_with_another_exponent(
    library: ctypes.CDLL, algorithm: Algorithm, argument: int, moment: Moment
) -> None:
    engine = faulty_engine(library, Fault(PRIVATE, argument, 4, 30, 2, moment))
    signer = engine.open([keys_of(algorithm)[0], rsa.generate_private_key(3, 2048)], algorithm)
    keys = (np.arange(19) == 4).astype(np.intp)
    with pytest.raises(SigningError, match="wrong signature of message 4"):
        signer.sign(MESSAGES, keys)
