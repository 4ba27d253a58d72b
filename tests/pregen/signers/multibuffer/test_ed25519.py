"""A faulty Ed25519 signature beside a right one of the same message gives the key away: none may leave the signer."""

import ctypes

import numpy as np
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from pregen.errors import SigningError
from pregen.signers.algorithms import ED25519
from pregen.signers.multibuffer import MultibufferEngine
from pregen.signers.multibuffer.ed25519 import ED25519_BATCH_ROWS
from tests.pregen.signers.keyring import keys_of, messages_of
from tests.pregen.signers.multibuffer.faults import Diversion, Fault, Moment, faulty_engine, skip_without

SIGN, VERIFY = "mbx_ed25519_sign_mb8", "mbx_ed25519_verify_mb8"
R, S, MESSAGE, LENGTH, SEED, PUBLIC_TO_SIGN = range(6)
PUBLIC = 4  # of the function that verifies
KEYS = np.arange(19) % 9


@pytest.fixture(autouse=True)
def _on_this_cpu(library: ctypes.CDLL) -> None:
    skip_without(ED25519)


@pytest.mark.parametrize("size", [1, 31, 111, 112, 127, 128, 129, 240, 1000])
def test_signatures_are_those_of_cryptography_octet_by_octet(size: int) -> None:
    rows = ED25519_BATCH_ROWS + 3 if size == 240 else 19
    messages, keys = messages_of(rows, size), np.arange(rows) % 9
    stored = MultibufferEngine().open(keys_of(ED25519), ED25519).sign(messages, keys)
    ring = [key for key in keys_of(ED25519) if isinstance(key, ed25519.Ed25519PrivateKey)]
    for message, index, octets in zip(messages, keys.tolist(), stored, strict=True):
        assert octets.tobytes() == ring[index].sign(message.tobytes())


@pytest.mark.parametrize(
    ("function", "argument", "moment"),
    [
        *[(SIGN, part, moment) for part in (MESSAGE, SEED, PUBLIC_TO_SIGN) for moment in ("for the call", "before it")],
        (SIGN, R, "after it"),
        (SIGN, S, "after it"),
        *[(VERIFY, part, moment) for part in (R, S, MESSAGE, PUBLIC) for moment in ("for the call", "before it")],
    ],
)
def test_a_flipped_bit_never_leaves_the_signer(
    library: ctypes.CDLL, function: str, argument: int, moment: Moment
) -> None:
    for lane, octet, bit in ((0, 0, 0), (3, 31, 7), (7, 17, 4)):
        engine = faulty_engine(library, Fault(function, argument, lane, octet, bit, moment, call=1))
        signer = engine.open(keys_of(ED25519), ED25519)
        with pytest.raises(SigningError, match=rf"could not verify the signature of message {8 + lane}: status"):
            signer.sign(messages_of(19), KEYS)


@pytest.mark.parametrize("half", [R, S])
def test_a_result_that_was_led_elsewhere_lets_nothing_leave_the_signer(library: ctypes.CDLL, half: int) -> None:
    fault = Diversion(SIGN, half, lane=3, call=1)
    with pytest.raises(SigningError, match="could not verify the signature of message 11"):
        faulty_engine(library, fault).open(keys_of(ED25519), ED25519).sign(messages_of(19), KEYS)
    assert any(fault.elsewhere.raw), "the fault did not happen"


class LengtheningLibrary(ctypes.CDLL):
    """The real library, where a bit in the length of the first message flips before it is signed, and stays so."""

    def __getitem__(self, name: str) -> object:  # type: ignore[override]  # for a C function
        real = super().__getitem__(name)
        if name != SIGN:
            return real
        real.argtypes, real.restype = [ctypes.c_void_p] * 6, ctypes.c_uint32

        def sign(*arguments: int) -> int:
            ctypes.c_uint32.from_address(arguments[LENGTH]).value |= 1
            return int(real(*arguments))

        return sign


def test_a_flipped_bit_in_the_length_never_leaves_the_signer(library: ctypes.CDLL) -> None:
    lengthening = LengtheningLibrary(library._name)  # noqa: SLF001 - ctypes says nowhere else what it loaded
    signer = MultibufferEngine(lambda: lengthening).open(keys_of(ED25519), ED25519)
    with pytest.raises(SigningError, match="could not verify the signature of message 0"):
        signer.sign(messages_of(19), KEYS)
