"""The way from an address to a running server: what can be refused is refused here, in one line, before any worker."""

import contextlib
import os
import re
import socket
import sys
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from storage.edge.caching import MAX_AGE_CAP_S
from storage.edge.following.takeover import ServingReader
from storage.edge.logs.lines import hold_standard_descriptors, open_log
from storage.edge.serving.limits import connections_within, raise_descriptors
from storage.edge.serving.settings import DEFAULT, Settings
from storage.edge.source import LiveSource
from storage.edge.watching.counted_store import CountedStore
from storage.edge.watching.counters import Counts
from storage.edge.watching.listening import free_path
from storage.stores import LocalStore, StoreAddress, open_store

EXIT_USAGE, EXIT_STORAGE = 2, 5
_LENGTH = re.compile(r"([0-9]{1,9})([smhd]?)")
_UNIT_S = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def serve(
    address: StoreAddress,
    *,
    host: str,
    port: int,
    workers: int,
    log_file: Path | None = None,
    settings: Settings = DEFAULT,
    is_quiet: bool = False,
) -> int:
    """Serve the answers of a store until SIGTERM or SIGINT; return the exit code.

    A store in which nothing is published yet, or that does not answer, is no reason not to start: requests get
    ``tryLater`` and ``/readyz`` fails until a generation is loaded.

    Args:
        address: of the store; it travels to the worker processes, which open it.
        host: address to listen at, where the settings name no Unix socket.
        port: port to listen at; 0 takes a free one.
        workers: number of processes.
        log_file: where the lines about requests go; stdout without it.
        settings: how they answer.
        is_quiet: whether the server's own log has warnings and errors alone.
    """
    hold_standard_descriptors()
    try:
        from storage.edge.serving import server, showing  # noqa: PLC0415 - granian and prometheus-client are an extra's
    except ModuleNotFoundError as missing:
        if (missing.name or "").partition(".")[0] not in {"granian", "prometheus_client"}:
            raise
        # With what is here already: tools that make an environment anew (pipx, uv) would take it away again.
        extras = "edge" if find_spec("msgspec") is None else "sign,edge"
        return refuse(EXIT_USAGE, f'the server is not installed: pip install "ocsp-pregen[{extras}]"')
    open_reader = partial(open_live_reader, address)
    try:
        _check_workers(workers)
        connections_within(raise_descriptors())
        check_deadline(settings.store_deadline_s)
        _check_log(log_file)
        settings.clients.check()
        open_reader()
        host, port = _free_place(host, port, settings.unix)
    except ValueError as error:
        return refuse(EXIT_USAGE, str(error))
    except OSError as error:
        return refuse(EXIT_STORAGE, str(error))
    with contextlib.ExitStack() as opened:
        try:
            settings = opened.enter_context(showing.shown(settings, host=host, workers=workers))
            _free_place(host, port, settings.unix)  # still: metrics may have been given the address of clients
        except ValueError as error:
            return refuse(EXIT_USAGE, str(error))
        except OSError as error:
            return refuse(EXIT_STORAGE, f"there is no room for what workers count: {error}")
        return server.run(
            open_reader,
            host=host,
            port=port,
            workers=workers,
            log_file=log_file,
            settings=settings,
            is_quiet=is_quiet,
        )


def max_age_cap_in(text: str) -> int:
    """Return the seconds of a length of time: a number, with or without one of the units s, m, h and d; a day at most.

    >>> max_age_cap_in("90"), max_age_cap_in("6h"), max_age_cap_in("1d")
    (90, 21600, 86400)

    Raises:
        ValueError: not a length of time, or more than a day.
    """
    seconds = seconds_in(text)
    if seconds > MAX_AGE_CAP_S:
        raise ValueError(f"{text!r} is no length of time of up to a day: write 3600, 90m or 6h")
    return seconds


def seconds_in(text: str) -> int:
    """Return the seconds of a length of time of any length.

    >>> seconds_in("30h"), seconds_in("2d")
    (108000, 172800)

    Raises:
        ValueError: not a length of time.
    """
    found = _LENGTH.fullmatch(text)
    if found is None:
        raise ValueError(f"{text!r} is no length of time: write 3600, 90m, 6h or 2d")
    return int(found[1]) * _UNIT_S[found[2]]


def open_live_reader(address: StoreAddress, counts: Counts | None = None) -> tuple[LiveSource, bool]:
    """Return a reader with nothing loaded yet, and whether its store is local: then no lookup of this thread waits.

    Args:
        address: of the store.
        counts: what counts the requests to a remote one.
    """
    store = open_store(address)
    is_local = store.is_local
    if is_local and isinstance(store, LocalStore):
        store.hurry()
    let_go = store.close if isinstance(store, LocalStore) else None
    if counts is not None and not is_local:
        return ServingReader(CountedStore(store, counts)), is_local
    return ServingReader(store, let_go=let_go), is_local


def free_address(host: str, port: int) -> tuple[str, int]:
    """Return the IP address of a host, and the port or a free one for 0, if a server can listen there.

    The server's own listeners share their port (SO_REUSEPORT), so a second server would quietly take half of the
    requests of the first.

    Raises:
        OSError: it cannot; in most cases because another one does.
    """
    if not 0 <= port <= 65_535:
        raise OSError("ports are numbers of 0 to 65535")
    family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
    with contextlib.closing(socket.socket(family, kind)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        ip, chosen, *_ = listener.getsockname()
        return str(ip), int(chosen)


def _free_place(host: str, port: int, unix: Path | None) -> tuple[str, int]:
    """Return where a server can listen; at a Unix socket, what is left of another one is removed.

    Raises:
        ValueError: it cannot; the text says why.
    """
    if unix is not None:
        free_path(str(unix))
        return host, port
    try:
        return free_address(host, port)
    except OSError as error:
        raise ValueError(f"cannot listen at {host} port {port}: {error.strerror or error}") from None


def _check_workers(workers: int) -> None:
    if workers < 1:
        raise ValueError(f"{workers} workers cannot serve: give 1 or more")


def check_deadline(store_deadline_s: float) -> None:
    """Refuse a time for the store that no client waits for.

    Raises:
        ValueError: it is too short or too long.
    """
    if not 0.1 <= store_deadline_s <= 60:
        raise ValueError(f"a store deadline of {store_deadline_s:g} s is of no use: give 0.1 to 60 seconds")


def _check_log(log_file: Path | None) -> None:
    if log_file is not None:
        try:
            os.close(open_log(log_file))
        except OSError as error:
            raise ValueError(f"the log file {log_file} cannot be written: {error.strerror or error}") from None


def refuse(code: int, message: str) -> int:
    """Say in one line what is refused; return the exit code."""
    if sys.stderr is not None:  # closed by who has called
        sys.stderr.write(f"error: {message}\n")
    return code
