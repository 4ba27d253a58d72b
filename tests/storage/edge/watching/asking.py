"""Questions about certificates of an authority, and what a scrape of an edge's metrics says."""

import urllib.request
from hashlib import sha1
from pathlib import Path

from cryptography import x509
from prometheus_client.parser import text_string_to_metric_families

from storage.certid import SHA1, CertID
from tests.judges.conftest import Authority
from tests.storage.edge.answers import encode_request
from tests.storage.edge.processes import ServerProcess

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def named(authority: Authority, serial: int) -> CertID:
    """Return the CertID of a certificate of the authority."""
    issuer = authority.issuer
    key_hash = x509.SubjectKeyIdentifier.from_public_key(issuer.public_key()).digest
    octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    return CertID(SHA1, sha1(issuer.subject.public_bytes()).digest(), key_hash, octets)


def asking(authority: Authority, serial: int) -> bytes:
    """Return a POST about a certificate of the authority."""
    body = encode_request(named(authority, serial))
    return b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body) + body


def parsed(text: str) -> Samples:
    """Return what a page of metrics says."""
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def scrape(port: int) -> Samples:
    """Return what the metrics at a port say."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as reply:
        assert reply.headers["Content-Type"].startswith("text/plain; version=")
        return parsed(reply.read().decode())


def value(samples: Samples, name: str, **labels: str) -> float:
    """Return the sum over all samples of that name that have these labels."""
    return sum(
        number
        for (found, having), number in samples.items()
        if found == f"pregen_edge_{name}" and labels.items() <= dict(having).items()
    )


def workers_of(server: ServerProcess) -> list[int]:
    """Return the processes of a server's workers."""
    children = Path(f"/proc/{server.process.pid}/task/{server.process.pid}/children").read_text().split()
    return [int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()]
