"""Who asks, as the log says it: an address, only a part of it, or a pseudonym; also behind proxies that are trusted.

A proxy appends who has asked it to ``X-Forwarded-For``, and what stands before that, anybody may have made up. So the
header counts only where the peer is trusted, and is read from its end: the first address that is not trusted is that of
the client.

A pseudonym is a keyed hash (HMAC-SHA256), which only who has the key can compare with an address. It names its key, so
that those of different keys are never taken for one client.
"""

import hashlib
import hmac
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Final, Literal, TypeAlias

ClientForm: TypeAlias = Literal["full", "prefix", "hmac"]
CLIENT_FORMS: Final[tuple[ClientForm, ...]] = ("full", "prefix", "hmac")
PREFIX_BITS: Final = {4: 24, 6: 48}
"""Of an address, by its version: what is logged of networks."""

UNIX: Final = "unix"
"""Who comes by a Unix socket."""

LEAST_KEY_BYTES: Final = 16
_MOST_REMEMBERED = 4096

_Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
_Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientLogging:
    """What an operator says of how clients are logged.

    Attributes:
        form: the whole address, its network (/24, /48), or a pseudonym.
        key_file: of the key of pseudonyms; read again once a minute, so that it may be replaced while edges run.
        trusted: networks of proxies whose ``X-Forwarded-For`` counts.
        trusts_unix: whether that of proxies counts which come by a Unix socket.
    """

    form: ClientForm = "full"
    key_file: Path | None = None
    trusted: tuple[_Network, ...] = ()
    trusts_unix: bool = False

    def check(self) -> None:
        """Refuse what cannot be done, before a server starts.

        Raises:
            ValueError: there is no key, or none that can be read.
        """
        if (self.form == "hmac") != (self.key_file is not None):
            raise ValueError("--log-client hmac and --log-client-key FILE belong together: give both or neither")
        if self.key_file is not None:
            _key(self.key_file)


WHOLE_ADDRESSES: Final = ClientLogging()
"""Clients are logged as they are."""


def network_in(text: str) -> _Network:
    """Return the network that a text names, of one address too.

    >>> network_in("10.0.0.0/8"), network_in("::1")
    (IPv4Network('10.0.0.0/8'), IPv6Network('::1/128'))

    Raises:
        ValueError: it names none.
    """
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f"{error}: write a network as 10.0.0.0/8 or 2001:db8::/32") from None


@dataclass(slots=True)
class ClientNames:
    """Names of clients for the log of one worker."""

    logging: ClientLogging
    _secret: bytes = field(init=False, default=b"")

    def __post_init__(self) -> None:
        self.refresh()

    @property
    def has_proxies(self) -> bool:
        """Whether ``X-Forwarded-For`` has to be looked at."""
        return bool(self.logging.trusted) or self.logging.trusts_unix

    def refresh(self) -> None:
        """Read the key again.

        Raises:
            ValueError: it cannot be read; the old one stays.
        """
        if self.logging.key_file is not None:
            self._secret = _key(self.logging.key_file)

    def name(self, peer: str, forwarded: Sequence[str] = ()) -> str:
        """Return the name of a client.

        Args:
            peer: the address of whoever is at the other end of the connection.
            forwarded: the values of ``X-Forwarded-For``.
        """
        return _name(self.logging, self._secret, peer, ",".join(forwarded) if forwarded else "")


@lru_cache(_MOST_REMEMBERED)
def _name(logging: ClientLogging, secret: bytes, peer: str, forwarded: str) -> str:
    address = _client(logging, peer, forwarded) if forwarded else _address(peer)
    if logging.form == "full" or address is None:
        return peer if address is None else str(address)
    if logging.form == "prefix":
        return str(ipaddress.ip_network((address, PREFIX_BITS[address.version]), strict=False))
    digest = hmac.digest(secret, str(address).encode("ascii"), "sha256").hex()
    return f"hmac-{hashlib.sha256(secret).hexdigest()[:8]}:{digest[:32]}"


def _client(logging: ClientLogging, peer: str, forwarded: str) -> _Address | None:
    """Return the last address of a chain of proxies that is not trusted, or the first one, where all are."""
    found, is_trusted = _address(peer), logging.trusts_unix and peer == UNIX
    for text in reversed(forwarded.split(",")):
        if not is_trusted and (found is None or not any(found in network for network in logging.trusted)):
            return found
        is_trusted = False
        before = _address(text.strip())
        if before is None:  # nobody knows what that is: the proxy that has said it is what is known
            return found
        found = before
    return found


def _address(text: str) -> _Address | None:
    """Return the address that a text is, also with a port, as some proxies write it; None: it is none."""
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _key(path: Path) -> bytes:
    try:
        key = path.read_bytes().strip()
    except OSError as error:
        raise ValueError(f"the key of --log-client-key {path} cannot be read: {error.strerror or error}") from None
    if len(key) < LEAST_KEY_BYTES:
        text = f"--log-client-key {path} has {len(key)} octets: write {LEAST_KEY_BYTES} random ones at least"
        raise ValueError(f"{text}, as by head -c 32 /dev/urandom | base64")
    return key
