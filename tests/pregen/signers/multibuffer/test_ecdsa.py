"""What the fast engine must never do: hide a lane that failed, keep an ephemeral key, or use one twice."""

import ctypes
from collections.abc import Callable

import numpy as np
import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec

from pregen.errors import SigningError
from pregen.signers import ALGORITHMS, P256_SHA256, Algorithm, Octets
from pregen.signers.ephemeral import KernelSource, RandomSource
from pregen.signers.multibuffer import CURVES, LANES, EcdsaSigner, EcdsaWorkspace, MultibufferEngine
from pregen.signers.multibuffer.ecdsa import ECDSA_BATCH_ROWS
from tests.pregen.signers.keyring import first_key, keys_of, messages_of, verify, verify_all
from tests.pregen.signers.multibuffer.faults import Diversion, Fault, Moment, faulty_engine, skip_without

P256 = CURVES[P256_SHA256.name]
ALL = [ALGORITHMS[name] for name in CURVES]
MESSAGES = messages_of(19)
R, S, DIGEST, EPHEMERAL, SECRET = range(5)


class RememberingSource:
    """The kernel's generator, and every octet that it gave."""

    def __init__(self) -> None:
        self._kernel = KernelSource()
        self.given: list[bytes] = []

    def readinto(self, buffer: memoryview, /) -> int:
        count = self._kernel.readinto(buffer)
        self.given += [bytes(buffer[at : at + 32]) for at in range(0, count, 32)]
        return count


class ZeroDigestLibrary(ctypes.CDLL):
    """The real library, given a digest of zero, which it refuses, for some messages."""

    def __init__(self, library: ctypes.CDLL, *numbers: int) -> None:
        super().__init__(library._name)  # noqa: SLF001 - ctypes says nowhere else what it loaded
        self._numbers = numbers
        self._calls = 0

    def __getitem__(self, name: str) -> Callable[..., int]:  # type: ignore[override]  # for a C function
        real = super().__getitem__(name)
        real.argtypes, real.restype = [ctypes.c_void_p] * 6, ctypes.c_uint32

        def sign(r: int, s: int, digests: int, ephemeral: int, keys: int, buffer: None) -> int:
            lanes = (ctypes.c_void_p * LANES).from_address(digests)
            for number in self._numbers:
                if number // LANES == self._calls:
                    ctypes.memset(lanes[number % LANES] or 0, 0, 32)
            self._calls += 1
            return int(real(r, s, digests, ephemeral, keys, buffer))

        return sign


def signer_of(workspace: EcdsaWorkspace) -> EcdsaSigner:
    keys = [key for key in keys_of(P256_SHA256)[:1] if isinstance(key, ec.EllipticCurvePrivateKey)]
    return EcdsaSigner(keys, P256_SHA256, workspace)


def signer_in(library: ctypes.CDLL, source: RandomSource | None = None) -> EcdsaSigner:
    skip_without(P256_SHA256)
    return signer_of(EcdsaWorkspace(library, P256, source))


def sign(signer: EcdsaSigner, messages: Octets) -> Octets:
    return signer.sign(messages, first_key(len(messages)))


@pytest.mark.parametrize("number", [0, 5, 7, 8, 16, 20])
def test_a_lane_that_fails_is_named_and_nothing_of_the_batch_is_returned(library: ctypes.CDLL, number: int) -> None:
    skip_without(P256_SHA256)
    workspace = EcdsaWorkspace(ZeroDigestLibrary(library, number), P256)
    with pytest.raises(SigningError, match=rf"could not sign message {number}: status 0x") as caught:
        sign(signer_of(workspace), messages_of(21))
    assert caught.value.exit_code == 6
    assert not workspace.signature.any(), "signatures of the failed batch are left in the buffer"


def test_a_lane_that_fails_in_a_later_batch_is_named_by_its_number_in_the_call(library: ctypes.CDLL) -> None:
    number = ECDSA_BATCH_ROWS + 11
    with pytest.raises(SigningError, match=rf"could not sign message {number}: "):
        sign(signer_in(ZeroDigestLibrary(library, number)), messages_of(ECDSA_BATCH_ROWS + 16))


def test_the_first_of_several_failed_lanes_is_named(library: ctypes.CDLL) -> None:
    with pytest.raises(SigningError, match=r"message 6: status 0x"):
        sign(signer_in(ZeroDigestLibrary(library, 6, 7, 12)), messages_of(16))


def test_a_signer_works_again_after_a_failed_batch(library: ctypes.CDLL) -> None:
    signer = signer_in(ZeroDigestLibrary(library, 3))
    with pytest.raises(SigningError):
        sign(signer, messages_of(8))
    verify_all(P256_SHA256, messages_of(9), first_key(9), sign(signer, messages_of(9)))


@pytest.mark.parametrize("rows", [1, 8, 13, 4096])
def test_ephemeral_keys_are_overwritten_after_use(library: ctypes.CDLL, rows: int) -> None:
    skip_without(P256_SHA256)
    workspace = EcdsaWorkspace(library, P256)
    sign(signer_of(workspace), messages_of(rows))
    assert not workspace.ephemeral.words.any()


def test_ephemeral_keys_are_overwritten_after_a_failure(library: ctypes.CDLL) -> None:
    skip_without(P256_SHA256)
    workspace = EcdsaWorkspace(ZeroDigestLibrary(library, 0), P256)
    with pytest.raises(SigningError):
        sign(signer_of(workspace), messages_of(16))
    assert not workspace.ephemeral.words.any()


def test_ephemeral_keys_are_overwritten_when_the_source_fails(library: ctypes.CDLL) -> None:
    class BrokenSource:
        def readinto(self, buffer: memoryview, /) -> int:
            buffer[:] = b"\x01" * len(buffer)
            raise OSError("no generator")

    skip_without(P256_SHA256)
    workspace = EcdsaWorkspace(library, P256, BrokenSource())
    with pytest.raises(OSError, match="no generator"):
        sign(signer_of(workspace), messages_of(16))
    assert not workspace.ephemeral.words.any()


def test_a_short_read_of_the_source_signs_nothing(library: ctypes.CDLL) -> None:
    class ShortSource:
        def readinto(self, buffer: memoryview, /) -> int:
            return len(buffer) - 1

    with pytest.raises(SigningError, match="octets where"):
        sign(signer_in(library, ShortSource()), messages_of(16))


def test_every_signature_has_an_ephemeral_key_of_its_own(library: ctypes.CDLL) -> None:
    source = RememberingSource()
    signer = signer_in(library, source)
    counts = (1, 9, 4096, 8, 4100, 3)
    stored = np.concatenate([sign(signer, messages_of(rows)) for rows in counts])
    assert len(set(source.given)) == len(source.given)
    # s = k**-1 * (digest + r * secret), so r of k * G tells which key signed which message
    firsts = [octets.tobytes()[:32] for octets in stored[:10]]
    points = [ec.derive_private_key(int.from_bytes(key, "little"), ec.SECP256R1()) for key in source.given[:32]]
    known = {(point.public_key().public_numbers().x % P256.order).to_bytes(32, "big") for point in points}
    assert set(firsts) <= known
    assert len(np.unique(stored[:, :32], axis=0)) == sum(counts)


def first_octets(signer: EcdsaSigner, count: int) -> Octets:
    """Sign one message so often; return the first eight octets of each r."""
    return sign(signer, np.zeros((count, 1), np.uint8))[:, :8].copy()


def assert_all_differ_and_bits_are_even(octets: Octets) -> None:
    """See that two of n agree in 64 bits never (by chance, of 10 ** 7: once in 370,000), and that bits are even."""
    count = len(octets)
    assert len(np.unique(octets.view(np.uint64))) == count
    ones = np.unpackbits(octets, axis=1).sum(axis=0, dtype=np.int64)
    # n fair coins are seven standard deviations, each sqrt(n) / 2, away from n / 2 once in 10 ** 11
    assert (abs(ones - count / 2) < 7 * count**0.5 / 2).all()


def test_100_000_signatures_of_one_message_have_as_many_different_r_of_even_bits(library: ctypes.CDLL) -> None:
    assert_all_differ_and_bits_are_even(first_octets(signer_in(library), 100_000))


@pytest.mark.slow
def test_ten_million_signatures_of_one_message_have_ten_million_different_r_of_even_bits(
    library: ctypes.CDLL,
) -> None:
    signer = signer_in(library)
    assert_all_differ_and_bits_are_even(np.concatenate([first_octets(signer, 1_000_000) for _ in range(10)]))


@pytest.mark.parametrize("algorithm", ALL, ids=lambda algorithm: algorithm.name)
def test_all_bits_of_r_are_as_often_one_as_zero(library: ctypes.CDLL, algorithm: Algorithm) -> None:
    skip_without(algorithm)
    half = algorithm.signature_bytes // 2
    signer = MultibufferEngine().open(keys_of(algorithm)[:1], algorithm)
    stored = signer.sign(np.zeros((8192, 1), np.uint8), first_key(8192))
    ones = np.unpackbits(stored[:, :half], axis=1).sum(axis=0, dtype=np.int64)[
        -CURVES[algorithm.name].order.bit_length() :
    ]
    # 8192 fair coins leave 4096 +- 7 * 46 once in 10 ** 11
    assert (abs(ones - 4096) < 7 * 46).all()


def test_unused_lanes_are_signed_with_fresh_keys_and_never_returned(library: ctypes.CDLL) -> None:
    source = RememberingSource()
    skip_without(P256_SHA256)
    workspace = EcdsaWorkspace(library, P256, source)
    sign(signer_of(workspace), messages_of(LANES))
    source.given.clear()
    assert sign(signer_of(workspace), messages_of(3)).shape == (3, 64)
    assert len(source.given) == LANES, "a lane without a message must not reuse another's key"
    assert (workspace.digest[3:LANES] == 1).all(), "a lane without a message must not sign an old digest"


@pytest.mark.parametrize("algorithm", ALL, ids=lambda algorithm: algorithm.name)
@pytest.mark.parametrize(("argument", "octet"), [(DIGEST, 1), (DIGEST, 31), (SECRET, 0), (SECRET, 31)])
@pytest.mark.parametrize("lane", [0, 2])
def test_a_bit_that_stays_flipped_in_a_digest_or_a_key_stops_the_batch(
    library: ctypes.CDLL, algorithm: Algorithm, argument: int, octet: int, lane: int
) -> None:
    skip_without(algorithm)
    fault = Fault(CURVES[algorithm.name].function, argument, lane, octet, 3, "before it", call=2)
    signer = faulty_engine(library, fault).open(keys_of(algorithm), algorithm)
    with pytest.raises(SigningError, match="memory changed while messages 0 to 18 were signed"):
        signer.sign(MESSAGES, np.arange(19) % 9)


@pytest.mark.parametrize("algorithm", ALL, ids=lambda algorithm: algorithm.name)
def test_a_key_that_lies_elsewhere_stops_the_batch(library: ctypes.CDLL, algorithm: Algorithm) -> None:
    skip_without(algorithm)
    fault = Diversion(CURVES[algorithm.name].function, SECRET, lane=2, call=2)
    fault.elsewhere[0] = b"\x01"  # a key that everybody knows
    signer = faulty_engine(library, fault).open(keys_of(algorithm), algorithm)
    with pytest.raises(SigningError, match="memory changed while messages 0 to 18 were signed"):
        signer.sign(MESSAGES, np.arange(19) % 9)


@pytest.mark.parametrize("bit", [4, 5])
def test_a_changed_place_of_a_key_stops_the_batch(library: ctypes.CDLL, bit: int) -> None:
    skip_without(P256_SHA256)
    signer = MultibufferEngine().open(keys_of(P256_SHA256), P256_SHA256)
    assert isinstance(signer, EcdsaSigner)
    sign(signer, MESSAGES)
    # Half of one key and half of the next, or the neighbour's: arrays begin at multiples of 16.
    signer.places[1:2] ^= np.uint64(1 << bit)
    with pytest.raises(SigningError, match="memory changed"):
        signer.sign(MESSAGES, np.ones(19, np.intp))


def test_two_rows_that_are_led_to_one_ephemeral_key_stop_the_batch(library: ctypes.CDLL) -> None:
    skip_without(P256_SHA256)
    workspace = EcdsaWorkspace(library, P256)
    signer = signer_of(workspace)
    sign(signer, MESSAGES)
    workspace.ephemeral_places[3] ^= np.uint64(32)  # one bit, and the neighbour's key is meant
    with pytest.raises(SigningError, match="memory changed"):
        sign(signer, MESSAGES)


@pytest.mark.parametrize("algorithm", ALL, ids=lambda algorithm: algorithm.name)
@pytest.mark.parametrize("moment", ["for the call", "before it"])
def test_a_flipped_bit_in_an_ephemeral_key_does_no_harm(
    library: ctypes.CDLL, algorithm: Algorithm, moment: Moment
) -> None:
    skip_without(algorithm)
    fault = Fault(CURVES[algorithm.name].function, EPHEMERAL, 4, 20, 5, moment)
    signer = faulty_engine(library, fault).open(keys_of(algorithm), algorithm)
    keys = np.arange(19) % 9
    verify_all(algorithm, MESSAGES, keys, signer.sign(MESSAGES, keys))


@pytest.mark.parametrize("algorithm", ALL, ids=lambda algorithm: algorithm.name)
@pytest.mark.parametrize(
    ("argument", "moment"),
    [(DIGEST, "for the call"), (SECRET, "for the call"), (R, "after it"), (S, "after it")],
)
def test_a_passing_fault_spoils_one_signature_alone_which_is_for_the_read_back_to_find(
    library: ctypes.CDLL, algorithm: Algorithm, argument: int, moment: Moment
) -> None:
    skip_without(algorithm)
    fault = Fault(CURVES[algorithm.name].function, argument, 3, 20, 5, moment)
    signer = faulty_engine(library, fault).open(keys_of(algorithm), algorithm)
    keys = np.arange(19) % 9
    stored = signer.sign(MESSAGES, keys)
    sound = np.arange(19) != fault.lane
    verify_all(algorithm, MESSAGES[sound], keys[sound], stored[sound])
    with pytest.raises(InvalidSignature):
        verify(keys_of(algorithm)[3], algorithm, MESSAGES[3].tobytes(), stored[3].tobytes())
