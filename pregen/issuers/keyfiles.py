"""Private keys of responders in files, and how the process that signs opens them.

`key_source` is the one place where what the configuration says becomes a source; the rest of the program knows keys by
`pregen.signers.KeySource` alone.
"""

import os
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path

from asn1crypto import pem
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes, PublicKeyTypes
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_pem_private_key

from pregen.config import Config, IssuerConfig, RsaPadding
from pregen.errors import ConfigError, Finding, SigningError
from pregen.signers import (
    ALGORITHMS,
    Algorithm,
    Choice,
    KeySource,
    PrivateKey,
    PublicKey,
    Signer,
    choose_engine,
    engine_named,
    kind_of,
)

_KEY_KINDS = frozenset(algorithm.key for algorithm in ALGORITHMS.values())
_ML_DSA_OIDS = tuple(one.identifier[2:] for one in ALGORITHMS.values() if one.key.startswith("ml-dsa"))  # in DER
_ELSEWHERE = ("pkcs11:", "awskms:", "arn:")
_OTHERS_ACCESS = 0o006  # read or write, by neither owner nor group: a group such as ssl-cert is a usual way to share


def key_source(config: Config, section: IssuerConfig) -> KeySource:
    """Return where the key of an issuer's responder is, by its section of the configuration."""
    return KeyFile(config.resolve(section.key), section.key_passphrase_env)


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A private key in a file, PEM or DER: a `KeySource` that the engines of this machine sign with."""

    path: Path
    passphrase_env: str | None = None

    @property
    def keeper(self) -> Hashable:
        """This program holds all keys that it has read from files."""
        return KeyFile

    def describe(self) -> str:
        """Return the path."""
        return str(self.path)

    def public_key(self) -> PublicKey:
        """Return the public half; the private one was seen to belong to it.

        Raises:
            ConfigError: as of `open`, or a key whose halves do not belong together.
        """
        key = self.open()
        public = key.public_key()
        if not is_pair(key, public):
            raise self._refused("key.unreadable", "is damaged: its private half does not belong to its public one")
        return public

    def exposure(self) -> str | None:
        """Return what to do where the file can be read or written by everybody here."""
        if not self.path.stat().st_mode & _OTHERS_ACCESS:
            return None
        return f"{self.path}: the key can be read or written by every user here: chmod o-rw {self.path}"

    def choose(self, wanted: str, algorithm: Algorithm) -> Choice:
        """Return which engine signs: the one that is named, or of `auto` the fastest, measured once a process.

        Raises:
            ConfigError: there is no such engine, it does not work here, or it cannot use the key.
        """
        choice = choose_engine(wanted, algorithm, self.open)
        try:
            self.open_signer(choice.engine, algorithm)
        except SigningError as e:
            raise ConfigError(f"engine {choice.engine} cannot use {self.path} for {algorithm.name}: {e.message}") from e
        return choice

    def open_signer(self, engine: str, algorithm: Algorithm, others: Sequence["KeyFile"] = ()) -> Signer:
        """Return a signer with the key, and those of other files, which are read here: see `KeySource`."""
        return engine_named(engine, algorithm).open([file.open() for file in (self, *others)], algorithm)

    def open(self) -> PrivateKey:
        """Return the key.

        Raises:
            ConfigError: missing or wrong passphrase, unreadable, damaged, or of a kind that is not supported yet; with
                the finding.
        """
        key = self._load(self._read())
        if not isinstance(key, PrivateKey) or kind_of(key) not in _KEY_KINDS:
            text = "P-256, P-384, P-521, RSA of 2048, 3072 or 4096 bits, Ed25519 and ML-DSA can be used"
            raise self._refused("key.unsupported", f"is {_described(key)}; {text}")
        if isinstance(key, rsa.RSAPrivateKey):
            self._check_numbers(key)
        return key

    def _check_numbers(self, key: rsa.RSAPrivateKey) -> None:
        """Refuse an RSA key whose numbers do not fit each other, or the engines."""
        if not _is_consistent(key):
            raise self._refused("key.unreadable", "is damaged: its numbers contradict each other")
        parts = key.private_numbers()
        if parts.p.bit_length() != parts.q.bit_length():
            how = f"`openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:{key.key_size}` makes a usual one"
            text = f"has two primes of unequal length, which fast engines cannot use: replace it; {how}"
            raise self._refused("key.unsupported", text)

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
            if _names_ml_dsa(data):
                how = "`openssl pkey -provparam ml-dsa.output_formats=seed-only` of OpenSSL 3.5 or later writes that"
                text = f"is damaged, or an ML-DSA key in a form other than its seed alone (RFC 9881, 6): {how}"
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


def algorithm_for(key: PublicKey, rsa_padding: RsaPadding) -> str:
    """Return the name of the signature algorithm that a key is used with; `rsa_padding` matters for RSA alone."""
    kind, paddings = kind_of(key), (None, rsa_padding)
    return next(one.name for one in ALGORITHMS.values() if one.key == kind and one.padding in paddings)


def is_pair(key: PrivateKey, public: PublicKeyTypes) -> bool:
    """Whether a signature made with one verifies with the other."""
    probe = b"does this key belong to that certificate?"
    try:
        match key, public:
            case ec.EllipticCurvePrivateKey(), ec.EllipticCurvePublicKey():
                public.verify(key.sign(probe, ec.ECDSA(SHA256())), probe, ec.ECDSA(SHA256()))
            case rsa.RSAPrivateKey(), rsa.RSAPublicKey():
                public.verify(key.sign(probe, padding.PKCS1v15(), SHA256()), probe, padding.PKCS1v15(), SHA256())
            case _:  # keys that come whole from their seed, so that equality says it all
                return key.public_key() == public
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


def _names_ml_dsa(data: bytes) -> bool:
    try:
        octets = pem.unarmor(data)[2] if pem.detect(data) else data
    except ValueError:
        return False
    return any(oid in octets for oid in _ML_DSA_OIDS)


def _described(key: PrivateKeyTypes) -> str:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return f"an elliptic-curve key on {key.curve.name}"
    if isinstance(key, rsa.RSAPrivateKey):
        return f"an RSA key of {key.key_size} bits"
    return f"of the kind {type(key).__name__.removesuffix('PrivateKey')}"
