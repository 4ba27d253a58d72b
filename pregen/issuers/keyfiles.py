"""Private keys of responders: where they are, and how the process that signs opens them."""

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

from pregen.errors import ConfigError, Finding
from pregen.signers import P256_SHA256, RSA2048_SHA256, PrivateKey

_RSA_BITS = 2_048
_ELSEWHERE = ("pkcs11:", "awskms:", "arn:")


@dataclass(frozen=True, slots=True)
class KeySource:
    """Where a private key is; a description that travels to the worker, which opens it there."""

    path: Path
    passphrase_env: str | None = None

    def open(self) -> PrivateKey:
        """Return the key.

        Raises:
            ConfigError: missing or wrong passphrase, unreadable, damaged, or of a kind that is not supported yet; with
                the finding.
        """
        key = self._load(self._read())
        if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1):
            return key
        if isinstance(key, rsa.RSAPrivateKey) and key.key_size == _RSA_BITS:
            if not _is_consistent(key):
                raise self._refused("key.unreadable", "is damaged: its numbers contradict each other")
            return key
        raise self._refused("key.unsupported", f"is {_kind(key)}; P-256 and RSA-2048 can be used, others come later")

    def _read(self) -> bytes:
        try:
            return self.path.read_bytes()
        except OSError as error:
            if self.path.name.startswith(_ELSEWHERE):
                text = "looks like the address of a key elsewhere; only files can be used, HSM and KMS keys come later"
                raise self._refused("key.unsupported", text) from error
            raise self._refused("key.unreadable", f"cannot be read: {error.strerror}") from error

    def _load(self, data: bytes) -> PrivateKeyTypes:
        # Without a passphrase first: cryptography raises TypeError if, and only if, the key turns out to be encrypted.
        # OpenSSL's own check of an RSA key tests primality, 80 ms each; `_is_consistent` finds damage in 20 us.
        load = load_pem_private_key if b"-----BEGIN" in data else load_der_private_key
        try:
            return load(data, None, unsafe_skip_rsa_key_validation=True)
        except TypeError:
            pass
        except (ValueError, UnsupportedAlgorithm) as error:
            text = "file holds no private key, PEM or DER PKCS#8, that can be read"
            raise self._refused("key.unreadable", text) from error
        passphrase = os.environ.get(self.passphrase_env or "", "")
        if not passphrase:
            raise self._refused("key.passphrase.missing", f"is encrypted: {self._how_to_tell()}")
        try:
            return load(data, passphrase.encode(), unsafe_skip_rsa_key_validation=True)
        except ValueError as error:
            text = f"cannot be decrypted with the passphrase in the environment variable {self.passphrase_env}"
            raise self._refused("key.passphrase.wrong", text) from error
        except UnsupportedAlgorithm as error:
            text = "is encrypted in an unknown way: write it anew with `openssl pkcs8 -topk8 -v2 aes-256-cbc`"
            raise self._refused("key.unreadable", text) from error

    def _how_to_tell(self) -> str:
        if self.passphrase_env is None:
            return "name the environment variable with its passphrase in key_passphrase_env"
        return f"put its passphrase into the environment variable {self.passphrase_env}"

    def _refused(self, code: str, text: str) -> ConfigError:
        message = f"{self.path}: the key {text}"
        return ConfigError(message, (Finding(code, "error", message),))


def algorithm(key: PrivateKey) -> str:
    """Return the name of the signature algorithm that a key is used with."""
    return (P256_SHA256 if isinstance(key, ec.EllipticCurvePrivateKey) else RSA2048_SHA256).name


def is_pair(key: PrivateKey, public: PublicKeyTypes) -> bool:
    """Whether a signature made with one verifies with the other."""
    probe = b"does this key belong to that certificate?"
    try:
        if isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(public, ec.EllipticCurvePublicKey):
            public.verify(key.sign(probe, ec.ECDSA(SHA256())), probe, ec.ECDSA(SHA256()))
        elif isinstance(key, rsa.RSAPrivateKey) and isinstance(public, rsa.RSAPublicKey):
            public.verify(key.sign(probe, padding.PKCS1v15(), SHA256()), probe, padding.PKCS1v15(), SHA256())
        else:
            return False
    except InvalidSignature:
        return False
    return True


def _is_consistent(key: rsa.RSAPrivateKey) -> bool:
    """Whether the parts of an RSA key fit each other: one wrong CRT part makes signatures that reveal the key."""
    parts = key.private_numbers()
    p, q, d = parts.p, parts.q, parts.d
    e, n = parts.public_numbers.e, parts.public_numbers.n
    return (
        p * q == n
        and parts.dmp1 == d % (p - 1)
        and parts.dmq1 == d % (q - 1)
        and parts.iqmp * q % p == 1
        and e * d % (p - 1) == 1
        and e * d % (q - 1) == 1
    )


def _kind(key: PrivateKeyTypes) -> str:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return f"an elliptic-curve key on {key.curve.name}"
    if isinstance(key, rsa.RSAPrivateKey):
        return f"an RSA key of {key.key_size} bits"
    return f"of the kind {type(key).__name__.removesuffix('PrivateKey')}"
