"""OpenSSL reads a response from a file: `openssl ocsp -respin`."""

import functools
import subprocess
from datetime import timedelta
from pathlib import Path

from tests.judges.programs import judge


def respin(
    response: Path, issuer: Path, serial: int, hash_name: str, *, tolerance: timedelta = timedelta(minutes=5)
) -> str:
    """Return what OpenSSL prints about a response; its exit code says nothing of expired and revoked.

    Args:
        response: file with the DER.
        issuer: file with the issuer's certificate, which alone is trusted.
        serial: the certificate that is asked about.
        hash_name: hash of the CertID that is asked with.
        tolerance: by how much thisUpdate and nextUpdate may be missed.
    """
    question = ["-issuer", str(issuer), f"-{hash_name}", "-serial", f"{serial:#x}", "-no_nonce"]
    trust = ["-CAfile", str(issuer), "-partial_chain", "-validity_period", str(int(tolerance.total_seconds()))]
    command = [judge("openssl"), "ocsp", "-respin", str(response), *question, *trust]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return ended.stdout + ended.stderr


def accepts(text: str, serial: int, status: str) -> bool:
    """Tell whether OpenSSL found the response right, and its status to be the one that is meant."""
    return "Response verify OK" in text and f"{serial:#x}: {status}\n" in text and "Status times invalid" not in text


@functools.cache
def signs(algorithm: str) -> bool:
    """Tell whether this OpenSSL has a signature algorithm of that name."""
    command = [judge("openssl"), "list", "-signature-algorithms"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return algorithm.upper() in ended.stdout.upper()
