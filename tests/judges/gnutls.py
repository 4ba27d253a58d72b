"""GnuTLS reads and verifies a response from a file: `ocsptool --verify-response`."""

import subprocess
from pathlib import Path

from tests.judges.programs import judge

ACCEPTED = "Verifying OCSP Response: Success."
NO_SIGNER = "Verifying OCSP Response: Failure, Signer cert not found."


def verify(response: Path, *, trust: Path | None = None, signer: Path | None = None) -> str:
    """Return what GnuTLS prints about a response; `trust` is the issuer's certificate, `signer` that of the signer."""
    who = ["--load-trust", str(trust)] if trust else ["--load-signer", str(signer)]
    command = [judge("ocsptool"), "--verify-response", "--load-response", str(response), *who]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    return ended.stdout + ended.stderr
