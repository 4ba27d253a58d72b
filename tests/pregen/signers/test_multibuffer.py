"""What the fast engine must never do: hide a lane that failed, keep an ephemeral key, or use one twice."""

import ctypes
from collections.abc import Callable

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256

from pregen.errors import SigningError
from pregen.signers import P256_SHA256, Octets
from pregen.signers.ephemeral import KernelSource, RandomSource
from pregen.signers.multibuffer import (
    BATCH_ROWS,
    CURVES,
    LANES,
    Buffers,
    MultibufferEngine,
    MultibufferSigner,
    load_library,
)
from storage.response import signature_value

KEY = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def library() -> ctypes.CDLL:
    if reason := MultibufferEngine().unavailable():
        pytest.skip(f"engine multibuffer: {reason}")
    library = load_library()
    assert isinstance(library, ctypes.CDLL)
    return library


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


def buffers_of(source: RandomSource | None = None) -> Buffers:
    return Buffers(CURVES[P256_SHA256.name], source or KernelSource())


def signer_of(library: ctypes.CDLL, buffers: Buffers | None = None) -> MultibufferSigner:
    return MultibufferSigner(library, KEY, P256_SHA256, buffers or buffers_of())


def messages_of(rows: int) -> Octets:
    return np.random.default_rng(rows).integers(0, 256, (rows, 100), np.uint8)


@pytest.mark.parametrize("number", [0, 5, 7, 8, 16, 20])
def test_a_lane_that_fails_is_named_and_nothing_of_the_batch_is_returned(library: ctypes.CDLL, number: int) -> None:
    buffers = buffers_of()
    signer = signer_of(ZeroDigestLibrary(library, number), buffers)
    with pytest.raises(SigningError, match=rf"could not sign message {number}: status 0x") as caught:
        signer.sign(messages_of(21))
    assert caught.value.exit_code == 6
    assert not buffers.signature.any(), "signatures of the failed batch are left in the buffer"


def test_a_lane_that_fails_in_a_later_batch_is_named_by_its_number_in_the_call(library: ctypes.CDLL) -> None:
    number = BATCH_ROWS + 11
    with pytest.raises(SigningError, match=rf"could not sign message {number}: "):
        signer_of(ZeroDigestLibrary(library, number)).sign(messages_of(BATCH_ROWS + 16))


def test_the_first_of_several_failed_lanes_is_named(library: ctypes.CDLL) -> None:
    with pytest.raises(SigningError, match=r"message 6: status 0x"):
        signer_of(ZeroDigestLibrary(library, 6, 7, 12)).sign(messages_of(16))


def test_a_signer_works_again_after_a_failed_batch(library: ctypes.CDLL) -> None:
    signer = signer_of(ZeroDigestLibrary(library, 3))
    with pytest.raises(SigningError):
        signer.sign(messages_of(8))
    messages = messages_of(9)
    for message, octets in zip(messages, signer.sign(messages), strict=True):
        KEY.public_key().verify(signature_value("ecdsa", octets.tobytes()), message.tobytes(), ec.ECDSA(SHA256()))


@pytest.mark.parametrize("rows", [1, 8, 13, 4096])
def test_ephemeral_keys_are_overwritten_after_use(library: ctypes.CDLL, rows: int) -> None:
    buffers = buffers_of()
    signer_of(library, buffers).sign(messages_of(rows))
    assert not buffers.ephemeral.words.any()


def test_ephemeral_keys_are_overwritten_after_a_failure(library: ctypes.CDLL) -> None:
    buffers = buffers_of()
    with pytest.raises(SigningError):
        signer_of(ZeroDigestLibrary(library, 0), buffers).sign(messages_of(16))
    assert not buffers.ephemeral.words.any()


def test_ephemeral_keys_are_overwritten_when_the_source_fails(library: ctypes.CDLL) -> None:
    class BrokenSource:
        def readinto(self, buffer: memoryview, /) -> int:
            buffer[:] = b"\x01" * len(buffer)
            raise OSError("no generator")

    buffers = buffers_of(BrokenSource())
    with pytest.raises(OSError, match="no generator"):
        signer_of(library, buffers).sign(messages_of(16))
    assert not buffers.ephemeral.words.any()


def test_a_short_read_of_the_source_signs_nothing(library: ctypes.CDLL) -> None:
    class ShortSource:
        def readinto(self, buffer: memoryview, /) -> int:
            return len(buffer) - 1

    with pytest.raises(SigningError, match="octets where"):
        signer_of(library, buffers_of(ShortSource())).sign(messages_of(16))


def test_every_signature_has_an_ephemeral_key_of_its_own(library: ctypes.CDLL) -> None:
    source = RememberingSource()
    signer = signer_of(library, buffers_of(source))
    batches = (1, 9, 4096, 8, 4100, 3)
    stored = np.concatenate([signer.sign(messages_of(rows)) for rows in batches])
    assert len(set(source.given)) == len(source.given)
    # s = k**-1 * (digest + r * secret), so r of k * G tells which key signed which message
    firsts = [octets.tobytes()[:32] for octets in stored[:10]]
    points = [ec.derive_private_key(int.from_bytes(key, "little"), ec.SECP256R1()).public_key() for key in source.given]
    known = {(point.public_numbers().x % ORDER).to_bytes(32, "big") for point in points[:32]}
    assert set(firsts) <= known
    assert len(np.unique(stored[:, :32], axis=0)) == sum(batches)


def test_20_000_signatures_of_one_message_have_20_000_different_r(library: ctypes.CDLL) -> None:
    stored = signer_of(library).sign(np.zeros((20_000, 50), np.uint8))
    assert len(np.unique(stored[:, :32], axis=0)) == 20_000


@pytest.mark.slow
def test_a_million_signatures_of_one_message_have_a_million_different_r(library: ctypes.CDLL) -> None:
    stored = signer_of(library).sign(np.zeros((1_000_000, 50), np.uint8))
    assert len(np.unique(stored[:, :32], axis=0)) == 1_000_000


def test_unused_lanes_are_signed_with_fresh_keys_and_never_returned(library: ctypes.CDLL) -> None:
    source = RememberingSource()
    buffers = buffers_of(source)
    assert signer_of(library, buffers).sign(messages_of(3)).shape == (3, 64)
    assert len(source.given) == LANES, "a lane without a message must not reuse another's key"
    assert (buffers.digest[3:LANES] == 1).all(), "a lane without a message must not sign an old digest"


ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def test_signers_of_many_issuers_share_their_buffers(library: ctypes.CDLL) -> None:
    """A thousand issuers in one run must not cost half a MiB each."""
    engine = MultibufferEngine()
    first, second = (engine.open(ec.generate_private_key(ec.SECP256R1()), P256_SHA256) for _ in range(2))
    assert isinstance(first, MultibufferSigner)
    assert isinstance(second, MultibufferSigner)
    assert first._buffers is second._buffers  # noqa: SLF001 - nobody outside can tell
