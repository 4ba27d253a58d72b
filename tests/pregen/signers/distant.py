"""A key that signs elsewhere, as one in a device or a service does: it takes several batches and answers later."""

import threading
import time
from collections.abc import Hashable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from pregen.errors import SigningError
from pregen.signers import Algorithm, Choice, KeyIndexes, KeySource, Octets, PublicKey, RemoteSigner, Signer

ENGINE = "device"
ANSWER_S = 0.002


@dataclass(frozen=True, slots=True)
class DistantKey:
    """A key of a device, whose own engine alone can sign with it; `inner` is where the device has it."""

    inner: KeySource
    device: str = "the device"
    refuses: bool = False

    @property
    def keeper(self) -> Hashable:
        return self.device

    def describe(self) -> str:
        return f"{self.device}: {self.inner.describe()}"

    def public_key(self) -> PublicKey:
        return self.inner.public_key()

    def exposure(self) -> str | None:
        return None

    def choose(self, wanted: str, algorithm: Algorithm) -> Choice:  # noqa: ARG002 - it has one engine alone
        return Choice(ENGINE, {})

    def open_signer(self, engine: str, algorithm: Algorithm, others: Sequence["DistantKey"] = ()) -> Signer:
        assert engine == ENGINE
        inner = self.inner.open_signer("software", algorithm, [other.inner for other in others])
        return DistantSigner(inner, refuses=self.refuses)


class DistantSigner(RemoteSigner):
    """Signs in threads, each batch after a while; counts what it holds at once."""

    outstanding = 3

    def __init__(self, inner: Signer, *, refuses: bool = False) -> None:
        self._inner = inner
        self._refuses = refuses
        self._threads = ThreadPoolExecutor(self.outstanding, thread_name_prefix="device")
        self._lock = threading.Lock()
        self._held = 0
        self.most_held = 0

    def submit(self, messages: Octets, keys: KeyIndexes) -> object:
        with self._lock:
            self._held += 1
            self.most_held = max(self.most_held, self._held)
        return self._threads.submit(self._answer, messages, keys)

    def collect(self, batch: object) -> Octets:
        assert isinstance(batch, Future)
        self._held -= 1
        signatures: Octets = batch.result()
        return signatures

    def _answer(self, messages: Octets, keys: KeyIndexes) -> Octets:
        time.sleep(ANSWER_S)
        if self._refuses:
            raise SigningError("the device is locked")
        return self._inner.sign(messages, keys)
