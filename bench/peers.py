"""What others sign in a second of CPU time, on one core.

* cryptography's OCSPResponseBuilder: whole responses with the same content as Pregen's.
* Go's ocsp.CreateResponse, and its ecdsa and rsa (bench/go, bench/golang.py).
* `openssl speed`: signatures alone.
"""

import functools
import hashlib
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509 import ocsp

from bench.figure import PER_CPU_SECOND, BenchError, Figure, Result, Skipped, Target
from bench.golang import compile_program, go_missing, go_rates
from bench.pipeline import missing_engine
from bench.raw import signing_rate
from bench.sizes import Sizes
from bench.workload import SERIAL_BYTES
from pregen import clock
from pregen.demo.authority import make_authority
from pregen.issuers.certificates import read_certificates
from pregen.signers import P256_SHA256

GROUP = "others"
GO, BUILDER, SPEED = "peers.go", "peers.cryptography.builder", "peers.openssl"
CREATE_RESPONSE = f"{GO}.create_response"
OURS = "pipeline.p256.multibuffer.rate"
OVER_GO, OVER_BUILDER = Target(must=5.5, wish=7.0), Target(must=4.0, wish=6.0)
LIFETIME = timedelta(days=4)
# openssl speed -mr: what it calls an algorithm, by the tag and the bits of its line
SPEED_LINES = {
    ("F4", "256"): "ecdsap256",
    ("F4", "384"): "ecdsap384",
    ("F2", "2048"): "rsa2048",
    ("F6", "253"): "ed25519",
}
_SPEED = re.compile(r"^\+(F\d):\d+:(\d+):(?:[^:\n]+:)?([\d.]+):[\d.]+$", re.MULTILINE)


def measure_peers(sizes: Sizes, folder: Path) -> Iterator[Result]:
    """Yield the rates of all others."""
    authority = folder / "authority"
    authority.mkdir()
    make_authority(authority, P256_SHA256.key, clock.now())
    title = "OCSPResponseBuilder, P-256"
    rate = signing_rate(BuilderLoop(authority), sizes.raw_s)
    yield Figure(name=BUILDER, group=GROUP, title=title, value=rate, unit=PER_CPU_SECOND)
    yield from measure_go(authority, folder / "go", sizes.raw_s)
    yield from measure_openssl(max(1, round(sizes.raw_s)))
    shutil.rmtree(authority)


class BuilderLoop:
    """cryptography, one response a call: SHA-1 CertID, byKey, the responder's certificate embedded.

    The hashes of the issuer are computed beforehand.
    """

    rows = 64

    def __init__(self, authority: Path) -> None:
        (issuer,) = read_certificates(authority / "issuer.pem")
        self._responder = x509.load_pem_x509_certificate((authority / "ocsp.pem").read_bytes())
        key = load_pem_private_key((authority / "ocsp.key").read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._key = key
        self._hashes = [
            hashlib.sha1(octets, usedforsecurity=False).digest() for octets in (issuer.subject, issuer.key_bits)
        ]
        self._serials = [(0x5A << 8 * (SERIAL_BYTES - 1)) + number for number in range(self.rows)]
        self.responses: list[bytes] = []

    def sign(self) -> None:
        """Make all responses."""
        name_hash, key_hash = self._hashes
        now, responder, key = clock.now(), self._responder, self._key
        until, certificates = now + LIFETIME, [responder]
        sha1, sha256, by_key = hashes.SHA1(), hashes.SHA256(), ocsp.OCSPResponderEncoding.HASH  # noqa: S303 - a CertID
        self.responses = [
            ocsp.OCSPResponseBuilder()
            .add_response_by_hash(name_hash, key_hash, serial, sha1, ocsp.OCSPCertStatus.GOOD, now, until, None, None)
            .responder_id(by_key, responder)
            .certificates(certificates)
            .sign(key, sha256)
            .public_bytes(Encoding.DER)
            for serial in self._serials
        ]

    def verify(self) -> None:
        """Parse all responses and verify their signatures.

        Raises:
            InvalidSignature: one is wrong, or about another serial.
        """
        for serial, response in zip(self._serials, self.responses, strict=True):
            parsed = ocsp.load_der_ocsp_response(response)
            self._key.public_key().verify(parsed.signature, parsed.tbs_response_bytes, ec.ECDSA(hashes.SHA256()))
            if (parsed.serial_number, parsed.certificates) != (serial, [self._responder]):
                raise InvalidSignature


def measure_go(authority: Path, folder: Path, seconds: float) -> Iterator[Result]:
    """Yield what Go makes; its program is compiled in a new folder, which is gone afterwards."""
    reason = go_missing()
    if reason is not None:
        yield Skipped(name=GO, group=GROUP, title="Go", reason=reason)
        return
    folder.mkdir()
    try:
        rates = go_rates(compile_program(folder), authority, seconds)
    finally:
        shutil.rmtree(folder)
    figure = functools.partial(Figure, group=GROUP, unit=PER_CPU_SECOND, note=rates.version)
    title = "Go CreateResponse, P-256"
    yield figure(name=CREATE_RESPONSE, title=title, value=rates.create_response)
    yield figure(name=f"{GO}.p256", title="Go ecdsa, P-256", value=rates.p256)
    yield figure(name=f"{GO}.rsa2048", title="Go rsa, RSA-2048", value=rates.rsa2048)


def measure_openssl(seconds: int, algorithms: Sequence[str] = tuple(SPEED_LINES.values())) -> Iterator[Result]:
    """Yield what `openssl speed` says of signatures."""
    program = shutil.which("openssl")
    if program is None:
        reason = "there is no openssl: make judges, or apt-get install openssl"
        yield Skipped(name=SPEED, group=GROUP, title="openssl speed", reason=reason)
        return
    version = " ".join(_output([program, "version"]).split()[:2])
    rates = speed_rates(_output([program, "speed", "-mr", "-seconds", str(seconds), *algorithms]))
    for algorithm in algorithms:
        if algorithm not in rates:
            raise BenchError(f"openssl speed -mr {algorithm} of {version} has another form than those that are known")
        yield Figure(
            name=f"{SPEED}.{algorithm}",
            group=GROUP,
            title=f"openssl speed {algorithm}",
            value=rates[algorithm],
            unit=PER_CPU_SECOND,
            note=version,
        )


def speed_rates(text: str) -> dict[str, float]:
    """Return signatures a second by algorithm from what `openssl speed -mr` prints.

    >>> speed_rates("+F4:3:256:73103.030303:24798.000000")
    {'ecdsap256': 73103.030303}
    """
    lines = {(tag, bits): float(rate) for tag, bits, rate in _SPEED.findall(text)}
    return {name: lines[key] for key, name in SPEED_LINES.items() if key in lines}


def compare(findings: Sequence[Result]) -> Iterator[Result]:
    """Yield our rate over those of others, from figures of the same run; nothing where ours or theirs are not in it."""
    found: Mapping[str, Result] = {one.name: one for one in findings}
    ours = found.get(OURS)
    reason = missing_engine("multibuffer", P256_SHA256)
    for name, title, peer, target in (
        ("peers.over_go", "pregen run / Go CreateResponse", CREATE_RESPONSE, OVER_GO),
        ("peers.over_builder", "pregen run / OCSPResponseBuilder", BUILDER, OVER_BUILDER),
    ):
        theirs, group = found.get(peer), "pregen run against others, P-256"
        if isinstance(ours, Figure) and isinstance(theirs, Figure):
            yield Figure(name=name, group=group, title=title, value=ours.value / theirs.value, target=target)
        elif reason is not None and isinstance(theirs, Figure):
            yield Skipped(name=name, group=group, title=title, reason=reason)


def _output(command: list[str]) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our words
    if ended.returncode:
        raise BenchError(f"{' '.join(command)} ended with exit code {ended.returncode}: {ended.stderr.strip()}")
    return ended.stdout
