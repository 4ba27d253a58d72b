"""Which addresses are safe to be reached at: whoever reaches a scheduler or a worker has it run what he likes."""

import ipaddress
from urllib.parse import urlsplit

from pregen.errors import ConfigError


def is_near(address: str) -> bool:
    """Tell whether an address is on this machine's loopback."""
    host = urlsplit(address).hostname
    try:
        return host == "localhost" or (host is not None and ipaddress.ip_address(host).is_loopback)
    except ValueError:
        return False


def check_safe(address: str, what: str) -> None:
    """Refuse an address that others reach without a certificate.

    Raises:
        ConfigError: it is one.
    """
    if not address.startswith("tls://") and not is_near(address):
        raise ConfigError(
            f"{what} {address} is reached without TLS, and not on this machine's loopback alone: whoever reaches it "
            "runs code beside the keys of workers, so it must be tls://, with tls_ca, tls_certificate and tls_key in "
            "[cluster]"
        )
