"""The options of the server, which its own command line and `pregen serve` share."""

import re
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import TypeVar

from storage.edge.logs.addresses import CLIENT_FORMS, UNIX, ClientLogging, network_in
from storage.edge.serving.launch import max_age_cap_in, seconds_in
from storage.edge.serving.settings import DEFAULT, Settings
from storage.edge.watching.canary import Canary, read_canaries

_MOST_SAMPLE = 1_000_000
_T = TypeVar("_T")


def add_options(parser: ArgumentParser) -> None:
    """Give a parser all options but those that say which store."""
    _add_place(parser)
    _add_log(parser)
    _add_answers(parser)
    _add_watch(parser)


def _add_place(parser: ArgumentParser) -> None:
    """Where it listens, and with how many."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen at (%(default)s)")
    parser.add_argument("--port", type=_port, default=8080, help="port to listen at, 0 for a free one (%(default)s)")
    parser.add_argument(
        "--unix", metavar="PATH", type=Path, help="listen at a Unix socket, for a proxy on this machine, and at no port"
    )
    parser.add_argument(
        "--unix-mode",
        metavar="MODE",
        type=_mode,
        default=DEFAULT.unix_mode,
        help="permissions of that socket, in octal (0660: its user and group may connect)",
    )
    parser.add_argument(
        "--workers", metavar="N", type=int, default=1, help="worker processes, about one a core (%(default)s)"
    )


def _add_log(parser: ArgumentParser) -> None:
    """What it logs of requests."""
    parser.add_argument(
        "--log-file",
        metavar="FILE",
        type=Path,
        help="append one JSON line a request here instead of stdout; may be rotated",
    )
    parser.add_argument(
        "--log-sample",
        metavar="N",
        type=_sample,
        default=DEFAULT.log_sample,
        help="log one of N good answers, and everything else; its line has the weight N (%(default)s: all)",
    )
    parser.add_argument(
        "--log-client",
        choices=CLIENT_FORMS,
        default=DEFAULT.clients.form,
        help="what is logged of clients: the address, its network (/24, /48), or a pseudonym (%(default)s)",
    )
    parser.add_argument(
        "--log-client-key", metavar="FILE", type=Path, help="the key of pseudonyms; may be replaced while edges run"
    )
    parser.add_argument(
        "--trusted-proxy",
        metavar="NETWORK",
        type=_told(_network),
        action="append",
        default=[],
        help="believe X-Forwarded-For of proxies there, such as 10.0.0.0/8, or at the Unix socket (unix); repeatable",
    )


def _add_answers(parser: ArgumentParser) -> None:
    """How it answers."""
    parser.add_argument(
        "--max-age-cap",
        metavar="SPAN",
        type=_told(max_age_cap_in),
        default=DEFAULT.max_age_cap_s,
        help="how long caches may keep an answer at most, 3600, 90m or 6h (default and most: a day); 0: not at all",
    )
    parser.add_argument(
        "--store-deadline",
        metavar="SECONDS",
        type=float,
        default=DEFAULT.store_deadline_s,
        help="how long a request waits for the store before it gets tryLater (%(default)s)",
    )
    parser.add_argument(
        "--kept-replies",
        metavar="N",
        type=_count,
        default=DEFAULT.kept_replies,
        help="how many replies a worker keeps in memory for who asks the same again, about 2 KiB each (%(default)s)",
    )


def _add_watch(parser: ArgumentParser) -> None:
    """How it is, and who is told."""
    parser.add_argument(
        "--unready-when-degraded",
        action="store_true",
        help="fail /readyz (503) as soon as anything is not as it should be, and not only when nothing can be served",
    )
    parser.add_argument(
        "--max-age",
        metavar="SPAN",
        type=_told(seconds_in),
        help="degraded where statuses are complete for an instant that is longer ago, such as 30h or 2d",
    )
    parser.add_argument(
        "--canary",
        metavar="FILE",
        type=_told(_canaries),
        default=(),
        help="certificates whose status is known: degraded where one is answered wrongly (docs/edge.md)",
    )
    parser.add_argument(
        "--metrics",
        metavar="ADDRESS",
        help="serve Prometheus's /metrics at host:port, :port (of this machine alone) or unix:/path",
    )
    parser.add_argument(
        "--agent-port", metavar="PORT", type=_port, help="tell HAProxy's agent-check here how this edge is; at --host"
    )


def settings_of(given: Namespace) -> Settings:
    """Return what the options say of how the edge answers."""
    return Settings(
        max_age_cap_s=given.max_age_cap,
        store_deadline_s=given.store_deadline,
        kept_replies=given.kept_replies,
        unready_when_degraded=given.unready_when_degraded,
        max_age_s=given.max_age,
        canaries=given.canary,
        metrics=given.metrics,
        agent_port=given.agent_port,
        unix=given.unix,
        unix_mode=given.unix_mode,
        log_sample=given.log_sample,
        clients=ClientLogging(
            form=given.log_client,
            key_file=given.log_client_key,
            trusted=tuple(one for one in given.trusted_proxy if one is not None),
            trusts_unix=None in given.trusted_proxy,
        ),
    )


def _count(text: str) -> int:
    count = int(text)
    if count < 0:
        raise ArgumentTypeError(f"{count} is no number of replies: 0 or more")
    return count


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65_535:
        raise ArgumentTypeError(f"{port} is no port: 0 to 65535")
    return port


def _mode(text: str) -> int:
    if re.fullmatch("0?[0-7]{3}", text) is None:
        raise ArgumentTypeError(f"{text!r} are no permissions: write three octal digits, such as 0660")
    return int(text, 8)


def _sample(text: str) -> int:
    sample = int(text)
    if not 1 <= sample <= _MOST_SAMPLE:
        raise ArgumentTypeError(f"one of {sample} cannot be logged: 1 to {_MOST_SAMPLE:,}")
    return sample


def _network(text: str) -> IPv4Network | IPv6Network | None:
    """Return the network of proxies; None: those at the Unix socket."""
    return None if text == UNIX else network_in(text)


def _canaries(text: str) -> tuple[Canary, ...]:
    try:
        return read_canaries(Path(text))
    except OSError as error:
        raise ValueError(f"{text} cannot be read: {error.strerror or error}") from None


def _told(read: Callable[[str], _T]) -> Callable[[str], _T]:
    """Return a reader of an option whose ValueErrors reach the operator as they are."""

    def read_and_tell(text: str) -> _T:
        try:
            return read(text)
        except ValueError as error:
            raise ArgumentTypeError(str(error)) from None

    return read_and_tell
